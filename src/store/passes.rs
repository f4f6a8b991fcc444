//! The links and sessions that let browsers in.
use sqlx::{Connection, SqliteConnection};

use super::{
    StoreError, Writer,
    writer::{audit::audit, erased_sims::ErasedSims},
};
use crate::domain::{AuditAction, Caller, KeyDigest, Pass, PassDigest, PassKind, Timestamp};

impl Writer {
    /// Keeps a link or a session, and forgets those that have ended.
    pub async fn add_pass(
        &mut self,
        pass: &Pass,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const INSERT: &str = "
            insert into pass (digest, kind, key_digest, ends_ms) values ($1, $2, $3, $4)";
        self.refresh().await?;
        let mut change = self.connection.begin_with("begin immediate").await?;
        sqlx::query("delete from pass where ends_ms <= $1")
            .bind(now.unix_ms())
            .execute(&mut *change)
            .await?;
        sqlx::query(INSERT)
            .bind(&pass.digest[..])
            .bind(pass.kind.as_str())
            .bind(&pass.key[..])
            .bind(pass.ends_at.unix_ms())
            .execute(&mut *change)
            .await?;
        let action = match pass.kind {
            PassKind::Link => AuditAction::SignInLink,
            PassKind::Session => AuditAction::SignIn,
        };
        audit_once_an_hour(&mut change, &self.erased_sims, caller, action, now).await?;
        change.commit().await?;
        Ok(())
    }

    /// Takes a link or a session away; gives the key that it stood for, if it was there and had not
    /// ended. Of two who take the same one, one gets it.
    pub async fn take_pass(
        &mut self,
        kind: PassKind,
        digest: &PassDigest,
        now: Timestamp,
    ) -> Result<Option<KeyDigest>, StoreError> {
        const TAKE: &str = "
            delete from pass where digest = $1 and kind = $2 returning key_digest, ends_ms";
        self.refresh().await?;
        let taken: Option<(Vec<u8>, i64)> = sqlx::query_as(TAKE)
            .bind(&digest[..])
            .bind(kind.as_str())
            .fetch_optional(&mut self.connection)
            .await?;
        let live = taken.filter(|(_, ends_ms)| *ends_ms > now.unix_ms());
        Ok(live.and_then(|(key, _)| key.try_into().ok()))
    }
}

/// Notes who came in and from where, in one row an hour: a program that signs in with each request must
/// not fill the disk.
async fn audit_once_an_hour(
    connection: &mut SqliteConnection,
    erased: &ErasedSims,
    caller: &Caller,
    action: AuditAction,
    now: Timestamp,
) -> Result<(), StoreError> {
    const AGAIN: &str = "
        update audit set count = count + 1 where id = (
            select max(id) from audit
            where at_ms between $1 - 3600000 and $1 and who = $2 and action = $3 and source = $4)";
    let source = caller.source.map(|source| source.to_string()).unwrap_or_default();
    let again = sqlx::query(AGAIN)
        .bind(now.unix_ms())
        .bind(erased.shown(&caller.label))
        .bind(action.as_str())
        .bind(source)
        .execute(&mut *connection)
        .await?;
    match again.rows_affected() {
        0 => audit(connection, erased, caller, action, "", now).await,
        _ => Ok(()),
    }
}
