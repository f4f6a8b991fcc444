use crate::{
    domain::{Clock, Kind, SystemClock},
    smarthub::kind,
};

/// The records of a run come from a fleet of so many SIMs,
const SIMS: u64 = 100_000;
/// and from this span before now.
const SPAN_MS: u64 = 15 * 60 * 1000;
/// 2024-09-05T00:15:00Z: when a seed is given, every run must make up the same.
const SEEDED_END_MS: i64 = 1_725_495_300_000;

const NETWORKS: [(&str, &str, &str); 8] = [
    ("CN", "460", "00"),
    ("CN", "460", "01"),
    ("CN", "460", "11"),
    ("DE", "262", "01"),
    ("US", "310", "260"),
    ("GB", "234", "15"),
    ("JP", "440", "10"),
    ("FR", "208", "01"),
];

/// Makes up records that differ from each other.
pub(super) struct Generator {
    kind: Kind,
    records: u64,
    seed: u64,
    end_ms: i64,
}

impl Generator {
    /// For pushes of this kind with so many records each.
    pub(super) fn new(kind: Kind, records: u64, seed: Option<u64>) -> Self {
        let end_ms = match seed {
            Some(_) => SEEDED_END_MS,
            None => SystemClock.now().unix_ms(),
        };
        Self { kind, records, seed: seed.unwrap_or_else(rand::random), end_ms }
    }

    /// What the push of this number says, without braces and proof.
    pub(super) fn members(&self, nth_push: u64) -> String {
        let record = |nth| self.record(nth_push * self.records + nth);
        if self.records == 1 {
            return record(0);
        }
        let records: Vec<String> =
            (0..self.records).map(|nth| format!("{{{}}}", record(nth))).collect();
        format!("\"records\":[{}]", records.join(","))
    }

    fn record(&self, nth: u64) -> String {
        let mut dice = Dice(self.seed ^ nth.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let sim = dice.below(SIMS);
        let time_ms = self.end_ms.saturating_sub_unsigned(dice.below(SPAN_MS));
        let who = format!(
            "\"giccid\":\"89445015{sim:011}\",\"imsi\":\"4600{sim:011}\",\"sim_group\":\"group-{}\"",
            sim % 10
        );
        match self.kind.as_str() {
            kind::DATA_USAGE => {
                let network = usize::try_from(sim).unwrap_or_default() % NETWORKS.len();
                let (country, mcc, mnc) = NETWORKS[network];
                format!(
                    "{who},\"data_usage\":{},\"start_time\":{time_ms},\"duration\":{},\
                     \"mcc\":\"{mcc}\",\"mnc\":\"{mnc}\",\"country_code\":\"{country}\",\
                     \"apn\":\"apn{}\"",
                    dice.below(10_000_000),
                    dice.below(3_600),
                    sim % 3
                )
            }
            kind::MO_SMS => format!(
                "{who},\"event_time\":{time_ms},\"from_msisdn\":\"88236{sim:010}\",\
                 \"to_msisdn\":\"4490{:08}\"",
                dice.below(100_000_000)
            ),
            _ => format!("{who},\"event_time\":{time_ms},\"number\":{}", dice.below(1 << 53)),
        }
    }
}

/// SplitMix64: the same numbers for the same seed in every version of simdeck.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}
