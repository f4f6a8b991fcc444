//! What the SIMs of the fleet do when nothing is wrong.
use super::{
    HOUR_MS, SIMS,
    chance::{mixed, part},
    incidents::Incidents,
};

/// While somebody looks, so many SIMs have one each second, each so much smaller.
const NOW_SIMS: u64 = 3;
const NOW_PART: f64 = 1.0 / 16.0;

/// A group of SIMs, where they are and how much they use.
#[derive(Debug)]
struct Group {
    name: &'static str,
    sims: usize,
    country: &'static str,
    mcc: &'static str,
    mnc: &'static str,
    apn: &'static str,
    /// How often each of them has a record.
    every_hours: i64,
    /// Bytes of a usual record.
    bytes: f64,
    /// How much more it is by day than by night: 0 is the same.
    swing: f64,
    /// The hour, UTC, of the most.
    peak: f64,
}

const GROUPS: [Group; 6] = [
    Group {
        name: "EV-Chargers",
        sims: 400,
        country: "DE",
        mcc: "262",
        mnc: "01",
        apn: "iot.ev",
        every_hours: 3,
        bytes: 2.1e6,
        swing: 0.45,
        peak: 17.0,
    },
    Group {
        name: "Trackers-EU",
        sims: 500,
        country: "PL",
        mcc: "260",
        mnc: "03",
        apn: "iot.eu",
        every_hours: 3,
        bytes: 0.6e6,
        swing: 0.3,
        peak: 12.0,
    },
    Group {
        name: "Cameras-CN",
        sims: 300,
        country: "CN",
        mcc: "460",
        mnc: "01",
        apn: "iot.east",
        every_hours: 1,
        bytes: 14e6,
        swing: 0.55,
        peak: 11.0,
    },
    Group {
        name: "Kiosks-BR",
        sims: 250,
        country: "BR",
        mcc: "724",
        mnc: "05",
        apn: "iot.br",
        every_hours: 3,
        bytes: 14e6,
        swing: 0.7,
        peak: 19.0,
    },
    Group {
        name: "Meters-DE",
        sims: 400,
        country: "DE",
        mcc: "262",
        mnc: "02",
        apn: "iot.meter",
        every_hours: 3,
        bytes: 0.04e6,
        swing: 0.05,
        peak: 2.0,
    },
    Group {
        name: "Signs-US",
        sims: 150,
        country: "US",
        mcc: "310",
        mnc: "260",
        apn: "iot.us",
        every_hours: 3,
        bytes: 18e6,
        swing: 0.4,
        peak: 21.0,
    },
];

/// The whole of it.
#[derive(Debug)]
pub(super) struct Fleet {
    sims: Vec<Sim>,
}

/// One SIM.
#[derive(Debug)]
pub(super) struct Sim {
    pub(super) giccid: String,
    imsi: String,
    msisdn: String,
    group: &'static Group,
    pub(super) seed: u64,
    /// Which one of its group it is.
    nth: usize,
    /// How much more it uses than others of its group.
    thirst: f64,
    /// Where in the time between two records its own stand.
    turn: f64,
}

impl Fleet {
    pub(super) fn new() -> Self {
        let of_group = GROUPS.iter().flat_map(|group| (0..group.sims).map(move |nth| (nth, group)));
        let sim = |(nth, (nth_of_group, group)): (usize, (usize, &'static Group))| {
            let seed = mixed(0x51AD_EC0D, nth as u64);
            Sim {
                // No operator has numbers that begin so. Some have letters, as in China.
                giccid: match nth % 5 {
                    3 => format!("890000B7{:012X}", nth * 37_037 + 0xC0_A009),
                    _ => format!("8900000001{:010}", nth * 37 + 1_009),
                },
                imsi: format!("00101{:010}", nth + 1),
                msisdn: format!("88234{:07}", nth + 1),
                group,
                seed,
                nth: nth_of_group,
                thirst: 0.6 + 0.8 * part(seed, 1),
                // By the golden ratio, so that the records of a group are spread evenly.
                turn: (nth as f64 * 0.618_033_988_75).fract(),
            }
        };
        Self { sims: of_group.take(SIMS).enumerate().map(sim).collect() }
    }

    /// The nth SIM of a group.
    pub(super) fn sim(&self, group: &str, nth: usize) -> Option<&Sim> {
        self.sims.iter().find(|sim| sim.group.name == group && sim.nth == nth)
    }

    /// The members of the usage records that begin in a span.
    pub(super) fn usage(&self, from_ms: i64, to_ms: i64, incidents: &Incidents) -> Vec<String> {
        let mut records = Vec::new();
        for sim in &self.sims {
            for at_ms in sim.starts(from_ms, to_ms) {
                if !incidents.is_silent(sim, at_ms) {
                    let bytes = sim.bytes(at_ms) * incidents.times(sim, at_ms);
                    records.push(sim.record(at_ms, bytes, incidents.place(sim, at_ms)));
                }
            }
        }
        records
    }

    /// What a few of them do at this moment: an incident goes on while somebody looks at it.
    pub(super) fn now(&self, at_ms: i64, incidents: &Incidents) -> Vec<String> {
        let second = at_ms.unsigned_abs() / 1_000;
        let some = (0..NOW_SIMS).filter_map(|nth| {
            let place = mixed(second, nth) % self.sims.len() as u64;
            self.sims.get(usize::try_from(place).ok()?)
        });
        let heard = some.filter(|sim| !incidents.is_silent(sim, at_ms));
        let record =
            |sim: &Sim| sim.record(at_ms, sim.bytes(at_ms) * NOW_PART, incidents.place(sim, at_ms));
        heard.map(record).collect()
    }

    /// The members of the messages that are sent in a span: one in an hour or so of a hundred SIMs.
    pub(super) fn messages(&self, from_ms: i64, to_ms: i64) -> Vec<String> {
        const ONE_IN: u64 = 160;
        let mut messages = Vec::new();
        let minutes = from_ms.div_euclid(60_000) + 1..=to_ms.div_euclid(60_000);
        for minute in minutes {
            let seed = mixed(0x5A5, minute.unsigned_abs());
            let sims = self.sims.iter().filter(|sim| {
                ["EV-Chargers", "Meters-DE", "Trackers-EU"].contains(&sim.group.name)
                    && mixed(sim.seed ^ seed, 3).is_multiple_of(ONE_IN * 12)
            });
            messages.extend(sims.map(|sim| sim.message(minute * 60_000, seed)));
        }
        messages
    }
}

/// Where a record is from.
pub(super) struct Place {
    pub(super) country: &'static str,
    pub(super) mcc: &'static str,
    pub(super) mnc: &'static str,
}

impl Sim {
    /// Whether it is of this group.
    pub(super) fn is_of(&self, group: &str) -> bool {
        self.group.name == group
    }

    /// Which one of this group it is; none where it is of another.
    pub(super) fn nth_of(&self, group: &str) -> Option<usize> {
        self.is_of(group).then_some(self.nth)
    }

    /// Where it is when nothing is wrong.
    pub(super) fn place(&self) -> Place {
        let Group { country, mcc, mnc, .. } = *self.group;
        // Trackers are on the road.
        match self.group.name {
            "Trackers-EU" if self.seed.is_multiple_of(3) => {
                Place { country: "DE", mcc: "262", mnc: "02" }
            }
            "Trackers-EU" if self.seed % 3 == 1 => Place { country: "FR", mcc: "208", mnc: "01" },
            _ => Place { country, mcc, mnc },
        }
    }

    /// When its records of a span begin.
    fn starts(&self, from_ms: i64, to_ms: i64) -> impl Iterator<Item = i64> {
        let every_ms = self.group.every_hours * HOUR_MS;
        let offset_s = self.turn * every_ms as f64 / 1_000.0;
        let offset_ms = format!("{offset_s:.0}").parse::<i64>().unwrap_or_default() * 1_000;
        let first = (from_ms - offset_ms).div_euclid(every_ms);
        (first..=first + (to_ms - from_ms) / every_ms + 1)
            .map(move |nth| nth * every_ms + offset_ms)
            .filter(move |at_ms| (from_ms..to_ms).contains(at_ms))
    }

    /// What a record that begins then would hold.
    pub(super) fn bytes(&self, at_ms: i64) -> f64 {
        let hour = at_ms.rem_euclid(24 * HOUR_MS) as f64 / HOUR_MS as f64;
        let turn = (hour - self.group.peak) / 24.0 * std::f64::consts::TAU;
        let by_day = 1.0 + self.group.swing * turn.cos();
        let by_chance = 0.75 + 0.5 * part(self.seed, at_ms.unsigned_abs());
        // No two days of a group are the same.
        let day = at_ms.div_euclid(24 * HOUR_MS).unsigned_abs();
        let by_mood = 0.85 + 0.3 * part(self.group.sims as u64, day);
        self.group.bytes * self.thirst * by_day * by_chance * by_mood
    }

    /// The members of a usage record.
    pub(super) fn record(&self, at_ms: i64, bytes: f64, place: Place) -> String {
        let Self { giccid, imsi, group, .. } = self;
        let Place { country, mcc, mnc } = place;
        format!(
            r#""giccid":"{giccid}","imsi":"{imsi}","sim_group":"{}","data_usage":{bytes:.0},"start_time":{at_ms},"duration":900,"country_code":"{country}","mcc":"{mcc}","mnc":"{mnc}","apn":"{}""#,
            group.name, group.apn
        )
    }

    fn message(&self, at_ms: i64, seed: u64) -> String {
        let Self { giccid, imsi, msisdn, group, .. } = self;
        let text = match (group.name, mixed(seed ^ self.seed, 5) % 3) {
            ("EV-Chargers", 0) => "PLUG IN".to_owned(),
            ("EV-Chargers", 1) => "PLUG OUT".to_owned(),
            ("EV-Chargers", _) => format!("TEMP {:.1}C", 18.0 + 30.0 * part(seed, 6)),
            ("Meters-DE", _) => format!("KWH {}", 10_000 + mixed(seed, 7) % 90_000),
            (_, 0) => "DOOR OPEN".to_owned(),
            (_, 1) => "DOOR SHUT".to_owned(),
            (..) => format!("LOWBAT {:.2}V", 3.3 + 0.3 * part(seed, 8)),
        };
        format!(
            r#""giccid":"{giccid}","imsi":"{imsi}","sim_group":"{}","event_time":{at_ms},"from_msisdn":"{msisdn}","to_msisdn":"10086","content":"{text}""#,
            group.name
        )
    }
}
