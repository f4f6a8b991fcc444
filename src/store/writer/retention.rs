//! What limits a prune: how far records have been pruned, and how far time has come by two clocks.
//!
//! A prune never goes by our clock alone. One that is a year ahead for an hour would delete all
//! records; `datePush` is signed, so that it is a second clock, which has to agree. What was pruned
//! is noted no further than it was, so that a wrong cut cannot refuse what is new.
//!
//! Held pushes have no own time that could be trusted: their age is that of their receipt, read from
//! our clock alone. Whenever an authentic push confirms the clock, the ages of those that came since
//! it was last confirmed are settled: where the clock may have been wrong, they count from now.
use sqlx::SqliteConnection;

use super::{Submission, Writer, round::Round};
use crate::{
    domain::{AcceptedDates, BelievedTime, ClockEvidence, ClockFault, KeptFrom, Timestamp},
    store::StoreError,
};

/// The names in `meta` of the two times of the push that is believed.
const PUSHED: &str = "clock_pushed_ms";
const RECEIVED: &str = "clock_received_ms";
/// Of the two times between which pushes claim to be that are far ahead of it; '' where none does.
const CLAIMED: &str = "clock_claimed_ms";
/// Our clock when a push agreed with it last, while the one that is believed does not; '' where none did.
const AGREED: &str = "clock_agreed_ms";
/// See [`AcceptedDates`].
const ACCEPTED: &str = "accepted_dates";
/// Whether a push has said since that the clock is wrong.
const DOUBTED: &str = "clock_doubted";

/// The name in `meta` of the newest held push whose age is settled.
const SETTLED: &str = "held_age_settled_id";

/// The evidence is written when it is newer by so much: a prune goes by days.
const WRITTEN_EVERY_MS: i64 = 60_000;

/// What authentic pushes say of the time, in memory and in the database.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SignedClock {
    believed: BelievedTime,
    accepted: AcceptedDates,
    /// A push disagrees with our clock, and what came before it was settled by that clock.
    is_doubted: bool,
    /// One that came after it agrees.
    is_cleared: bool,
    written: Option<WrittenClock>,
}

/// What of it is in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WrittenClock {
    believed: BelievedTime,
    accepted: AcceptedDates,
    is_doubted: bool,
}

impl SignedClock {
    pub(super) async fn load(connection: &mut SqliteConnection) -> Result<Self, StoreError> {
        const REST: &str = "
            select coalesce((select value = '1' from meta where name = $1), false),
                (select value from meta where name = $2)";
        let (is_doubted, dates): (bool, Option<String>) =
            sqlx::query_as(REST).bind(DOUBTED).bind(ACCEPTED).fetch_one(&mut *connection).await?;
        let believed = written(&mut *connection).await?;
        if believed.newest.is_none() {
            let newest = by_records(connection).await?;
            return Ok(Self {
                believed: BelievedTime { newest, ..BelievedTime::default() },
                accepted: AcceptedDates::by(newest),
                ..Self::default()
            });
        }
        let dates: Option<AcceptedDates> = dates.and_then(|dates| dates.parse().ok());
        // An earlier version has not written them.
        let accepted = dates.unwrap_or_else(|| AcceptedDates::by(believed.newest));
        let accepted_written = dates.unwrap_or_default();
        let written = WrittenClock { believed, accepted: accepted_written, is_doubted };
        Ok(Self { believed, accepted, is_doubted, is_cleared: false, written: Some(written) })
    }

    /// Keeps what memory knows: a push was authentic whatever became of its commit.
    pub(super) fn with_newest_of(self, before: &Self) -> Self {
        match before.believed.newest {
            Some(_) => Self { written: self.written, ..*before },
            None => self,
        }
    }

    /// Authentic pushes came.
    pub(super) fn take_all(&mut self, batch: &[Submission], now: Timestamp) {
        for submission in batch {
            if let Some(pushed) = submission.pushed_at {
                self.take(ClockEvidence { pushed, received: now });
            }
            if let Some(date) = submission.accepted_date {
                self.accepted.take(date, now);
            }
        }
    }

    /// Whether nothing of this time was ever accepted, so that it is no repeat.
    pub(super) fn is_unseen(&self, date: Timestamp) -> bool {
        self.accepted.is_unseen(date)
    }

    fn take(&mut self, evidence: ClockEvidence) {
        let is_believed = self.believed.take(evidence);
        if evidence.was_wrong() {
            (self.is_doubted, self.is_cleared) = (true, false);
        } else if is_believed {
            self.is_cleared = true;
        }
    }

    /// What is worth being written, if anything is.
    fn due(&self) -> Option<WrittenClock> {
        let newest = self.believed.newest?;
        let next = WrittenClock {
            believed: self.believed,
            accepted: self.accepted,
            is_doubted: self.is_doubted && !self.is_cleared,
        };
        let later_ms = |time: Timestamp, than: Timestamp| time.unix_ms() - than.unix_ms();
        let is_due = self.written.is_none_or(|written| {
            let Some(before) = written.believed.newest else { return true };
            let newer_ms = later_ms(newest.confirmed(), before.confirmed());
            let is_claim_new = match (self.believed.claimed, written.believed.claimed) {
                (Some((from, to)), Some((was_from, was_to))) => {
                    from != was_from || later_ms(to, was_to) >= WRITTEN_EVERY_MS
                }
                (claimed, was_claimed) => claimed != was_claimed,
            };
            let is_agreement_new = match (self.believed.agreed, written.believed.agreed) {
                (Some(agreed), Some(was)) => {
                    later_ms(agreed, was) >= WRITTEN_EVERY_MS
                        || self.believed.is_outweighed() != written.believed.is_outweighed()
                }
                (agreed, was) => agreed != was,
            };
            !(0..WRITTEN_EVERY_MS).contains(&newer_ms)
                || newest.was_wrong() != before.was_wrong()
                || self.is_doubted && self.is_cleared
                || next.is_doubted != written.is_doubted
                || is_claim_new
                || is_agreement_new
                || self.accepted.is_news(&written.accepted)
        });
        is_due.then_some(next)
    }

    /// Between which times of our clock a held push must have come for that time to be its age, where
    /// the clock was right before and is right by this evidence. None where it may have been wrong
    /// at any time since.
    fn right_since_written(&self, evidence: ClockEvidence) -> Option<(i64, i64)> {
        let written = self.written?.believed.newest?;
        if written.was_wrong() {
            return None;
        }
        let written = written.confirmed();
        let now = evidence.confirmed();
        let difference_max = ClockEvidence::DIFFERENCE_MAX;
        (now.since(written) <= difference_max)
            .then(|| (written.minus(difference_max).unix_ms(), now.plus(difference_max).unix_ms()))
    }
}

impl Writer {
    /// From which own times on records are kept.
    pub fn kept_from(&self) -> KeptFrom {
        self.kept_from
    }

    /// The time from which retention counts: the newest that our clock and an authentic push agree
    /// on. A store that was only ever imported has no signed clock; then it is the newest time that
    /// its records tell, and only where there is none either, our clock's.
    pub async fn retention_now(&mut self, now: Timestamp) -> Result<Timestamp, StoreError> {
        const NEWEST: &str = "
            select max(ms) from (
                select max(start_ms) + 900000 as ms from usage_quarter_hour
                union all select max(start_ms) from usage
                    where id > (select complete_to from mark where summary = 'sums')
                union all select max(event_ms) from sms
                union all select max(key_ms) from notification)";
        self.refresh().await?;
        if self.signed_clock.believed.newest.is_some() {
            return Ok(self.confirmed(now));
        }
        let newest_ms: Option<i64> =
            sqlx::query_scalar(NEWEST).fetch_one(&mut self.connection).await?;
        Ok(newest_ms.map_or(now, |ms| now.min(Timestamp::from_unix_ms(ms))))
    }

    /// This time of our clock, or that of the newest evidence where our clock is later.
    pub(super) fn confirmed(&self, now: Timestamp) -> Timestamp {
        self.signed_clock.believed.newest.map_or(now, |newest| now.min(newest.confirmed()))
    }

    /// The newest time that our clock and an authentic push have both reached.
    pub(super) fn newest_confirmed(&self) -> Option<Timestamp> {
        self.signed_clock.believed.newest.map(ClockEvidence::confirmed)
    }

    /// Whether authentic pushes say that our clock, which is at `now`, is wrong by more than a day.
    pub(super) fn clock_is_wrong(&self, now: Timestamp) -> bool {
        self.signed_clock.believed.newest.is_some_and(|newest| newest.fault(now).is_some())
    }

    /// The time by which samples of devices get fewer. Polls come also where nothing is pushed, so that
    /// it is our clock's, but not while a push says that our clock is ahead.
    pub(super) fn thinning_now(&self, now: Timestamp) -> Timestamp {
        let SignedClock { believed, is_doubted, .. } = self.signed_clock;
        let is_ahead = |newest: ClockEvidence| newest.fault(now) == Some(ClockFault::Ahead);
        match is_doubted || believed.newest.is_some_and(is_ahead) {
            true => self.confirmed(now),
            false => now,
        }
    }

    /// Adds the statement that writes what is believed of the time, where that is due; gives what it
    /// writes.
    pub(super) fn write_signed_clock(
        &self,
        round: &mut Round,
    ) -> Result<Option<WrittenClock>, StoreError> {
        const WRITE: &str = "
            insert into meta (name, value) values (?, ?), (?, ?), (?, ?), (?, ?), (?, ?), (?, ?)
            on conflict (name) do update set value = excluded.value;";
        let Some(next) = self.signed_clock.due() else { return Ok(None) };
        let Some(evidence) = next.believed.newest else { return Ok(None) };
        let claimed = next.believed.claimed;
        let claimed = claimed.map(|(from, to)| format!("{} {}", from.unix_ms(), to.unix_ms()));
        round
            .add(WRITE)
            .bind(PUSHED)?
            .bind(evidence.pushed.unix_ms().to_string())?
            .bind(RECEIVED)?
            .bind(evidence.received.unix_ms().to_string())?
            .bind(CLAIMED)?
            .bind(claimed.unwrap_or_default())?
            .bind(AGREED)?
            .bind(next.believed.agreed.map_or_else(String::new, |at| at.unix_ms().to_string()))?
            .bind(ACCEPTED)?
            .bind(next.accepted.to_string())?
            .bind(DOUBTED)?
            .bind(if next.is_doubted { "1" } else { "0" })?;
        let before = self.signed_clock.written.and_then(|written| written.believed.newest);
        if !next.is_doubted && before != Some(evidence) {
            self.settle_held_ages(evidence, round)?;
        }
        Ok(Some(next))
    }

    /// Adds the statements that settle the ages of held pushes, where the clock is right by this
    /// evidence. It is seldom that any of them has to be changed.
    fn settle_held_ages(
        &self,
        evidence: ClockEvidence,
        round: &mut Round,
    ) -> Result<(), StoreError> {
        const SETTLE: &str = "
            update held set age_from_ms = ?
            where id > (select coalesce(max(cast(value as integer)), 0) from meta where name = ?)
                and received_ms not between ? and ?;
            insert into meta (name, value)
            select ?, cast(max(id) as text) from held having max(id) is not null
            on conflict (name) do update set value = excluded.value;";
        if evidence.was_wrong() {
            return Ok(());
        }
        let (from_ms, to_ms) = self.signed_clock.right_since_written(evidence).unwrap_or((1, 0));
        round
            .add(SETTLE)
            .bind(evidence.confirmed().unix_ms())?
            .bind(SETTLED)?
            .bind(from_ms)?
            .bind(to_ms)?
            .bind(SETTLED)?;
        Ok(())
    }

    /// Up to which id held pushes may go by their age. Those whose age is not settled stay, unless no
    /// push ever confirmed a clock, or a person vouches for it and no push speaks against it.
    pub(super) async fn held_of_known_age(&mut self, by_clock: bool) -> Result<i64, StoreError> {
        const SETTLED_ID: &str = "select cast(value as integer) from meta where name = $1";
        let SignedClock { believed, is_doubted, .. } = self.signed_clock;
        if believed.newest.is_none_or(|newest| by_clock && !is_doubted && !newest.was_wrong()) {
            return Ok(i64::MAX);
        }
        let settled_id: Option<i64> = sqlx::query_scalar(SETTLED_ID)
            .bind(SETTLED)
            .fetch_optional(&mut self.connection)
            .await?;
        Ok(settled_id.unwrap_or_default())
    }

    /// What is believed of the time is in the database.
    pub(super) fn signed_clock_written(&mut self, written: Option<WrittenClock>) {
        if let Some(written) = written {
            self.signed_clock.written = Some(written);
            self.signed_clock.is_doubted = written.is_doubted;
            self.signed_clock.is_cleared = false;
        }
    }

    /// Takes back what an earlier version noted of a prune by a wrong clock: that records of the
    /// future were pruned. No record was ever newer than the sums, which outlive records, nor a
    /// notification much newer than the last push.
    pub(super) async fn limit_kept_from(&mut self) -> Result<(), StoreError> {
        const LIMIT: &str = "
            update kept set from_ms = newest.ms from (
                select 'data-usage' as what, max(start_ms) + 900000 as ms from usage_quarter_hour
                union all select 'mo-sms', max(start_ms) + 900000 from sms_quarter_hour
                union all select 'notification', min(
                    nullif(max(last_received_ms), 0), coalesce($1, 9223372036854775807))
                from tally where kind not in ('data-usage', 'mo-sms')) as newest
            where newest.what = kept.what and newest.ms < kept.from_ms";
        let confirmed_ms =
            self.signed_clock.believed.newest.map(|newest| newest.confirmed().unix_ms());
        let limited = sqlx::query(LIMIT).bind(confirmed_ms).execute(&mut self.connection).await?;
        if limited.rows_affected() > 0 {
            tracing::info!(
                "New records were refused as too old: a prune had gone by a wrong clock"
            );
            self.kept_from = load_kept_from(&mut self.connection).await?;
        }
        Ok(())
    }
}

/// What an earlier commit wrote.
pub(in crate::store) async fn written(
    connection: &mut SqliteConnection,
) -> Result<BelievedTime, StoreError> {
    const WRITTEN: &str = "
        select cast(pushed.value as integer), cast(received.value as integer),
            coalesce((select value from meta where name = $3), ''),
            coalesce((select value from meta where name = $4), '')
        from meta as pushed join meta as received
        where pushed.name = $1 and received.name = $2";
    let row: Option<(i64, i64, String, String)> = sqlx::query_as(WRITTEN)
        .bind(PUSHED)
        .bind(RECEIVED)
        .bind(CLAIMED)
        .bind(AGREED)
        .fetch_optional(connection)
        .await?;
    let Some((pushed_ms, received_ms, claimed, agreed)) = row else {
        return Ok(BelievedTime::default());
    };
    let time = |word: &str| word.parse().ok().map(Timestamp::from_unix_ms);
    Ok(BelievedTime {
        newest: Some(evidence((pushed_ms, received_ms))),
        claimed: claimed.split_once(' ').and_then(|(from, to)| Some((time(from)?, time(to)?))),
        agreed: time(&agreed),
    })
}

/// What the newest records say, for a store that an earlier version has written.
async fn by_records(
    connection: &mut SqliteConnection,
) -> Result<Option<ClockEvidence>, StoreError> {
    const NEWEST: &str = "
        select date_push_s * 1000, received_ms from (
            select * from (
                select date_push_s, received_ms from usage order by id desc limit 1000)
            union all select * from (
                select date_push_s, received_ms from sms order by id desc limit 1000)
            union all select * from (
                select date_push_s, received_ms from notification order by id desc limit 1000))
        where date_push_s > 0
        order by min(date_push_s * 1000, received_ms) desc limit 1";
    let newest: Option<(i64, i64)> = sqlx::query_as(NEWEST).fetch_optional(connection).await?;
    Ok(newest.map(evidence))
}

fn evidence((pushed_ms, received_ms): (i64, i64)) -> ClockEvidence {
    let [pushed, received] = [pushed_ms, received_ms].map(Timestamp::from_unix_ms);
    ClockEvidence { pushed, received }
}

pub(super) async fn load_kept_from(
    connection: &mut SqliteConnection,
) -> Result<KeptFrom, StoreError> {
    let rows: Vec<(String, i64)> =
        sqlx::query_as("select what, from_ms from kept").fetch_all(connection).await?;
    let mut kept = KeptFrom::default();
    for (what, from_ms) in rows {
        match what.as_str() {
            "data-usage" => kept.usage_ms = from_ms,
            "mo-sms" => kept.sms_ms = from_ms,
            _ => kept.notification_ms = from_ms,
        }
    }
    Ok(kept)
}
