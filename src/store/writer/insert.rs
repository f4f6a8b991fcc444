use std::{collections::BTreeMap, net::IpAddr};

use super::{
    Submission, TallyChange, Verdict, Writer, count,
    push::Runs,
    push_repeat::Repeats,
    round::Round,
    sims::{SimIds, SimKey},
    tail::First,
};
use crate::{
    domain::{NO_DATE_PUSH_S, NewRecord, Notification, Record, SmsRecord, Timestamp, UsageRecord},
    store::{StoreError, card::TailSms},
};

/// The records of a batch by table, each with the submission it belongs to.
#[derive(Default)]
pub(super) struct Batch<'a> {
    usage: Vec<Row<'a, UsageRecord>>,
    sms: Vec<Row<'a, SmsRecord>>,
    notifications: Vec<Row<'a, Notification>>,
    tests: Vec<Row<'a, Record>>,
    /// A push is among them.
    has_push: bool,
}

pub(super) struct Row<'a, T> {
    pub(super) submission: usize,
    pub(super) source: Option<IpAddr>,
    /// It comes from a file.
    pub(super) is_history: bool,
    pub(super) new: &'a NewRecord,
    pub(super) record: &'a T,
}

/// Changes of the tallies by kind.
type Tallies = BTreeMap<Box<str>, TallyChange>;

impl<'a> Batch<'a> {
    pub(super) fn add(&mut self, nth: usize, submission: &'a Submission) {
        self.has_push |= !submission.is_history;
        self.add_of(nth, submission, submission.source);
    }

    /// Adds its records once more, as repeats: others sent them, too.
    pub(super) fn add_also(&mut self, nth: usize, submission: &'a Submission) {
        for source in &submission.also_from {
            self.add_of(nth, submission, *source);
        }
    }

    fn add_of(&mut self, nth: usize, submission: &'a Submission, source: Option<IpAddr>) {
        let is_history = submission.is_history;
        for new in &submission.records {
            match &new.record {
                record if submission.is_test => {
                    self.tests.push(Row { submission: nth, source, is_history, new, record })
                }
                Record::Usage(record) => {
                    self.usage.push(Row { submission: nth, source, is_history, new, record });
                }
                Record::Sms(record) => {
                    self.sms.push(Row { submission: nth, source, is_history, new, record });
                }
                Record::Notification(record) => {
                    self.notifications.push(Row {
                        submission: nth,
                        source,
                        is_history,
                        new,
                        record,
                    });
                }
            }
        }
    }

    /// Puts what came from one source side by side, in the order in which it came: then few rows
    /// tell the source of all.
    pub(super) fn sort(&mut self) {
        self.usage.sort_by_key(|row| row.source);
        self.sms.sort_by_key(|row| row.source);
        self.notifications.sort_by_key(|row| row.source);
    }

    fn is_usage_only(&self) -> bool {
        self.len() == self.usage.len()
    }

    pub(super) fn len(&self) -> usize {
        self.usage.len() + self.sms.len() + self.notifications.len() + self.tests.len()
    }
}

impl Writer {
    /// Inserts a batch inside the open transaction. Gives the sum of all volumes with it.
    pub(super) async fn insert(
        &mut self,
        batch: &Batch<'_>,
        verdicts: &mut [Verdict],
        round: &mut Round,
        now: Timestamp,
    ) -> Result<i64, StoreError> {
        if batch.len() == 0 {
            return Ok(self.volume);
        }
        let ids = i64::try_from(batch.len()).unwrap_or(i64::MAX);
        // Nobody else writes, so what the row will say is known before it is asked.
        round.add("update seq set last = last + ?;").bind(ids)?;
        let first = self.tail.last_id + 1;
        self.tail.last_id += ids;
        let mut ids = first..=self.tail.last_id;
        let mut tallies = Tallies::new();
        self.insert_usage(
            &batch.usage,
            &mut ids,
            verdicts,
            tally(&mut tallies, "data-usage"),
            round,
            now,
        )
        .await?;
        if !batch.is_usage_only() {
            round.run(&mut self.connection).await?;
        }
        self.insert_sms(&batch.sms, &mut ids, verdicts, &mut tallies, round, now).await?;
        self.insert_notifications(
            &batch.notifications,
            &mut ids,
            verdicts,
            &mut tallies,
            round,
            now,
        )
        .await?;
        self.insert_tests(&batch.tests, &mut ids, verdicts, now).await?;
        let added = tallies.values().try_fold(0_i64, |sum, kind| sum.checked_add(kind.data_usage));
        let volume = added
            .and_then(|added| self.volume.checked_add(added))
            .ok_or(StoreError::VolumeOverflow)?;
        if !batch.has_push {
            for change in tallies.values_mut() {
                (change.repeats, change.repeats_redated) = (0, 0);
            }
        }
        tallies.retain(|_, change| *change != TallyChange::default());
        move_tallies(&tallies, round, batch.has_push.then_some(now))?;
        Ok(volume)
    }

    async fn insert_sms(
        &mut self,
        rows: &[Row<'_, SmsRecord>],
        ids: &mut impl Iterator<Item = i64>,
        verdicts: &mut [Verdict],
        tallies: &mut Tallies,
        round: &mut Round,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const INSERT: &str = "
            insert into sms (id, received_ms, sim_id, sim_group, event_ms, from_msisdn, to_msisdn,
                date_push_s, h, extra)
            select row.value ->> 0, $2, row.value ->> 2, row.value ->> 4, row.value ->> 1,
                row.value ->> 5, row.value ->> 6, row.value ->> 7, row.value ->> 3,
                coalesce($3, row.value ->> 8)
            from json_each($1) as row where true
            on conflict do nothing";
        const THERE: &str = "
            select row.value ->> 0, first.id, first.date_push_s from json_each($1) as row
            join sms as first on first.event_ms = row.value ->> 1
                and first.sim_id = row.value ->> 2 and first.h = row.value ->> 3
            where first.id <> row.value ->> 0";
        if rows.is_empty() {
            return Ok(());
        }
        let sims: Vec<_> =
            rows.iter().map(|row| SimKey::new(&row.record.giccid, &row.record.imsi)).collect();
        let sims = self.interned.sims(&mut self.connection, round, &sims).await?;
        let inserts: Vec<_> = rows
            .iter()
            .zip(sims.iter().zip(ids))
            .map(|(Row { new, record, .. }, (SimIds { sim_id, .. }, id))| {
                let texts = (&*record.sim_group, &*record.from_msisdn, &*record.to_msisdn);
                let (group, from, to) = texts;
                let extra = record.extra.as_deref();
                (id, record.event_ms, sim_id, new.identity, group, from, to, new.date_push_s, extra)
            })
            .collect();
        let there = self.insert_rows(INSERT, THERE, &inserts, |row| &mut row.8, now).await?;
        let tally = tally(tallies, "mo-sms");
        let (mut runs, mut repeats) = (Runs::default(), Repeats::default());
        for ((row, insert), SimIds { sim_id, card_id }) in rows.iter().zip(&inserts).zip(&sims) {
            let first = there.get(&insert.0);
            if settle(verdicts, row.submission, tally, row.new, first) {
                let (sim_id, card_id) = (*sim_id, *card_id);
                self.tail.add_sms(TailSms { sim_id, card_id, event_ms: insert.1 });
                runs.add(insert.0, row.source, row.new.date_push_s);
            }
            first.into_iter().for_each(|first| repeats.add(*first, row));
        }
        runs.write(round)?;
        repeats.write(round)
    }

    async fn insert_notifications(
        &mut self,
        rows: &[Row<'_, Notification>],
        ids: &mut impl Iterator<Item = i64>,
        verdicts: &mut [Verdict],
        tallies: &mut Tallies,
        round: &mut Round,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const INSERT: &str = "
            insert into notification (id, received_ms, kind, pushed_as, giccid, imsi, event_ms,
                key_ms, date_push_s, h, payload)
            select row.value ->> 0, $2, row.value ->> 4, row.value ->> 5, row.value ->> 6,
                row.value ->> 7, row.value ->> 8, row.value ->> 1, row.value ->> 3,
                row.value ->> 2, coalesce($3, row.value ->> 9)
            from json_each($1) as row where true
            on conflict do nothing";
        const THERE: &str = "
            select row.value ->> 0, first.id, first.date_push_s from json_each($1) as row
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
                (
                    id,
                    new.own_ms(),
                    new.identity,
                    new.date_push_s,
                    record.kind.as_str(),
                    record.pushed_as.as_ref().map(|kind| kind.as_str()),
                    record.giccid.as_ref().map(|giccid| giccid.as_str()),
                    &*record.imsi,
                    record.event_ms,
                    Some(&*record.payload),
                )
            })
            .collect();
        let there = self.insert_rows(INSERT, THERE, &inserts, |row| &mut row.9, now).await?;
        let (mut runs, mut repeats) = (Runs::default(), Repeats::default());
        for (row, insert) in rows.iter().zip(&inserts) {
            let first = there.get(&insert.0);
            let tally = tally(tallies, row.record.kind.as_str());
            if settle(verdicts, row.submission, tally, row.new, first) {
                runs.add(insert.0, row.source, row.new.date_push_s);
            }
            first.into_iter().for_each(|first| repeats.add(*first, row));
        }
        runs.write(round)?;
        repeats.write(round)
    }

    /// Our own tests: enough of them to show that they arrived, apart from all records.
    async fn insert_tests(
        &mut self,
        rows: &[Row<'_, Record>],
        ids: &mut impl Iterator<Item = i64>,
        verdicts: &mut [Verdict],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const INSERT: &str = "
            insert into test_record (id, received_ms, kind, own_ms, h, giccid)
            select row.value ->> 0, $2, row.value ->> 3, row.value ->> 1, row.value ->> 2,
                coalesce($3, row.value ->> 4)
            from json_each($1) as row where true
            on conflict do nothing";
        const THERE: &str = "
            select row.value ->> 0, first.id, 0 from json_each($1) as row
            join test_record as first on first.own_ms = row.value ->> 1
                and first.h = row.value ->> 2 and first.kind = row.value ->> 3
            where first.id <> row.value ->> 0";
        const KEEP: &str = "
            delete from test_record
            where id < (select id from test_record order by id desc limit 1 offset 9999)";
        if rows.is_empty() {
            return Ok(());
        }
        let inserts: Vec<_> = rows.iter().zip(ids).map(test_row).collect();
        let there = self.insert_rows(INSERT, THERE, &inserts, |row| &mut row.4, now).await?;
        let mut in_no_total = TallyChange::default();
        for (row, insert) in rows.iter().zip(&inserts) {
            settle(verdicts, row.submission, &mut in_no_total, row.new, there.get(&insert.0));
        }
        super::run(&mut self.connection, KEEP).await
    }
}

/// `pushed_at` is when a push came in, if one did: history tells nothing of that. Nor does a push that
/// only repeats: a sender that is stuck, or replays, must not pass for one that is alive.
fn move_tallies(
    tallies: &Tallies,
    round: &mut Round,
    pushed_at: Option<Timestamp>,
) -> Result<(), StoreError> {
    const MOVE: &str = "
        insert into tally (kind, records, data_usage, repeats, repeats_redated, last_received_ms)
        values (?, ?, ?, ?, ?, ?)
        on conflict (kind) do update set records = records + excluded.records,
            data_usage = data_usage + excluded.data_usage,
            repeats = repeats + excluded.repeats,
            repeats_redated = repeats_redated + excluded.repeats_redated,
            last_received_ms = iif(excluded.last_received_ms = 0, last_received_ms,
                excluded.last_received_ms);";
    for (kind, change) in tallies {
        round
            .add(MOVE)
            .bind(&**kind)?
            .bind(change.records)?
            .bind(change.data_usage)?
            .bind(change.repeats)?
            .bind(change.repeats_redated)?
            .bind(pushed_at.filter(|_| change.records > 0).map_or(0, Timestamp::unix_ms))?;
    }
    Ok(())
}

type TestRow<'a> = (i64, i64, i64, &'a str, Option<&'a str>);

fn test_row<'a>((row, id): (&Row<'a, Record>, i64)) -> TestRow<'a> {
    let (kind, giccid) = match row.record {
        Record::Usage(usage) => ("data-usage", Some(usage.giccid.as_str())),
        Record::Sms(sms) => ("mo-sms", Some(sms.giccid.as_str())),
        Record::Notification(notification) => {
            (notification.kind.as_str(), notification.giccid.as_ref().map(|giccid| giccid.as_str()))
        }
    };
    (id, row.new.own_ms(), row.new.identity, kind, giccid)
}

fn tally<'t>(tallies: &'t mut Tallies, kind: &str) -> &'t mut TallyChange {
    tallies.entry(kind.into()).or_default()
}

/// Counts a record as stored, or as a repeat of one that came first.
fn settle(
    verdicts: &mut [Verdict],
    submission: usize,
    tally: &mut TallyChange,
    new: &NewRecord,
    first: Option<&First>,
) -> bool {
    if let Some(first) = first {
        repeat(verdicts, submission, tally, is_redated(first.date_push_s, new.date_push_s));
        return false;
    }
    tally.records += 1;
    count(verdicts, submission, |outcome| outcome.stored += 1);
    true
}

/// Whether a record came again under another `datePush`, as far as it is known.
pub(super) fn is_redated(first_s: i64, again_s: i64) -> bool {
    first_s != again_s && first_s != NO_DATE_PUSH_S && again_s != NO_DATE_PUSH_S
}

/// Counts a record as a repeat.
pub(super) fn repeat(
    verdicts: &mut [Verdict],
    submission: usize,
    tally: &mut TallyChange,
    redated: bool,
) {
    tally.repeats += 1;
    tally.repeats_redated += i64::from(redated);
    count(verdicts, submission, |outcome| outcome.duplicates += 1);
}
