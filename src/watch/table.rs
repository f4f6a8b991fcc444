use std::collections::BTreeMap;

use crate::domain::{Condition, ConditionChange, ConditionKind, Kind, Timestamp};

/// What is wrong at present.
#[derive(Debug, Default)]
pub(super) struct Table {
    on: BTreeMap<(ConditionKind, Option<Kind>), Condition>,
}

impl Table {
    /// Takes in what a look has found, and tells what began and what ended. Of the kinds in
    /// `unknown` nobody could tell: they stay as they were.
    pub(super) fn update(
        &mut self,
        found: Vec<Condition>,
        unknown: &[ConditionKind],
        now: Timestamp,
    ) -> Vec<ConditionChange> {
        let mut before = std::mem::take(&mut self.on);
        let mut changes = Vec::new();
        for mut condition in found {
            let place = (condition.kind, condition.about.clone());
            match before.remove(&place) {
                Some(before) => condition.since = before.since,
                None => {
                    let condition = condition.clone();
                    changes.push(ConditionChange { condition, began: true, at: now });
                }
            }
            self.on.insert(place, condition);
        }
        for (place, condition) in before {
            if unknown.contains(&place.0) {
                self.on.insert(place, condition);
            } else {
                changes.push(ConditionChange { condition, began: false, at: now });
            }
        }
        changes
    }

    /// All of it, by kind.
    pub(super) fn conditions(&self) -> Vec<Condition> {
        self.on.values().cloned().collect()
    }
}

/// Tells the log of a change.
pub(super) fn log(change: &ConditionChange) {
    let Condition { kind, about, says, todo, .. } = &change.condition;
    if kind.is_logged_where_found() {
        return;
    }
    let about = about.as_ref().map(Kind::as_str);
    match change.began {
        true => tracing::warn!(condition = %kind, push.kind = about, "{says} {todo}"),
        false => tracing::info!(condition = %kind, push.kind = about, "It is over: {says}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(kind: ConditionKind, about: Option<&str>) -> Condition {
        let about = about.map(|kind| kind.parse().expect("a kind"));
        let since = Timestamp::from_unix_ms(1);
        Condition { kind, about, since, says: String::new(), todo: String::new() }
    }

    #[test]
    fn what_lasts_is_told_when_it_begins_and_when_it_ends_and_not_between() {
        let mut table = Table::default();
        let now = Timestamp::from_unix_ms(2);
        let found = || vec![condition(ConditionKind::Silent, Some("mo-sms"))];
        let told = |changes: Vec<ConditionChange>| -> Vec<bool> {
            changes.into_iter().map(|change| change.began).collect()
        };
        assert_eq!(told(table.update(found(), &[], now)), [true]);
        assert!(table.update(found(), &[], now).is_empty());
        assert!(table.update(Vec::new(), &[ConditionKind::Silent], now).is_empty());
        assert_eq!(table.conditions(), found());
        assert_eq!(told(table.update(Vec::new(), &[], now)), [false]);
        assert!(table.conditions().is_empty());
    }

    #[test]
    fn one_kind_may_be_about_several_kinds_of_push() {
        let mut table = Table::default();
        let now = Timestamp::from_unix_ms(2);
        let two = ["mo-sms", "data-usage"].map(|kind| condition(ConditionKind::Silent, Some(kind)));
        assert_eq!(table.update(two.to_vec(), &[], now).len(), 2);
        let one = vec![condition(ConditionKind::Silent, Some("mo-sms"))];
        let changes = table.update(one, &[], now);
        assert_eq!(changes.len(), 1);
        assert_eq!(changes[0].condition.about, Some("data-usage".parse().expect("a kind")));
    }
}
