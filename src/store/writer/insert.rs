use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    Submission, TallyChange, Verdict, Writer, count,
    intern::{SeriesKey, SimKey},
    tail::UsageKey,
};
use crate::{
    domain::{NewRecord, Notification, Record, SmsRecord, Timestamp, UsageRecord},
    store::{StoreError, rollup::TailUsage},
};

const DAY_MS: i64 = 86_400_000;

/// The records of a batch by table, each with the submission it belongs to.
#[derive(Default)]
pub(super) struct Batch<'a> {
    usage: Vec<Row<'a, UsageRecord>>,
    sms: Vec<Row<'a, SmsRecord>>,
    notifications: Vec<Row<'a, Notification>>,
    tests: Vec<Row<'a, Record>>,
}

pub(super) struct Row<'a, T> {
    pub(super) submission: usize,
    pub(super) new: &'a NewRecord,
    pub(super) record: &'a T,
}

/// Changes of the tallies by kind.
type Tallies = BTreeMap<Box<str>, TallyChange>;

impl<'a> Batch<'a> {
    pub(super) fn add(&mut self, nth: usize, submission: &'a Submission) {
        for new in &submission.records {
            match &new.record {
                record if submission.is_test => {
                    self.tests.push(Row { submission: nth, new, record })
                }
                Record::Usage(record) => self.usage.push(Row { submission: nth, new, record }),
                Record::Sms(record) => self.sms.push(Row { submission: nth, new, record }),
                Record::Notification(record) => {
                    self.notifications.push(Row { submission: nth, new, record });
                }
            }
        }
    }

    fn len(&self) -> usize {
        self.usage.len() + self.sms.len() + self.notifications.len() + self.tests.len()
    }
}

impl Writer {
    /// Inserts a batch inside the open transaction. Gives the sum of all volumes with it.
    pub(super) async fn insert(
        &mut self,
        batch: &Batch<'_>,
        verdicts: &mut [Verdict],
        now: Timestamp,
    ) -> Result<i64, StoreError> {
        if batch.len() == 0 {
            return Ok(self.volume);
        }
        let ids = i64::try_from(batch.len()).unwrap_or(i64::MAX);
        let last: i64 = sqlx::query_scalar("update seq set last = last + $1 returning last")
            .bind(ids)
            .fetch_one(&mut self.connection)
            .await?;
        self.tail.last_id = last;
        let mut ids = last - ids + 1..=last;
        let mut tallies = Tallies::new();
        self.insert_usage(&batch.usage, &mut ids, verdicts, &mut tallies, now).await?;
        self.insert_sms(&batch.sms, &mut ids, verdicts, &mut tallies, now).await?;
        self.insert_notifications(&batch.notifications, &mut ids, verdicts, &mut tallies, now)
            .await?;
        self.insert_tests(&batch.tests, &mut ids, verdicts, now).await?;
        let added = tallies.values().try_fold(0_i64, |sum, kind| sum.checked_add(kind.data_usage));
        let volume = added
            .and_then(|added| self.volume.checked_add(added))
            .ok_or(StoreError::VolumeOverflow)?;
        self.move_tallies(&tallies, now).await?;
        Ok(volume)
    }

    async fn insert_usage(
        &mut self,
        rows: &[Row<'_, UsageRecord>],
        ids: &mut impl Iterator<Item = i64>,
        verdicts: &mut [Verdict],
        tallies: &mut Tallies,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const INSERT: &str = "
            insert into usage (id, received_ms, sim_id, series_id, start_ms, data_usage, duration,
                date_push_s, h, extra)
            select row.value ->> 0, $2, row.value ->> 3, row.value ->> 5, row.value ->> 1,
                row.value ->> 6, row.value ->> 7, row.value ->> 8, row.value ->> 4, row.value ->> 9
            from json_each($1) as row
            where not exists (
                select 1 from usage_key as key
                where key.day = row.value ->> 2 and key.sim_id = row.value ->> 3
                    and key.start_ms = row.value ->> 1 and key.h = row.value ->> 4)";
        const THERE: &str = "
            select row.value ->> 0, first.date_push_s from json_each($1) as row
            join usage_key as key on key.day = row.value ->> 2 and key.sim_id = row.value ->> 3
                and key.start_ms = row.value ->> 1 and key.h = row.value ->> 4
            join usage as first on first.id = key.id";
        if rows.is_empty() {
            return Ok(());
        }
        let contexts = self.contexts(rows).await?;
        let tally = tally(tallies, "data-usage");
        let mut candidates = Vec::with_capacity(rows.len());
        let mut inserts = Vec::with_capacity(rows.len());
        let mut repeats = Vec::new();
        for ((row, (sim_id, series_id)), id) in rows.iter().zip(contexts).zip(ids) {
            let UsageRecord { start_ms, data_usage, duration, ref extra, .. } = *row.record;
            let (h, date_push_s) = (row.new.identity, row.new.date_push_s);
            let key = UsageKey { sim_id, start_ms, h };
            if !self.tail.take(key, date_push_s) {
                repeats.push((row.submission, key, date_push_s));
                continue;
            }
            let day = start_ms / DAY_MS;
            inserts.push((
                id,
                start_ms,
                day,
                sim_id,
                h,
                series_id,
                data_usage,
                duration,
                date_push_s,
                extra,
            ));
            let folded = TailUsage { sim_id, series_id, start_ms, data_usage };
            candidates.push(Candidate { id, submission: row.submission, key, date_push_s, folded });
        }
        let there = self.insert_rows(INSERT, THERE, &inserts, now).await?;
        for candidate in candidates {
            if let Some(first) = there.get(&candidate.id) {
                self.tail.came_first_under(candidate.key, *first);
                repeat(verdicts, candidate.submission, tally, *first != candidate.date_push_s);
                continue;
            }
            let volume = tally.data_usage.checked_add(candidate.folded.data_usage);
            tally.data_usage = volume.ok_or(StoreError::VolumeOverflow)?;
            tally.records += 1;
            self.tail.usage.push(candidate.folded);
            count(verdicts, candidate.submission, |outcome| outcome.stored += 1);
        }
        // Only now the tail knows for each key under which date it came first.
        for (submission, key, date_push_s) in repeats {
            let redated = self.tail.first_date_push_s(key) != Some(date_push_s);
            repeat(verdicts, submission, tally, redated);
        }
        Ok(())
    }

    /// The interned SIM and network context of each record.
    async fn contexts(
        &mut self,
        rows: &[Row<'_, UsageRecord>],
    ) -> Result<Vec<(i64, i64)>, StoreError> {
        let sims: Vec<_> =
            rows.iter().map(|row| SimKey::new(&row.record.giccid, &row.record.imsi)).collect();
        let sims = self.interned.sims(&mut self.connection, &sims).await?;
        let series: Vec<_> = rows.iter().map(|row| SeriesKey::of(row.record)).collect();
        let series = self.interned.series(&mut self.connection, &series).await?;
        Ok(sims.into_iter().zip(series).collect())
    }

    async fn insert_sms(
        &mut self,
        rows: &[Row<'_, SmsRecord>],
        ids: &mut impl Iterator<Item = i64>,
        verdicts: &mut [Verdict],
        tallies: &mut Tallies,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const INSERT: &str = "
            insert into sms (id, received_ms, sim_id, sim_group, event_ms, from_msisdn, to_msisdn,
                date_push_s, h, extra)
            select row.value ->> 0, $2, row.value ->> 2, row.value ->> 4, row.value ->> 1,
                row.value ->> 5, row.value ->> 6, row.value ->> 7, row.value ->> 3, row.value ->> 8
            from json_each($1) as row where true
            on conflict do nothing";
        const THERE: &str = "
            select row.value ->> 0, first.date_push_s from json_each($1) as row
            join sms as first on first.event_ms = row.value ->> 1
                and first.sim_id = row.value ->> 2 and first.h = row.value ->> 3
            where first.id <> row.value ->> 0";
        if rows.is_empty() {
            return Ok(());
        }
        let sims: Vec<_> =
            rows.iter().map(|row| SimKey::new(&row.record.giccid, &row.record.imsi)).collect();
        let sims = self.interned.sims(&mut self.connection, &sims).await?;
        let inserts: Vec<_> = rows
            .iter()
            .zip(sims.iter().zip(ids))
            .map(|(Row { new, record, .. }, (sim_id, id))| {
                let texts = (&*record.sim_group, &*record.from_msisdn, &*record.to_msisdn);
                let (group, from, to) = texts;
                let extra = &record.extra;
                (id, record.event_ms, sim_id, new.identity, group, from, to, new.date_push_s, extra)
            })
            .collect();
        let there = self.insert_rows(INSERT, THERE, &inserts, now).await?;
        let tally = tally(tallies, "mo-sms");
        for (row, insert) in rows.iter().zip(&inserts) {
            if settle(verdicts, row.submission, tally, row.new, there.get(&insert.0)) {
                self.tail.sms.push((*insert.2, insert.1));
            }
        }
        Ok(())
    }

    async fn insert_notifications(
        &mut self,
        rows: &[Row<'_, Notification>],
        ids: &mut impl Iterator<Item = i64>,
        verdicts: &mut [Verdict],
        tallies: &mut Tallies,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const INSERT: &str = "
            insert into notification (id, received_ms, kind, pushed_as, giccid, imsi, event_ms,
                key_ms, date_push_s, h, payload)
            select row.value ->> 0, $2, row.value ->> 4, row.value ->> 5, row.value ->> 6,
                row.value ->> 7, row.value ->> 8, row.value ->> 1, row.value ->> 3,
                row.value ->> 2, row.value ->> 9
            from json_each($1) as row where true
            on conflict do nothing";
        const THERE: &str = "
            select row.value ->> 0, first.date_push_s from json_each($1) as row
            join notification as first on first.key_ms = row.value ->> 1
                and first.h = row.value ->> 2
            where first.id <> row.value ->> 0";
        if rows.is_empty() {
            return Ok(());
        }
        let inserts: Vec<_> = rows
            .iter()
            .zip(ids)
            .map(|(Row { new, record, .. }, id)| {
                let key_ms = record.event_ms.unwrap_or(new.date_push_s * 1000);
                (
                    id,
                    key_ms,
                    new.identity,
                    new.date_push_s,
                    record.kind.as_str(),
                    record.pushed_as.as_ref().map(|kind| kind.as_str()),
                    record.giccid.as_ref().map(|giccid| giccid.as_str()),
                    &*record.imsi,
                    record.event_ms,
                    &record.payload,
                )
            })
            .collect();
        let there = self.insert_rows(INSERT, THERE, &inserts, now).await?;
        for (row, insert) in rows.iter().zip(&inserts) {
            let tally = tally(tallies, row.record.kind.as_str());
            settle(verdicts, row.submission, tally, row.new, there.get(&insert.0));
        }
        Ok(())
    }

    /// Inserts rows, whose first column is the id; gives the ids of those that were there already,
    /// with the `datePush` that they came under first.
    pub(super) async fn insert_rows<T: Serialize>(
        &mut self,
        insert: &'static str,
        there: &'static str,
        rows: &[T],
        now: Timestamp,
    ) -> Result<BTreeMap<i64, i64>, StoreError> {
        if rows.is_empty() {
            return Ok(BTreeMap::new());
        }
        let json = serde_json::to_string(rows)?;
        let inserted = sqlx::query(insert)
            .bind(&json)
            .bind(now.unix_ms())
            .execute(&mut self.connection)
            .await?
            .rows_affected();
        if inserted == rows.len() as u64 {
            return Ok(BTreeMap::new());
        }
        let there: Vec<(i64, i64)> =
            sqlx::query_as(there).bind(&json).fetch_all(&mut self.connection).await?;
        Ok(there.into_iter().collect())
    }

    async fn move_tallies(&mut self, tallies: &Tallies, now: Timestamp) -> Result<(), StoreError> {
        const MOVE: &str = "
            insert into tally (kind, records, data_usage, repeats, repeats_redated, last_received_ms)
            values ($1, $2, $3, $4, $5, $6)
            on conflict (kind) do update set records = records + excluded.records,
                data_usage = data_usage + excluded.data_usage,
                repeats = repeats + excluded.repeats,
                repeats_redated = repeats_redated + excluded.repeats_redated,
                last_received_ms = excluded.last_received_ms";
        for (kind, change) in tallies {
            sqlx::query(MOVE)
                .bind(&**kind)
                .bind(change.records)
                .bind(change.data_usage)
                .bind(change.repeats)
                .bind(change.repeats_redated)
                .bind(now.unix_ms())
                .execute(&mut self.connection)
                .await?;
        }
        Ok(())
    }
}

/// A usage record that is not in the tail; the table decides.
struct Candidate {
    id: i64,
    submission: usize,
    key: UsageKey,
    date_push_s: i64,
    folded: TailUsage,
}

fn tally<'t>(tallies: &'t mut Tallies, kind: &str) -> &'t mut TallyChange {
    tallies.entry(kind.into()).or_default()
}

/// Counts a record as stored, or as a repeat of one that came under `first`.
pub(super) fn settle(
    verdicts: &mut [Verdict],
    submission: usize,
    tally: &mut TallyChange,
    new: &NewRecord,
    first: Option<&i64>,
) -> bool {
    if let Some(first) = first {
        repeat(verdicts, submission, tally, *first != new.date_push_s);
        return false;
    }
    tally.records += 1;
    count(verdicts, submission, |outcome| outcome.stored += 1);
    true
}

fn repeat(verdicts: &mut [Verdict], submission: usize, tally: &mut TallyChange, redated: bool) {
    tally.repeats += 1;
    tally.repeats_redated += i64::from(redated);
    count(verdicts, submission, |outcome| outcome.duplicates += 1);
}
