use sqlx::{AssertSqlSafe, Connection, FromRow};

use super::{COUNT_TIME_MAX, READ_TIME_MAX, Store};
use crate::{
    domain::{Kind, Timestamp},
    store::{StoreError, error::of_read},
};

/// What came in of one push category.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KindTally {
    /// Records that can be read: not those that were pruned, erased or retracted.
    pub records: i64,
    /// The sum of all volumes that the sums have: they outlive pruned records.
    pub data_usage: i64,
    /// Records that came again and changed nothing.
    pub repeats: i64,
    /// Those of them that came under another `datePush` than the first time.
    pub repeats_redated: i64,
}

/// What a ring holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RingTally {
    /// `plausible`, `noise` or `stale`.
    pub ring: String,
    /// Pushes in it, each as often as it came.
    pub pushes: i64,
    /// Bytes of their bodies.
    pub bytes: i64,
    /// Pushes that it could not keep.
    pub dropped: i64,
}

/// What quarantine holds, where nothing is dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuarantineTally {
    /// Parts of pushes in it.
    pub pushes: i64,
    /// Bytes of their bodies.
    pub bytes: i64,
}

/// What the store has counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tallies {
    /// By push category: what came in, and when the newest record that was new was committed; none
    /// where all came from files.
    pub kinds: Vec<(Kind, KindTally, Option<Timestamp>)>,
    /// The two rings of refused pushes.
    pub rings: Vec<RingTally>,
    /// The ring of authentic pushes that are too old to be fresh.
    pub stale: RingTally,
    /// Quarantine.
    pub quarantine: QuarantineTally,
    /// Our own test records, which are in no total.
    pub tests: i64,
}

#[derive(FromRow)]
struct KindRow {
    kind: String,
    records: i64,
    data_usage: i64,
    repeats: i64,
    repeats_redated: i64,
    last_received_ms: i64,
}

impl Store {
    /// What has been counted, all at one moment.
    pub async fn tallies(&self) -> Result<Tallies, StoreError> {
        const KINDS: &str = "
            select kind, records - gone as records, data_usage, repeats, repeats_redated, last_received_ms
            from tally order by kind";
        const RINGS: &str = "
            select ring.value, (select coalesce(sum(count), 0) from held where ring = ring.value),
                (select coalesce(sum(bytes), 0) from held where ring = ring.value),
                coalesce((select pushes from ring_dropped where ring = ring.value), 0)
            from json_each('[\"plausible\",\"noise\",\"stale\"]') as ring";
        const QUARANTINE: &str = "
            select count(*), coalesce(sum(bytes), 0) from held
            where class = 'quarantined'";
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let mut moment = reader.begin().await?;
        let kinds: Vec<KindRow> =
            sqlx::query_as(KINDS).fetch_all(&mut *moment).await.map_err(of_read)?;
        let rings: Vec<(String, i64, i64, i64)> =
            sqlx::query_as(RINGS).fetch_all(&mut *moment).await.map_err(of_read)?;
        let (pushes, bytes) =
            sqlx::query_as(QUARANTINE).fetch_one(&mut *moment).await.map_err(of_read)?;
        let tests = sqlx::query_scalar("select count(*) from test_record")
            .fetch_one(&mut *moment)
            .await
            .map_err(of_read)?;
        let mut rings: Vec<RingTally> = rings
            .into_iter()
            .map(|(ring, pushes, bytes, dropped)| RingTally { ring, pushes, bytes, dropped })
            .collect();
        let stale = rings.pop().unwrap_or_default();
        Ok(Tallies {
            kinds: kinds.into_iter().map(KindRow::tally).collect::<Result<_, _>>()?,
            rings,
            stale,
            quarantine: QuarantineTally { pushes, bytes },
            tests,
        })
    }
}

impl KindRow {
    fn tally(self) -> Result<(Kind, KindTally, Option<Timestamp>), StoreError> {
        let corrupt = |_| StoreError::Corrupt { table: "tally", id: 0 };
        let tally = KindTally {
            records: self.records,
            data_usage: self.data_usage,
            repeats: self.repeats,
            repeats_redated: self.repeats_redated,
        };
        let kind = self.kind.parse().map_err(corrupt)?;
        let pushed = (self.last_received_ms > 0).then_some(self.last_received_ms);
        Ok((kind, tally, pushed.map(Timestamp::from_unix_ms)))
    }
}

/// How many records a table has up to an id, from the kept counter and the few that came since.
/// `kind` is the table's only push category; without one it holds all that are not typed.
pub(super) async fn kept_count(
    store: &Store,
    table: &'static str,
    kind: Option<&'static str>,
    top: i64,
) -> Result<u64, StoreError> {
    let counter = match kind {
        Some(kind) => format!("kind = '{kind}'"),
        None => "kind not in ('data-usage', 'mo-sms')".to_owned(),
    };
    let sql = format!(
        "select coalesce((select sum(records - gone) from tally where {counter}), 0)
            - (select count(*) from {table} where id > $1)"
    );
    let mut reader = store.reader(COUNT_TIME_MAX).await?;
    let count: i64 = sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(top)
        .fetch_one(&mut *reader)
        .await
        .map_err(of_read)?;
    Ok(count.unsigned_abs())
}
