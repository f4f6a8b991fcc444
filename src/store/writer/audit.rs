//! Rows that say who changed what. A row never holds the number of an erased SIM, and each is written by
//! one statement ([`insert`]). Held by `audit::recorded` and `store_contract::audited`.
use std::collections::BTreeMap;

use sqlx::SqliteConnection;

use super::{Writer, erased_sims::ErasedSims, prune::Pruning, run};
use crate::{
    domain::{
        AUDITED_SERVER, AuditAction, AuditNote, AuditOutcome, Caller, SecretDigests, SourceBlock,
        Timestamp, changed_secrets, mention,
    },
    store::StoreError,
};

/// So many sources of failed sign-ins have a row of their own in a minute, and in a day; the others share
/// one.
const SOURCES_A_MINUTE: i64 = 60;
const SOURCES_A_DAY: i64 = 1_000;
const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

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
        let times = i64::try_from(times).unwrap_or(i64::MAX);
        // A program that does the same again and again must not fill the disk.
        if matches!(note.action, AuditAction::Export | AuditAction::Forbidden)
            && let Some(id) = self.count_again(note, times, now).await?
        {
            return Ok(id);
        }
        insert(&mut self.connection, &self.erased_sims, note, times, now).await
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
        let [who, subject, details] =
            [&note.who, &note.subject, &note.details].map(|text| self.erased_sims.shown(text));
        Ok(sqlx::query_scalar(AGAIN)
            .bind(now.unix_ms())
            .bind(who)
            .bind(source)
            .bind(note.action.as_str())
            .bind(subject)
            .bind(note.outcome.as_str())
            .bind(details)
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
        let details = self.erased_sims.shown(details);
        audit_ended(&mut self.connection, Some(id), outcome, &details).await
    }

    /// Writes that a server starts, and which of its settings have another digest than at the last start.
    pub async fn audit_start(
        &mut self,
        version: &str,
        settings: &BTreeMap<String, String>,
        secrets: &SecretDigests,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.refresh().await?;
        let done = self.try_audit_start(version, settings, secrets, now).await;
        self.undo_unless(done).await
    }

    /// Keeps what tells at the next start that a secret is another one, where it was replaced meanwhile.
    pub async fn keep_secret_digests(&mut self, now: &SecretDigests) -> Result<(), StoreError> {
        self.refresh().await?;
        let before = self.secret_digests().await?;
        self.write_secret_digests(before, now).await
    }

    async fn secret_digests(&mut self) -> Result<SecretDigests, StoreError> {
        const BEFORE: &str = "select value from meta where name = 'secrets'";
        let before: Option<String> =
            sqlx::query_scalar(BEFORE).fetch_optional(&mut self.connection).await?;
        Ok(before.and_then(|before| serde_json::from_str(&before).ok()).unwrap_or_default())
    }

    async fn write_secret_digests(
        &mut self,
        mut all: SecretDigests,
        now: &SecretDigests,
    ) -> Result<(), StoreError> {
        const KEEP: &str = "
            insert into meta (name, value) values ('secrets', $1)
            on conflict (name) do update set value = excluded.value";
        all.extend(now.clone());
        sqlx::query(KEEP).bind(serde_json::to_string(&all)?).execute(&mut self.connection).await?;
        Ok(())
    }

    async fn try_audit_start(
        &mut self,
        version: &str,
        settings: &BTreeMap<String, String>,
        secrets: &SecretDigests,
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
        let known = self.secret_digests().await?;
        let of_settings =
            (!names.is_empty()).then(|| format!("changed settings: {}", names.join(", ")));
        let of_secrets =
            secrets.iter().filter_map(|(what, now)| changed_secrets(what, known.get(what)?, now));
        let details: Vec<String> = of_settings.into_iter().chain(of_secrets).collect();
        let details = details.join("; ");
        let note = AuditNote::by_itself(AUDITED_SERVER, AuditAction::Start, version, details);
        insert(&mut self.connection, &self.erased_sims, &note, 1, now).await?;
        sqlx::query(KEEP)
            .bind(serde_json::to_string(settings)?)
            .execute(&mut self.connection)
            .await?;
        self.write_secret_digests(known, secrets).await?;
        run(&mut self.connection, "commit").await
    }

    /// Counts failed sign-ins: a row for each minute and source, so that who guesses fills no disk.
    pub async fn audit_failed_sign_ins(
        &mut self,
        failures: &[(Option<SourceBlock>, u64)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.refresh().await?;
        let done = self.try_audit_failed_sign_ins(failures, now).await;
        self.undo_unless(done).await
    }

    async fn try_audit_failed_sign_ins(
        &mut self,
        failures: &[(Option<SourceBlock>, u64)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const SOURCES: &str = "
            select count(*) filter (where at_ms >= $1), count(*) from audit
            where action = 'sign_in.failed' and at_ms between $2 and $3";
        run(&mut self.connection, "begin immediate").await?;
        for (source, count) in failures {
            let count = i64::try_from(*count).unwrap_or(i64::MAX);
            let source = source.map(SourceBlock::first);
            let shown = source.map(|source| source.to_string()).unwrap_or_default();
            if self.count_failure(&shown, count, MINUTE_MS, now).await? {
                continue;
            }
            let (of_minute, of_day): (i64, i64) = sqlx::query_as(SOURCES)
                .bind(now.unix_ms() - MINUTE_MS)
                .bind(now.unix_ms() - DAY_MS)
                .bind(now.unix_ms())
                .fetch_one(&mut self.connection)
                .await?;
            let is_full = of_day >= SOURCES_A_DAY;
            let source = source.filter(|_| of_minute < SOURCES_A_MINUTE && !is_full);
            // After a day's rows the others share one a day, before that one a minute.
            let shared_for_ms = if is_full { DAY_MS } else { MINUTE_MS };
            if source.is_none() && self.count_failure("", count, shared_for_ms, now).await? {
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
            insert(&mut self.connection, &self.erased_sims, &note, count, now).await?;
        }
        run(&mut self.connection, "commit").await
    }

    /// Adds to the newest row of a source that is not older than this; false where there is none.
    async fn count_failure(
        &mut self,
        source: &str,
        count: i64,
        within_ms: i64,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const ADD: &str = "
            update audit set count = count + $4 where id = (
                select max(id) from audit
                where action = 'sign_in.failed' and at_ms between $1 and $2 and source = $3)";
        let added = sqlx::query(ADD)
            .bind(now.unix_ms() - within_ms)
            .bind(now.unix_ms())
            .bind(source)
            .bind(count)
            .execute(&mut self.connection)
            .await?;
        Ok(added.rows_affected() > 0)
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
    pub(super) async fn prune_audit(&mut self, pruning: &Pruning) -> Result<u64, StoreError> {
        const OLD: &str = "
            delete from audit where id in (
                select id from audit where at_ms < $1 and id < coalesce(
                    (select min(id) from audit where at_ms between $1 and $3),
                    (select max(id) from audit))
                order by at_ms limit $2)";
        let gone = sqlx::query(OLD)
            .bind(pruning.audit_before_ms)
            .bind(pruning.limit())
            .bind(pruning.clock.unix_ms())
            .execute(&mut self.connection)
            .await?;
        Ok(gone.rows_affected())
    }
}

/// Writes that a caller has begun something, inside the transaction that does; gives the row's number.
pub(in crate::store) async fn audit_begun(
    connection: &mut SqliteConnection,
    erased: &ErasedSims,
    caller: &Caller,
    action: AuditAction,
    subject: &str,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let note = AuditNote::by(caller, action, subject).ended(AuditOutcome::Begun, "");
    insert(connection, erased, &note, 1, now).await
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
    erased: &ErasedSims,
    caller: &Caller,
    action: AuditAction,
    subject: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    insert(connection, erased, &AuditNote::by(caller, action, subject), 1, now).await.map(drop)
}

/// Writes a row of what happened so often, without the number of an erased SIM wherever it stands in the
/// note; gives the row's number.
pub(in crate::store) async fn insert(
    connection: &mut SqliteConnection,
    erased: &ErasedSims,
    note: &AuditNote,
    times: i64,
    now: Timestamp,
) -> Result<i64, StoreError> {
    const INSERT: &str = "
        insert into audit (at_ms, who, source, action, target, outcome, details, count)
        values ($1, $2, $3, $4, $5, $6, $7, $8) returning id";
    let source = note.source.map(|source| source.to_string()).unwrap_or_default();
    let [who, subject, details] =
        [&note.who, &note.subject, &note.details].map(|text| erased.shown(text));
    Ok(sqlx::query_scalar(INSERT)
        .bind(now.unix_ms())
        .bind(who)
        .bind(source)
        .bind(note.action.as_str())
        .bind(subject)
        .bind(note.outcome.as_str())
        .bind(details)
        .bind(times)
        .fetch_one(connection)
        .await?)
}
