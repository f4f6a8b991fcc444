//! The routers, as polls of RCMS would have told of them.
use std::time::Duration;

use super::{DemoError, HOUR_MS, MINUTE_MS, POLL_EVERY, ROUTERS, chance::mixed};
use crate::domain::{
    DevicePoll, DeviceState, FleetTotals, Freshness, ListedDevice, Listing, SerialNumber,
    ShortText, Timestamp,
};

const PLACES: [&str; 8] = [
    "SZ-Yantian",
    "HAM-Depot",
    "GRU-Kiosk",
    "WAW-Line",
    "MUC-Garage",
    "SHA-Port",
    "DEN-Sign",
    "LYS-Yard",
];
const MODELS: [&str; 3] = ["R1520", "R3000", "EG5120"];
const GROUPS: [&str; 3] = ["Depots", "Kiosks", "Ports"];

/// The router that is offline now, and for how long.
const OFFLINE: usize = 7;
const OFFLINE_FOR_MS: i64 = 42 * MINUTE_MS;

/// What a poll at the end of a span learns of a story that ends then.
pub(super) fn poll(from_ms: i64, to_ms: i64, story_ends_ms: i64) -> Result<DevicePoll, DemoError> {
    let states = |at_ms| (0..ROUTERS).map(move |nth| state(nth, at_ms, story_ends_ms));
    let (before, now): (Vec<_>, Vec<_>) = (states(from_ms).collect(), states(to_ms).collect());
    let mut listing = Listing { is_complete: true, ..Listing::default() };
    for nth in 0..ROUTERS {
        // The first poll of all, and whoever changed since the last one.
        let is_first = story_ends_ms - from_ms >= super::DAYS * super::DAY_MS;
        if is_first || before[nth] != now[nth] {
            listing.changed.push(device(nth, now[nth])?);
        }
    }
    let online = now.iter().filter(|state| **state == DeviceState::Online).count();
    let count = |routers: usize| i64::try_from(routers).ok();
    let totals = FleetTotals {
        device_total: count(ROUTERS),
        online_total: count(online),
        offline_total: count(ROUTERS - online),
        registered_total: count(ROUTERS),
        un_registered_total: Some(0),
        user_total: Some(3),
    };
    let freshness = Freshness { now: Timestamp::from_unix_ms(to_ms), good_for: good_for() };
    let (totals, listing) = (Some(totals), Some(listing));
    Ok(DevicePoll { freshness, rcms_time: None, totals, listing, statuses: Vec::new() })
}

/// For how long what a poll said holds; in the story polls are hours apart.
pub(super) fn good_for() -> Duration {
    POLL_EVERY * 300
}

/// One is offline now, one drops again and again, some were away for an hour.
fn state(nth: usize, at_ms: i64, story_ends_ms: i64) -> DeviceState {
    let ago_ms = story_ends_ms - at_ms;
    let is_offline = match nth {
        OFFLINE => ago_ms < OFFLINE_FOR_MS,
        12 => ago_ms > 0 && ago_ms < 6 * HOUR_MS && ago_ms.div_euclid(HOUR_MS / 2) % 2 == 1,
        _ => {
            let hour = at_ms.div_euclid(3 * HOUR_MS).unsigned_abs();
            ago_ms > HOUR_MS && mixed(nth as u64, hour).is_multiple_of(300)
        }
    };
    if is_offline { DeviceState::Offline } else { DeviceState::Online }
}

fn device(nth: usize, state: DeviceState) -> Result<ListedDevice, DemoError> {
    let sn = format!("DEMO{:06}", 2_041 + nth * 13);
    let sn: SerialNumber = sn.parse().map_err(|_| DemoError::Name(sn.clone()))?;
    let text = |text: &str| ShortText::try_from(text).map_err(|_| DemoError::Name(text.to_owned()));
    Ok(ListedDevice {
        sn,
        name: text(&format!("{}-{:02}", PLACES[nth % PLACES.len()], nth / PLACES.len() + 1))?,
        model: text(MODELS[nth % MODELS.len()])?,
        group: text(GROUPS[nth % GROUPS.len()])?,
        firmware_version: text(if nth.is_multiple_of(5) { "5.2.0" } else { "5.3.1" })?,
        description: text("")?,
        create_time: text("")?,
        state,
        extra: None,
    })
}
