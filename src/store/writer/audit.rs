//! Rows that say who changed what. A row never holds the number of an erased SIM.
use std::{collections::BTreeMap, net::IpAddr};

use sqlx::SqliteConnection;

use super::{Writer, prune::Pruning, run};
use crate::{
    domain::{AUDITED_SERVER, AuditAction, AuditNote, AuditOutcome, Caller, Timestamp, mention},
    store::StoreError,
};

/// So many sources of failed sign-ins have a row of their own in a minute; the others share one.
const SOURCES_A_MINUTE: i64 = 60;
const MINUTE_MS: i64 = 60_000;

impl Writer {
    /// Writes a row; gives its number.
    pub async fn audit(&mut self, note: &AuditNote, now: Timestamp) -> Result<i64, StoreError> {
        self.audit_times(note, 1, now).await
    }

    /// The same for what happened so often.
    pub async fn audit_times(
        &mut self,
        note: &AuditNote,
        times: u64,
        now: Timestamp,
    ) -> Result<i64, StoreError> {
        self.refresh().await?;
        let mut note = note.clone();
        for text in [&mut note.who, &mut note.subject, &mut note.details] {
            *text = self.shown(text).await?;
        }
        let times = i64::try_from(times).unwrap_or(i64::MAX);
        // A program that does the same again and again must not fill the disk.
        if matches!(note.action, AuditAction::Export | AuditAction::Forbidden)
            && let Some(id) = self.count_again(&note, times, now).await?
        {
            return Ok(id);
        }
        let id = insert(&mut self.connection, &note, now).await?;
        if times > 1 {
            const COUNT: &str = "update audit set count = $2 where id = $1";
            sqlx::query(COUNT).bind(id).bind(times).execute(&mut self.connection).await?;
        }
        Ok(id)
    }

    /// Counts it in the row that says the same of the same key, address and list and is less than an
    /// hour old, if there is one. Rows that were taken away add up; what else is told is of the last.
    async fn count_again(
        &mut self,
        note: &AuditNote,
        times: i64,
        now: Timestamp,
    ) -> Result<Option<i64>, StoreError> {
        const AGAIN: &str = "
            update audit set count = count + $8, details = iif(action <> 'export', details,
                (cast(details as integer) + cast($7 as integer))
                    || replace(substr($7, instr($7, ' ')), ' row as ', ' rows as '))
            where id = (
                select max(id) from audit
                where at_ms between $1 - 3600000 and $1 and who = $2 and source = $3
                    and action = $4 and target = $5 and outcome = $6)
            returning id";
        let source = note.source.map(|source| source.to_string()).unwrap_or_default();
        Ok(sqlx::query_scalar(AGAIN)
            .bind(now.unix_ms())
            .bind(&note.who)
            .bind(source)
            .bind(note.action.as_str())
            .bind(&note.subject)
            .bind(note.outcome.as_str())
            .bind(&note.details)
            .bind(times)
            .fetch_optional(&mut self.connection)
            .await?)
    }

    /// Writes how something ended that a row says has begun.
    pub async fn end_audit(
        &mut self,
        id: i64,
        outcome: AuditOutcome,
        details: &str,
    ) -> Result<(), StoreError> {
        self.refresh().await?;
        let details = self.shown(details).await?;
        audit_ended(&mut self.connection, Some(id), outcome, &details).await
    }

    /// Writes that a server starts, and which of its settings have another digest than at the last start.
    pub async fn audit_start(
        &mut self,
        version: &str,
        settings: &BTreeMap<String, String>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.refresh().await?;
        let done = self.try_audit_start(version, settings, now).await;
        self.undo_unless(done).await
    }

    async fn try_audit_start(
        &mut self,
        version: &str,
        settings: &BTreeMap<String, String>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const BEFORE: &str = "select value from meta where name = 'settings'";
        const KEEP: &str = "
            insert into meta (name, value) values ('settings', $1)
            on conflict (name) do update set value = excluded.value";
        run(&mut self.connection, "begin immediate").await?;
        let before: Option<String> =
            sqlx::query_scalar(BEFORE).fetch_optional(&mut self.connection).await?;
        let before: BTreeMap<String, String> =
            before.and_then(|before| serde_json::from_str(&before).ok()).unwrap_or_default();
        // One that an older version did not have is none that somebody changed.
        let is_other = |name: &&str| {
            before.get(*name).is_some_and(|before| Some(before) != settings.get(*name))
        };
        let names: Vec<&str> = settings.keys().map(String::as_str).filter(is_other).collect();
        let details = match names.is_empty() {
            true => String::new(),
            false => format!("changed settings: {}", names.join(", ")),
        };
        let note = AuditNote::by_itself(AUDITED_SERVER, AuditAction::Start, version, details);
        insert(&mut self.connection, &note, now).await?;
        sqlx::query(KEEP)
            .bind(serde_json::to_string(settings)?)
            .execute(&mut self.connection)
            .await?;
        run(&mut self.connection, "commit").await
    }

    /// Counts failed sign-ins: a row for each minute and source, so that who guesses fills no disk.
    pub async fn audit_failed_sign_ins(
        &mut self,
        failures: &[(IpAddr, u64)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.refresh().await?;
        let done = self.try_audit_failed_sign_ins(failures, now).await;
        self.undo_unless(done).await
    }

    async fn try_audit_failed_sign_ins(
        &mut self,
        failures: &[(IpAddr, u64)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const SOURCES: &str = "
            select count(*) from audit
            where action = 'sign_in.failed' and at_ms between $1 and $2";
        run(&mut self.connection, "begin immediate").await?;
        for (source, count) in failures {
            let count = i64::try_from(*count).unwrap_or(i64::MAX);
            // Those that were too many to be told apart come at an address that nobody has.
            let source = Some(*source).filter(|source| !source.is_unspecified());
            let shown = source.map(|source| source.to_string()).unwrap_or_default();
            if self.count_failure(&shown, count, now).await? {
                continue;
            }
            let sources: i64 = sqlx::query_scalar(SOURCES)
                .bind(now.unix_ms() - MINUTE_MS)
                .bind(now.unix_ms())
                .fetch_one(&mut self.connection)
                .await?;
            let source = source.filter(|_| sources < SOURCES_A_MINUTE);
            if source.is_none() && self.count_failure("", count, now).await? {
                continue;
            }
            let note = AuditNote {
                who: String::new(),
                source,
                action: AuditAction::SignInFailed,
                subject: String::new(),
                outcome: AuditOutcome::Refused,
                details: String::new(),
            };
            let id = insert(&mut self.connection, &note, now).await?;
            sqlx::query("update audit set count = $2 where id = $1")
                .bind(id)
                .bind(count)
                .execute(&mut self.connection)
                .await?;
        }
        run(&mut self.connection, "commit").await
    }

    /// Adds to the row that this minute has; false where it has none.
    async fn count_failure(
        &mut self,
        source: &str,
        count: i64,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const ADD: &str = "
            update audit set count = count + $4 where id = (
                select max(id) from audit
                where action = 'sign_in.failed' and at_ms between $1 and $2 and source = $3)";
        let added = sqlx::query(ADD)
            .bind(now.unix_ms() - MINUTE_MS)
            .bind(now.unix_ms())
            .bind(source)
            .bind(count)
            .execute(&mut self.connection)
            .await?;
        Ok(added.rows_affected() > 0)
    }

    /// What a row may say of a text: an erased SIM stands in it without its number.
    pub(in crate::store) async fn shown(&mut self, text: &str) -> Result<String, StoreError> {
        let mut shown = text.to_owned();
        for giccid in self.erased_sims.named_in(text.as_bytes()) {
            let keyed = self.erased_sims.secrets().keyed(&giccid);
            shown = mention::replaced(&shown, &giccid, &keyed);
        }
        Ok(shown)
    }

    /// Takes the number of a SIM that is being erased out of all rows, inside the open transaction.
    pub(super) async fn erase_from_audit(&mut self, giccid: &str) -> Result<(), StoreError> {
        const FIND: &str = "
            select id, who, target, details from audit
            where instr(who, $1) > 0 or instr(target, $1) > 0 or instr(details, $1) > 0";
        const CHANGE: &str = "update audit set who = $2, target = $3, details = $4 where id = $1";
        let keyed = self.erased_sims.secrets().keyed(giccid);
        let rows: Vec<(i64, String, String, String)> =
            sqlx::query_as(FIND).bind(giccid).fetch_all(&mut self.connection).await?;
        for (id, who, target, details) in rows {
            let [who, target, details] =
                [who, target, details].map(|text| mention::replaced(&text, giccid, &keyed));
            sqlx::query(CHANGE)
                .bind(id)
                .bind(who)
                .bind(target)
                .bind(details)
                .execute(&mut self.connection)
                .await?;
        }
        Ok(())
    }

    /// Takes away the oldest rows that are too old; gives how many. A row that a clock of the past has
    /// dated is as old as those around it. The newest stays, so that no number is used twice.
    pub(super) async fn prune_audit(
        &mut self,
        before_ms: i64,
        pruning: &Pruning,
    ) -> Result<u64, StoreError> {
        const OLD: &str = "
            delete from audit where id in (
                select id from audit where at_ms < $1 and id < coalesce(
                    (select min(id) from audit where at_ms between $1 and unixepoch() * 1000),
                    (select max(id) from audit))
                order by at_ms limit $2)";
        let gone = sqlx::query(OLD)
            .bind(before_ms)
            .bind(pruning.limit())
            .execute(&mut self.connection)
            .await?;
        Ok(gone.rows_affected())
    }
}

/// Writes that a caller has begun something, inside the transaction that does; gives the row's number.
pub(in crate::store) async fn audit_begun(
    connection: &mut SqliteConnection,
    caller: &Caller,
    action: AuditAction,
    subject: &str,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let note = AuditNote::by(caller, action, subject).ended(AuditOutcome::Begun, "");
    insert(connection, &note, now).await
}

/// Writes how something ended that a row says has begun, inside the transaction that ends it.
pub(in crate::store) async fn audit_ended(
    connection: &mut SqliteConnection,
    id: Option<i64>,
    outcome: AuditOutcome,
    details: &str,
) -> Result<(), StoreError> {
    const END: &str = "update audit set outcome = $2, details = $3 where id = $1";
    sqlx::query(END).bind(id).bind(outcome.as_str()).bind(details).execute(connection).await?;
    Ok(())
}

/// Writes that a caller did something, inside the transaction that does it.
pub(in crate::store) async fn audit(
    connection: &mut SqliteConnection,
    caller: &Caller,
    action: AuditAction,
    subject: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    insert(connection, &AuditNote::by(caller, action, subject), now).await.map(drop)
}

/// Writes a row; gives its number.
pub(in crate::store) async fn insert(
    connection: &mut SqliteConnection,
    note: &AuditNote,
    now: Timestamp,
) -> Result<i64, StoreError> {
    const INSERT: &str = "
        insert into audit (at_ms, who, source, action, target, outcome, details)
        values ($1, $2, $3, $4, $5, $6, $7) returning id";
    let source = note.source.map(|source| source.to_string()).unwrap_or_default();
    Ok(sqlx::query_scalar(INSERT)
        .bind(now.unix_ms())
        .bind(&note.who)
        .bind(source)
        .bind(note.action.as_str())
        .bind(&note.subject)
        .bind(note.outcome.as_str())
        .bind(&note.details)
        .fetch_one(connection)
        .await?)
}
