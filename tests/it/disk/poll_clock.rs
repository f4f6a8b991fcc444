//! Samples of routers under a clock that is wrong for a while, where nothing is pushed.
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Disk, Number};
use crate::{
    rcms::stand_in::{CLIENT_ID, CLIENT_SECRET, Sample, StandIn, fleet},
    server::Simdeck,
};

const AHEAD_S: i64 = 500 * 86_400;
const LATER_S: i64 = 20 * 60;
const ROUTER: &str = "RB0000000000001";
const GUARD: Duration = Duration::from_secs(120);

fn sample(age_s: i64) -> Sample {
    let at_ms = Timestamp::now().as_millisecond() - age_s * 1_000;
    // Each says something new: what only tells another time has no row of its own.
    Sample { at_ms, body: json!({"data": {"system": {"system_time": at_ms, "signal": at_ms}}}) }
}

fn start(disk: &Disk, folder: Arc<TempDir>, rcms: &StandIn) -> Simdeck {
    let url = rcms.url();
    let environment = disk.environment(&folder.path().join("data"));
    let mut variables: Vec<_> =
        environment.iter().map(|(name, value)| (*name, value.to_str().unwrap())).collect();
    variables.extend([
        ("SIMDECK_RCMS_ENDPOINT", url.as_str()),
        ("SIMDECK_RCMS_CLIENT_ID", CLIENT_ID),
        ("SIMDECK_RCMS_CLIENT_SECRET", CLIENT_SECRET),
        ("SIMDECK_RCMS_POLL_EVERY", "10s"),
    ]);
    Simdeck::start_in(folder, &variables)
}

/// The samples that are kept, as soon as the newest is there.
async fn samples(simdeck: &Simdeck, newest_ms: i64) -> Vec<Value> {
    let began = Instant::now();
    let path = format!("/v1/devices/{ROUTER}/history?size=100");
    loop {
        let (status, rows) = simdeck.ask(Method::GET, &path).await;
        let rows: Vec<_> = rows.as_array().filter(|_| status == 200).cloned().unwrap_or_default();
        let kept = rows.into_iter().filter(|row| row["kind"] == "status");
        let mut kept: Vec<_> = kept.map(|row| row["sample"].clone()).collect();
        kept.reverse();
        if kept.last().is_some_and(|it| it["data"]["system"]["system_time"] == newest_ms) {
            return kept;
        }
        assert!(began.elapsed() < GUARD, "{kept:?}");
        tokio::task::yield_now().await;
    }
}

/// RCMS has one more sample; gives its time.
fn taken(rcms: &StandIn, age_s: i64) -> i64 {
    let sample = sample(age_s);
    let at_ms = sample.at_ms;
    rcms.edit(|world| world.samples.entry(ROUTER.to_owned()).or_default().push(sample));
    at_ms
}

/// Sets RCMS's clock, and what it says of it.
fn set_clock(rcms: &StandIn, ahead_s: i64, skew_s: i64) {
    rcms.edit(|world| {
        world.now_ms = Box::new(move || Timestamp::now().as_millisecond() + ahead_s * 1_000);
        world.clock_skew_ms = skew_s * 1_000;
    });
}

#[tokio::test]
async fn a_clock_that_was_500_days_ahead_thins_no_samples_and_new_ones_come_after() {
    let rcms = StandIn::start().await;
    rcms.set_fleet(fleet(1));
    let times: Vec<_> = (1..12).rev().map(|nth| taken(&rcms, nth * 290)).collect();
    let disk = Disk::new();
    let simdeck = start(&disk, Arc::new(TempDir::new().unwrap()), &rcms);
    let before = samples(&simdeck, times[10]).await;
    assert_eq!(before.len(), 11);
    let folder = simdeck.folder();
    simdeck.end();

    // RCMS lets our time pass, and tells its own.
    set_clock(&rcms, AHEAD_S, -AHEAD_S);
    disk.set(Number::ClockAheadS, AHEAD_S);
    let newest = taken(&rcms, 2);
    let simdeck = start(&disk, Arc::clone(&folder), &rcms);
    let while_ahead = samples(&simdeck, newest).await;
    assert_eq!((&while_ahead[..11], while_ahead.len()), (&before[..], 12));
    simdeck.end();

    // A router is asked about again after a quarter of an hour.
    set_clock(&rcms, LATER_S, 0);
    disk.set(Number::ClockAheadS, LATER_S);
    let newest = taken(&rcms, 0);
    let simdeck = start(&disk, folder, &rcms);
    let after = samples(&simdeck, newest).await;
    assert_eq!((&after[..12], after.len()), (&while_ahead[..], 13));
    simdeck.end();
}
