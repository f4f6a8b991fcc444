use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use crate::{domain::Kind, smarthub::kind};

/// How many kinds that SmartHub does not document are kept under their own name.
const UNKNOWN_MAX: usize = 64;

/// The kinds in use. An authentic sender cannot make more names than these.
pub(super) struct Kinds {
    unknown: Mutex<HashSet<Kind>>,
}

impl Kinds {
    pub(super) fn new(stored: impl Iterator<Item = Kind>) -> Self {
        let is_unknown = |stored: &Kind| {
            let has_name = !stored.is_reserved() && *stored != Kind::other();
            has_name && !kind::is_known(stored.as_str())
        };
        Self { unknown: Mutex::new(stored.filter(is_unknown).collect()) }
    }

    /// The kind under which a push of this kind is kept, if it is not its own: `other`, when there
    /// are too many unknown ones, or where the name is a word of our own. Only for pushes that are authentic.
    pub(super) fn kept_as(&self, pushed: &Kind) -> Option<Kind> {
        if kind::is_known(pushed.as_str()) || *pushed == Kind::other() {
            return None;
        }
        if pushed.is_reserved() {
            return Some(Kind::other());
        }
        let mut unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        if unknown.contains(pushed) {
            return None;
        }
        if unknown.len() >= UNKNOWN_MAX {
            return Some(Kind::other());
        }
        tracing::warn!(
            push.kind = %pushed,
            "SmartHub does not document this kind; it is kept as a notification"
        );
        unknown.insert(pushed.clone());
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::KindError;

    #[test]
    fn so_many_unknown_kinds_keep_their_names_and_all_further_ones_are_other()
    -> Result<(), KindError> {
        let known: Kind = "data-usage".parse()?;
        let stored: Kind = "stored-before".parse()?;
        let kinds = Kinds::new([known.clone(), stored.clone(), Kind::other()].into_iter());
        let mut names = (1..).map(|nth| format!("unknown-{nth}").parse::<Kind>());
        let mut own = vec![known, Kind::other(), stored];
        for name in names.by_ref().take(UNKNOWN_MAX - 1) {
            own.push(name?);
            assert!(own.iter().all(|kind| kinds.kept_as(kind).is_none()));
        }
        for name in names.take(2) {
            assert_eq!(kinds.kept_as(&name?), Some(Kind::other()));
        }
        assert!(own.iter().all(|kind| kinds.kept_as(kind).is_none()));
        Ok(())
    }

    #[test]
    fn a_word_of_our_own_is_no_kind_even_where_it_was_one_before() -> Result<(), KindError> {
        let stored: Kind = "erased".parse()?;
        let kinds = Kinds::new([stored.clone()].into_iter());
        for reserved in [stored, "device".parse()?, "tick".parse()?, "gap".parse()?] {
            assert_eq!(kinds.kept_as(&reserved), Some(Kind::other()));
        }
        Ok(())
    }
}
