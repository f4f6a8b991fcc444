//! What goes wrong, each so long before now that there is a story behind it. The offline router is in
//! [`super::routers`].
use std::ops::Range;

use jiff::{Timestamp as Moment, tz::TimeZone};

use super::{
    DAY_MS, HOUR_MS, MINUTE_MS,
    fleet::{Fleet, Place, Sim},
};

/// The trackers that are in a country where none was before.
const ABROAD: Range<usize> = 20..34;
/// How many times its usual use the thirsty SIM has today.
const TIMES: f64 = 118.0;

/// When each of them happens.
#[derive(Debug)]
pub(super) struct Incidents {
    now_ms: i64,
    today_ms: i64,
}

impl Incidents {
    /// Those of a story that ends now.
    pub(super) fn before(now_ms: i64, zone: &TimeZone) -> Self {
        let now = Moment::from_millisecond(now_ms).map(|now| now.to_zoned(zone.clone()));
        let today = now.and_then(|now| now.start_of_day());
        let today_ms = today.map_or(now_ms, |today| today.timestamp().as_millisecond());
        Self { now_ms, today_ms }
    }

    /// Whether a SIM has fallen silent by then: one camera in seven, four days ago.
    pub(super) fn is_silent(&self, sim: &Sim, at_ms: i64) -> bool {
        sim.is_of("Cameras-CN") && sim.seed.is_multiple_of(7) && at_ms >= self.now_ms - 4 * DAY_MS
    }

    /// How many times its usual use a SIM has at a moment: cameras had a new firmware this morning.
    pub(super) fn times(&self, sim: &Sim, at_ms: i64) -> f64 {
        let rollout = self.now_ms - 5 * HOUR_MS..self.now_ms - 3 * HOUR_MS;
        if sim.is_of("Cameras-CN") && rollout.contains(&at_ms) { 2.2 } else { 1.0 }
    }

    /// Where a SIM is at a moment: who has crossed the border stays there.
    pub(super) fn place(&self, sim: &Sim, at_ms: i64) -> Place {
        match sim.nth_of("Trackers-EU") {
            Some(nth) if ABROAD.contains(&nth) && at_ms >= self.crossed_ms(nth) => {
                Place { country: "RS", mcc: "220", mnc: "01" }
            }
            _ => sim.place(),
        }
    }

    /// When a tracker crosses the border, one after another.
    fn crossed_ms(&self, nth: usize) -> i64 {
        let before = nth.saturating_sub(ABROAD.start);
        self.now_ms - HOUR_MS + i64::try_from(before).unwrap_or_default() * 2 * MINUTE_MS
    }

    /// What is used beyond what is usual.
    pub(super) fn usage(&self, from_ms: i64, to_ms: i64, fleet: &Fleet) -> Vec<String> {
        let mut records = self.thirst(from_ms, to_ms, fleet);
        for nth in ABROAD {
            let at_ms = self.crossed_ms(nth);
            if let Some(sim) = fleet.sim("Trackers-EU", nth)
                && (from_ms..to_ms).contains(&at_ms)
            {
                let bytes = sim.bytes(at_ms) * 4.0;
                records.push(sim.record(at_ms, bytes, self.place(sim, at_ms)));
            }
        }
        records
    }

    /// One charger that downloads without end, in the last three hours of today.
    fn thirst(&self, from_ms: i64, to_ms: i64, fleet: &Fleet) -> Vec<String> {
        const PARTS: i64 = 12;
        const RECORDS_A_DAY: f64 = 8.0;
        let begin_ms = (self.now_ms - 3 * HOUR_MS).max(self.today_ms);
        let step_ms = ((self.now_ms - begin_ms) / PARTS).max(1);
        let Some(sim) = fleet.sim("EV-Chargers", 17) else { return Vec::new() };
        let times = (0..PARTS).map(|nth| begin_ms + nth * step_ms);
        let mine = times.filter(|at_ms| (from_ms..to_ms).contains(at_ms));
        let there = || Place { country: "DE", mcc: "262", mnc: "01" };
        let bytes = |at_ms| sim.bytes(at_ms) * RECORDS_A_DAY * TIMES / PARTS as f64;
        mine.map(|at_ms| sim.record(at_ms, bytes(at_ms), there())).collect()
    }

    /// Pushes of other kinds: a SIM in another device, and a record that nobody can read.
    pub(super) fn notices(
        &self,
        from_ms: i64,
        to_ms: i64,
        fleet: &Fleet,
    ) -> Vec<(&'static str, String)> {
        let mut notices = Vec::new();
        let moved_ms = self.now_ms - 34 * MINUTE_MS;
        if (from_ms..to_ms).contains(&moved_ms)
            && let Some(sim) = fleet.sim("Trackers-EU", 3)
        {
            let giccid = &sim.giccid;
            let notice = format!(r#""giccid":"{giccid}","event_time":{moved_ms}"#);
            notices.push(("imei-change", notice));
        }
        let unread_ms = self.now_ms - 50 * MINUTE_MS;
        if (from_ms..to_ms).contains(&unread_ms) {
            let notice = format!(r#""giccid":"none","data_usage":1,"start_time":{unread_ms}"#);
            notices.push(("data-usage", notice));
        }
        notices
    }
}
