//! From when on records are kept, and what cannot be told for that.
use sqlx::{FromRow, SqliteConnection};

use super::{READ_TIME_MAX, Store};
use crate::{
    domain::{BelievedTime, ClockEvidence, Giccid, Timestamp},
    store::{StoreError, erasures, error::of_read, writer::written_evidence},
};

/// Records that were gone before a reader came to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missed {
    /// The largest id among them.
    pub through: i64,
    /// How often stored records had gone by then.
    pub generation: i64,
}

/// A SIM that was erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasedEntry {
    /// The number of its row among the changes.
    pub id: i64,
    /// When it was erased, the last time if more than once.
    pub at: Timestamp,
    /// When it was erased the first time.
    pub first_at: Timestamp,
    /// SHA-256 of its number, in hex.
    pub giccid_sha256: Option<String>,
    /// See [`crate::domain::ErasedSim::giccid_hmac`].
    pub giccid_hmac: Option<String>,
    /// What came of it since, and was not kept.
    pub came_again: i64,
    /// From when on what comes of it is kept again.
    pub lifted_at: Option<Timestamp>,
    /// How the list beside the database names it, where its hash is not known.
    pub(in crate::store) listed_as: Option<String>,
    /// It still goes on.
    pub is_pending: bool,
    /// The files of the database were searched for its number, and what was left is overwritten.
    pub is_in_no_file: bool,
    /// What all its erasures took away so far; none where an earlier version did it, which did not
    /// count.
    pub counts: Option<ErasedCounts>,
}

/// What the erasures of a SIM took away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErasedCounts {
    /// Usage records.
    pub usage: u64,
    /// Messages.
    pub sms: u64,
    /// Notifications.
    pub notifications: u64,
    /// Bodies that lay aside, or parts of them.
    pub held: u64,
}

#[derive(FromRow)]
struct ErasedRow {
    id: i64,
    at_ms: i64,
    first_at_ms: i64,
    giccid_sha256: Option<String>,
    giccid_hmac: Option<String>,
    came_again: i64,
    lifted_ms: Option<i64>,
    is_pending: bool,
    is_in_no_file: bool,
    data_usage: Option<i64>,
    mo_sms: Option<i64>,
    notifications: Option<i64>,
    held: Option<i64>,
    listed_as: Option<String>,
}

impl ErasedRow {
    fn counts(&self) -> Option<ErasedCounts> {
        Some(ErasedCounts {
            usage: self.data_usage?.unsigned_abs(),
            sms: self.mo_sms?.unsigned_abs(),
            notifications: self.notifications?.unsigned_abs(),
            held: self.held?.unsigned_abs(),
        })
    }
}

impl From<ErasedRow> for ErasedEntry {
    fn from(row: ErasedRow) -> Self {
        Self {
            id: row.id,
            at: Timestamp::from_unix_ms(row.at_ms),
            first_at: Timestamp::from_unix_ms(row.first_at_ms),
            counts: row.counts(),
            giccid_sha256: row.giccid_sha256,
            giccid_hmac: row.giccid_hmac,
            came_again: row.came_again,
            lifted_at: row.lifted_ms.map(Timestamp::from_unix_ms),
            is_pending: row.is_pending,
            is_in_no_file: row.is_in_no_file,
            listed_as: row.listed_as,
        }
    }
}

impl Store {
    /// How often stored records have gone, as [`Store::has_missed`] needs it.
    pub async fn generation(&self) -> Result<i64, StoreError> {
        let mut reader = self.reader(READ_TIME_MAX).await?;
        sqlx::query_scalar("select coalesce(max(generation), 0) from removed")
            .fetch_one(&mut *reader)
            .await
            .map_err(of_read)
    }

    /// What the newest authentic push says of the time, if there ever was one.
    pub async fn clock_evidence(&self) -> Result<Option<ClockEvidence>, StoreError> {
        Ok(self.believed_time().await?.newest)
    }

    /// All that authentic pushes say of the time.
    pub async fn believed_time(&self) -> Result<BelievedTime, StoreError> {
        let mut reader = self.reader(READ_TIME_MAX).await?;
        written_evidence(&mut reader).await
    }

    /// The time zone that a start has given up while the sums by day were being brought to it.
    pub async fn zone_given_up(&self) -> Result<Option<String>, StoreError> {
        const ZONE: &str = "select value from meta where name = 'zone_given_up'";
        let mut reader = self.reader(READ_TIME_MAX).await?;
        sqlx::query_scalar(ZONE).fetch_optional(&mut *reader).await.map_err(of_read)
    }

    /// SIMs that were erased, and what has come of them since.
    pub async fn erasures(&self) -> Result<(i64, i64), StoreError> {
        const ERASED: &str = "
            select count(*), coalesce(sum(came_again), 0) from erased where lifted_ms is null";
        let mut reader = self.reader(READ_TIME_MAX).await?;
        sqlx::query_as(ERASED).fetch_one(&mut *reader).await.map_err(of_read)
    }

    /// Every SIM that was erased, the last one first.
    pub async fn erased_list(&self) -> Result<Vec<ErasedEntry>, StoreError> {
        const LIST: &str = "
            select id, at_ms, giccid_sha256, giccid_hmac, came_again, lifted_ms,
                pending is not null as is_pending, listed_as,
                pending is null and not exists (
                    select 1 from meta where name = 'search_files:' || erased.id) as is_in_no_file,
                coalesce(first_at_ms, at_ms) as first_at_ms,
                data_usage + earlier_data_usage as data_usage, mo_sms + earlier_mo_sms as mo_sms,
                notifications + earlier_notifications as notifications, held + earlier_held as held
            from erased order by id desc";
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let rows: Vec<ErasedRow> =
            sqlx::query_as(LIST).fetch_all(&mut *reader).await.map_err(of_read)?;
        Ok(rows.into_iter().map(ErasedEntry::from).collect())
    }

    /// Whether this SIM was erased, and when.
    pub async fn erasure_of(&self, giccid: &Giccid) -> Result<Option<ErasedEntry>, StoreError> {
        let hash = erasures::hashed(giccid.as_str());
        let names = self.erasure_secrets.names(&hash);
        let is_it = |entry: &ErasedEntry| {
            entry.giccid_sha256.as_ref() == Some(&hash)
                || entry.listed_as.as_ref().is_some_and(|name| names.contains(name))
        };
        Ok(self.erased_list().await?.into_iter().find(is_it))
    }

    /// What may be shown of a number once it is erased.
    pub fn keyed_giccid(&self, giccid: &Giccid) -> String {
        self.erasure_secrets.keyed(giccid.as_str())
    }

    /// By what this store knows a secret of ours again. Without the store's own secret nobody can try
    /// whether he has guessed it.
    pub fn secret_digest(&self, of: &str, secret: &str) -> String {
        let mut digest = self.erasure_secrets.keyed(&format!("{of}\0{secret}"));
        digest.truncate(16);
        digest
    }

    /// Whether records after this id, which were there at this generation, are gone.
    pub async fn has_missed(&self, after: i64, generation: i64) -> Result<bool, StoreError> {
        Ok(self.missed(after, generation).await?.is_some())
    }

    /// The same, and how far.
    pub async fn missed(&self, after: i64, generation: i64) -> Result<Option<Missed>, StoreError> {
        const MISSED: &str = "
            select max(last_id), max(generation) from removed
            where generation > $2 and last_id > $1";
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let row: (Option<i64>, Option<i64>) = sqlx::query_as(MISSED)
            .bind(after)
            .bind(generation)
            .fetch_one(&mut *reader)
            .await
            .map_err(of_read)?;
        Ok(row.0.zip(row.1).map(|(through, generation)| Missed { through, generation }))
    }
}

/// Refuses to add up records from this own time on if some of them are gone.
pub(super) async fn need_from(
    first_ms: Option<i64>,
    what: &'static str,
    moment: &mut SqliteConnection,
) -> Result<(), StoreError> {
    let Some(first_ms) = first_ms else { return Ok(()) };
    let from_ms: Option<i64> = sqlx::query_scalar("select from_ms from kept where what = $1")
        .bind(what)
        .fetch_optional(moment)
        .await
        .map_err(of_read)?;
    match from_ms {
        Some(from_ms) if first_ms < from_ms => Err(StoreError::Pruned { what, from_ms }),
        _ => Ok(()),
    }
}
