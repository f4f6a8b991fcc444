//! The list of erased SIMs beside the database, and the database's own: each tells the other what it
//! does not know. Held by `tests/it/store_contract/keep/erasures.rs`.
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use sqlx::FromRow;

use super::{
    Erased, Erasing, Writer,
    audit::{self, audit},
    erase::erasing,
    run,
};
use crate::{
    domain::{
        AUDITED_LIST, AuditAction, AuditNote, AuditOutcome, Caller, Giccid, Scope, Timestamp,
        mention::mentions,
    },
    store::{
        STEP_BODY_BYTES, StoreError,
        erasures::{self, Listed, Secrets, hashed},
        foreign_names::{erased_in, rename},
    },
};

/// What became of the wish to keep again what comes of an erased SIM, or under a retracted `datePush`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lift {
    /// What comes from now on is kept.
    Done,
    /// There is none.
    NotThere,
    /// It was lifted before, at that time.
    Already(Timestamp),
    /// It still goes on.
    Pending,
}

/// What the database knows of an erased SIM.
#[derive(Clone, Debug)]
struct Known {
    /// The hash of its number, or its name in the list where that is not known.
    key: String,
    at: Timestamp,
    lifted_at: Option<Timestamp>,
}

impl Known {
    fn is_lifted(&self) -> bool {
        self.lifted_at.is_some_and(|lifted_at| lifted_at >= self.at)
    }
}

/// An erasure that an earlier process began.
#[derive(FromRow)]
struct PendingRow {
    id: i64,
    pending: String,
    audit_id: Option<i64>,
    data_usage: i64,
    mo_sms: i64,
    notifications: i64,
    held: i64,
}

impl PendingRow {
    fn resumed(&self) -> Erasing {
        let erased = Erased {
            id: self.id,
            usage: self.data_usage.unsigned_abs(),
            sms: self.mo_sms.unsigned_abs(),
            notifications: self.notifications.unsigned_abs(),
            held: self.held.unsigned_abs(),
        };
        erasing(self.pending.clone(), erased, self.audit_id)
    }
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
            select at_ms, pending is not null, lifted_ms from erased where giccid_sha256 = $1";
        self.refresh().await?;
        self.learn_number(giccid.as_str()).await?;
        let hash = hashed(giccid.as_str());
        let found: Option<(i64, bool, Option<i64>)> =
            sqlx::query_as(FIND).bind(&hash).fetch_optional(&mut self.connection).await?;
        let Some((at_ms, is_pending, lifted_ms)) = found else { return Ok(Lift::NotThere) };
        if let Some(lifted_ms) = lifted_ms {
            return Ok(Lift::Already(Timestamp::from_unix_ms(lifted_ms)));
        }
        if is_pending {
            return Ok(Lift::Pending);
        }
        let at = Timestamp::from_unix_ms(at_ms);
        let lifted_at = now.max(at);
        let keyed = self.erased_sims.secrets().keyed(giccid.as_str());
        let done = self.try_lift_erasure((&hash, &keyed), caller, lifted_at, now).await;
        self.undo_unless(done).await?;
        self.erased_sims.remove(&hash);
        // After a crash in between, the next start writes it from the database.
        self.list(self.listed(giccid.as_str(), at, Some(lifted_at))).await?;
        Ok(Lift::Done)
    }

    /// Notes the hash of a SIM that only the list has named so far, now that its number is told.
    pub(super) async fn learn_number(&mut self, giccid: &str) -> Result<(), StoreError> {
        const LEARN: &str = "
            update or ignore erased set giccid_sha256 = $1, giccid_hmac = $2, listed_as = null
            where listed_as in (select value from json_each($3))";
        // It was erased again before its number was known.
        const TWICE: &str =
            "delete from erased where listed_as in (select value from json_each($1))";
        let (hash, secrets) = (hashed(giccid), Arc::clone(self.erased_sims.secrets()));
        let names = secrets.names(&hash);
        let listed_as = serde_json::to_string(&names)?;
        let learned = sqlx::query(LEARN)
            .bind(&hash)
            .bind(secrets.keyed(giccid))
            .bind(&listed_as)
            .execute(&mut self.connection)
            .await?;
        sqlx::query(TWICE).bind(listed_as).execute(&mut self.connection).await?;
        names.iter().for_each(|name| self.erased_sims.remove(name));
        if learned.rows_affected() > 0 {
            self.erased_sims.add(hash);
        }
        Ok(())
    }

    /// What the list names SIMs by.
    pub(in crate::store) fn erasure_secrets(&self) -> Arc<Secrets> {
        Arc::clone(self.erased_sims.secrets())
    }

    /// A line of the list.
    fn listed(&self, giccid: &str, at: Timestamp, lifted_at: Option<Timestamp>) -> Listed {
        let secrets = self.erased_sims.secrets();
        let name = secrets.name(&hashed(giccid));
        Listed { name, at, lifted_at, giccid_hmac: Some(secrets.keyed(giccid)) }
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
        let action = AuditAction::EraseLift;
        audit(&mut self.connection, &self.erased_sims, caller, action, keyed, now).await?;
        run(&mut self.connection, "commit").await
    }

    /// Writes an erasure into the list; gives its time, which is later than that of a lift.
    pub(super) async fn list_erased(
        &mut self,
        giccid: &str,
        now: Timestamp,
    ) -> Result<Timestamp, StoreError> {
        const LIFTED: &str = "select lifted_ms from erased where giccid_sha256 = $1";
        self.learn_number(giccid).await?;
        let lifted_ms: Option<Option<i64>> = sqlx::query_scalar(LIFTED)
            .bind(hashed(giccid))
            .fetch_optional(&mut self.connection)
            .await?;
        let after_lift = lifted_ms.flatten().map_or(i64::MIN, |lifted_ms| lifted_ms + 1);
        let at = Timestamp::from_unix_ms(now.unix_ms().max(after_lift));
        self.list(self.listed(giccid, at, None)).await?;
        Ok(at)
    }

    /// Writes the list anew, from what the database knows, where somebody has taken it away: a copy of
    /// the database that is older than an erasure would bring the SIM back.
    pub async fn mend_list(&mut self) -> Result<(), StoreError> {
        let list = &self.erasures;
        if list.as_os_str().is_empty() || list.try_exists().unwrap_or(true) {
            return Ok(());
        }
        if !self.tell_list().await?.is_empty() {
            tracing::warn!(
                list = %self.erasures.display(),
                "The list of erased SIMs was not there any more, and was written anew: leave it beside \
                 the database"
            );
        }
        Ok(())
    }

    async fn list(&mut self, new: Listed) -> Result<(), StoreError> {
        self.mend_list().await?;
        let list = self.erasures.clone();
        let written = tokio::task::spawn_blocking(move || erasures::add(&list, &[new])).await;
        Ok(written.map_err(|_| sqlx::Error::WorkerCrashed)?.map_err(sqlx::Error::from)?)
    }

    /// Begins to take out what the list beside the database names and the database still has, as a copy
    /// brings it back; gives that and what an earlier process has begun.
    pub(in crate::store) async fn take_up_erasures(
        &mut self,
        list: &Path,
        now: Timestamp,
    ) -> Result<Vec<Erasing>, StoreError> {
        const LEFT: &str = "
            select id, pending, audit_id, coalesce(data_usage, 0) as data_usage,
                coalesce(mo_sms, 0) as mo_sms, coalesce(notifications, 0) as notifications,
                coalesce(held, 0) as held
            from erased where pending is not null order by id";
        self.erasures = PathBuf::from(list);
        let secrets = Arc::clone(self.erased_sims.secrets());
        let erased = erased_in(&mut self.connection).await?;
        rename(list, &secrets, &erased).map_err(sqlx::Error::from)?;
        let mut known = self.tell_list().await?;
        let named = erasures::read(list).map_err(sqlx::Error::from)?;
        // What the database does not know, or knows as lifted before it was erased once more.
        let is_new = |entry: &&Listed| {
            known.get(&entry.name).is_none_or(|known| {
                known.is_lifted() && known.lifted_at.is_some_and(|at| at < entry.at)
            })
        };
        let new: Vec<Listed> = named.iter().filter(is_new).cloned().collect();
        if !new.is_empty() {
            let list = Caller::new(AUDITED_LIST, Scope::Admin);
            let numbers = self.numbers_of(&new).await?;
            for entry in &new {
                match numbers.get(&entry.name) {
                    Some(giccid) => {
                        self.try_begin_erasure(giccid, &list, (entry.at, now)).await?;
                        let key = hashed(giccid);
                        known.insert(
                            entry.name.clone(),
                            Known { key, at: entry.at, lifted_at: None },
                        );
                    }
                    None => {
                        self.note_erased(entry, known.get(&entry.name), (&list, now)).await?;
                    }
                }
            }
        }
        for entry in named.iter().filter(|entry| entry.is_lifted()) {
            let key = known.get(&entry.name).map_or(&entry.name, |known| &known.key);
            self.note_lifted(key, entry.lifted_at.unwrap_or(entry.at)).await?;
            self.erased_sims.remove(key);
        }
        let left: Vec<PendingRow> = sqlx::query_as(LEFT).fetch_all(&mut self.connection).await?;
        Ok(left.iter().map(PendingRow::resumed).collect())
    }

    /// Writes into the list what only the database knows: a copy has brought it from elsewhere. Gives
    /// what the database knows, by every name that a list may have for it.
    async fn tell_list(&mut self) -> Result<BTreeMap<String, Known>, StoreError> {
        const KNOWN: &str = "
            select coalesce(giccid_sha256, listed_as), giccid_sha256 is not null, giccid_hmac,
                at_ms, lifted_ms
            from erased";
        type Row = (String, bool, Option<String>, i64, Option<i64>);
        let rows: Vec<Row> = sqlx::query_as(KNOWN).fetch_all(&mut self.connection).await?;
        let secrets = Arc::clone(self.erased_sims.secrets());
        let (mut known, mut lines) = (BTreeMap::new(), Vec::with_capacity(rows.len()));
        for (key, is_hash, giccid_hmac, at_ms, lifted_ms) in rows {
            let (at, lifted_at) =
                (Timestamp::from_unix_ms(at_ms), lifted_ms.map(Timestamp::from_unix_ms));
            let names = if is_hash { secrets.names(&key) } else { vec![key.clone()] };
            let name = if is_hash { secrets.name(&key) } else { key.clone() };
            lines.push(Listed { name, at, lifted_at, giccid_hmac });
            let row = Known { key, at, lifted_at };
            known.extend(names.into_iter().map(|name| (name, row.clone())));
        }
        erasures::add(&self.erasures, &lines).map_err(sqlx::Error::from)?;
        Ok(known)
    }

    async fn note_lifted(&mut self, key: &str, at: Timestamp) -> Result<(), StoreError> {
        const NOTE: &str = "
            update erased set lifted_ms = $2
            where $1 in (giccid_sha256, listed_as) and coalesce(lifted_ms, 0) < $2";
        sqlx::query(NOTE).bind(key).bind(at.unix_ms()).execute(&mut self.connection).await?;
        Ok(())
    }

    /// Notes that a SIM is erased of which nothing is stored.
    async fn note_erased(
        &mut self,
        entry: &Listed,
        known: Option<&Known>,
        (caller, now): (&Caller, Timestamp),
    ) -> Result<(), StoreError> {
        const AGAIN: &str = "
            update erased set id = $1, first_at_ms = coalesce(first_at_ms, at_ms), at_ms = $2,
                lifted_ms = null
            where $3 in (giccid_sha256, listed_as)";
        const NOTE: &str = "
            insert into erased (id, at_ms, listed_as, giccid_hmac, came_again)
            values ($1, $2, $3, $4, 0)";
        run(&mut self.connection, "begin immediate").await?;
        run(&mut self.connection, "update seq set last = last + 1").await?;
        self.tail.last_id += 1;
        let (id, at_ms) = (self.tail.last_id, entry.at.unix_ms());
        let note = match known {
            Some(known) => sqlx::query(AGAIN).bind(id).bind(at_ms).bind(&known.key),
            None => {
                let giccid_hmac = self.erased_sims.secrets().keyed_of(entry).map(str::to_owned);
                sqlx::query(NOTE).bind(id).bind(at_ms).bind(&entry.name).bind(giccid_hmac)
            }
        };
        note.execute(&mut self.connection).await?;
        let subject = self.erased_sims.secrets().keyed_of(entry).unwrap_or_default().to_owned();
        let note = AuditNote::by(caller, AuditAction::Erase, subject);
        let note = note.ended(AuditOutcome::Done, Erased::default().to_string());
        audit::insert(&mut self.connection, &self.erased_sims, &note, 1, now).await?;
        run(&mut self.connection, "commit").await?;
        match known.filter(|known| known.key != entry.name) {
            Some(known) => self.erased_sims.add(known.key.clone()),
            None => self.erased_sims.add_listed(entry.name.clone()),
        }
        Ok(())
    }

    /// The numbers behind these names, of those that the database knows.
    async fn numbers_of(
        &mut self,
        entries: &[Listed],
    ) -> Result<BTreeMap<String, String>, StoreError> {
        const NUMBERS: &str = "
            select giccid from card union select giccid from sim_label
            union select giccid from notification where giccid is not null
            union select giccid from test_record where giccid is not null";
        const TEXTS: [&str; 2] = [
            "select id, cast(payload as blob) from notification where id in (
                select id from (
                    select id, sum(bytes) over (order by id) - bytes as before from (
                        select id, octet_length(payload) as bytes from notification
                        where id > $1 order by id limit 256))
                where before < $2)
            order by id",
            "select id, body from held where id in (
                select id from (
                    select id, sum(bytes) over (order by id) - bytes as before from (
                        select id, bytes from held where id > $1 order by id limit 16))
                where before < $2)
            order by id",
        ];
        let secrets = Arc::clone(self.erased_sims.secrets());
        let asked: BTreeSet<&str> = entries.iter().map(|entry| &*entry.name).collect();
        let mut found = BTreeMap::new();
        let mut look = |number: &str| {
            for name in secrets.names(&hashed(number)) {
                if asked.contains(&*name) {
                    found.insert(name, number.to_owned());
                }
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
                let rows: Vec<(i64, Vec<u8>)> = sqlx::query_as(texts)
                    .bind(at_id)
                    .bind(STEP_BODY_BYTES)
                    .fetch_all(&mut self.connection)
                    .await?;
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
