//! What people change, each with a row that says who did it.
use sqlx::{Connection, SqliteConnection};

use super::{StoreError, Writer};
use crate::domain::{ApiKey, Caller, KeyDigest, Scope, SerialNumber, Timestamp};

impl Writer {
    /// Throws a held push away; false if it is not there.
    pub async fn discard(
        &mut self,
        id: i64,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.refresh().await?;
        let done = self.try_discard(id, caller, now).await;
        self.undo_unless(done).await
    }

    /// Throws held pushes away, all in one step; gives how many were there. `noted` is what the audit
    /// says of them.
    pub async fn discard_all(
        &mut self,
        ids: &[i64],
        noted: Option<&str>,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        self.refresh().await?;
        let done = self.try_discard_all(ids, noted, caller, now).await;
        self.undo_unless(done).await
    }

    /// Keeps a new API key's hash.
    pub async fn create_key(
        &mut self,
        label: &str,
        scope: Scope,
        digest: KeyDigest,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<ApiKey, StoreError> {
        const INSERT: &str = "
            insert into api_key (label, scope, digest, created_ms) values ($1, $2, $3, $4)
            returning id";
        let mut change = self.connection.begin_with("begin immediate").await?;
        let id = sqlx::query_scalar(INSERT)
            .bind(label)
            .bind(scope.as_str())
            .bind(&digest[..])
            .bind(now.unix_ms())
            .fetch_one(&mut *change)
            .await?;
        audit(&mut change, caller, "key.create", label, now).await?;
        change.commit().await?;
        let label = label.to_owned();
        Ok(ApiKey { id, label, scope, digest, created_at: now, revoked_at: None })
    }

    /// Ends an API key; false if there is no live one of this number.
    pub async fn revoke_key(
        &mut self,
        id: i64,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const REVOKE: &str =
            "update api_key set revoked_ms = $2 where id = $1 and revoked_ms is null";
        let mut change = self.connection.begin_with("begin immediate").await?;
        let revoked =
            sqlx::query(REVOKE).bind(id).bind(now.unix_ms()).execute(&mut *change).await?;
        let was_live = revoked.rows_affected() > 0;
        if was_live {
            audit(&mut change, caller, "key.revoke", &id.to_string(), now).await?;
        }
        change.commit().await?;
        Ok(was_live)
    }

    /// Notes that a person had a held push tried again.
    pub async fn audit_retry(
        &mut self,
        id: i64,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        audit(&mut self.connection, caller, "held.retry", &id.to_string(), now).await
    }

    /// Notes that a person had RCMS move a device to another group.
    pub async fn audit_device_group(
        &mut self,
        sn: &SerialNumber,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.refresh().await?;
        audit(&mut self.connection, caller, "device.group", sn.as_str(), now).await
    }

    /// Notes that a person had a file of records read in.
    pub async fn audit_import(
        &mut self,
        file: &str,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.refresh().await?;
        audit(&mut self.connection, caller, "import", file, now).await
    }

    /// Notes that a person had something done to the store as a whole.
    pub async fn audit_keep(
        &mut self,
        caller: &Caller,
        action: &'static str,
        target: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.refresh().await?;
        audit(&mut self.connection, caller, action, target, now).await
    }

    async fn try_discard(
        &mut self,
        id: i64,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        super::writer::run(&mut self.connection, "begin immediate").await?;
        let was_there = self.delete_held(id).await?;
        if was_there {
            audit(&mut self.connection, caller, "held.discard", &id.to_string(), now).await?;
        }
        super::writer::run(&mut self.connection, "commit").await?;
        Ok(was_there)
    }

    async fn try_discard_all(
        &mut self,
        ids: &[i64],
        noted: Option<&str>,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        super::writer::run(&mut self.connection, "begin immediate").await?;
        let mut discarded = 0;
        for id in ids {
            discarded += u64::from(self.delete_held(*id).await?);
        }
        if let Some(noted) = noted {
            audit(&mut self.connection, caller, "held.discard", noted, now).await?;
        }
        super::writer::run(&mut self.connection, "commit").await?;
        Ok(discarded)
    }
}

pub(super) async fn audit(
    connection: &mut SqliteConnection,
    caller: &Caller,
    action: &'static str,
    target: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("insert into audit (at_ms, who, action, target) values ($1, $2, $3, $4)")
        .bind(now.unix_ms())
        .bind(&caller.label)
        .bind(action)
        .bind(target)
        .execute(connection)
        .await?;
    Ok(())
}
