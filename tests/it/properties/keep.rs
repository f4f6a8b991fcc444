//! Whatever is pruned and erased, in whatever order: sums stay what they were, but for what was kept
//! of an erased SIM; and what is told from the records is the whole of it or nothing.
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::tz::TimeZone;
use proptest::{collection::vec, prelude::*, test_runner::TestCaseError};
use simdeck::{
    domain::{
        AggregateQuestion, Calendar, Caller, Filter, Giccid, Group, GroupBy, Interval, NewRecord,
        PageSize, Place, Record, Scope, ShortText, Timestamp, UsageRecord, Walk,
    },
    store::{self, Limits, OpenOptions, Opened, Pruning, Retention, StoreError, Submission},
};
use tempfile::TempDir;

const FIRST_MS: i64 = 1_709_856_000_000;
const HOUR_MS: i64 = 3_600_000;
const HOURS: i64 = 20 * 24;

#[derive(Clone, Debug)]
enum Step {
    Push(Vec<(u8, u8, i64, i64)>),
    /// What began before this hour.
    Prune(i64),
    Erase(u8),
    Reopen,
    /// With the days of another zone.
    Zone(usize),
}

/// Zones whose days are a day and more apart, and one whose days begin between hours.
const ZONES: [&str; 4] = ["UTC", "Asia/Kathmandu", "Pacific/Kiritimati", "Pacific/Niue"];

/// A record: SIM, series, own time, volume; and whether it is kept.
#[derive(Clone, Debug)]
struct Known {
    sim: u8,
    series: u8,
    start_ms: i64,
    volume: i64,
    is_kept: bool,
}

#[derive(Default)]
struct Model {
    records: Vec<Known>,
    erased: BTreeSet<u8>,
    kept_from_ms: Option<i64>,
}

fn step() -> impl Strategy<Value = Step> {
    let record = (0..5_u8, 0..4_u8, 0..HOURS * HOUR_MS, 1..1_000_i64);
    prop_oneof![
        6 => vec(record, 1..25).prop_map(Step::Push),
        2 => (0..HOURS).prop_map(Step::Prune),
        1 => (0..5_u8).prop_map(Step::Erase),
        1 => Just(Step::Reopen),
        2 => (0..ZONES.len()).prop_map(Step::Zone),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    #[test]
    fn sums_stay_when_records_go_and_lose_what_was_kept_of_an_erased_sim(
        tail_records_max in 1..40_usize,
        zone in 0..ZONES.len(),
        steps in vec(step(), 1..16),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(tail_records_max, TimeZone::get(ZONES[zone]).unwrap(), steps))?;
    }
}

async fn run(
    tail_records_max: usize,
    zone: TimeZone,
    steps: Vec<Step>,
) -> Result<(), TestCaseError> {
    let folder = TempDir::new().unwrap();
    let limits = Limits {
        tail_records_max,
        sums_tail_records_max: tail_records_max.div_ceil(2),
        ..Limits::of_quarantine(0)
    };
    let mut options = OpenOptions {
        database: folder.path().join("simdeck.db"),
        time_zone: Some(zone.clone()),
        limits,
    };
    let mut opened = store::open(&options).await.unwrap();
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Push(records) => push(&mut opened, &mut model, records).await?,
            Step::Prune(hour) => prune(&mut opened, &mut model, FIRST_MS + hour * HOUR_MS).await,
            Step::Erase(sim) => erase(&mut opened, &mut model, sim).await,
            Step::Reopen | Step::Zone(_) => {
                if let Step::Zone(zone) = step {
                    options.time_zone = Some(TimeZone::get(ZONES[zone]).unwrap());
                }
                opened.store.close().await;
                opened.writer.close().await.unwrap();
                opened = store::open(&options).await.unwrap();
            }
        }
        days_agree(&opened, &model).await?;
        agrees(&opened, &model, &zone).await?;
    }
    Ok(())
}

fn giccid(sim: u8) -> Giccid {
    format!("8986001234567890{sim:04}").parse().unwrap()
}

async fn push(
    opened: &mut Opened,
    model: &mut Model,
    records: Vec<(u8, u8, i64, i64)>,
) -> Result<(), TestCaseError> {
    for (sim, series, after_ms, volume) in records {
        let start_ms = FIRST_MS + after_ms;
        let text = |text: &str| ShortText::try_from(text).unwrap();
        let record = Record::Usage(UsageRecord {
            giccid: giccid(sim),
            imsi: text("460001"),
            sim_group: text(["", "a"][usize::from(series % 2)]),
            country_code: text("CN"),
            mcc: text("460"),
            mnc: text("10"),
            apn: text(["", "iot"][usize::from(series / 2)]),
            start_ms,
            data_usage: volume,
            duration: None,
            extra: None,
        });
        let identity = i64::try_from(model.records.len()).unwrap();
        let new = NewRecord { record, identity, date_push_s: 1 };
        let batch = [Submission { records: vec![new], ..Submission::default() }];
        let done = opened.writer.commit(&batch, Timestamp::from_unix_ms(FIRST_MS)).await;
        if model.erased.contains(&sim) {
            // Too old, it is set aside, and left out there.
            prop_assert!(matches!(done, Ok(_) | Err(StoreError::TooOld)));
        } else if model.kept_from_ms.is_some_and(|kept_ms| start_ms < kept_ms) {
            prop_assert!(matches!(done, Err(StoreError::TooOld)));
        } else {
            prop_assert!(done.is_ok());
            model.records.push(Known { sim, series, start_ms, volume, is_kept: true });
        }
    }
    Ok(())
}

async fn prune(opened: &mut Opened, model: &mut Model, before_ms: i64) {
    let zero = Duration::ZERO;
    let retention =
        Retention { records: zero, messages: zero, refused: zero, audit: zero, devices: zero };
    let mut pruning = Pruning::new(&retention, Timestamp::from_unix_ms(before_ms));
    while !pruning.is_done() {
        opened.writer.prune_some(&mut pruning).await.unwrap();
    }
    for record in model.records.iter_mut().filter(|it| it.is_kept && it.start_ms < before_ms) {
        record.is_kept = false;
        model.kept_from_ms = model.kept_from_ms.max(Some(record.start_ms + 1));
    }
}

async fn erase(opened: &mut Opened, model: &mut Model, sim: u8) {
    let caller = Caller::new("tester", Scope::Admin);
    let now = Timestamp::from_unix_ms(FIRST_MS);
    let mut erasing = opened.writer.begin_erasure(&giccid(sim), &caller, now).await.unwrap();
    while !erasing.is_done() {
        opened.writer.erase_some(&mut erasing).await.unwrap();
    }
    model.erased.insert(sim);
    model.records.retain(|record| record.sim != sim || !record.is_kept);
}

async fn agrees(opened: &Opened, model: &Model, zone: &TimeZone) -> Result<(), TestCaseError> {
    let store = &opened.store;
    let mut by_quarter: BTreeMap<i64, i64> = BTreeMap::new();
    let mut by_sim: BTreeMap<String, i64> = BTreeMap::new();
    for record in &model.records {
        *by_quarter.entry(record.start_ms / 900_000 * 900_000).or_default() += record.volume;
        if !model.erased.contains(&record.sim) {
            *by_sim.entry(giccid(record.sim).to_string()).or_default() += record.volume;
        }
    }
    let mut told: BTreeMap<i64, i64> = BTreeMap::new();
    for row in store.quarter_hours(0, i64::MAX).await.unwrap() {
        *told.entry(row.start_ms).or_default() += row.data_usage;
    }
    prop_assert_eq!(&told, &by_quarter);
    let mut told: BTreeMap<String, i64> = BTreeMap::new();
    for row in store.sim_days(i64::MIN / 4, i64::MAX / 4).await.unwrap() {
        *told.entry(row.giccid).or_default() += row.data_usage;
    }
    prop_assert_eq!(&told, &by_sim);
    let all: i64 = model.records.iter().map(|record| record.volume).sum();
    let whole = aggregate(store, None, zone, vec![GroupBy::SimGroup]).await.unwrap();
    prop_assert_eq!(whole, all);

    // By SIM and network only records tell.
    let of_kept = |from_ms: i64| {
        let kept = model.records.iter().filter(|it| it.is_kept && it.start_ms >= from_ms);
        kept.map(|record| record.volume).sum::<i64>()
    };
    let by_records = || vec![GroupBy::Giccid, GroupBy::Apn];
    match aggregate(store, None, zone, by_records()).await {
        Ok(told) => prop_assert_eq!(told, all),
        Err(StoreError::Pruned { from_ms, .. }) => {
            prop_assert_eq!(Some(from_ms), model.kept_from_ms);
            let told = aggregate(store, Some(from_ms), zone, by_records()).await.unwrap();
            prop_assert_eq!(told, of_kept(from_ms));
        }
        Err(other) => return Err(TestCaseError::fail(other.to_string())),
    }
    lists_agree(opened, model).await
}

/// By SIM and day in each zone: the whole of what was kept, and whatever the days are cut by, the
/// whole of what ever came.
async fn days_agree(opened: &Opened, model: &Model) -> Result<(), TestCaseError> {
    let known: Vec<&Known> =
        model.records.iter().filter(|it| !model.erased.contains(&it.sim)).collect();
    let from_ms = model.kept_from_ms;
    for zone in ZONES.map(|zone| TimeZone::get(zone).unwrap()) {
        let days = Calendar::new(zone.clone(), Interval::Day);
        let mut wanted: BTreeMap<(i64, String), i64> = BTreeMap::new();
        for record in known.iter().filter(|it| from_ms.is_none_or(|ms| it.start_ms >= ms)) {
            let day = days.span_of(record.start_ms).start_ms;
            *wanted.entry((day, giccid(record.sim).to_string())).or_default() += record.volume;
        }
        let question = |from_ms, interval| AggregateQuestion {
            filter: Filter { from_ms, ..Filter::default() },
            interval,
            zone: zone.clone(),
            group_by: vec![GroupBy::Giccid],
            top: None,
        };
        let rows = opened.store.usage_aggregate(&question(from_ms, Interval::Day)).await.unwrap();
        let mut told: BTreeMap<(i64, String), i64> = BTreeMap::new();
        for row in rows {
            let Group::One(values) = row.group else { panic!("nothing was left out") };
            *told.entry((row.span.start_ms, values[0].clone())).or_default() += row.data_usage;
        }
        prop_assert_eq!(told, wanted);
        let whole = opened.store.usage_aggregate(&question(None, Interval::Whole)).await.unwrap();
        let told: i64 = whole.iter().map(|row| row.data_usage).sum();
        prop_assert_eq!(told, known.iter().map(|it| it.volume).sum::<i64>());
    }
    Ok(())
}

async fn lists_agree(opened: &Opened, model: &Model) -> Result<(), TestCaseError> {
    let store = &opened.store;
    let top = store.top().await.unwrap();
    let size = PageSize::within(1_000, PageSize::MAX).unwrap();
    let kept = model.records.iter().filter(|record| record.is_kept);
    for sim in 0..5 {
        let filter = Filter { giccid: vec![giccid(sim).to_string()], ..Filter::default() };
        let walk = Walk { top, place: Place::Newest, size };
        let rows = store.usage(&filter, &walk).await.unwrap().rows.len();
        prop_assert_eq!(rows, kept.clone().filter(|record| record.sim == sim).count());
    }
    let of_group = Filter { sim_group: vec!["a".to_owned()], ..Filter::default() };
    let wanted = kept.clone().filter(|record| record.series % 2 == 1).count() as u64;
    prop_assert_eq!(store.usage_count(&of_group, top).await.unwrap(), wanted);
    let by_time = Filter { from_ms: Some(FIRST_MS + HOUR_MS * HOURS / 2), ..Filter::default() };
    let wanted = kept.clone().filter(|it| Some(it.start_ms) >= by_time.from_ms).count() as u64;
    prop_assert_eq!(store.usage_count(&by_time, top).await.unwrap(), wanted);
    let all = store.usage_count(&Filter::default(), top).await.unwrap();
    prop_assert_eq!(all, kept.count() as u64);
    Ok(())
}

async fn aggregate(
    store: &store::Store,
    from_ms: Option<i64>,
    zone: &TimeZone,
    group_by: Vec<GroupBy>,
) -> Result<i64, StoreError> {
    let filter = Filter { from_ms, ..Filter::default() };
    let interval = Interval::Day;
    let question = AggregateQuestion { filter, interval, zone: zone.clone(), group_by, top: None };
    let rows = store.usage_aggregate(&question).await?;
    Ok(rows.iter().map(|row| row.data_usage).sum())
}
