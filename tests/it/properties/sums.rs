//! Whatever the batching, order and repetition: at every commit the rollups with their tail equal
//! sums over the records, and the tallies what was pushed.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use jiff::{Timestamp, civil::date, tz::TimeZone};
use proptest::{collection::vec, prelude::*, test_runner::TestCaseError};
use simdeck::{
    domain::{self, NewRecord, Notification, Record, ShortText, SmsRecord, UsageRecord},
    store::{self, Dimension, KindTally, Limits, OpenOptions, Opened, Store, Submission, Verdict},
};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

/// So few that the mark moves in nearly every case, and not at every commit.
const TAIL_RECORDS_MAX: usize = 7;
/// Two days before the clocks of New York go forward.
const FIRST_MS: i64 = 1_709_856_000_000;
const QUARTER_HOUR_MS: i64 = 900_000;

/// A record that a case can push, more than once.
#[derive(Clone, Debug)]
struct Candidate {
    kind: usize,
    sim: u8,
    series: u8,
    quarter_hours: i64,
    ms: i64,
    volume: i64,
    h: i64,
}

#[derive(Clone, Debug)]
struct Case {
    zone: &'static str,
    candidates: Vec<Candidate>,
    /// For each commit: which records, each with the second of its `datePush`; and whether the
    /// store is opened anew before it.
    commits: Vec<(Vec<(prop::sample::Index, i64)>, bool)>,
}

fn candidate() -> impl Strategy<Value = Candidate> {
    let ms = prop_oneof![Just(0), Just(1), Just(QUARTER_HOUR_MS - 1)];
    let kind = prop_oneof![5 => Just(0_usize), 2 => Just(1), 1 => Just(2)];
    (kind, 0..8_u8, 0..5_u8, 0..5 * 96_i64, ms, 0..1_000_i64, 0..2_i64).prop_map(
        |(kind, sim, series, quarter_hours, ms, volume, h)| Candidate {
            kind,
            sim,
            series,
            quarter_hours,
            ms,
            volume,
            h,
        },
    )
}

fn case() -> impl Strategy<Value = Case> {
    let zone = prop_oneof![Just("UTC"), Just("Asia/Kathmandu"), Just("America/New_York")];
    let pushes = vec((any::<prop::sample::Index>(), 0..3_i64), 1..9);
    let commits = vec((pushes, prop::bool::weighted(0.15)), 1..14);
    (zone, vec(candidate(), 1..40), commits).prop_map(|(zone, candidates, commits)| Case {
        zone,
        candidates,
        commits,
    })
}

/// What makes a pushed record the same as another: kind, own time, SIM where the kind has one, and
/// digest.
type Key = (usize, i64, Option<u8>, i64);

impl Candidate {
    fn own_ms(&self) -> i64 {
        FIRST_MS + self.quarter_hours * QUARTER_HOUR_MS + self.ms
    }

    fn key(&self) -> Key {
        (self.kind, self.own_ms(), (self.kind < 2).then_some(self.sim), self.h)
    }

    fn record(&self, date_push_s: i64) -> NewRecord {
        let text = |text: &str| ShortText::try_from(text).unwrap();
        // Two subscribers share a giccid.
        let giccid: domain::Giccid = format!("89860012345678901{}", self.sim / 2).parse().unwrap();
        let imsi = text(&format!("46000{}", self.sim % 2));
        let own_ms = self.own_ms();
        let record = match self.kind {
            0 => Record::Usage(UsageRecord {
                giccid,
                imsi,
                sim_group: text(["", "a", "b"][usize::from(self.series % 3)]),
                country_code: text(["CN", ""][usize::from(self.series % 2)]),
                mcc: text("460"),
                mnc: text(["10", "010"][usize::from(self.series / 3)]),
                apn: text(["", "iot"][usize::from(self.series / 4)]),
                start_ms: own_ms,
                data_usage: self.volume,
                duration: None,
                extra: None,
            }),
            1 => Record::Sms(SmsRecord {
                giccid,
                imsi,
                sim_group: text(""),
                from_msisdn: text(""),
                to_msisdn: text(""),
                event_ms: own_ms,
                extra: None,
            }),
            _ => Record::Notification(Notification {
                kind: "sim-status".parse().unwrap(),
                pushed_as: None,
                giccid: Some(giccid),
                imsi,
                event_ms: Some(own_ms),
                payload: "{}".into(),
            }),
        };
        NewRecord { record, identity: self.h, date_push_s }
    }
}

/// What the pushes so far came to.
#[derive(Default)]
struct Model {
    first_date: HashMap<Key, i64>,
    tallies: BTreeMap<&'static str, KindTally>,
}

impl Model {
    /// Whether it is new.
    fn push(&mut self, candidate: &Candidate, date_push_s: i64) -> bool {
        let kind = ["data-usage", "mo-sms", "sim-status"][candidate.kind];
        let tally = self.tallies.entry(kind).or_default();
        if let Some(first) = self.first_date.get(&candidate.key()) {
            tally.repeats += 1;
            tally.repeats_redated += i64::from(*first != date_push_s);
            return false;
        }
        self.first_date.insert(candidate.key(), date_push_s);
        tally.records += 1;
        tally.data_usage += if candidate.kind == 0 { candidate.volume } else { 0 };
        true
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..Default::default() })]

    #[test]
    fn rollups_and_tail_equal_the_sums_of_the_records_at_every_commit(case in case()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(&case))?;
    }
}

async fn run(case: &Case) -> Result<(), TestCaseError> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("simdeck.db");
    let zone = TimeZone::get(case.zone).unwrap();
    let mut opened = open(&path, &zone).await;
    let mut raw = raw(&path).await;
    let mut model = Model::default();
    for (nth, (pushes, anew)) in case.commits.iter().enumerate() {
        if *anew {
            opened.store.close().await;
            drop(opened);
            opened = open(&path, &zone).await;
            agrees(&opened.store, &mut raw, &zone, &model).await?;
        }
        let mut batch = Vec::new();
        let mut wanted = Vec::new();
        for (index, date) in pushes {
            let candidate = index.get(&case.candidates);
            let date_push_s = 1_725_499_848 + date;
            wanted.push(model.push(candidate, date_push_s));
            let records = vec![candidate.record(date_push_s)];
            batch.push(Submission { records, ..Submission::default() });
        }
        let now = domain::Timestamp::from_unix_ms(FIRST_MS);
        let verdicts = opened.writer.commit(&batch, now).await.unwrap();
        let stored: Vec<_> = verdicts
            .iter()
            .map(|verdict| matches!(verdict, Verdict::Stored(outcome) if outcome.stored == 1))
            .collect();
        prop_assert_eq!(stored, wanted);
        agrees(&opened.store, &mut raw, &zone, &model).await?;
        // Seldom, because there are many ways to walk; more than once, because what one question
        // learned serves the next.
        if nth % 5 == 2 {
            super::sims::agree(&opened.store, &mut raw, &zone).await?;
        }
    }
    Ok(())
}

async fn open(path: &Path, zone: &TimeZone) -> Opened {
    let limits = Limits {
        tail_records_max: TAIL_RECORDS_MAX,
        sums_tail_records_max: TAIL_RECORDS_MAX,
        ..Limits::of_quarantine(0)
    };
    let options =
        OpenOptions { database: PathBuf::from(path), time_zone: Some(zone.clone()), limits };
    store::open(&options).await.unwrap()
}

async fn raw(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path).read_only(true);
    SqliteConnection::connect_with(&options).await.unwrap()
}

/// Start, value and sums, the value being whatever the rollup is by.
type Sums<T> = BTreeMap<(i64, T), (i64, i64)>;

fn add<T: Ord>(sums: &mut Sums<T>, key: (i64, T), volume: i64) {
    let sum = sums.entry(key).or_default();
    *sum = (sum.0 + volume, sum.1 + 1);
}

/// Compares every sum that the store tells with those over its tables.
async fn agrees(
    store: &Store,
    raw: &mut SqliteConnection,
    zone: &TimeZone,
    model: &Model,
) -> Result<(), TestCaseError> {
    const USAGE: &str = "
        select start_ms, data_usage, giccid, imsi, sim_group, country_code, mcc, mnc, apn
        from usage join sim on sim.id = sim_id join series on series.id = series_id";
    type Usage = (i64, i64, String, String, String, String, String, String, String);
    let usage: Vec<Usage> = sqlx::query_as(USAGE).fetch_all(&mut *raw).await.unwrap();

    let mut quarters: Sums<[String; 5]> = Sums::new();
    let mut hours: [Sums<String>; 4] = Default::default();
    let mut days: Sums<(String, String)> = Sums::new();
    for (ms, volume, giccid, imsi, group, country, mcc, mnc, apn) in usage {
        let network = format!("{mcc}-{mnc}");
        for (sums, value) in hours.iter_mut().zip([&group, &country, &network, &apn]) {
            add(sums, (ms / 3_600_000 * 3_600_000, value.clone()), volume);
        }
        let quarter = ms / QUARTER_HOUR_MS * QUARTER_HOUR_MS;
        add(&mut quarters, (quarter, [group, country, mcc, mnc, apn]), volume);
        add(&mut days, (day(ms, zone), (giccid, imsi)), volume);
    }

    let all = (0, i64::MAX);
    let told = store.quarter_hours(all.0, all.1).await.unwrap();
    let told =
        told.into_iter().map(|row| ((row.start_ms, row.series), (row.data_usage, row.records)));
    prop_assert_eq!(told.collect::<Sums<_>>(), quarters);
    let dimensions =
        [Dimension::SimGroup, Dimension::CountryCode, Dimension::Network, Dimension::Apn];
    for (dimension, sums) in dimensions.into_iter().zip(hours) {
        let told = store.dimension_hours(dimension, all.0, all.1).await.unwrap();
        let told =
            told.into_iter().map(|row| ((row.start_ms, row.value), (row.data_usage, row.records)));
        prop_assert_eq!(told.collect::<Sums<_>>(), sums);
    }
    let told = store.sim_days(all.0, all.1).await.unwrap();
    let told = told
        .into_iter()
        .map(|row| ((row.day, (row.giccid, row.imsi)), (row.data_usage, row.records)));
    prop_assert_eq!(told.collect::<Sums<_>>(), days);
    tallies_agree(store, model).await
}

async fn tallies_agree(store: &Store, model: &Model) -> Result<(), TestCaseError> {
    let kinds = store.tallies().await.unwrap().kinds;
    let told: BTreeMap<String, KindTally> =
        kinds.into_iter().map(|(kind, tally, _)| (kind.to_string(), tally)).collect();
    let wanted = model.tallies.iter().map(|(kind, tally)| ((*kind).to_owned(), *tally));
    prop_assert_eq!(told, wanted.collect::<BTreeMap<_, _>>());
    Ok(())
}

/// Days since 1970 in a zone, by the calendar.
fn day(ms: i64, zone: &TimeZone) -> i64 {
    let there = Timestamp::from_millisecond(ms).unwrap().to_zoned(zone.clone()).date();
    i64::from(date(1970, 1, 1).until(there).unwrap().get_days())
}
