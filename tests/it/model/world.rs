//! The plain model: what a server that was told all this must hold.
use std::collections::{BTreeMap, BTreeSet};

use super::{
    record::{HOUR_MS, Kind, Spec},
    step::{Age, Part, Push, Shape},
};

/// What makes a record this one: without a time of its own, `datePush` too.
pub(super) type Key = (Spec, Option<i64>);

/// How long records are kept; `SIMDECK_RETENTION_RECORDS` and `_SMS`.
pub(super) const RETENTION_H: i64 = 48;
const MAX_AGE_S: i64 = 7 * 86_400;
const MAX_AHEAD_S: i64 = 300;
/// A second that nothing is pushed in.
const NOBODY: i64 = -1;

/// A part of a push that lies in quarantine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Held {
    pub(super) reason: &'static str,
    pub(super) kind: Kind,
    /// Its `datePush`.
    pub(super) second: i64,
    pub(super) parts: Vec<HeldPart>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct HeldPart {
    pub(super) spec: Spec,
    pub(super) is_bad: bool,
}

/// What a push is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) stored: u64,
    pub(super) duplicates: u64,
    pub(super) quarantined: u64,
}

impl Counts {
    pub(super) fn add(&mut self, other: Self) {
        self.stored += other.stored;
        self.duplicates += other.duplicates;
        self.quarantined += other.quarantined;
    }
}

/// All that was told and is to be remembered.
pub(super) struct World {
    pub(super) began_ms: i64,
    /// Every record that was ever stored, and whether it still is.
    pub(super) records: BTreeMap<Key, bool>,
    /// The seconds that each of them was pushed in, the one that it is stored under first; 0 is a file.
    pushed: BTreeMap<Key, Vec<i64>>,
    /// What a follower has who takes away what the tombstones say.
    pub(super) followed: BTreeSet<Key>,
    /// What was pruned and, as far as sums go, still counts.
    pub(super) pruned: BTreeSet<Key>,
    /// Those of them whose SIM was erased later: they count where no SIM is told.
    pruned_of_erased: BTreeSet<Key>,
    pub(super) erased: BTreeSet<&'static str>,
    pub(super) ever_erased: BTreeSet<&'static str>,
    /// Seconds that were retracted and not lifted.
    pub(super) retracted: BTreeSet<i64>,
    pub(super) held: BTreeSet<Held>,
    /// Pushes that were signed with another key, each with its second.
    pub(super) refused: BTreeSet<(Spec, i64)>,
    /// By list: the own time behind the newest record that a prune took away.
    pub(super) kept_from_ms: BTreeMap<&'static str, i64>,
    /// How far ahead the server's clock is.
    pub(super) ahead_s: i64,
}

impl World {
    pub(super) fn new(began_ms: i64) -> Self {
        Self {
            began_ms,
            records: BTreeMap::new(),
            pushed: BTreeMap::new(),
            followed: BTreeSet::new(),
            pruned: BTreeSet::new(),
            pruned_of_erased: BTreeSet::new(),
            erased: BTreeSet::new(),
            ever_erased: BTreeSet::new(),
            retracted: BTreeSet::new(),
            held: BTreeSet::new(),
            refused: BTreeSet::new(),
            kept_from_ms: BTreeMap::new(),
            ahead_s: 0,
        }
    }

    /// What a push of this second does, and what it is answered.
    pub(super) fn push(&mut self, push: &Push, second: i64, now_s: i64) -> Counts {
        let date_push_s = date_push_s(push.age, second, self.began_ms);
        let clock_s = now_s + self.ahead_s;
        let whole = match date_push_s {
            date if self.retracted.contains(&date) => Some("date_retracted"),
            date if date < clock_s - MAX_AGE_S => Some("date_old"),
            date if date > clock_s + MAX_AHEAD_S => Some("date_ahead"),
            _ => None,
        };
        let parts: Vec<Part> = match push.shape {
            Shape::Single => push.parts[..1].to_vec(),
            Shape::Container | Shape::Array => push.parts.clone(),
        };
        let Some(reason) = whole else { return self.take_in(&parts, date_push_s) };
        let elements: Vec<&[Part]> = match push.shape {
            Shape::Array => parts.chunks(1).collect(),
            Shape::Single | Shape::Container => vec![&parts],
        };
        let mut counts = Counts::default();
        for element in elements {
            let parts: Vec<HeldPart> = element.iter().copied().map(held_part).collect();
            let parts = self.without_erased(parts);
            if !parts.is_empty() {
                counts.quarantined += 1;
                self.held.insert(Held { reason, kind: push.kind, second: date_push_s, parts });
            }
        }
        counts
    }

    /// Records that are read, whatever they came by.
    fn take_in(&mut self, parts: &[Part], second: i64) -> Counts {
        let mut counts = Counts::default();
        for part in parts {
            let spec = part.spec();
            if self.is_erased(spec) {
                continue;
            }
            let is_bad = matches!(part, Part::Bad(_));
            if is_bad || self.is_too_old(key(spec, second)) {
                let reason = match (is_bad, spec.kind) {
                    (false, _) => "store_refused",
                    (true, Kind::Usage | Kind::Sms) => "field_missing",
                    (true, Kind::Status | Kind::Future) => "repeated_key",
                };
                let parts = vec![HeldPart { spec, is_bad }];
                counts.quarantined += 1;
                self.held.insert(Held { reason, kind: spec.kind, second, parts });
            } else if self.store(key(spec, second), second, false) {
                counts.stored += 1;
            } else {
                counts.duplicates += 1;
            }
        }
        counts
    }

    fn store(&mut self, key: Key, second: i64, is_file: bool) -> bool {
        if self.records.insert(key, true).is_none() {
            self.pushed.insert(key, vec![second]);
            self.followed.insert(key);
            return true;
        }
        let pushed = self.pushed.get_mut(&key).unwrap();
        // What came by a file first is retracted by nobody.
        if pushed[0] != 0 && !pushed.contains(&second) && !(is_file && second == pushed[0]) {
            pushed.push(second);
        }
        false
    }

    /// Takes out what is stored under this second. What others brought, too, stays as theirs.
    pub(super) fn retract(&mut self, second: i64) {
        self.retracted.insert(second);
        for (key, mut pushed) in std::mem::take(&mut self.pushed) {
            let is_under = pushed[0] == second;
            let is_kept = self.records[&key];
            pushed.retain(|it| *it != second);
            if is_under && is_kept && pushed.is_empty() {
                self.records.remove(&key);
                self.followed.remove(&key);
                continue;
            }
            if is_under && !is_kept {
                // It was pruned: only who has a copy takes it away.
                self.followed.remove(&key);
            }
            if is_under {
                pushed.sort_unstable();
            }
            if pushed.is_empty() {
                // Pruned, and told by nobody else.
                pushed.push(NOBODY);
            }
            self.pushed.insert(key, pushed);
        }
    }

    pub(super) fn is_erased(&self, spec: Spec) -> bool {
        self.erased.contains(spec.giccid())
    }

    fn without_erased(&self, parts: Vec<HeldPart>) -> Vec<HeldPart> {
        parts.into_iter().filter(|part| !self.is_erased(part.spec)).collect()
    }

    /// Whether a record is from before what is still kept of its list.
    fn is_too_old(&self, key: Key) -> bool {
        let kept_from_ms = self.kept_from_ms.get(key.0.kind.list());
        kept_from_ms.is_some_and(|from_ms| self.own_ms(key) < *from_ms)
    }

    fn own_ms(&self, (spec, second): Key) -> i64 {
        second.map_or_else(|| spec.own_ms(self.began_ms), |second| second * 1_000)
    }

    /// Takes away what is past its retention by the clock that authentic pushes confirm.
    pub(super) fn prune(&mut self) {
        let cut_ms = self.began_ms - RETENTION_H * HOUR_MS;
        let old: Vec<Key> = self.kept().filter(|key| self.own_ms(*key) < cut_ms).collect();
        for key in old {
            let from_ms = self.own_ms(key) + 1;
            let kept_from_ms = self.kept_from_ms.entry(key.0.kind.list()).or_default();
            *kept_from_ms = from_ms.max(*kept_from_ms);
            self.records.insert(key, false);
            self.pruned.insert(key);
        }
    }

    pub(super) fn erase(&mut self, sim: &'static str) {
        self.erased.insert(sim);
        self.ever_erased.insert(sim);
        let is_gone = |(spec, _): &Key| spec.giccid() == sim;
        self.records.retain(|key, _| !is_gone(key));
        self.pushed.retain(|key, _| !is_gone(key));
        self.followed.retain(|key| !is_gone(key));
        let (gone, left) = std::mem::take(&mut self.pruned).into_iter().partition(is_gone);
        self.pruned = left;
        let gone: BTreeSet<Key> = gone;
        self.pruned_of_erased.extend(gone);
        self.refused.retain(|(spec, _)| spec.giccid() != sim);
        for mut held in std::mem::take(&mut self.held) {
            held.parts = self.without_erased(held.parts);
            if !held.parts.is_empty() {
                self.held.insert(held);
            }
        }
    }

    /// What is read of a held push when it is tried again, whatever its age. One of which nothing can
    /// be stored stays as it is.
    pub(super) fn retry(&mut self, held: &Held) -> Counts {
        // What lay there for another reason before is not taken in; only the second time is it decided.
        if self.retracted.contains(&held.second) && held.reason != "date_retracted" {
            self.held.remove(held);
            self.held.insert(Held { reason: "date_retracted", ..held.clone() });
            return Counts { quarantined: 1, ..Counts::default() };
        }
        let is_refused =
            |part: &HeldPart| part.is_bad || self.is_too_old(key(part.spec, held.second));
        if held.parts.iter().all(is_refused) {
            return Counts { quarantined: held.parts.len() as u64, ..Counts::default() };
        }
        self.held.remove(held);
        let parts: Vec<Part> = held.parts.iter().map(|part| part.part()).collect();
        self.take_in(&parts, held.second)
    }

    /// A push that is signed with another key.
    pub(super) fn refuse(&mut self, spec: Spec, second: i64) {
        if !self.is_erased(spec) {
            self.refused.insert((spec, second));
        }
    }

    /// Rows of a file; what is refused is not held.
    pub(super) fn import(&mut self, rows: &[(Key, i64)]) -> (u64, u64, u64) {
        let (mut stored, mut duplicates, mut refused) = (0, 0, 0);
        for (key, second) in rows {
            // It is told of a row before it is asked whose it is.
            if self.is_too_old(*key) {
                refused += 1;
            } else if self.is_erased(key.0) {
                continue;
            } else if self.store(*key, *second, true) {
                stored += 1;
            } else {
                duplicates += 1;
            }
        }
        (stored, duplicates, refused)
    }

    /// The records that lists have.
    pub(super) fn kept(&self) -> impl Iterator<Item = Key> {
        self.records.iter().filter(|(_, is_kept)| **is_kept).map(|(key, _)| *key)
    }

    pub(super) fn kept_of(&self, list: &str) -> BTreeSet<Key> {
        self.kept().filter(|(spec, _)| spec.kind.list() == list).collect()
    }

    /// The usage that sums count: of a SIM only what is told by SIM.
    pub(super) fn counted(&self, by_sim: bool) -> impl Iterator<Item = Spec> {
        let of_erased = self.pruned_of_erased.iter().copied().filter(move |_| !by_sim);
        let pruned = self.pruned.iter().copied().chain(of_erased);
        let all = self.kept().chain(pruned).map(|(spec, _)| spec);
        all.filter(|it| it.kind == Kind::Usage)
    }
}

impl HeldPart {
    fn part(&self) -> Part {
        if self.is_bad { Part::Bad(self.spec) } else { Part::Good(self.spec) }
    }
}

/// A record that was pushed in this second.
fn key(spec: Spec, second: i64) -> Key {
    (spec, (spec.kind == Kind::Future).then_some(second))
}

fn held_part(part: Part) -> HeldPart {
    HeldPart { spec: part.spec(), is_bad: matches!(part, Part::Bad(_)) }
}

/// The second that a push says.
pub(super) fn date_push_s(age: Age, second: i64, began_ms: i64) -> i64 {
    match age {
        Age::Captured(nth) => captured_s(nth, began_ms),
        Age::Fresh => second,
        Age::Old => second - 8 * 86_400,
        Age::Ahead => second + 600,
    }
}

/// A captured second, not long before the case began.
pub(super) fn captured_s(nth: i64, began_ms: i64) -> i64 {
    began_ms / 1_000 - 1_000 - nth
}
