//! The beginning of an erasure, its parts that have no sums to keep right, and its end.
use std::time::Duration;

use super::{Writer, erase::Erasing, removal::note_gone, run};
use crate::{
    domain::{Caller, Giccid, Timestamp, mention},
    store::{StoreError, card::reversed},
};

/// Rows of one step.
const STEP_ROWS: i64 = 256;

impl Writer {
    /// Begins to erase a SIM: it is in the list, and what comes of it is not kept any more.
    pub async fn begin_erasure(
        &mut self,
        giccid: &Giccid,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<Erasing, StoreError> {
        // First, so that no backup can bring it back whatever happens next.
        let at = self.list_erasure(giccid, now).await?;
        self.begin_listed_erasure(giccid, caller, (at, now)).await
    }

    /// Writes an erasure into the list beside the database; gives the time that it counts from. Once that
    /// is done it is done for good: what does not begin here begins at the next start.
    pub async fn list_erasure(
        &mut self,
        giccid: &Giccid,
        now: Timestamp,
    ) -> Result<Timestamp, StoreError> {
        self.refresh().await?;
        self.list_erased(giccid.as_str(), now).await
    }

    /// Begins an erasure that is in the list since a time.
    pub async fn begin_listed_erasure(
        &mut self,
        giccid: &Giccid,
        caller: &Caller,
        (at, now): (Timestamp, Timestamp),
    ) -> Result<Erasing, StoreError> {
        self.refresh().await?;
        let done = self.try_begin_erasure(giccid.as_str(), caller, (at, now)).await;
        self.undo_unless(done).await
    }

    pub(super) async fn erase_sms(&mut self, erasing: &mut Erasing) -> Result<bool, StoreError> {
        const NEXT: &str = "
            select id from sms where sim_id in (select value from json_each($1)) limit $2";
        let ids: Vec<i64> = sqlx::query_scalar(NEXT)
            .bind(serde_json::to_string(&erasing.sims)?)
            .bind(STEP_ROWS)
            .fetch_all(&mut self.connection)
            .await?;
        if ids.is_empty() {
            return Ok(true);
        }
        run(&mut self.connection, "begin immediate").await?;
        self.remove_sms_and_counts(&ids).await?;
        self.note_erasing(erasing, "mo_sms", ids.len()).await?;
        run(&mut self.connection, "commit").await?;
        erasing.erased.sms += ids.len() as u64;
        Ok(false)
    }

    /// Takes messages out, and out of their counts, inside the open transaction.
    pub(super) async fn remove_sms_and_counts(&mut self, ids: &[i64]) -> Result<(), StoreError> {
        const STATEMENTS: [&str; 3] = [
            "update sms_quarter_hour set records = sms_quarter_hour.records - gone.records from (
                select event_ms - event_ms % 900000 as start_ms, sim_group, count(*) as records
                from sms where id in (select value from json_each($1)) group by 1, 2) as gone
            where sms_quarter_hour.start_ms = gone.start_ms
                and sms_quarter_hour.sim_group = gone.sim_group",
            "delete from sms_quarter_hour where records = 0 and (start_ms, sim_group) in (
                select event_ms - event_ms % 900000, sim_group from sms
                where id in (select value from json_each($1)))",
            "delete from sms where id in (select value from json_each($1))",
        ];
        let rows = serde_json::to_string(ids)?;
        for statement in STATEMENTS {
            sqlx::query(statement).bind(&rows).execute(&mut self.connection).await?;
        }
        self.forget_repeats(ids).await?;
        note_gone(&mut self.connection, "mo-sms", ids.len()).await
    }

    /// Whether a usage record or a message still refers to the SIM.
    pub(super) async fn has_records_of(&mut self, giccid: &str) -> Result<bool, StoreError> {
        const ANY: &str = "
            with recursive days(day) as (
                select min(day) from usage_key
                union all
                select (select min(day) from usage_key where usage_key.day > days.day)
                from days where day is not null
            ), its(id) as materialized (
                select sim.id from card join sim on sim.card_id = card.id
                where card.giccid_reversed = $1)
            select exists (select 1 from its join sms on sms.sim_id = its.id)
                or exists (
                    select 1 from its cross join days cross join usage_key as key
                        on key.day = days.day and key.sim_id = its.id
                    where days.day is not null)
                or exists (
                    select 1 from usage
                    where id > (select complete_to from mark where summary = 'keys')
                        and sim_id in (select id from its))";
        let backwards = reversed(giccid, usize::MAX);
        Ok(sqlx::query_scalar(ANY).bind(backwards).fetch_one(&mut self.connection).await?)
    }

    /// Everything by which the SIM could be found, and at last its number, inside the open
    /// transaction.
    pub(super) async fn erase_names(&mut self, erasing: &Erasing) -> Result<(), StoreError> {
        const DAYS: &str = "
            delete from usage_sim_day where (day, sim_id) in (
                with recursive days(day) as (
                    select min(day) from usage_sim_day
                    union all
                    select (select min(day) from usage_sim_day where usage_sim_day.day > days.day)
                    from days where day is not null
                )
                select days.day, sim.value from days cross join json_each($1) as sim
                where days.day is not null)";
        const MONTHS: &str = "
            delete from usage_card_month where (month, card_id) in (
                with recursive months(month) as (
                    select min(month) from usage_card_month
                    union all
                    select month + 1 from months
                    where month < (select max(month) from usage_card_month)
                )
                select months.month, card.id from months cross join card
                where card.giccid_reversed = $1)";
        const OF_CARD: [&str; 4] = [
            "delete from sim_pruned where sim_id in (
                select sim.id from card join sim on sim.card_id = card.id
                where card.giccid_reversed = $1)",
            "delete from card_seen
            where card_id in (select id from card where giccid_reversed = $1)",
            "delete from sim where card_id in (select id from card where giccid_reversed = $1)",
            "delete from card where giccid_reversed = $1",
        ];
        const BY_NUMBER: [&str; 3] = [
            "delete from sim_label where giccid = $1",
            "delete from test_record where giccid = $1",
            "update erased set pending = null where pending = $1",
        ];
        let backwards = reversed(&erasing.giccid, usize::MAX);
        sqlx::query(DAYS)
            .bind(serde_json::to_string(&erasing.sims)?)
            .execute(&mut self.connection)
            .await?;
        for statement in [MONTHS].into_iter().chain(OF_CARD) {
            sqlx::query(statement).bind(&backwards).execute(&mut self.connection).await?;
        }
        for statement in BY_NUMBER {
            sqlx::query(statement).bind(&erasing.giccid).execute(&mut self.connection).await?;
        }
        self.erase_from_names(&erasing.giccid).await?;
        self.erase_from_audit(&erasing.giccid).await
    }

    /// Takes the number out of what people have called API keys and other SIMs, inside the open
    /// transaction.
    async fn erase_from_names(&mut self, giccid: &str) -> Result<(), StoreError> {
        const NAMES: [(&str, &str); 2] = [
            (
                "select cast(id as text), label from api_key where instr(label, $1) > 0",
                "update api_key set label = $2 where id = cast($1 as integer)",
            ),
            (
                "select giccid, name from sim_label where instr(name, $1) > 0",
                "update sim_label set name = $2 where giccid = $1",
            ),
        ];
        let keyed = self.erasure_secrets().keyed(giccid);
        for (find, change) in NAMES {
            let rows: Vec<(String, String)> =
                sqlx::query_as(find).bind(giccid).fetch_all(&mut self.connection).await?;
            for (of, name) in rows {
                sqlx::query(change)
                    .bind(of)
                    .bind(mention::replaced(&name, giccid, &keyed))
                    .execute(&mut self.connection)
                    .await?;
            }
        }
        Ok(())
    }

    /// Brings what is in the log into the database, and leaves the log as it is. Busy where a reader needs
    /// a part of it there.
    pub async fn bring_log_back(&mut self) -> Result<(), StoreError> {
        let told: (i64, i64, i64) = sqlx::query_as("pragma wal_checkpoint(passive)")
            .fetch_one(&mut self.connection)
            .await?;
        let (is_busy, log_pages, kept_pages) = told;
        if is_busy == 0 && log_pages == kept_pages { Ok(()) } else { Err(StoreError::Busy) }
    }

    /// Brings the log back into the database and empties it; false where readers keep it from that
    /// for longer than this.
    pub async fn checkpoint(&mut self, wait: Duration) -> Result<bool, StoreError> {
        self.hurry(wait).await?;
        let done: Result<(i64, i64, i64), _> =
            sqlx::query_as("pragma wal_checkpoint(truncate)").fetch_one(&mut self.connection).await;
        run(&mut self.connection, "pragma busy_timeout = 5000").await?;
        Ok(done?.0 == 0)
    }

    /// Waits no longer than this, from now on, for another process that holds the database.
    pub async fn hurry(&mut self, wait: Duration) -> Result<(), StoreError> {
        let wait = format!("pragma busy_timeout = {}", wait.as_millis());
        sqlx::query(sqlx::AssertSqlSafe(wait)).execute(&mut self.connection).await?;
        Ok(())
    }

    /// Leaves the log alone for as long as a copy is made, which would keep it from being emptied.
    pub async fn hold_checkpoints(&mut self, is_held: bool) -> Result<(), StoreError> {
        let pragma = match is_held {
            true => "pragma wal_autocheckpoint = 0",
            false => "pragma wal_autocheckpoint = 1000",
        };
        run(&mut self.connection, pragma).await
    }
}
