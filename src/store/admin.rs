//! What people change, each with a row that says who did it.
use sqlx::Connection;

use super::{
    StoreError, Writer,
    writer::audit::{audit, insert},
};
use crate::domain::{
    ApiKey, AuditAction, AuditNote, AuditOutcome, Caller, KeyDigest, Scope, Timestamp,
};

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

    /// Throws held pushes away, all in one step; gives how many were there.
    pub async fn discard_all(
        &mut self,
        ids: &[i64],
        sources: &[String],
    ) -> Result<u64, StoreError> {
        self.refresh().await?;
        let done = self.try_discard_all(ids, sources).await;
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
        self.refresh().await?;
        // Nor may a label hold what was erased.
        let label = self.erased_sims.shown(label);
        let note = AuditNote::by(caller, AuditAction::KeyCreate, &*label);
        let note = note.ended(AuditOutcome::Done, scope.as_str());
        let mut change = self.connection.begin_with("begin immediate").await?;
        let id = sqlx::query_scalar(INSERT)
            .bind(&label)
            .bind(scope.as_str())
            .bind(&digest[..])
            .bind(now.unix_ms())
            .fetch_one(&mut *change)
            .await?;
        insert(&mut change, &self.erased_sims, &note, 1, now).await?;
        change.commit().await?;
        Ok(ApiKey { id, label, scope, digest, created_at: now, revoked_at: None })
    }

    /// Ends an API key; false if there is no live one of this number.
    pub async fn revoke_key(
        &mut self,
        id: i64,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const LABEL: &str = "select label from api_key where id = $1";
        const REVOKE: &str =
            "update api_key set revoked_ms = $2 where id = $1 and revoked_ms is null";
        self.refresh().await?;
        let label: Option<String> =
            sqlx::query_scalar(LABEL).bind(id).fetch_optional(&mut self.connection).await?;
        let subject = format!("{id} {}", label.unwrap_or_default());
        let mut change = self.connection.begin_with("begin immediate").await?;
        let revoked =
            sqlx::query(REVOKE).bind(id).bind(now.unix_ms()).execute(&mut *change).await?;
        let was_live = revoked.rows_affected() > 0;
        if was_live {
            let action = AuditAction::KeyRevoke;
            audit(&mut change, &self.erased_sims, caller, action, &subject, now).await?;
        }
        change.commit().await?;
        Ok(was_live)
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
            let (action, subject) = (AuditAction::HeldDiscard, id.to_string());
            audit(&mut self.connection, &self.erased_sims, caller, action, &subject, now).await?;
        }
        super::writer::run(&mut self.connection, "commit").await?;
        Ok(was_there)
    }

    async fn try_discard_all(
        &mut self,
        ids: &[i64],
        sources: &[String],
    ) -> Result<u64, StoreError> {
        super::writer::run(&mut self.connection, "begin immediate").await?;
        let mut discarded = 0;
        for id in ids {
            discarded += u64::from(self.delete_held_of(*id, sources).await?);
        }
        super::writer::run(&mut self.connection, "commit").await?;
        Ok(discarded)
    }
}
