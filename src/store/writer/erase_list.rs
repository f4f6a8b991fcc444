//! The list of erased SIMs beside the database, and the database's own: each tells the other what it
//! does not know. Held by `tests/it/store_contract/keep/erasures.rs`.
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{Writer, audit::audit, erase::erasing, run};
use crate::{
    domain::{AuditAction, Caller, Giccid, Timestamp, mention::mentions},
    store::{
        StoreError,
        erasures::{self, Listed, hashed},
    },
};

/// What became of the wish to keep again what comes of an erased SIM, or under a retracted `datePush`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lift {
    /// What comes from now on is kept.
    Done,
    /// There is none, or it is lifted already.
    NotThere,
    /// It still goes on.
    Pending,
}

impl Writer {
    /// Keeps again what comes of an erased SIM from now on. What was erased stays so, also in what a
    /// restore brings back.
    pub async fn lift_erasure(
        &mut self,
        giccid: &Giccid,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<Lift, StoreError> {
        const FIND: &str = "
            select at_ms, pending is not null from erased
            where giccid_sha256 = $1 and lifted_ms is null";
        self.refresh().await?;
        let hash = hashed(giccid.as_str());
        let found: Option<(i64, bool)> =
            sqlx::query_as(FIND).bind(&hash).fetch_optional(&mut self.connection).await?;
        let Some((at_ms, is_pending)) = found else { return Ok(Lift::NotThere) };
        if is_pending {
            return Ok(Lift::Pending);
        }
        let at = Timestamp::from_unix_ms(at_ms);
        let lifted_at = now.max(at);
        let keyed = self.keyed(giccid.as_str()).await?;
        let done = self.try_lift_erasure((&hash, &keyed), caller, lifted_at, now).await;
        self.undo_unless(done).await?;
        self.erased_sims.remove(&hash);
        // After a crash in between, the next start writes it from the database.
        self.list(Listed { hash, at, lifted_at: Some(lifted_at) }).await?;
        Ok(Lift::Done)
    }

    /// What may be shown of a number.
    pub(super) async fn keyed(&mut self, giccid: &str) -> Result<String, StoreError> {
        let secret: String = sqlx::query_scalar("select value from meta where name = $1")
            .bind(erasures::SECRET)
            .fetch_one(&mut self.connection)
            .await?;
        Ok(erasures::keyed(&secret, giccid).unwrap_or_default())
    }

    async fn try_lift_erasure(
        &mut self,
        (hash, keyed): (&str, &str),
        caller: &Caller,
        lifted_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        run(&mut self.connection, "begin immediate").await?;
        self.note_lifted(hash, lifted_at).await?;
        audit(&mut self.connection, caller, AuditAction::EraseLift, keyed, now).await?;
        run(&mut self.connection, "commit").await
    }

    /// Writes an erasure into the list; gives its time, which is later than that of a lift.
    pub(super) async fn list_erased(
        &mut self,
        hash: String,
        now: Timestamp,
    ) -> Result<Timestamp, StoreError> {
        const LIFTED: &str = "select lifted_ms from erased where giccid_sha256 = $1";
        let lifted_ms: Option<Option<i64>> =
            sqlx::query_scalar(LIFTED).bind(&hash).fetch_optional(&mut self.connection).await?;
        let after_lift = lifted_ms.flatten().map_or(i64::MIN, |lifted_ms| lifted_ms + 1);
        let at = Timestamp::from_unix_ms(now.unix_ms().max(after_lift));
        self.list(Listed { hash, at, lifted_at: None }).await?;
        Ok(at)
    }

    async fn list(&self, new: Listed) -> Result<(), StoreError> {
        let list = self.erasures.clone();
        let written = tokio::task::spawn_blocking(move || erasures::add(&list, &new)).await;
        Ok(written.map_err(|_| sqlx::Error::WorkerCrashed)?.map_err(sqlx::Error::from)?)
    }

    /// Takes out what the list beside the database names and the database still has, as a backup
    /// brings it back, and what an erasure that was cut short has left. Gives the numbers.
    pub(in crate::store) async fn finish_erasures(
        &mut self,
        list: &Path,
    ) -> Result<Vec<String>, StoreError> {
        const LEFT: &str = "select id, pending from erased where pending is not null";
        self.erasures = PathBuf::from(list);
        let known = self.tell_list().await?;
        let named = erasures::read(list).map_err(sqlx::Error::from)?;
        // What the database does not know, or knows as lifted before it was erased once more.
        let is_new = |entry: &&Listed| {
            known.get(&entry.hash).is_none_or(|known| {
                known.is_lifted() && known.lifted_at.is_some_and(|at| at < entry.at)
            })
        };
        let new: Vec<Listed> = named.iter().filter(is_new).cloned().collect();
        if !new.is_empty() {
            let numbers = self.numbers_of(&new).await?;
            for entry in &new {
                match numbers.get(&entry.hash) {
                    Some(giccid) => {
                        self.try_begin_erasure(giccid, None, entry.at).await?;
                    }
                    None => self.note_erased(&entry.hash, entry.at).await?,
                }
            }
        }
        for entry in named.iter().filter(|entry| entry.is_lifted()) {
            self.note_lifted(&entry.hash, entry.lifted_at.unwrap_or(entry.at)).await?;
            self.erased_sims.remove(&entry.hash);
        }
        let left: Vec<(i64, String)> = sqlx::query_as(LEFT).fetch_all(&mut self.connection).await?;
        for (id, giccid) in &left {
            let mut erasing = erasing(*id, giccid.clone());
            while !erasing.is_done() {
                self.erase_some(&mut erasing).await?;
            }
        }
        Ok(left.into_iter().map(|(_, giccid)| giccid).collect())
    }

    /// Writes into the list what only the database knows: a copy has brought it from elsewhere.
    async fn tell_list(&mut self) -> Result<BTreeMap<String, Listed>, StoreError> {
        const KNOWN: &str = "select giccid_sha256, at_ms, lifted_ms from erased";
        let rows: Vec<(String, i64, Option<i64>)> =
            sqlx::query_as(KNOWN).fetch_all(&mut self.connection).await?;
        let mut known = BTreeMap::new();
        for (hash, at_ms, lifted_ms) in rows {
            let (at, lifted_at) =
                (Timestamp::from_unix_ms(at_ms), lifted_ms.map(Timestamp::from_unix_ms));
            let row = Listed { hash, at, lifted_at };
            erasures::add(&self.erasures, &row).map_err(sqlx::Error::from)?;
            known.insert(row.hash.clone(), row);
        }
        Ok(known)
    }

    async fn note_lifted(&mut self, hash: &str, at: Timestamp) -> Result<(), StoreError> {
        const NOTE: &str = "
            update erased set lifted_ms = $2
            where giccid_sha256 = $1 and coalesce(lifted_ms, 0) < $2";
        sqlx::query(NOTE).bind(hash).bind(at.unix_ms()).execute(&mut self.connection).await?;
        Ok(())
    }

    async fn note_erased(&mut self, hash: &str, now: Timestamp) -> Result<(), StoreError> {
        const NOTE: &str = "
            insert into erased (id, at_ms, giccid_sha256, came_again) values ($1, $2, $3, 0)
            on conflict (giccid_sha256) do update set id = excluded.id, at_ms = excluded.at_ms,
                lifted_ms = null";
        run(&mut self.connection, "begin immediate").await?;
        run(&mut self.connection, "update seq set last = last + 1").await?;
        self.tail.last_id += 1;
        sqlx::query(NOTE)
            .bind(self.tail.last_id)
            .bind(now.unix_ms())
            .bind(hash)
            .execute(&mut self.connection)
            .await?;
        run(&mut self.connection, "commit").await?;
        self.erased_sims.add(hash.to_owned());
        Ok(())
    }

    /// The numbers behind these hashes, of those that the database knows.
    async fn numbers_of(
        &mut self,
        entries: &[Listed],
    ) -> Result<BTreeMap<String, String>, StoreError> {
        const NUMBERS: &str = "
            select giccid from card union select giccid from sim_label
            union select giccid from notification where giccid is not null
            union select giccid from test_record where giccid is not null";
        const TEXTS: [&str; 2] = [
            "select id, cast(payload as blob) from notification where id > $1 order by id limit 256",
            "select id, body from held where id > $1 order by id limit 16",
        ];
        let mut found = BTreeMap::new();
        let mut look = |number: &str| {
            let hash = hashed(number);
            if entries.iter().any(|entry| entry.hash == hash) {
                found.insert(hash, number.to_owned());
            }
            false
        };
        let numbers: Vec<String> =
            sqlx::query_scalar(NUMBERS).fetch_all(&mut self.connection).await?;
        for number in &numbers {
            look(number);
        }
        for texts in TEXTS {
            let mut at_id = 0;
            loop {
                let rows: Vec<(i64, Vec<u8>)> =
                    sqlx::query_as(texts).bind(at_id).fetch_all(&mut self.connection).await?;
                let Some((last_id, _)) = rows.last() else { break };
                at_id = *last_id;
                for (_, text) in &rows {
                    mentions(text, &mut look);
                }
            }
        }
        Ok(found)
    }
}
