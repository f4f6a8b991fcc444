use crate::domain::{Condition, ConditionKind, Timestamp, counted};

/// Of so many erased SIMs something may be left in the files of the database.
pub(super) fn in_files((sims, since, why): &(usize, Timestamp, String)) -> Condition {
    let sims = counted(*sims as u64, "erased SIM", "erased SIMs");
    let says = format!("Bytes of {sims} may be left in the files of the database: {why}.");
    let todo = "Nothing to do if it ends by itself: it is tried again each hour, and by `simdeck prune`. \
                If it stays, remove the cause.";
    let (kind, todo) = (ConditionKind::ErasedInFiles, todo.to_owned());
    Condition { kind, about: None, since: *since, says, todo }
}
