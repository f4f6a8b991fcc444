//! Questions. Each runs on a connection of its own that cannot write, and ends by its deadline, so
//! that no reader can hold back a checkpoint for long.
mod aggregate;
pub(super) mod aside;
mod attention;
mod audit;
mod change;
mod device;
mod device_history;
mod filter;
mod held;
mod kept;
mod notification;
mod page;
mod pass;
mod portion;
mod retraction;
pub(super) mod rollup;
mod room;
mod search;
mod serial_number;
mod silent_count;
mod sim;
mod sim_activity;
mod sim_list;
mod sim_tail;
mod sim_usage;
mod sms;
mod stored_among;
mod stretch;
mod tally;
mod timeline;
mod usage;
mod usage_tail;

use std::{
    cell::Cell,
    num::NonZero,
    path::Path,
    sync::{Arc, PoisonError, RwLock},
    thread::available_parallelism,
    time::{Duration, Instant},
};

use jiff::tz::TimeZone;
use rustix::process::setpriority_process;
use serde::de::DeserializeOwned;
use sqlx::{
    AssertSqlSafe, Execute, FromRow, QueryBuilder, Sqlite, SqliteConnection, SqlitePool,
    pool::PoolConnection, sqlite::SqliteRow,
};
use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use self::{sim_tail::CardTail, usage_tail::UsageTail};
use super::{
    KeyedPermits, StoreError, Writer,
    days::StoreDays,
    erasures::Secrets,
    error::{of_acquire, of_read},
};

pub use kept::{ErasedCounts, ErasedEntry, Missed};
pub use portion::Portion;
pub(super) use room::ROOM_NOTES;
pub use room::{Room, RoomNote};
pub use sim::SimMoment;
pub use sim_list::SimQuestion;
pub use tally::{KindTally, QuarantineTally, RingTally, Tallies};

/// How long a question may take.
const READ_TIME_MAX: Duration = Duration::from_secs(5);
/// How long it may take to count what a filter leaves.
const COUNT_TIME_MAX: Duration = Duration::from_secs(1);
/// How many steps of SQLite's machine pass between two looks at the clock: well under 1 ms.
const STEPS_BETWEEN_LOOKS: i32 = 10_000;

/// How long a heavy read waits for a place.
const HEAVY_WAIT_MAX: Duration = Duration::from_secs(4);

/// Reads the store. Clones share one small pool of connections.
#[derive(Clone, Debug)]
pub struct Store {
    readers: SqlitePool,
    database: Arc<Path>,
    heavy: Arc<Semaphore>,
    /// One heavy read a key: who asks a hundred at once takes no other's place.
    heavy_of_key: Arc<KeyedPermits>,
    epoch: u64,
    /// The days of the sums of each SIM, as far as is known without asking. The snapshot of a question
    /// may have those of another zone: see [`Store::days_in`].
    days: Arc<RwLock<StoreDays>>,
    /// Shared by all clones, so that each question leaves the next one less to read.
    card_tail: Arc<Mutex<Arc<CardTail>>>,
    usage_tail: Arc<Mutex<Arc<UsageTail>>>,
    /// What erased SIMs are told by.
    erasure_secrets: Arc<Secrets>,
}

impl Store {
    pub(super) fn new(
        readers: SqlitePool,
        database: &Path,
        epoch: u64,
        days: StoreDays,
        erasure_secrets: Arc<Secrets>,
    ) -> Self {
        let heavy = Arc::new(Semaphore::new(heavy_places()));
        let heavy_of_key = Arc::new(KeyedPermits::new(1));
        let (card_tail, usage_tail) = Default::default();
        let (database, days) = (database.into(), Arc::new(RwLock::new(days)));
        Self {
            readers,
            database,
            heavy,
            heavy_of_key,
            epoch,
            days,
            card_tail,
            usage_tail,
            erasure_secrets,
        }
    }

    /// Tells this store from every other, and from itself before a restore.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The zone in which a SIM's days break.
    pub fn zone(&self) -> TimeZone {
        self.days().zone().clone()
    }

    fn days(&self) -> StoreDays {
        self.days.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The sums of each SIM were cut by these days.
    pub fn note_rezoned(&self, writer: &Writer) {
        *self.days.write().unwrap_or_else(PoisonError::into_inner) = writer.days().clone();
    }

    /// The days by which the sums in this snapshot are cut.
    async fn days_in(&self, moment: &mut SqliteConnection) -> Result<StoreDays, StoreError> {
        const DAYS: &str = "
            select (select value from meta where name = 'time_zone'),
                (select value from meta where name = 'earlier_zones')";
        let (zone, earlier): (String, Option<String>) =
            sqlx::query_as(DAYS).fetch_one(moment).await.map_err(of_read)?;
        let known = self.days();
        if known.are_of(&zone, earlier.as_deref()) {
            return Ok(known);
        }
        StoreDays::read(&zone, earlier.as_deref())
    }

    /// The newest id.
    pub async fn top(&self) -> Result<i64, StoreError> {
        let mut reader = self.reader(READ_TIME_MAX).await?;
        sqlx::query_scalar("select last from seq").fetch_one(&mut *reader).await.map_err(of_read)
    }

    /// A place for a read that may look at much. There are fewer places than connections, so that
    /// small questions are still answered meanwhile.
    /// Take one place for one read, and never two at once.
    pub async fn heavy(&self) -> Result<Heavy, StoreError> {
        timeout(HEAVY_WAIT_MAX, self.heavy_in_turn()).await.map_err(|_| StoreError::Busy)?
    }

    /// The same for who holds this key: its reads have their turn one after the other.
    pub async fn heavy_for(&self, key: &str) -> Result<Heavy, StoreError> {
        timeout(HEAVY_WAIT_MAX, self.heavy_in_turn_for(key)).await.map_err(|_| StoreError::Busy)?
    }

    /// The same, for who is in the middle of an answer.
    pub async fn heavy_in_turn_for(&self, key: &str) -> Result<Heavy, StoreError> {
        let own = self.heavy_of_key.of(key).acquire_owned().await.map_err(|_| StoreError::Busy)?;
        Ok(Heavy { own: Some(own), ..self.heavy_in_turn().await? })
    }

    /// The same, for who is in the middle of an answer: waits its turn. Those before it end, each by
    /// its deadline.
    pub async fn heavy_in_turn(&self) -> Result<Heavy, StoreError> {
        let place = Arc::clone(&self.heavy).acquire_owned().await;
        let place = place.map_err(|_| StoreError::Busy)?;
        Ok(Heavy { place, own: None })
    }

    /// Forgets what is held in memory from one question to the next.
    pub async fn forget_tails(&self) {
        *self.card_tail.lock().await = Default::default();
        *self.usage_tail.lock().await = Default::default();
    }

    /// Ends all readers.
    pub async fn close(&self) {
        self.readers.close().await;
    }

    /// The rows that a question asks for, one by one.
    async fn rows<R, T>(&self, sql: QueryBuilder<Sqlite>) -> Result<Vec<T>, StoreError>
    where
        R: for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
        T: TryFrom<R, Error = StoreError>,
    {
        let mut sql = sql;
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let rows: Vec<R> = sql.build_query_as().fetch_all(&mut *reader).await.map_err(of_read)?;
        rows.into_iter().map(T::try_from).collect()
    }

    /// How many rows there are.
    async fn count(&self, sql: QueryBuilder<Sqlite>) -> Result<u64, StoreError> {
        let mut sql = sql;
        let mut reader = self.reader(COUNT_TIME_MAX).await?;
        let count: i64 = sql.build_query_scalar().fetch_one(&mut *reader).await.map_err(of_read)?;
        Ok(count.unsigned_abs())
    }

    /// A connection whose questions end after this time.
    async fn reader(&self, time_max: Duration) -> Result<PoolConnection<Sqlite>, StoreError> {
        let mut reader = self.readers.acquire().await.map_err(of_acquire)?;
        let (ends, readers) = (Instant::now() + time_max, self.readers.clone());
        reader.lock_handle().await?.set_progress_handler(STEPS_BETWEEN_LOOKS, move || {
            give_way();
            // At a stop nobody waits for the answer, and the end waits for the reader.
            !readers.is_closed() && Instant::now() < ends
        });
        Ok(reader)
    }
}

/// What a statement of so many columns says, handed over as one text: many rows cost ten times as
/// much. Each row is an array.
async fn packed<'q, R: DeserializeOwned>(
    query: impl Execute<'q, Sqlite>,
    columns: usize,
    moment: &mut SqliteConnection,
) -> Result<Vec<R>, StoreError> {
    let mut query = query;
    let arguments = query.take_arguments().map_err(sqlx::Error::Encode)?.unwrap_or_default();
    let names: Vec<String> = (1..=columns).map(|nth| format!("c{nth}")).collect();
    let names = names.join(", ");
    let text = format!(
        "with row({names}) as ({}) select json_group_array(json_array({names})) from row",
        query.sql().as_str()
    );
    let answer: String = sqlx::query_scalar_with(AssertSqlSafe(text), arguments)
        .fetch_one(moment)
        .await
        .map_err(of_read)?;
    Ok(serde_json::from_str(&answer)?)
}

/// A place among the heavy reads, free again when this is dropped.
#[derive(Debug)]
#[expect(dead_code, reason = "they are held, not looked at")]
pub struct Heavy {
    place: OwnedSemaphorePermit,
    /// That of the key.
    own: Option<OwnedSemaphorePermit>,
}

/// How many heavy reads run at once: at most all connections but one, and fewer on few cores.
fn heavy_places() -> usize {
    available_parallelism().map_or(1, NonZero::get).clamp(2, 3)
}

/// Lets the writer go first where cores are short. Called on the thread of a connection, by
/// questions that are not small; the thread stays so.
pub(super) fn give_way() {
    const NICER: i32 = 10;
    thread_local!(static GAVE_WAY: Cell<bool> = const { Cell::new(false) });
    if !GAVE_WAY.replace(true)
        && let Err(error) = setpriority_process(None, NICER)
    {
        let error = &error as &dyn std::error::Error;
        tracing::debug!(error, "Reads cannot be made to give way to the writer");
    }
}
