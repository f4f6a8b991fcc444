//! Pushes that brought what another push had brought before.
//!
//! A signature does not cover the body, so that a forger may have pushed a record before SmartHub
//! did. When the forged push is retracted, a record that another one brought, too, is stored anew as
//! that one's: acknowledged means stored. Held by `front::retract_beside`.
//!
//! Of one record 256 seconds are kept, and 16 sources of each: a trigger of the table sees to that. Of
//! more seconds one row without a second says that there are some. Nobody can retract those, so that
//! the record stays, whatever is retracted. One captured signature has one second, and whatever the
//! number of its sources a retraction of that second means them all. Held by `front::repeats`.
//!
//! What stood beside the records of the push that goes is no part of what they are, and goes with it.
use std::collections::BTreeMap;

use sqlx::{FromRow, QueryBuilder};

use super::{
    Outcome, Submission, Verdict, Writer,
    insert::{Batch, Row},
    retract::push_pushes,
    round::Round,
    tail::First,
};
use crate::{
    domain::{
        NO_DATE_PUSH_S, NewRecord, Notification, Record, RetractQuestion, ShortText, SmsRecord,
        Timestamp, UsageRecord,
    },
    store::{
        StoreError,
        push::{source_octets, source_of},
    },
};

/// Records that came again, to be noted with the push that brought them.
#[derive(Debug, Default)]
pub(super) struct Repeats(Vec<Repeat>);

#[derive(Debug)]
struct Repeat {
    id: i64,
    date_push_s: i64,
    source: Vec<u8>,
    /// It came under another `datePush` than before; of the same one it takes another source.
    is_redated: bool,
}

impl Repeats {
    /// Adds a repeat of the record that came first.
    pub(super) fn add<T>(&mut self, first: First, row: &Row<'_, T>) {
        let date_push_s = row.new.date_push_s;
        let is_redated = first.date_push_s != date_push_s;
        // What came without datePush is retracted by nobody. An export of ours tells of the very push
        // that was stored.
        if first.date_push_s == NO_DATE_PUSH_S || row.is_history && !is_redated {
            return;
        }
        let source = row.source.map(source_octets).unwrap_or_default();
        self.0.push(Repeat { id: first.id, date_push_s, source, is_redated });
    }

    /// Adds the statement that notes them, behind those that store the records and their pushes.
    pub(super) fn write(&self, round: &mut Round) -> Result<(), StoreError> {
        const NOTE: &str = "
            insert or ignore into push_repeat (id, date_push_s, source)
            select row.value ->> 0, row.value ->> 1, unhex(row.value ->> 2)
            from json_each(?) as row
            where row.value ->> 3 or unhex(row.value ->> 2) is not (
                select push.source from push
                where push.date_push_s = row.value ->> 1 and push.id <= row.value ->> 0
                order by push.id desc limit 1);";
        if self.0.is_empty() {
            return Ok(());
        }
        let row = |it: &Repeat| (it.id, it.date_push_s, hex::encode(&it.source), it.is_redated);
        let rows: Vec<_> = self.0.iter().map(row).collect();
        round.add(NOTE).bind(serde_json::to_string(&rows)?)?;
        Ok(())
    }
}

/// A record that goes and that other pushes brought, too.
pub(super) struct Repeated {
    new: NewRecord,
    source: Vec<u8>,
    /// The pushes beside the one that it is now of.
    others: Vec<Pushed>,
}

#[derive(FromRow)]
struct UsageRow {
    id: i64,
    giccid: String,
    imsi: String,
    sim_group: String,
    country_code: String,
    mcc: String,
    mnc: String,
    apn: String,
    start_ms: i64,
    data_usage: i64,
    duration: Option<i64>,
    extra: Option<String>,
    h: i64,
}

#[derive(FromRow)]
struct SmsRow {
    id: i64,
    giccid: String,
    imsi: String,
    sim_group: String,
    from_msisdn: String,
    to_msisdn: String,
    event_ms: i64,
    extra: Option<String>,
    h: i64,
}

#[derive(FromRow)]
struct NotificationRow {
    id: i64,
    kind: String,
    pushed_as: Option<String>,
    giccid: Option<String>,
    imsi: String,
    event_ms: Option<i64>,
    payload: String,
    h: i64,
}

/// The second and the source of a push.
type Pushed = (i64, Vec<u8>);
/// Pushes by the id of a record that they repeat.
type Pushes = BTreeMap<i64, Vec<Pushed>>;

impl Writer {
    /// Those of these usage records that another push brought, too.
    pub(super) async fn repeated_usage(
        &mut self,
        ids: &[i64],
    ) -> Result<Vec<Repeated>, StoreError> {
        const ROWS: &str = "
            select usage.id, sim.giccid, sim.imsi, sim_group, country_code, mcc, mnc, apn, start_ms,
                data_usage, duration, extra, h
            from usage join sim on sim.id = usage.sim_id join series on series.id = usage.series_id
            where usage.id in (select value from json_each($1))";
        let pushes = self.other_pushes(ids).await?;
        let rows: Vec<UsageRow> = self.rows_of(ROWS, &pushes).await?;
        rows.into_iter().map(|row| repeated(row.id, row.h, &pushes, "usage", usage(row))).collect()
    }

    /// Those of these messages that another push brought, too.
    pub(super) async fn repeated_sms(&mut self, ids: &[i64]) -> Result<Vec<Repeated>, StoreError> {
        const ROWS: &str = "
            select sms.id, sim.giccid, sim.imsi, sim_group, from_msisdn, to_msisdn, event_ms, extra,
                h
            from sms join sim on sim.id = sms.sim_id
            where sms.id in (select value from json_each($1))";
        let pushes = self.other_pushes(ids).await?;
        let rows: Vec<SmsRow> = self.rows_of(ROWS, &pushes).await?;
        rows.into_iter().map(|row| repeated(row.id, row.h, &pushes, "sms", sms(row))).collect()
    }

    /// Those of these notifications that another push brought, too.
    pub(super) async fn repeated_notifications(
        &mut self,
        ids: &[i64],
    ) -> Result<Vec<Repeated>, StoreError> {
        const ROWS: &str = "
            select id, kind, pushed_as, giccid, imsi, event_ms, payload, h from notification
            where id in (select value from json_each($1))";
        let pushes = self.other_pushes(ids).await?;
        let rows: Vec<NotificationRow> = self.rows_of(ROWS, &pushes).await?;
        rows.into_iter()
            .map(|row| repeated(row.id, row.h, &pushes, "notification", notification(row)))
            .collect()
    }

    /// The other pushes of each record that has any, but none that is being retracted itself. Those of
    /// which nothing more is kept come last.
    async fn other_pushes(&mut self, ids: &[i64]) -> Result<Pushes, StoreError> {
        const OTHERS: &str = "
            select id, date_push_s, source from push_repeat as other
            where id in (select value from json_each($1)) and not exists (
                select 1 from retracted where retracted.pending
                    and retracted.date_push_s = other.date_push_s
                    and retracted.source in (x'', other.source))
            order by id, date_push_s = 0, date_push_s";
        let rows: Vec<(i64, i64, Vec<u8>)> = sqlx::query_as(OTHERS)
            .bind(serde_json::to_string(ids)?)
            .fetch_all(&mut self.connection)
            .await?;
        let mut pushes = Pushes::new();
        for (id, date_push_s, source) in rows {
            pushes.entry(id).or_default().push((date_push_s, source));
        }
        Ok(pushes)
    }

    async fn rows_of<T>(&mut self, sql: &'static str, pushes: &Pushes) -> Result<Vec<T>, StoreError>
    where
        T: for<'r> FromRow<'r, sqlx::sqlite::SqliteRow> + Send + Unpin,
    {
        if pushes.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<i64> = pushes.keys().copied().collect();
        let ids = serde_json::to_string(&ids)?;
        Ok(sqlx::query_as(sql).bind(ids).fetch_all(&mut self.connection).await?)
    }

    /// Stores records that were just taken out, inside the open transaction, as those of another push
    /// that brought them. They have a new id, because whoever follows the changes takes away those
    /// with a smaller one. Gives how many.
    pub(super) async fn store_anew(
        &mut self,
        repeated: Vec<Repeated>,
        at: Timestamp,
    ) -> Result<u64, StoreError> {
        const OTHERS: &str = "
            insert into push_repeat (id, date_push_s, source)
            select $1, row.value ->> 0, unhex(row.value ->> 1) from json_each($2) as row";
        const COUNTED: &str =
            "update tally set records = records - 1, gone = gone - 1 where kind = $1";
        // A record with a member of that name has what stood beside it under another.
        const USAGE: &str = "
            update usage set extra = nullif(json_remove(extra,
                iif(json_type(extra, '$.__push') is null, '$._push', '$.__push')), '{}')
            where id = $1 and extra is not null";
        const SMS: &str = "
            update sms set extra = nullif(json_remove(extra,
                iif(json_type(extra, '$.__push') is null, '$._push', '$.__push')), '{}')
            where id = $1 and extra is not null";
        const NOTIFICATION: &str = "
            update notification set payload = json_remove(payload,
                iif(json_type(payload, '$.__push') is null, '$._push', '$.__push'))
            where id = $1";
        let stored = repeated.len() as u64;
        for Repeated { new, source, others } in repeated {
            let (kind, without_beside) = match &new.record {
                Record::Usage(_) => ("data-usage".to_owned(), USAGE),
                Record::Sms(_) => ("mo-sms".to_owned(), SMS),
                Record::Notification(other) => (other.kind.to_string(), NOTIFICATION),
            };
            let submission = Submission {
                records: vec![new],
                source: source_of(&source),
                // It is no sign that SmartHub pushes now.
                is_history: true,
                ..Submission::default()
            };
            let mut rows = Batch::default();
            rows.add(0, &submission);
            let mut verdicts = [Verdict::Stored(Outcome::default())];
            let mut round = Round::default();
            self.volume = self.insert(&rows, &mut verdicts, &mut round, at).await?;
            round.run(&mut self.connection).await?;
            sqlx::query(without_beside)
                .bind(self.tail.last_id)
                .execute(&mut self.connection)
                .await?;
            let row = |(date_push_s, source): &Pushed| (*date_push_s, hex::encode(source));
            let others: Vec<_> = others.iter().map(row).collect();
            // It is one of those that have been counted: it goes and comes in one transaction.
            sqlx::query(COUNTED).bind(kind).execute(&mut self.connection).await?;
            sqlx::query(OTHERS)
                .bind(self.tail.last_id)
                .bind(serde_json::to_string(&others)?)
                .execute(&mut self.connection)
                .await?;
        }
        Ok(stored)
    }

    /// Forgets what pushes that are retracted have repeated, so many rows. Whether none is left.
    pub(super) async fn forget_repeats_of(
        &mut self,
        question: RetractQuestion,
        most: usize,
    ) -> Result<bool, StoreError> {
        let mut sql = QueryBuilder::new(
            "delete from push_repeat where (id, date_push_s, source) in (
                select id, date_push_s, source from push_repeat as one where ",
        );
        push_pushes(&mut sql, "one", question);
        sql.push(" limit ").push_bind(i64::try_from(most).unwrap_or(i64::MAX)).push(")");
        let done = sql.build().execute(&mut self.connection).await?;
        Ok(done.rows_affected() < most as u64)
    }

    /// Forgets which pushes repeated records that are gone, inside the open transaction.
    pub(super) async fn forget_repeats(&mut self, gone: &[i64]) -> Result<(), StoreError> {
        const FORGET: &str =
            "delete from push_repeat where id in (select value from json_each($1))";
        sqlx::query(FORGET)
            .bind(serde_json::to_string(gone)?)
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }
}

fn repeated(
    id: i64,
    identity: i64,
    pushes: &Pushes,
    table: &'static str,
    record: Option<Record>,
) -> Result<Repeated, StoreError> {
    let pushes = pushes.get(&id).and_then(|pushes| pushes.split_first());
    let (Some(record), Some(((date_push_s, source), others))) = (record, pushes) else {
        return Err(StoreError::Corrupt { table, id });
    };
    let new = NewRecord { record, identity, date_push_s: *date_push_s };
    Ok(Repeated { new, source: source.clone(), others: others.to_vec() })
}

fn text(text: &str) -> Option<ShortText> {
    ShortText::try_from(text).ok()
}

fn usage(row: UsageRow) -> Option<Record> {
    Some(Record::Usage(UsageRecord {
        giccid: row.giccid.parse().ok()?,
        imsi: text(&row.imsi)?,
        sim_group: text(&row.sim_group)?,
        country_code: text(&row.country_code)?,
        mcc: text(&row.mcc)?,
        mnc: text(&row.mnc)?,
        apn: text(&row.apn)?,
        start_ms: row.start_ms,
        data_usage: row.data_usage,
        duration: row.duration,
        extra: row.extra.map(Into::into),
    }))
}

fn sms(row: SmsRow) -> Option<Record> {
    Some(Record::Sms(SmsRecord {
        giccid: row.giccid.parse().ok()?,
        imsi: text(&row.imsi)?,
        sim_group: text(&row.sim_group)?,
        from_msisdn: text(&row.from_msisdn)?,
        to_msisdn: text(&row.to_msisdn)?,
        event_ms: row.event_ms,
        extra: row.extra.map(Into::into),
    }))
}

fn notification(row: NotificationRow) -> Option<Record> {
    let giccid = match row.giccid {
        Some(giccid) => Some(giccid.parse().ok()?),
        None => None,
    };
    let pushed_as = match row.pushed_as {
        Some(kind) => Some(kind.parse().ok()?),
        None => None,
    };
    Some(Record::Notification(Notification {
        kind: row.kind.parse().ok()?,
        pushed_as,
        giccid,
        imsi: text(&row.imsi)?,
        event_ms: row.event_ms,
        payload: row.payload.into(),
    }))
}
