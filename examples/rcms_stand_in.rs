//! A stand-in for RCMS, to try simdeck's routers without an account there: the one that the tests
//! use. It prints the settings that lead to it and runs until it is stopped.
//!
//! ```sh
//! cargo run --example rcms_stand_in -- --devices 14
//! ```
#![expect(clippy::unwrap_used, dead_code, unused_imports, reason = "it is the tests' own, whole")]

#[path = "../tests/it/rcms/stand_in/mod.rs"]
mod stand_in;

use std::io::Write;

use stand_in::{CLIENT_ID, CLIENT_SECRET, Sample, StandIn, fleet};

#[tokio::main]
async fn main() {
    let devices = std::env::args().nth(2).map_or(14, |count| count.parse().unwrap());
    let rcms = StandIn::start().await;
    rcms.set_fleet(fleet(devices));
    let now_ms = jiff::Timestamp::now().as_millisecond();
    rcms.edit(|world| {
        for device in &world.devices {
            let sn = device["sn"].as_str().unwrap().to_owned();
            let samples = (0..6).map(|nth| sample(now_ms - nth * 600_000));
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

fn sample(at_ms: i64) -> Sample {
    let body = serde_json::json!({"data": {
        "system": {
            "system_time": at_ms.to_string(),
            "device_model": "R1520",
            "firmware_version": "5.2.0",
            "uptime": "3 days, 04:05:06",
        },
        "active_link": {
            "ip": "10.20.30.40",
            "gateway": "10.20.30.1",
            "link_uptime": "1 day, 02:03:04",
        },
    }});
    Sample { at_ms, body }
}
