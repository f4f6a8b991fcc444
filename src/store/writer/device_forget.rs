//! Routers that are gone are forgotten: a few entries of the history at a time, and then the router.
use std::time::Duration;

use super::{Writer, run};
use crate::{
    domain::{SerialNumber, Timestamp},
    store::StoreError,
};

/// So many entries go in one short transaction.
const ENTRIES_A_STEP: i64 = 256;
/// A list that is older says nothing of who is there now.
const LISTED_WITHIN: Duration = Duration::from_secs(24 * 60 * 60);

/// How far a router has been forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgetting {
    /// There is none of this number.
    Unknown,
    /// RCMS lists it, so that it would be there again at once.
    Listed,
    /// So many entries of its history are gone, and some are left.
    Begun(u64),
    /// The last entries are gone, so many of them, and so is the router.
    Done(u64),
}

impl Writer {
    /// Takes some of a router's history away, or the last of it and the router. What people say of the
    /// SIMs in it stays.
    pub async fn forget_device(
        &mut self,
        sn: &SerialNumber,
        now: Timestamp,
    ) -> Result<Forgetting, StoreError> {
        self.refresh().await?;
        let done = self.try_forget_device(sn, now).await;
        self.undo_unless(done).await
    }

    async fn try_forget_device(
        &mut self,
        sn: &SerialNumber,
        now: Timestamp,
    ) -> Result<Forgetting, StoreError> {
        const DEVICE: &str = "
            select id, is_listed and coalesce(seen_ms >= $2, false) from device_seen
            where sn = $1 collate nocase order by sn <> $1, id desc limit 1";
        let device: Option<(i64, bool)> = sqlx::query_as(DEVICE)
            .bind(sn.as_str())
            .bind(now.minus(LISTED_WITHIN).unix_ms())
            .fetch_optional(&mut self.connection)
            .await?;
        let (id, is_listed) = match device {
            None => return Ok(Forgetting::Unknown),
            Some(device) => device,
        };
        if is_listed {
            return Ok(Forgetting::Listed);
        }
        run(&mut self.connection, "begin immediate").await?;
        let (entries, is_gone) = self.forget_some(id, ENTRIES_A_STEP).await?;
        run(&mut self.connection, "commit").await?;
        Ok(if is_gone { Forgetting::Done(entries) } else { Forgetting::Begun(entries) })
    }

    /// Inside the open transaction: so many entries at most, and the router if none is left. Gives how
    /// many, and whether it is gone. Its number is not given again: whoever reads on in a list of routers
    /// would take another for it.
    pub(super) async fn forget_some(
        &mut self,
        device_id: i64,
        entries_max: i64,
    ) -> Result<(u64, bool), StoreError> {
        const ENTRIES: &str = "
            select id from device_history where device_id = $1 order by id limit $2";
        const NOTE: &str = "update fleet set forgotten_id = max(forgotten_id, $1)";
        const FORGET: &str = "delete from device where id = $1";
        let entries: Vec<i64> = sqlx::query_scalar(ENTRIES)
            .bind(device_id)
            .bind(entries_max)
            .fetch_all(&mut self.connection)
            .await?;
        self.delete_entries(&entries).await?;
        let is_gone = i64::try_from(entries.len()).unwrap_or(i64::MAX) < entries_max;
        if is_gone {
            for statement in [NOTE, FORGET] {
                sqlx::query(statement).bind(device_id).execute(&mut self.connection).await?;
            }
        }
        Ok((entries.len() as u64, is_gone))
    }

    /// Takes entries of histories away, inside the open transaction.
    pub(super) async fn delete_entries(&mut self, ids: &[i64]) -> Result<(), StoreError> {
        const DELETE: &str =
            "delete from device_history where id in (select value from json_each($1))";
        sqlx::query(DELETE).bind(serde_json::to_string(ids)?).execute(&mut self.connection).await?;
        Ok(())
    }
}
