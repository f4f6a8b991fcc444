//! A stand-in for RCMS, to try simdeck's routers without an account there: the one that the tests
//! use. It prints the settings that lead to it and runs until it is stopped.
//!
//! ```sh
//! cargo run --example rcms_stand_in -- --devices 14
//! ```
//!
//! `--samples N` gives each router so many in the last hour, each of which says something new, and
//! `--steady N` so many of which none does: `benches/rcms --growth` asks for them.
#![expect(clippy::unwrap_used, dead_code, unused_imports, reason = "it is the tests' own, whole")]

#[path = "../tests/it/rcms/stand_in/mod.rs"]
mod stand_in;

use std::io::Write;

use stand_in::{CLIENT_ID, CLIENT_SECRET, Sample, StandIn, fleet};

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |flag: &str| {
        let place = arguments.iter().position(|argument| argument == flag)?;
        Some(arguments[place + 1].parse::<i64>().unwrap())
    };
    let rcms = StandIn::start().await;
    rcms.set_fleet(fleet(number("--devices").map_or(14, |devices| devices.try_into().unwrap())));
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let (changing, steady) = (number("--samples"), number("--steady"));
    let samples = changing.or(steady).unwrap_or(6);
    rcms.edit(|world| {
        for device in &world.devices {
            let sn = device["sn"].as_str().unwrap().to_owned();
            let samples = (0..samples).map(|nth| {
                let signal = if changing.is_some() { -60 - nth } else { -60 };
                sample(now_ms - nth * (3_500_000 / samples), signal)
            });
            world.samples.insert(sn, samples.collect());
        }
    });
    let mut out = std::io::stdout().lock();
    writeln!(out, "SIMDECK_RCMS_ENDPOINT={}", rcms.url()).unwrap();
    writeln!(out, "SIMDECK_RCMS_CLIENT_ID={CLIENT_ID}").unwrap();
    writeln!(out, "SIMDECK_RCMS_CLIENT_SECRET={CLIENT_SECRET}").unwrap();
    out.flush().unwrap();
    std::future::pending().await
}

/// A router that was switched on at the beginning of 2025 and has the same link since.
fn sample(at_ms: i64, signal: i64) -> Sample {
    let up_s = at_ms / 1_000 - 1_735_689_600;
    let body = serde_json::json!({"data": {
        "system": {
            "system_time": at_ms.to_string(),
            "device_model": "R1520",
            "firmware_version": "5.2.0",
            "uptime": span(up_s),
        },
        "active_link": {
            "ip": "10.20.30.40",
            "gateway": "10.20.30.1",
            "link_uptime": span(up_s - 60),
            "signal": signal,
        },
    }});
    Sample { at_ms, body }
}

/// As Linux has it: `3 days, 04:05:06`.
fn span(seconds: i64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    format!("{days} days, {hours:02}:{minutes:02}:{:02}", seconds % 60)
}
