//! Whatever is asked by time and network context, and however the walk goes: the answer is what is
//! left of all records when each is looked at.
use proptest::{collection::vec, prelude::*, sample::select, test_runner::TestCaseError};
use simdeck::{
    domain::{
        Filter, NewRecord, PageSize, Place, Record, ShortText, Stored, Timestamp, UsageRecord, Walk,
    },
    store::{self, Limits, OpenOptions, Opened, Store, Submission},
};
use tempfile::TempDir;

/// So few that there are many stretches, and nearly always a tail.
const TAIL_RECORDS_MAX: usize = 5;
const FIRST_MS: i64 = 1_709_856_000_000;
const QUARTER_HOUR_MS: i64 = 900_000;

/// Own time, country and group.
type Sent = (i64, usize, usize);

#[derive(Clone, Debug)]
struct Case {
    /// For each commit: when it is received, and its records.
    commits: Vec<(i64, Vec<Sent>)>,
    asked: Vec<Filter>,
    reopened: bool,
}

const COUNTRIES: [&str; 4] = ["CN", "DE", "FR", ""];
const GROUPS: [&str; 3] = ["a", "b", ""];

fn filter() -> impl Strategy<Value = Filter> {
    let times = || prop::option::of((0..40_i64).prop_map(|n| FIRST_MS + n * QUARTER_HOUR_MS / 2));
    let texts = |from: &'static [&'static str]| vec(select(from).prop_map(str::to_owned), 0..3);
    (texts(&COUNTRIES), texts(&GROUPS), times(), times(), times(), times()).prop_map(
        |(country_code, sim_group, from_ms, to_ms, received_from_ms, received_to_ms)| Filter {
            country_code,
            sim_group,
            from_ms,
            to_ms,
            received_from_ms,
            received_to_ms,
            ..Filter::default()
        },
    )
}

fn case() -> impl Strategy<Value = Case> {
    let record = (0..20_i64 * 4, 0..COUNTRIES.len(), 0..GROUPS.len());
    let commit = (0..20_i64, vec(record, 1..8));
    (vec(commit, 1..16), vec(filter(), 1..6), any::<bool>())
        .prop_map(|(commits, asked, reopened)| Case { commits, asked, reopened })
}

fn record(nth: i64, own_ms: i64, country: usize, group: usize) -> NewRecord {
    let text = |text: &str| ShortText::try_from(text).unwrap();
    let record = Record::Usage(UsageRecord {
        giccid: "89860012345678901234".parse().unwrap(),
        imsi: text(""),
        sim_group: text(GROUPS[group]),
        country_code: text(COUNTRIES[country]),
        mcc: text("460"),
        mnc: text("10"),
        apn: text(""),
        start_ms: own_ms,
        data_usage: nth,
        duration: None,
        extra: None,
    });
    NewRecord { record, identity: nth, date_push_s: 0 }
}

fn is_meant(filter: &Filter, row: &Stored<UsageRecord>) -> bool {
    let has = |values: &[String], text: &str| values.is_empty() || values.iter().any(|v| v == text);
    let within = |from: Option<i64>, to: Option<i64>, ms: i64| {
        from.is_none_or(|from| ms >= from) && to.is_none_or(|to| ms < to)
    };
    has(&filter.country_code, &row.record.country_code)
        && has(&filter.sim_group, &row.record.sim_group)
        && within(filter.from_ms, filter.to_ms, row.record.start_ms)
        && within(filter.received_from_ms, filter.received_to_ms, row.received_at.unix_ms())
}

fn options(folder: &TempDir) -> OpenOptions {
    OpenOptions {
        database: folder.path().join("simdeck.db"),
        time_zone: None,
        limits: Limits { tail_records_max: TAIL_RECORDS_MAX, ..Limits::of_quarantine(1 << 20) },
    }
}

async fn filled(case: &Case, folder: &TempDir) -> Opened {
    let mut opened = store::open(&options(folder)).await.unwrap();
    let mut nth = 0;
    for (at, records) in &case.commits {
        let now = Timestamp::from_unix_ms(FIRST_MS + at * QUARTER_HOUR_MS);
        let records = records.iter().map(|(own, country, group)| {
            nth += 1;
            record(nth, FIRST_MS + own * QUARTER_HOUR_MS / 4, *country, *group)
        });
        let push = Submission { records: records.collect(), ..Submission::default() };
        opened.writer.commit(&[push], now).await.unwrap();
        if case.reopened && nth % 3 == 0 {
            opened.store.close().await;
            opened.writer.close().await.unwrap();
            opened = store::open(&options(folder)).await.unwrap();
        }
    }
    opened
}

async fn ids(store: &Store, filter: &Filter, top: i64, place: Place, rows: u32) -> Vec<i64> {
    let size = PageSize::within(rows, PageSize::MAX).unwrap();
    let found = store.usage(filter, &Walk { top, place, size }).await.unwrap().rows;
    found.iter().map(|row| row.id).collect()
}

async fn check(case: &Case) -> Result<(), TestCaseError> {
    let folder = TempDir::new().unwrap();
    let Opened { store, .. } = filled(case, &folder).await;
    let top = store.top().await.unwrap();
    let whole = Walk { top, place: Place::Newest, size: PageSize::LARGEST };
    let all = store.usage(&Filter::default(), &whole).await.unwrap().rows;
    for filter in &case.asked {
        for top in [top, top / 2] {
            let meant = all.iter().filter(|row| row.id <= top && is_meant(filter, row));
            let meant: Vec<i64> = meant.map(|row| row.id).collect();
            let count = store.usage_count(filter, top).await.unwrap();
            prop_assert_eq!(count, meant.len() as u64, "{:?} up to {}", filter, top);
            prop_assert_eq!(&ids(&store, filter, top, Place::Newest, 1000).await, &meant);

            let mut walked = ids(&store, filter, top, Place::Newest, 3).await;
            while let Some(oldest) = walked.last() {
                let older = ids(&store, filter, top, Place::OlderThan(*oldest), 3).await;
                if older.is_empty() {
                    break;
                }
                walked.extend(older);
            }
            prop_assert_eq!(&walked, &meant, "by cursor");
            let last_four = meant[meant.len().saturating_sub(4)..].to_vec();
            prop_assert_eq!(ids(&store, filter, top, Place::Oldest, 4).await, last_four);
            if let Some(middle) = meant.get(meant.len() / 2) {
                let newer: Vec<i64> = meant.iter().copied().filter(|id| id > middle).collect();
                let nearest = newer[newer.len().saturating_sub(2)..].to_vec();
                prop_assert_eq!(
                    ids(&store, filter, top, Place::NewerThan(*middle), 2).await,
                    nearest
                );
            }
            let skipped: Vec<i64> = meant.iter().copied().skip(5).take(4).collect();
            prop_assert_eq!(ids(&store, filter, top, Place::Skip(5), 4).await, skipped);
        }
    }
    Ok(())
}

#[test]
fn a_question_by_time_and_network_finds_what_looking_at_every_record_finds() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    proptest!(ProptestConfig::with_cases(60), |(case in case())| {
        runtime.block_on(check(&case))?;
    });
}
