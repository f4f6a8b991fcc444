//! The links and sessions that let browsers in.
use std::net::IpAddr;

use sqlx::{Connection, SqliteConnection};

use super::{StoreError, Writer};
use crate::domain::{Caller, KeyDigest, Pass, PassDigest, PassKind, Timestamp};

impl Writer {
    /// Keeps a link or a session, and forgets those that have ended.
    pub async fn add_pass(
        &mut self,
        pass: &Pass,
        source: Option<IpAddr>,
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
            PassKind::Link => "sign_in.link",
            PassKind::Session => "sign_in.session",
        };
        let source = source.map(|source| source.to_string()).unwrap_or_default();
        audit_once_an_hour(&mut change, caller, action, &source, now).await?;
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

/// Notes who came in and from where, once an hour: a program that signs in with each request must not
/// fill the disk.
async fn audit_once_an_hour(
    connection: &mut SqliteConnection,
    caller: &Caller,
    action: &'static str,
    source: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    const NOTE: &str = "
        insert into audit (at_ms, who, action, target) select $1, $2, $3, $4
        where not exists (
            select 1 from (select * from audit order by id desc limit 1000)
            where at_ms between $1 - 3600000 and $1 and who = $2 and action = $3 and target = $4)";
    sqlx::query(NOTE)
        .bind(now.unix_ms())
        .bind(&caller.label)
        .bind(action)
        .bind(source)
        .execute(connection)
        .await?;
    Ok(())
}
