//! Hours of RCMS with some habits, and whether what must hold does.
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use simdeck::{
    domain::{DeviceEventKind, DeviceState},
    poller::Pace,
};

use super::habits::{Flag, Habits, Order, SampleTime, Total};
use crate::rcms::{
    simulated::{MINUTE, Polled, START_MS, SimulatedTime},
    stand_in::{OnRequest, Sample, StandIn, World, device},
};

const ROUTERS: usize = 60;
const MINUTES: u32 = 90;
/// Before the start, too.
const SAMPLE_EVERY_MINUTES: usize = 3;
/// When each router was switched on.
const UP_SINCE_MS: i64 = START_MS - 10 * 86_400_000;
/// What a router may wait for its turn.
const REACHED_WITHIN: Duration = Duration::from_secs(15 * 60);

fn sn(number: usize) -> String {
    format!("RB{number:013}")
}

/// Who is online in this minute: a few change, each at a time of its own, and stay so.
fn is_online(number: usize, minute: u32) -> bool {
    let changes_at = [20, 45, 70].get(number % 20).is_some_and(|at| minute >= *at);
    (number % 2 == 1) != changes_at
}

/// A time as RCMS's own zone has it.
fn in_zone(at_ms: i64, form: &str) -> String {
    let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(8));
    jiff::Timestamp::from_millisecond(at_ms).unwrap().to_zoned(zone).strftime(form).to_string()
}

fn sample(at_ms: i64, habits: &Habits) -> Sample {
    let time = match habits.time {
        SampleTime::EpochMs => json!(at_ms),
        SampleTime::EpochS => json!(at_ms / 1000),
        SampleTime::Offset => json!(in_zone(at_ms, "%FT%T%:z")),
        SampleTime::Local => json!(in_zone(at_ms, "%F %T")),
    };
    // Of milliseconds since 1970 nobody could take it for a clock that runs.
    let uptime = if habits.is_steady { (at_ms - UP_SINCE_MS) / 1_000 } else { at_ms };
    Sample { at_ms, body: json!({"data": {"system": {"system_time": time, "uptime": uptime}}}) }
}

fn samples(number: usize, habits: &Habits) -> Vec<Sample> {
    let minutes = (-58..i64::from(MINUTES) + 10).step_by(SAMPLE_EVERY_MINUTES);
    let own_s = (number % 60) as i64;
    let at_ms = |minute: i64| START_MS + (minute * 60 + own_s) * 1000;
    let mut samples: Vec<_> = minutes.map(|minute| sample(at_ms(minute), habits)).collect();
    if matches!(habits.order, Order::NewestFirst) {
        samples.reverse();
    }
    samples
}

fn set_minute(world: &mut World, habits: &Habits, minute: u32) {
    let flag = |number| match (habits.flag, is_online(number, minute)) {
        (Flag::Number, online) => json!(u8::from(online)),
        (Flag::Text, online) => json!(u8::from(online).to_string()),
        (Flag::Word, online) => json!(if online { "online" } else { "offline" }),
        (Flag::Truth, online) => json!(online),
    };
    world.devices = (1..=ROUTERS).map(|number| device(&sn(number), flag(number))).collect();
    world.totals = match habits.total {
        Total::Is(count) => Some(json!({ "deviceTotal": count })),
        Total::Empty => Some(json!({})),
        Total::Right | Total::Fails(_) | Total::FailsNowAndThen(_) => None,
    };
}

/// What RCMS answers where it does not answer as it should, by the path of the question.
fn on_request(habits: Habits, time: SimulatedTime, refused: Arc<Mutex<usize>>) -> OnRequest {
    let failing: BTreeSet<String> = (1..=habits.failing)
        .map(|number| format!("/api/link/device/devices/{}/statusData", sn(number)))
        .collect();
    let mut recent = VecDeque::new();
    Box::new(move |path| {
        let now = time.elapsed();
        while recent.front().is_some_and(|at| *at + MINUTE <= now) {
            recent.pop_front();
        }
        if habits.a_minute.is_some_and(|most| recent.len() >= most) {
            *refused.lock().unwrap() += 1;
            return Some(429);
        }
        recent.push_back(now);
        if path.ends_with("/devices") {
            time.take(habits.page_takes);
        }
        let is_total = path.ends_with("/deviceTotal");
        let is_now_and_then = (now.as_secs() / 60) % 10 == 4;
        match habits.total {
            Total::Fails(status) if is_total => Some(status),
            Total::FailsNowAndThen(status) if is_total && is_now_and_then => Some(status),
            _ => failing.contains(path).then_some(habits.failing_with),
        }
    })
}

/// Runs it; says what does not hold.
pub(super) async fn run(habits: Habits) -> Result<(), String> {
    let (rcms, time) = (StandIn::start().await, SimulatedTime::new());
    let refused = Arc::new(Mutex::new(0));
    let hook = on_request(habits, time.clone(), Arc::clone(&refused));
    rcms.edit(|world| {
        set_minute(world, &habits, 0);
        world.page_size_max = habits.cap;
        world.page_size_refused_above = habits.refused_above;
        world.on_request = Some(hook);
        world.clock_skew_ms = -i64::try_from(habits.ahead.as_millis()).unwrap();
        for number in 1..=ROUTERS {
            world.samples.insert(sn(number), samples(number, &habits));
        }
    });
    let mut polled = Polled::start_in(time, habits.cycle, rcms, &[]).await;
    let mut told = BTreeSet::new();
    for minute in 1..=MINUTES {
        polled.rcms.edit(|world| {
            set_minute(world, &habits, minute);
            world.says_nothing = habits.has_null_cycles && minute % 15 == 7;
        });
        polled.pass(MINUTE).await;
        let report = polled.report.borrow();
        if report.late_cycles > 0 || report.is_slow() {
            told.insert(polled.time.elapsed());
        }
    }
    let asked = polled.asked().into_iter().zip(polled.asked_at());
    let list: Vec<u64> = asked
        .filter(|(path, _)| path == "device/devices")
        .map(|(_, at)| at.as_secs())
        .take_while(|second| *second < 900)
        .collect();
    check_states(&polled, &habits)
        .await
        .map_err(|broken| format!("{broken}; pages of the list were asked for at {list:?}"))?;
    check_samples(&polled, &habits).await?;
    check_turns(&polled, &habits, &told)?;
    let refused = *refused.lock().unwrap();
    // Each costs a pause of a minute or more, and what was too many is remembered for an hour.
    if refused > 4 {
        return Err(format!("{refused} requests were too many"));
    }
    Ok(())
}

async fn check_states(polled: &Polled, habits: &Habits) -> Result<(), String> {
    for number in 1..=ROUTERS {
        let events = polled.history(&sn(number)).await;
        let states: Vec<_> = events
            .iter()
            .filter_map(|event| match event.what {
                DeviceEventKind::State(state) => {
                    Some((state, (event.at.unix_ms() - START_MS) / 1000))
                }
                DeviceEventKind::Status(_) => None,
            })
            .collect();
        let was = [is_online(number, 0), is_online(number, MINUTES)];
        let state = |online| if online { DeviceState::Online } else { DeviceState::Offline };
        let mut expected = vec![state(was[0])];
        expected.extend((was[0] != was[1]).then(|| state(was[1])));
        if !states.iter().map(|(state, _)| *state).eq(expected.iter().copied()) {
            return Err(format!("{number} went {states:?} instead of {expected:?} ({habits:?})"));
        }
        let now = polled.device(&sn(number)).await.listed.state;
        if expected.last() != Some(&now) {
            return Err(format!("{number} is {now:?} instead of {expected:?}"));
        }
    }
    Ok(())
}

/// A row of a history: the times of its first and its last sample, and how many there were.
type Row = (i64, i64, i64);

/// By what each sample says of its own time in `uptime`.
async fn check_samples(polled: &Polled, habits: &Habits) -> Result<(), String> {
    // Where RCMS wants to be asked less in the midst of an answer, what is older comes later: in a row of
    // its own, or between two that said the same, where it is told but not counted.
    let rows_max = if habits.a_minute.is_some() { 4 } else { 1 };
    let is_too_many = |rows: &[Row]| habits.is_steady && rows.len() > rows_max;
    for number in (habits.failing + 1)..=ROUTERS {
        let rows = rows(polled, number, habits).await?;
        let device = polled.device(&sn(number)).await;
        let Some(asked_to) = device.status_asked_to.map(|at| at.unix_ms()) else {
            return Err(format!("{number} was never asked"));
        };
        let all: BTreeSet<_> = samples(number, habits).iter().map(|sample| sample.at_ms).collect();
        // The first question reaches back an hour, whenever its turn comes; what is new by a moment
        // may be had with the next one.
        let oldest = rows.iter().map(|row| row.0).min().unwrap_or(START_MS);
        let newest = rows.iter().map(|row| row.1).max().unwrap_or(START_MS);
        let told = |at_ms: i64| rows.iter().filter(|row| (row.0..=row.1).contains(&at_ms)).count();
        let due = all.range(oldest..).filter(|at_ms| **at_ms <= newest.max(asked_to - 2_000));
        let wrong: Vec<_> = due
            .filter(|at_ms| told(**at_ms) != 1)
            .map(|at_ms| ((at_ms - START_MS) / 60_000, told(*at_ms)))
            .collect();
        if !wrong.is_empty() {
            return Err(format!("{number} has samples of minutes not once, but {wrong:?}"));
        }
        let count = rows.iter().map(|row| row.2).sum::<i64>();
        let expected = all.range(oldest..=newest).count() as i64;
        let is_wrong = count > expected || count < expected && habits.a_minute.is_none();
        if is_wrong || is_too_many(&rows) {
            return Err(format!("{number} tells of {count} samples of {expected} in {rows:?}"));
        }
    }
    Ok(())
}

async fn rows(polled: &Polled, number: usize, habits: &Habits) -> Result<Vec<Row>, String> {
    let all: BTreeSet<_> = samples(number, habits).iter().map(|sample| sample.at_ms).collect();
    let mut rows = Vec::new();
    for event in polled.history(&sn(number)).await {
        let DeviceEventKind::Status(run) = event.what else { continue };
        let whole: Value = serde_json::from_str(&run.whole).unwrap();
        let uptime = whole["data"]["system"]["uptime"].as_i64().unwrap();
        let at_ms = if habits.is_steady { UP_SINCE_MS + uptime * 1_000 } else { uptime };
        if event.at.unix_ms() != at_ms || !all.contains(&run.until.unix_ms()) {
            return Err(format!(
                "{number}: the sample of {at_ms} is stored at {} until {}",
                event.at, run.until
            ));
        }
        rows.push((at_ms, run.until.unix_ms(), run.samples));
    }
    Ok(rows)
}

fn check_turns(polled: &Polled, habits: &Habits, told: &BTreeSet<Duration>) -> Result<(), String> {
    let mut turns: BTreeMap<String, Vec<Duration>> = BTreeMap::new();
    for (path, at) in polled.asked().into_iter().zip(polled.asked_at()) {
        turns.entry(path).or_default().push(at);
    }
    let end = polled.time.elapsed();
    for number in (habits.failing + 1)..=ROUTERS {
        let path = format!("device/devices/{}/statusData", sn(number));
        let mut at = turns.get(&path).cloned().unwrap_or_default();
        at.insert(0, Duration::ZERO);
        at.push(end);
        for pair in at.windows(2) {
            let wait = pair[1].saturating_sub(pair[0]);
            let is_told = || told.range(pair[0]..=pair[1] + MINUTE).next().is_some();
            if wait > REACHED_WITHIN + habits.cycle && !is_told() {
                return Err(format!("{number} waited {wait:?}, and nobody is told"));
            }
        }
    }
    Ok(())
}
