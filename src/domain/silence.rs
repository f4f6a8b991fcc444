//! SIMs that send no more: when that is out of the ordinary, and which of them belong together.
use std::{cmp::Reverse, collections::BTreeMap, time::Duration};

use super::{
    NetworkContext, ShortText, Timestamp,
    attention::{USUAL_DAYS_MIN, median},
};

const DAY_MS: i64 = 86_400_000;

/// A SIM that has been silent for longer than is usual for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SilentSim {
    /// Own time of its last record.
    pub last: Timestamp,
    /// Where it used data last.
    pub network: NetworkContext,
}

/// SIMs that fell silent together. Each of the four is what all of them share, if they do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SilentGroup {
    /// How many.
    pub sims: u64,
    /// When the first of them fell silent, in milliseconds since 1970.
    pub since_ms: i64,
    /// The network, country part and own part.
    pub network: Option<(String, String)>,
    /// The access point name.
    pub apn: Option<String>,
    /// The customer's group.
    pub sim_group: Option<String>,
    /// The country.
    pub country_code: Option<String>,
}

/// Silent SIMs as they are told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Silence {
    /// Those that fell silent together, the most first.
    pub together: Vec<SilentGroup>,
    /// How many others.
    pub alone: u64,
    /// Whether there are no more than that.
    pub is_all: bool,
}

/// How many SIMs were silent, counted at that time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SilentCount {
    /// The end of a quarter hour.
    pub at: Timestamp,
    /// How many.
    pub sims: u64,
}

impl SilentCount {
    /// A SIM whose last record is older than this is silent.
    pub const SILENT_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
    /// How often they are counted, by the clock.
    pub const EVERY: Duration = Duration::from_secs(15 * 60);

    /// The last time to count that is not after this one.
    pub fn due(now: Timestamp) -> Timestamp {
        let ms = now.unix_ms();
        let every_ms = i64::try_from(Self::EVERY.as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_unix_ms(ms - ms.rem_euclid(every_ms))
    }
}

/// Whether a SIM has been silent for too long that was at work on these days, in order, before the
/// one on which it fell silent: for more than three times its usual gap. From one day to the next
/// the gap is a day.
pub fn is_too_silent(active_days: &[i64], silent_ms: i64) -> bool {
    const TIMES: i64 = 3;
    let gaps = active_days.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let is_known = active_days.len() >= USUAL_DAYS_MIN;
    let usual = median(gaps).filter(|_| is_known);
    usual.is_some_and(|gap| silent_ms > DAY_MS && silent_ms > gap * TIMES * DAY_MS)
}

impl Silence {
    /// Those that fell silent within this time may have done so together.
    const HOUR_MS: i64 = 3_600_000;
    /// So many at least.
    const TOGETHER_MIN: usize = 3;
    /// How many groups are told of; the SIMs of others are told as if they were alone.
    const GROUPS_MAX: usize = 20;

    /// What there is to tell of these SIMs.
    pub fn of(mut sims: Vec<SilentSim>) -> Self {
        sims.sort_by_key(|sim| sim.last);
        let mut silence = Self { is_all: true, ..Self::default() };
        let mut rest = &sims[..];
        while let Some(first) = rest.first() {
            let end_ms = first.last.unix_ms() + Self::HOUR_MS;
            let (hour, later) =
                rest.split_at(rest.partition_point(|sim| sim.last.unix_ms() < end_ms));
            silence.tell_hour(hour.iter().collect());
            rest = later;
        }
        silence.together.sort_by_key(|group| (Reverse(group.sims), group.since_ms));
        let few = silence.together.split_off(Self::GROUPS_MAX.min(silence.together.len()));
        silence.alone += few.iter().map(|group| group.sims).sum::<u64>();
        silence
    }

    /// Takes apart the SIMs of one hour: whatever most of them share makes a group, and so on with
    /// those that are left.
    fn tell_hour(&mut self, mut sims: Vec<&SilentSim>) {
        while let Some(shared) =
            most_shared(&sims).filter(|(_, there)| *there >= Self::TOGETHER_MIN)
        {
            let (trait_of, value) = shared.0;
            let is_of_group = |sim: &&SilentSim| trait_of(&sim.network).as_ref() == Some(&value);
            let together: Vec<&SilentSim>;
            (together, sims) = sims.into_iter().partition(is_of_group);
            self.together.push(SilentGroup::of(&together));
        }
        self.alone += sims.len() as u64;
    }
}

/// What a SIM has of one trait; the second part is of networks alone.
type Value = (String, String);

/// Something that SIMs can share; none where it is not known.
type Trait = fn(&NetworkContext) -> Option<Value>;

const TRAITS: [Trait; 4] = [network, apn, sim_group, country_code];

/// The value that most of them have, and how many that are. Among equals the first trait.
fn most_shared(sims: &[&SilentSim]) -> Option<((Trait, Value), usize)> {
    let mut most: Option<((Trait, Value), usize)> = None;
    for trait_of in TRAITS {
        let mut counts: BTreeMap<Value, usize> = BTreeMap::new();
        for value in sims.iter().filter_map(|sim| trait_of(&sim.network)) {
            *counts.entry(value).or_default() += 1;
        }
        for (value, count) in counts {
            if most.as_ref().is_none_or(|(_, before)| count > *before) {
                most = Some(((trait_of, value), count));
            }
        }
    }
    most
}

impl SilentGroup {
    fn of(sims: &[&SilentSim]) -> Self {
        let shared = |trait_of: Trait| {
            let first = trait_of(&sims.first()?.network)?;
            let is_shared = |sim: &&SilentSim| trait_of(&sim.network).as_ref() == Some(&first);
            sims.iter().all(is_shared).then_some(first)
        };
        Self {
            sims: sims.len() as u64,
            since_ms: sims.first().map_or(0, |sim| sim.last.unix_ms()),
            network: shared(network),
            apn: shared(apn).map(|(apn, _)| apn),
            sim_group: shared(sim_group).map(|(group, _)| group),
            country_code: shared(country_code).map(|(code, _)| code),
        }
    }
}

fn network(context: &NetworkContext) -> Option<Value> {
    Some((context.mcc.sent()?.to_owned(), context.mnc.to_string()))
}

fn apn(context: &NetworkContext) -> Option<Value> {
    alone(&context.apn)
}

fn sim_group(context: &NetworkContext) -> Option<Value> {
    alone(&context.sim_group)
}

fn country_code(context: &NetworkContext) -> Option<Value> {
    alone(&context.country_code)
}

fn alone(text: &ShortText) -> Option<Value> {
    Some((text.sent()?.to_owned(), String::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sim(last_ms: i64, mnc: &str, apn: &str) -> SilentSim {
        let text = |text: &str| ShortText::try_from(text).unwrap_or_default();
        let network = NetworkContext {
            mcc: text("460"),
            mnc: text(mnc),
            apn: text(apn),
            ..NetworkContext::default()
        };
        SilentSim { last: Timestamp::from_unix_ms(last_ms), network }
    }

    #[test]
    fn three_of_one_hour_that_share_something_fell_silent_together() {
        let hour = 3_600_000;
        let sims = vec![sim(5, "01", "a"), sim(hour + 4, "01", "b"), sim(7, "01", "a")];
        let group = SilentGroup {
            sims: 3,
            since_ms: 5,
            network: Some(("460".into(), "01".into())),
            ..SilentGroup::default()
        };
        assert_eq!(
            Silence::of(sims.clone()),
            Silence { together: vec![group.clone()], alone: 0, is_all: true }
        );
        let mut late = sims.clone();
        late[1] = sim(hour + 5, "01", "b");
        assert_eq!(Silence::of(late), Silence { together: vec![], alone: 3, is_all: true });
        let mut mixed = sims.clone();
        mixed.push(sim(8, "02", "c"));
        assert_eq!(Silence::of(mixed), Silence { together: vec![group], alone: 1, is_all: true });
        let mut other = sims;
        other[1] = sim(9, "02", "b");
        assert_eq!(Silence::of(other), Silence { together: vec![], alone: 3, is_all: true });
    }

    #[test]
    fn three_times_the_usual_gap_is_not_too_long_and_a_millisecond_more_is() {
        let daily = [1, 2, 3, 4, 5, 6, 7];
        assert!(!is_too_silent(&daily, 3 * DAY_MS));
        assert!(is_too_silent(&daily, 3 * DAY_MS + 1));
        assert!(!is_too_silent(&daily[..6], 9 * DAY_MS));
        let every_second = [1, 3, 5, 7, 9, 11, 13];
        assert!(!is_too_silent(&every_second, 6 * DAY_MS));
        assert!(is_too_silent(&every_second, 6 * DAY_MS + 1));
    }
}
