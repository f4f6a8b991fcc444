use std::{
    collections::{HashMap, hash_map::Entry},
    time::{Duration, Instant},
};

use sqlx::{FromRow, SqliteConnection};

use super::Limits;
use crate::{
    domain::Timestamp,
    store::{StoreError, card::TailSms, rollup::TailUsage},
};

/// What makes a usage record unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct UsageKey {
    pub(super) sim_id: i64,
    pub(super) start_ms: i64,
    pub(super) h: i64,
}

/// The record that a key was taken in with: its id, and the `datePush` that it came under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct First {
    pub(super) id: i64,
    pub(super) date_push_s: i64,
}

/// A part of the database that is complete up to a mark of its own. They move one at a time, so that
/// no commit has to wait for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Summary {
    /// The key tree.
    Keys,
    /// Sums by time and network.
    Sums,
    /// Sums by SIM.
    Sims,
}

/// A usage record as the tail is read again.
#[derive(FromRow)]
struct KeyedUsage {
    id: i64,
    h: i64,
    date_push_s: i64,
    #[sqlx(flatten)]
    usage: TailUsage,
}

/// The records after the marks: what the summaries do not have yet.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// Keys that the key tree does not have, and those of repeats of what it has, with the
    /// record that came first.
    keys: HashMap<UsageKey, First>,
    /// Usage records after the oldest mark of the two kinds of sums …
    usage: Vec<TailUsage>,
    /// … of which the first so many are in the one kind …
    in_sums: usize,
    /// … or the other.
    in_sims: usize,
    /// The messages that the sums by SIM do not have.
    sms: Vec<TailSms>,
    /// When the oldest and the newest of the usage records after the mark of the sums were received,
    /// in milliseconds.
    received_ms: Option<(i64, i64)>,
    /// The keys that were taken in since the last commit.
    taken: Vec<UsageKey>,
    /// When each mark was last moved, in the order of [`Summary::ALL`].
    moved_at: [Option<Instant>; 3],
    /// The newest id.
    pub(super) last_id: i64,
}

/// How long the lists of a tail were before a transaction.
#[derive(Clone, Copy, Debug)]
pub(super) struct BeforeTail {
    usage: usize,
    sms: usize,
    received_ms: Option<(i64, i64)>,
    last_id: i64,
}

/// A tail of some length is not left alone for longer than this. At a fifth of what a machine can take,
/// a move and the checkpoint behind it then hold up a commit for 70 ms, not for 130.
const MOVED_WITHIN: Duration = Duration::from_millis(500);
/// The length: below it a move costs more than it saves.
const TAIL_RECORDS_WORTH_MOVING: usize = 2_048;
/// It is at least such a part of what a tail may be, so that one without end is left alone for ever.
const PARTS_WORTH_MOVING: usize = 16;

impl Summary {
    /// Every one.
    pub(super) const ALL: [Self; 3] = [Self::Keys, Self::Sums, Self::Sims];

    /// The word in the database.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::Sums => "sums",
            Self::Sims => "sims",
        }
    }
}

impl Tail {
    /// Reads the tail that an earlier process left.
    pub(super) async fn load(connection: &mut SqliteConnection) -> Result<Self, StoreError> {
        const MARKS: &str = "
            select max(iif(summary = 'keys', complete_to, 0)),
                max(iif(summary = 'sums', complete_to, 0)),
                max(iif(summary = 'sims', complete_to, 0)), (select last from seq) from mark";
        const USAGE: &str = "
            select usage.id, sim_id, card_id, start_ms, h, date_push_s, series_id, data_usage
            from usage join sim on sim.id = usage.sim_id
            where usage.id > $1 order by usage.id";
        const SMS: &str = "
            select sim_id, card_id, event_ms from sms join sim on sim.id = sms.sim_id
            where sms.id > $1";
        const RECEIVED: &str = "select min(received_ms), max(received_ms) from usage where id > $1";
        let (keys, sums, sims, last_id): (i64, i64, i64, i64) =
            sqlx::query_as(MARKS).fetch_one(&mut *connection).await?;
        let mut tail = Self { last_id, ..Self::default() };
        let rows: Vec<KeyedUsage> = sqlx::query_as(USAGE)
            .bind(keys.min(sums).min(sims))
            .fetch_all(&mut *connection)
            .await?;
        for KeyedUsage { id, h, date_push_s, usage } in rows {
            if id > keys {
                let TailUsage { sim_id, start_ms, .. } = usage;
                tail.keys.insert(UsageKey { sim_id, start_ms, h }, First { id, date_push_s });
            }
            tail.usage.push(usage);
            tail.in_sums += usize::from(id <= sums);
            tail.in_sims += usize::from(id <= sims);
        }
        tail.sms = sqlx::query_as(SMS).bind(sims).fetch_all(&mut *connection).await?;
        let (oldest_ms, newest_ms): (Option<i64>, Option<i64>) =
            sqlx::query_as(RECEIVED).bind(sums).fetch_one(&mut *connection).await?;
        tail.received_ms = oldest_ms.zip(newest_ms);
        tail.forget_summed();
        Ok(tail)
    }

    /// Takes a key in; false if it was there.
    pub(super) fn take(&mut self, key: UsageKey, first: First) -> bool {
        match self.keys.entry(key) {
            Entry::Occupied(_) => false,
            Entry::Vacant(free) => {
                free.insert(first);
                self.taken.push(key);
                true
            }
        }
    }

    /// What a transaction that begins now would have to be undone to.
    pub(super) fn before(&mut self) -> BeforeTail {
        self.taken.clear();
        let (usage, sms) = (self.usage.len(), self.sms.len());
        BeforeTail { usage, sms, received_ms: self.received_ms, last_id: self.last_id }
    }

    /// Forgets what came since.
    pub(super) fn undo(&mut self, before: &BeforeTail) {
        for key in self.taken.drain(..) {
            self.keys.remove(&key);
        }
        self.usage.truncate(before.usage);
        self.sms.truncate(before.sms);
        (self.received_ms, self.last_id) = (before.received_ms, before.last_id);
    }

    /// Notes that the key tree has a key that was taken in, from this record.
    pub(super) fn came_first_with(&mut self, key: UsageKey, first: First) {
        self.keys.insert(key, first);
    }

    /// The record that a key came with first.
    pub(super) fn first_of(&self, key: UsageKey) -> Option<First> {
        self.keys.get(&key).copied()
    }

    /// Forgets keys of records that are gone.
    pub(super) fn forget_keys(&mut self, keys: impl Iterator<Item = UsageKey>) {
        for key in keys {
            self.keys.remove(&key);
        }
    }

    /// The subscribers of all that is in it.
    pub(super) fn sims(&self) -> impl Iterator<Item = i64> {
        let keys = self.keys.keys().map(|key| key.sim_id);
        keys.chain(self.usage.iter().map(|usage| usage.sim_id))
            .chain(self.sms.iter().map(|sms| sms.sim_id))
    }

    /// Whether something of a card is in it that the sums by SIM do not have.
    pub(super) fn has_card(&self, card_id: i64) -> bool {
        let (usage, sms) = self.for_sims();
        usage.iter().any(|usage| usage.card_id == card_id)
            || sms.iter().any(|sms| sms.card_id == card_id)
    }

    /// Adds a record that is received now.
    pub(super) fn add_usage(&mut self, usage: TailUsage, now: Timestamp) {
        self.usage.push(usage);
        let now_ms = now.unix_ms();
        let (oldest, newest) = self.received_ms.unwrap_or((now_ms, now_ms));
        self.received_ms = Some((oldest.min(now_ms), newest.max(now_ms)));
    }

    /// See the field.
    pub(super) fn received_ms(&self) -> Option<(i64, i64)> {
        self.received_ms
    }

    pub(super) fn add_sms(&mut self, sms: TailSms) {
        self.sms.push(sms);
    }

    /// The usage records that the sums by time and network do not have.
    pub(super) fn for_sums(&self) -> &[TailUsage] {
        &self.usage[self.in_sums..]
    }

    /// The usage records and messages that the sums by SIM do not have.
    pub(super) fn for_sims(&self) -> (&[TailUsage], &[TailSms]) {
        (&self.usage[self.in_sims..], &self.sms)
    }

    /// The summary whose tail is longest beside what it may be, if one is as long as that or has
    /// waited long enough.
    pub(super) fn due(&self, limits: &Limits) -> Option<Summary> {
        let has_waited = |summary: Summary| {
            self.moved_at[summary as usize].is_none_or(|at| at.elapsed() >= MOVED_WITHIN)
        };
        let tails = [
            (self.keys.len(), limits.tail_records_max, Summary::Keys),
            (self.for_sums().len(), limits.sums_tail_records_max, Summary::Sums),
            (self.for_sims().0.len() + self.sms.len(), limits.tail_records_max, Summary::Sims),
        ];
        tails
            .into_iter()
            .filter(|(tail, most, summary)| {
                let worth_moving = (most / PARTS_WORTH_MOVING).max(TAIL_RECORDS_WORTH_MOVING);
                tail >= most || (*tail >= worth_moving && has_waited(*summary))
            })
            .max_by(|(tail, most, _), (other_tail, other_most, _)| {
                tail.saturating_mul(*other_most).cmp(&other_tail.saturating_mul(*most))
            })
            .map(|(_, _, summary)| summary)
    }

    /// Whether a record is in it that begins before this, or a message that was sent before this.
    pub(super) fn has_before(&self, usage_ms: i64, sms_ms: i64) -> bool {
        self.keys.keys().any(|key| key.start_ms < usage_ms)
            || self.usage.iter().any(|usage| usage.start_ms < usage_ms)
            || self.sms.iter().any(|sms| sms.event_ms < sms_ms)
    }

    /// Forgets what a summary now has.
    pub(super) fn moved(&mut self, summary: Summary) {
        self.moved_at[summary as usize] = Some(Instant::now());
        match summary {
            Summary::Keys => self.keys.clear(),
            Summary::Sums => {
                self.in_sums = self.usage.len();
                self.received_ms = None;
            }
            Summary::Sims => {
                self.in_sims = self.usage.len();
                self.sms.clear();
            }
        }
        self.forget_summed();
    }

    fn forget_summed(&mut self) {
        let in_both = self.in_sums.min(self.in_sims);
        self.usage.drain(..in_both);
        self.in_sums -= in_both;
        self.in_sims -= in_both;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        tail_records_max: 4_000,
        sums_tail_records_max: 3_000,
        ..Limits::of_quarantine(0)
    };

    const FIRST: First = First { id: 1, date_push_s: 0 };

    /// Adds so many records, of different milliseconds from this one on.
    fn add(tail: &mut Tail, from_ms: i64, records: i64) {
        for start_ms in from_ms..from_ms + records {
            assert!(tail.take(UsageKey { sim_id: 1, start_ms, h: 0 }, FIRST));
            let usage = TailUsage { sim_id: 1, card_id: 1, series_id: 1, start_ms, data_usage: 1 };
            tail.add_usage(usage, Timestamp::from_unix_ms(0));
        }
    }

    fn add_sms(tail: &mut Tail, records: i64) {
        (0..records).for_each(|event_ms| tail.add_sms(TailSms { sim_id: 1, card_id: 1, event_ms }));
    }

    /// A tail of so many records, of which no summary moved within the last half second.
    fn waiting(records: i64) -> Tail {
        let long_ago = Instant::now().checked_sub(MOVED_WITHIN);
        let mut tail = Tail { moved_at: [long_ago; 3], ..Tail::default() };
        add(&mut tail, 0, records);
        tail
    }

    /// One whose summaries all moved just now, however slow the machine is.
    fn moved(records: i64) -> Tail {
        let soon = Instant::now().checked_add(Duration::from_secs(3_600));
        Tail { moved_at: [soon; 3], ..waiting(records) }
    }

    #[test]
    fn a_tail_is_due_when_it_is_long_or_has_waited_and_is_worth_it() {
        let worth = 2_048;
        for (tail, due) in [
            (waiting(1), None),
            (waiting(worth - 1), None),
            (waiting(worth), Some(Summary::Sums)),
            (moved(worth), None),
            (moved(2_999), None),
            (moved(3_000), Some(Summary::Sums)),
        ] {
            assert_eq!(tail.due(&LIMITS), due, "{} records", tail.usage.len());
        }
        let larger = Limits { sums_tail_records_max: 32_784, ..LIMITS };
        assert_eq!(waiting(worth).due(&larger), Some(Summary::Sims));
        let endless = usize::MAX;
        let endless =
            Limits { tail_records_max: endless, sums_tail_records_max: endless, ..LIMITS };
        assert_eq!(waiting(100_000).due(&endless), None);
    }

    #[test]
    fn the_longest_tail_beside_what_it_may_be_is_due_first() {
        let mut tail = moved(3_500);
        tail.moved(Summary::Sums);
        tail.moved_at = moved(0).moved_at;
        assert_eq!(tail.due(&LIMITS), None);
        add_sms(&mut tail, 500);
        assert_eq!(tail.due(&LIMITS), Some(Summary::Sims));

        let mut of_messages = moved(0);
        add_sms(&mut of_messages, 3_999);
        assert_eq!(of_messages.due(&LIMITS), None);
        add_sms(&mut of_messages, 1);
        assert_eq!(of_messages.due(&LIMITS), Some(Summary::Sims));
    }

    #[test]
    fn what_two_summaries_have_is_forgotten_and_no_more() {
        let lengths =
            |tail: &Tail| (tail.usage.len(), tail.for_sums().len(), tail.for_sims().0.len());
        let mut tail = waiting(3);
        tail.moved(Summary::Sums);
        assert_eq!(lengths(&tail), (3, 0, 3));
        add(&mut tail, 3, 2);
        tail.moved(Summary::Sims);
        assert_eq!(lengths(&tail), (2, 2, 0));
        add(&mut tail, 5, 1);
        assert_eq!(lengths(&tail), (3, 3, 1));
        tail.moved(Summary::Sums);
        assert_eq!(lengths(&tail), (1, 0, 1));
        assert_eq!(tail.keys.len(), 6);
    }

    #[test]
    fn what_begins_before_a_moment_is_found_in_each_part_of_the_tail() {
        let mut of_keys = Tail::default();
        of_keys.take(UsageKey { sim_id: 1, start_ms: 10, h: 0 }, FIRST);
        let mut of_usage = Tail::default();
        add(&mut of_usage, 10, 1);
        of_usage.moved(Summary::Keys);
        for tail in [of_keys, of_usage] {
            assert!(tail.has_before(11, i64::MIN));
            assert!(!tail.has_before(10, i64::MAX));
        }
        let mut of_messages = Tail::default();
        add_sms(&mut of_messages, 1);
        assert!(of_messages.has_before(i64::MIN, 1));
        assert!(!of_messages.has_before(i64::MAX, 0));
    }
}
