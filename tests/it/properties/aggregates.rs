//! Whatever is asked, and wherever the marks stand: an aggregate equals sums over all records, made
//! here record by record with the calendar of `jiff`.
use std::{cmp::Reverse, collections::BTreeMap};

use jiff::{ToSpan, Zoned, tz::TimeZone};
use proptest::{collection::vec, option, prelude::*, sample::Index, test_runner::TestCaseError};
use simdeck::{
    domain::{
        AggregateQuestion, AggregateRow, Filter, Group, GroupBy, Interval, NewRecord, Record,
        ShortText, SmsRecord, Span, Timestamp, UsageRecord,
    },
    store::{self, Limits, OpenOptions, Opened, Submission},
};
use tempfile::TempDir;

const QUARTER_HOUR_MS: i64 = 900_000;
const HOUR_MS: i64 = 3_600_000;

/// Zones, each with a day on which its clock does something.
const ZONES: [(&str, &str); 9] = [
    ("UTC", "2024-02-29"),
    ("Europe/Berlin", "2024-03-31"),
    ("Europe/Berlin", "2024-10-27"),
    ("America/New_York", "2024-03-10"),
    ("America/Sao_Paulo", "2018-11-04"),
    ("Asia/Kathmandu", "2024-01-01"),
    ("Asia/Shanghai", "2024-02-29"),
    ("Australia/Lord_Howe", "2024-04-07"),
    ("Pacific/Apia", "2011-12-30"),
];

/// A record, and the commit that brings it.
#[derive(Clone, Debug)]
struct Made {
    is_sms: bool,
    sim: usize,
    series: usize,
    /// After the first moment of all records.
    after_ms: i64,
    volume: i64,
}

#[derive(Clone, Debug)]
struct Asked {
    of_sms: bool,
    interval: Interval,
    zone: Index,
    group_by: Vec<GroupBy>,
    top: Option<usize>,
    sim: Option<(bool, usize)>,
    series: Option<(usize, usize)>,
    from_ms: Option<i64>,
    to_ms: Option<i64>,
    received_commit: Option<i64>,
}

#[derive(Clone, Debug)]
struct Case {
    /// The zone that gives the day, and that of the store's days.
    zones: [Index; 2],
    tails: [usize; 2],
    commits: Vec<Vec<Made>>,
    anew: usize,
    questions: Vec<Asked>,
}

/// Moments within twelve days, many of them on a border and many beside one.
fn after_ms() -> impl Strategy<Value = i64> {
    let beside = prop_oneof![4 => Just(0), 1 => Just(-1), 1 => Just(1), 2 => 0..QUARTER_HOUR_MS];
    let unit = prop_oneof![Just(QUARTER_HOUR_MS), Just(HOUR_MS), Just(24 * HOUR_MS)];
    (0..12 * 96_i64, unit, beside).prop_map(|(quarter_hours, unit, beside)| {
        quarter_hours * QUARTER_HOUR_MS / unit * unit + beside
    })
}

fn made() -> impl Strategy<Value = Made> {
    (prop::bool::weighted(0.25), 0..5_usize, 0..8_usize, after_ms(), 0..4_i64).prop_map(
        |(is_sms, sim, series, after_ms, volume)| Made { is_sms, sim, series, after_ms, volume },
    )
}

fn asked() -> impl Strategy<Value = Asked> {
    use GroupBy::{Apn, CountryCode, Giccid, Network, SimGroup};
    use Interval::{Day, Hour, Month, QuarterHour, Week, Whole};
    let interval = prop::sample::select(vec![QuarterHour, Hour, Day, Week, Month, Whole]);
    let all = vec![Giccid, SimGroup, CountryCode, Network, Apn];
    let by = prop::sample::subsequence(all, 0..=2);
    let rarely = |max: usize| option::weighted(0.25, (0..5_usize, 0..max));
    let times = (option::of(after_ms()), option::of(after_ms()), option::weighted(0.1, 0..6_i64));
    let sim = option::weighted(0.25, (any::<bool>(), 0..6_usize));
    (
        prop::bool::weighted(0.25),
        interval,
        any::<Index>(),
        (by.prop_shuffle(), option::of(1..4_usize)),
        sim,
        rarely(3),
        times,
    )
        .prop_map(|(of_sms, interval, zone, (mut group_by, top), sim, series, times)| {
            if of_sms {
                group_by.retain(|by| matches!(by, Giccid | SimGroup));
            }
            let (from_ms, to_ms, received_commit) = times;
            Asked {
                of_sms,
                interval,
                zone,
                group_by,
                top,
                sim,
                series,
                from_ms,
                to_ms,
                received_commit,
            }
        })
}

/// The SIMs that used most between two moments of two days: they have an answer of their own.
fn largest_sims() -> impl Strategy<Value = Asked> {
    (any::<Index>(), 1..3_usize, after_ms(), after_ms()).prop_map(|(zone, top, one, other)| Asked {
        of_sms: false,
        interval: Interval::Whole,
        zone,
        group_by: vec![GroupBy::Giccid],
        top: Some(top),
        sim: None,
        series: None,
        from_ms: Some(one.min(other)),
        to_ms: Some(one.max(other) + HOUR_MS),
        received_commit: None,
    })
}

/// Records that come in the order of their own times, as most do, lie in few stretches of the table.
fn in_order((mut commits, is_in_order): (Vec<Vec<Made>>, bool)) -> Vec<Vec<Made>> {
    if is_in_order {
        let mut times: Vec<i64> = commits.iter().flatten().map(|made| made.after_ms).collect();
        times.sort_unstable();
        for (made, after_ms) in commits.iter_mut().flatten().zip(times) {
            made.after_ms = after_ms;
        }
    }
    commits
}

fn case() -> impl Strategy<Value = Case> {
    let commits = (vec(vec(made(), 1..16), 1..6), any::<bool>()).prop_map(in_order);
    let asked = vec(prop_oneof![3 => asked(), 1 => largest_sims()], 8);
    (any::<[Index; 2]>(), [1..20_usize, 1..20], commits, 0..8_usize, asked).prop_map(
        |(zones, tails, commits, anew, questions)| Case { zones, tails, commits, anew, questions },
    )
}

/// What a record can be filtered and grouped by.
#[derive(Clone, Debug)]
struct Known {
    is_sms: bool,
    giccid: String,
    imsi: String,
    sim_group: String,
    country_code: String,
    mcc: String,
    mnc: String,
    apn: String,
    own_ms: i64,
    volume: i64,
    received_ms: i64,
}

impl Known {
    fn new(made: &Made, first_ms: i64, received_ms: i64) -> Self {
        let Made { is_sms, sim, series, after_ms, volume } = *made;
        let pick = |texts: &[&str], nth: usize| texts[nth % texts.len()].to_owned();
        Self {
            is_sms,
            // Two subscribers share a giccid, two SIMs a subscriber.
            giccid: format!("89860012345678901{}", sim / 2),
            imsi: format!("46000{}", sim % 3),
            sim_group: pick(&["", "a", "b"], series),
            country_code: pick(&["CN", ""], series / 2),
            mcc: pick(&["460", ""], series / 3),
            mnc: pick(&["10", "010", ""], series),
            apn: pick(&["", "iot"], series / 4),
            own_ms: first_ms + after_ms,
            volume: if is_sms { 0 } else { volume },
            received_ms,
        }
    }

    fn record(&self, identity: i64) -> NewRecord {
        let text = |text: &str| ShortText::try_from(text).unwrap();
        let giccid = self.giccid.parse().unwrap();
        let record = if self.is_sms {
            Record::Sms(SmsRecord {
                giccid,
                imsi: text(&self.imsi),
                sim_group: text(&self.sim_group),
                from_msisdn: text(&self.apn),
                to_msisdn: text(""),
                event_ms: self.own_ms,
                extra: None,
            })
        } else {
            Record::Usage(UsageRecord {
                giccid,
                imsi: text(&self.imsi),
                sim_group: text(&self.sim_group),
                country_code: text(&self.country_code),
                mcc: text(&self.mcc),
                mnc: text(&self.mnc),
                apn: text(&self.apn),
                start_ms: self.own_ms,
                data_usage: self.volume,
                duration: None,
                extra: None,
            })
        };
        NewRecord { record, identity, date_push_s: 1_725_499_848 }
    }

    fn value(&self, by: GroupBy) -> String {
        match by {
            GroupBy::Giccid => self.giccid.clone(),
            GroupBy::SimGroup => self.sim_group.clone(),
            GroupBy::CountryCode => self.country_code.clone(),
            GroupBy::Network => format!("{}-{}", self.mcc, self.mnc),
            GroupBy::Apn => self.apn.clone(),
        }
    }

    fn is_meant(&self, filter: &Filter) -> bool {
        let any = |values: &[String], value: &String| values.is_empty() || values.contains(value);
        let within = |ms: i64, from: Option<i64>, to: Option<i64>| {
            from.is_none_or(|from| ms >= from) && to.is_none_or(|to| ms < to)
        };
        any(&filter.giccid, &self.giccid)
            && any(&filter.imsi, &self.imsi)
            && any(&filter.sim_group, &self.sim_group)
            && any(&filter.country_code, &self.country_code)
            && any(&filter.mcc, &self.mcc)
            && any(&filter.mnc, &self.mnc)
            && any(&filter.apn, &self.apn)
            && any(&filter.from_msisdn, &self.apn)
            && within(self.own_ms, filter.from_ms, filter.to_ms)
            && within(self.received_ms, filter.received_from_ms, filter.received_to_ms)
    }
}

impl Asked {
    fn question(&self, first_ms: i64) -> AggregateQuestion {
        let mut filter = Filter {
            from_ms: self.from_ms.map(|ms| first_ms + ms),
            to_ms: self.to_ms.map(|ms| first_ms + ms),
            received_from_ms: self.received_commit.map(|nth| first_ms + nth * HOUR_MS),
            ..Filter::default()
        };
        match self.sim {
            Some((true, sim)) => filter.giccid = vec![format!("89860012345678901{}", sim / 2)],
            Some((false, sim)) => filter.imsi = vec![format!("46000{}", sim % 3), "1".into()],
            None => {}
        }
        let one = |text: &str| vec![text.to_owned()];
        match self.series {
            Some((0, nth)) => filter.sim_group = one(["", "a", "b"][nth]),
            Some((1, nth)) if self.of_sms => filter.from_msisdn = one(["", "iot", "no"][nth]),
            Some((1, nth)) => filter.country_code = one(["", "CN", "JP"][nth]),
            Some((2, nth)) if !self.of_sms => filter.mnc = vec!["10".into(), nth.to_string()],
            Some((3, nth)) if !self.of_sms => filter.apn = one(["", "iot", "no"][nth]),
            Some((4, _)) if !self.of_sms => {
                (filter.sim_group, filter.mcc) = (vec!["a".into(), "b".into()], one("460"));
            }
            _ => {}
        }
        let zone = TimeZone::get(self.zone.get(&ZONES).0).unwrap();
        let (interval, group_by) = (self.interval, self.group_by.clone());
        AggregateQuestion { filter, interval, zone, group_by, top: self.top }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..Default::default() })]

    #[test]
    fn an_aggregate_equals_the_sums_over_all_records(case in case()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(&case))?;
    }
}

async fn run(case: &Case) -> Result<(), TestCaseError> {
    let folder = TempDir::new().unwrap();
    let [zone, store_zone] = case.zones.map(|zone| *zone.get(&ZONES));
    let day: jiff::civil::Date = zone.1.parse().unwrap();
    let first = (day - 6.days()).in_tz(zone.0).unwrap();
    let first_ms = first.timestamp().as_millisecond();
    let options = OpenOptions {
        database: folder.path().join("simdeck.db"),
        time_zone: Some(TimeZone::get(store_zone.0).unwrap()),
        limits: Limits {
            tail_records_max: case.tails[0],
            sums_tail_records_max: case.tails[1],
            ..Limits::of_quarantine(0)
        },
    };
    let mut opened = store::open(&options).await.unwrap();
    let mut known = Vec::new();
    for (nth, commit) in case.commits.iter().enumerate() {
        if nth == case.anew {
            opened.store.close().await;
            drop(opened);
            opened = store::open(&options).await.unwrap();
        }
        let received_ms = first_ms + i64::try_from(nth).unwrap() * HOUR_MS;
        let mut records = Vec::new();
        for made in commit {
            let one = Known::new(made, first_ms, received_ms);
            records.push(one.record(i64::try_from(known.len()).unwrap()));
            known.push(one);
        }
        let batch = [Submission { records, ..Submission::default() }];
        opened.writer.commit(&batch, Timestamp::from_unix_ms(received_ms)).await.unwrap();
        for asked in case.questions.iter().skip(nth % 2).step_by(2) {
            agrees(&opened, asked, &asked.question(first_ms), &known).await?;
        }
    }
    Ok(())
}

async fn agrees(
    opened: &Opened,
    asked: &Asked,
    question: &AggregateQuestion,
    known: &[Known],
) -> Result<(), TestCaseError> {
    let (told, compared) = if asked.of_sms {
        let told = opened.store.sms_aggregate(question).await.unwrap();
        (told, opened.store.sms_usual(question).await.unwrap())
    } else {
        let told = opened.store.usage_aggregate(question).await.unwrap();
        (told, opened.store.usage_usual(question).await.unwrap())
    };
    // Compared with what is usual they are the same sums.
    let compared = compared.into_iter().map(|compared| compared.row);
    let compared: Vec<_> = compared.filter(|row| row.records > 0).collect();
    prop_assert_eq!(&told, &compared, "{:?}", question);
    let told: Vec<Row> = told.iter().map(row).collect();
    let meant: Vec<_> = known
        .iter()
        .filter(|one| one.is_sms == asked.of_sms && one.is_meant(&question.filter))
        .collect();
    prop_assert_eq!(told, rows(question, &meant), "{:?}", question);
    Ok(())
}

/// Start, end, the group's values or `None` of others, volume, records.
type Row = (i64, i64, Option<Vec<String>>, i64, i64);

fn row(row: &AggregateRow) -> Row {
    let Span { start_ms, end_ms } = row.span;
    let group = match &row.group {
        Group::One(values) => Some(values.to_vec()),
        Group::Others => None,
    };
    (start_ms, end_ms, group, row.data_usage, row.records)
}

/// The answer, by going through the records.
fn rows(question: &AggregateQuestion, records: &[&Known]) -> Vec<Row> {
    let group =
        |one: &Known| question.group_by.iter().map(|by| one.value(*by)).collect::<Vec<String>>();
    let mut totals: BTreeMap<Vec<String>, i64> = BTreeMap::new();
    for one in records {
        *totals.entry(group(one)).or_default() += if one.is_sms { 1 } else { one.volume };
    }
    let mut largest: Vec<_> = totals.into_iter().collect();
    largest.sort_by_key(|(group, total)| (Reverse(*total), group.clone()));
    largest.truncate(question.top.unwrap_or(usize::MAX));
    // Others come behind the groups of their interval.
    type Key = (i64, i64, bool, Vec<String>);
    let mut sums: BTreeMap<Key, (i64, i64)> = BTreeMap::new();
    for one in records {
        let (start_ms, end_ms) = interval(question, one.own_ms);
        let group = group(one);
        let is_other = largest.iter().all(|(large, _)| *large != group);
        let group = if is_other { Vec::new() } else { group };
        let sum = sums.entry((start_ms, end_ms, is_other, group)).or_default();
        *sum = (sum.0 + one.volume, sum.1 + 1);
    }
    sums.into_iter()
        .map(|((start_ms, end_ms, is_other, group), (volume, records))| {
            (start_ms, end_ms, (!is_other).then_some(group), volume, records)
        })
        .collect()
}

/// Where the interval around a moment begins and ends.
fn interval(question: &AggregateQuestion, ms: i64) -> (i64, i64) {
    let at =
        |ms: i64| jiff::Timestamp::from_millisecond(ms).unwrap().to_zoned(question.zone.clone());
    let ms_of = |zoned: &Zoned| zoned.timestamp().as_millisecond();
    let here = at(ms);
    let date = here.date();
    let (first, next) = match question.interval {
        Interval::Whole => {
            let Filter { from_ms, to_ms, .. } = question.filter;
            return (from_ms.unwrap_or(i64::MIN), to_ms.unwrap_or(i64::MAX));
        }
        Interval::QuarterHour => {
            let start_ms = ms - ms.rem_euclid(QUARTER_HOUR_MS);
            return (start_ms, start_ms + QUARTER_HOUR_MS);
        }
        Interval::Hour => {
            // As long as the clock shows the same hour under the same offset.
            let is_same = |ms: i64| {
                let there = at(ms);
                (there.date(), there.hour(), there.offset()) == (date, here.hour(), here.offset())
            };
            let quarter_ms = ms - ms.rem_euclid(QUARTER_HOUR_MS);
            let walk = |step: i64| (0..).map(move |nth| quarter_ms + nth * step);
            let start_ms = walk(-QUARTER_HOUR_MS).take_while(|ms| is_same(*ms)).last().unwrap();
            let last_ms = walk(QUARTER_HOUR_MS).take_while(|ms| is_same(*ms)).last().unwrap();
            return (start_ms, last_ms + QUARTER_HOUR_MS);
        }
        Interval::Day => (date, date + 1.day()),
        Interval::Week => {
            let monday = date - i64::from(date.weekday().to_monday_zero_offset()).days();
            (monday, monday + 7.days())
        }
        Interval::Month => (date.first_of_month(), date.first_of_month() + 1.month()),
    };
    let start = |date: jiff::civil::Date| ms_of(&date.to_zoned(question.zone.clone()).unwrap());
    (start(first), start(next))
}
