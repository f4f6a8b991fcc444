//! What the store promises to the layers above it, on SQLite files in temporary folders.
mod audited;
mod batches;
mod bisect;
mod devices;
mod failing;
mod held;
mod intake;
mod keep;
mod portions;
mod records;
mod sims;
mod sums;
mod undone;
mod zones;

use std::path::PathBuf;

use jiff::tz::TimeZone;
use simdeck::{
    domain::{
        Giccid, NewRecord, Notification, Record, ShortText, SmsRecord, Timestamp, UsageRecord,
    },
    store::{self, Limits, OpenError, OpenOptions, Opened, Outcome, Submission, Verdict},
};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

const NOW: Timestamp = Timestamp::from_unix_ms(1_725_499_848_000);

/// A place for a store that is opened more than once.
struct Place {
    folder: TempDir,
    limits: Limits,
}

impl Place {
    fn new() -> Self {
        Self::with_quarantine_of(1 << 20)
    }

    fn with_quarantine_of(quarantine_bytes_max: u64) -> Self {
        Self {
            folder: TempDir::new().unwrap(),
            limits: Limits::of_quarantine(quarantine_bytes_max),
        }
    }

    async fn open(&self) -> Opened {
        self.try_open(None).await.unwrap()
    }

    async fn try_open(&self, zone: Option<&str>) -> Result<Opened, OpenError> {
        let time_zone = zone.map(|zone| TimeZone::get(zone).unwrap());
        let limits = self.limits;
        store::open(&OpenOptions { database: self.database(), time_zone, limits }).await
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join("simdeck.db")
    }

    /// A connection past the store.
    async fn raw(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(self.database());
        SqliteConnection::connect_with(&options).await.unwrap()
    }

    /// Does past the store what no front door lets in.
    async fn sql(&self, statement: &'static str) {
        let mut raw = self.raw().await;
        sqlx::raw_sql(statement).execute(&mut raw).await.unwrap();
        raw.close().await.unwrap();
    }

    /// What such a connection reads.
    async fn number(&self, question: &'static str) -> i64 {
        let mut raw = self.raw().await;
        let number = sqlx::query_scalar(question).fetch_one(&mut raw).await.unwrap();
        raw.close().await.unwrap();
        number
    }
}

fn usage(sim: usize, start_ms: i64, data_usage: i64) -> NewRecord {
    let text = |text: &str| ShortText::try_from(text).unwrap();
    let record = Record::Usage(UsageRecord {
        giccid: giccid(sim),
        imsi: text(&format!("46000{sim}")),
        sim_group: text(""),
        country_code: text("CN"),
        mcc: text("460"),
        mnc: text("10"),
        apn: text(["", "iot"][sim % 2]),
        start_ms,
        data_usage,
        duration: None,
        extra: None,
    });
    NewRecord { record, identity: data_usage, date_push_s: NOW.unix_seconds() }
}

fn sms(sim: usize, event_ms: i64) -> NewRecord {
    let record = Record::Sms(SmsRecord {
        giccid: giccid(sim),
        imsi: ShortText::default(),
        sim_group: ShortText::default(),
        from_msisdn: ShortText::default(),
        to_msisdn: ShortText::default(),
        event_ms,
        extra: None,
    });
    NewRecord { record, identity: 1, date_push_s: NOW.unix_seconds() }
}

fn notification(sim: usize, event_ms: i64) -> NewRecord {
    let record = Record::Notification(Notification {
        kind: "sim-status".parse().unwrap(),
        pushed_as: None,
        giccid: Some(giccid(sim)),
        imsi: ShortText::default(),
        event_ms: Some(event_ms),
        payload: "{}".into(),
    });
    let identity = i64::try_from(sim).unwrap();
    NewRecord { record, identity, date_push_s: NOW.unix_seconds() }
}

fn giccid(sim: usize) -> Giccid {
    format!("89860012345678{sim:05}").parse().unwrap()
}

/// A push of these records.
fn push(records: Vec<NewRecord>) -> Submission {
    Submission { records, ..Submission::default() }
}

async fn commit(opened: &mut Opened, batch: &[Submission]) -> Vec<Verdict> {
    opened.writer.commit(batch, NOW).await.unwrap()
}

fn stored(stored: u64) -> Verdict {
    Verdict::Stored(Outcome { stored, ..Outcome::default() })
}

fn repeated(duplicates: u64) -> Verdict {
    Verdict::Stored(Outcome { duplicates, ..Outcome::default() })
}
