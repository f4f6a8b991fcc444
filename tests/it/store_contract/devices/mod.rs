//! What the store promises about devices.
mod age;
mod list;
mod runs;
mod samples;
mod together;

use std::time::Duration;

use simdeck::{
    domain::{
        Device, DeviceEvent, DeviceEventKind, DeviceFilter, DevicePoll, DeviceState, DeviceStatus,
        Fleet, Freshness, HistoryFilter, Lasting, ListedDevice, Listing, PageSize, Place as At,
        SerialNumber, ShortText, StatusFacts, StatusSample, Timestamp, Walk,
    },
    store::Opened,
};

use super::{NOW, Place};

const GOOD_FOR: Duration = Duration::from_secs(180);
const NOW_MS: i64 = NOW.unix_ms();
const MINUTE_MS: i64 = 60_000;

fn sn(nth: usize) -> SerialNumber {
    format!("RB{nth:05}").parse().unwrap()
}

fn text(text: &str) -> ShortText {
    text.try_into().unwrap()
}

fn listed(nth: usize, state: DeviceState) -> ListedDevice {
    ListedDevice {
        sn: sn(nth),
        name: text(&format!("Bus {nth}")),
        model: text(["R1510", "R2110"][nth % 2]),
        group: text(["North", "South", ""][nth % 3]),
        firmware_version: text("3.1.0"),
        description: text(""),
        create_time: text("2024-01-02 03:04:05"),
        state,
        extra: Some(r#"{"a":[1,"\u0000"]}"#.into()),
    }
}

/// The moment that is so many milliseconds after NOW.
fn at(after_ms: i64) -> Timestamp {
    Timestamp::from_unix_ms(NOW_MS + after_ms)
}

fn freshness(after_ms: i64) -> Freshness {
    Freshness { now: at(after_ms), good_for: GOOD_FOR }
}

/// A poll that learned nothing.
fn poll(after_ms: i64) -> DevicePoll {
    DevicePoll {
        freshness: freshness(after_ms),
        rcms_time: None,
        totals: None,
        listing: None,
        statuses: Vec::new(),
    }
}

/// A poll that read the list to its end.
fn walk(after_ms: i64, changed: Vec<ListedDevice>, unchanged: &[usize]) -> DevicePoll {
    let unchanged = unchanged.iter().map(|nth| sn(*nth)).collect();
    let listing = Listing { is_complete: true, changed, unchanged, ..Listing::default() };
    DevicePoll { listing: Some(listing), ..poll(after_ms) }
}

/// A poll that asked one device.
fn asked(after_ms: i64, nth: usize, samples: Vec<StatusSample>) -> DevicePoll {
    let status = DeviceStatus { sn: sn(nth), asked_to: at(after_ms), samples };
    DevicePoll { statuses: vec![status], ..poll(after_ms) }
}

fn sample(sampled_at: Option<Timestamp>, whole: &str) -> StatusSample {
    let facts = StatusFacts { uptime: text(whole), ..StatusFacts::default() };
    let digest = whole.bytes().fold(7, |sum: i64, byte| sum.wrapping_mul(31) + i64::from(byte));
    let lasting = Lasting { digest, ..Lasting::default() };
    StatusSample { sampled_at, facts, whole: format!(r#"{{"uptime":"{whole}"}}"#).into(), lasting }
}

async fn keep(opened: &mut Opened, poll: DevicePoll) {
    opened.writer.keep_poll(&poll).await.unwrap();
}

async fn device(opened: &Opened, nth: usize, after_ms: i64) -> Device {
    opened.store.device(&sn(nth), freshness(after_ms)).await.unwrap().unwrap()
}

/// State, and since when and when it was last listed, both after NOW.
async fn state(opened: &Opened, nth: usize, after_ms: i64) -> (DeviceState, i64, Option<i64>) {
    let device = device(opened, nth, after_ms).await;
    let after = |moment: Timestamp| moment.unix_ms() - NOW_MS;
    (device.listed.state, after(device.state_since), device.listed_at.map(after))
}

async fn history(opened: &Opened, nth: usize) -> Vec<DeviceEvent> {
    let top = opened.store.top().await.unwrap();
    let walk = Walk { top, place: At::Newest, size: PageSize::LARGEST };
    opened.store.device_history(&sn(nth), &HistoryFilter::default(), &walk).await.unwrap()
}

/// The changes of a device's state, the first one first, each with its time after NOW.
async fn states(opened: &Opened, nth: usize) -> Vec<(i64, DeviceState)> {
    let events = history(opened, nth).await.into_iter().rev();
    let states = events.filter_map(|event| match event.what {
        DeviceEventKind::State(state) => Some((event.at.unix_ms() - NOW_MS, state)),
        DeviceEventKind::Status(_) => None,
    });
    states.collect()
}

/// The samples of a device's history, the first one first.
async fn samples(opened: &Opened, nth: usize) -> Vec<(Timestamp, String)> {
    let events = history(opened, nth).await.into_iter().rev();
    let samples = events.filter_map(|event| match event.what {
        DeviceEventKind::Status(run) => Some((event.at, run.whole.into())),
        DeviceEventKind::State(_) => None,
    });
    samples.collect()
}

async fn fleet(opened: &Opened, after_ms: i64) -> Fleet {
    opened.store.fleet(freshness(after_ms)).await.unwrap()
}

async fn count(opened: &Opened, filter: &DeviceFilter, after_ms: i64) -> u64 {
    let top = opened.store.device_top().await.unwrap();
    opened.store.device_count(filter, freshness(after_ms), top).await.unwrap()
}
