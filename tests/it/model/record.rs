//! The records that a case can push: few enough that they meet again.
use serde_json::{Value, json};

pub(super) const HOUR_MS: i64 = 3_600_000;

/// The first is a part of the next two, digit by digit; the last is a part of none and has one more
/// digit than the one before it.
pub(super) const SIMS: [&str; 6] = [
    "894450150318137799",
    "8944501503181377990",
    "8944501503181377997",
    "89860012345678900001",
    "89860012345678900002",
    "898600123456789000021",
];

/// How long ago records began. None is near 48 hours, where a prune cuts while a case runs.
const HOURS_AGO: [i64; 10] = [1, 2, 3, 20, 30, 44, 52, 60, 75, 95];

/// The push categories: two with fields we know, two without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    Usage,
    Sms,
    /// With a time of its own.
    Status,
    /// Known to nobody, and without a time: `datePush` is a part of what it is.
    Future,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Usage, Self::Sms, Self::Status, Self::Future];

    pub(super) fn slug(self) -> &'static str {
        match self {
            Self::Usage => "data-usage",
            Self::Sms => "mo-sms",
            Self::Status => "sim-status",
            Self::Future => "of-the-future",
        }
    }

    pub(super) fn list(self) -> &'static str {
        match self {
            Self::Usage => "data-usage",
            Self::Sms => "mo-sms",
            Self::Status | Self::Future => "notifications",
        }
    }
}

/// A record, by what makes it this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Spec {
    pub(super) kind: Kind,
    pub(super) sim: usize,
    pub(super) hours_ago: usize,
    pub(super) variant: i64,
}

impl Spec {
    /// From small numbers, whatever they are.
    pub(super) fn new(kind: Kind, sim: usize, hours_ago: usize, variant: i64) -> Self {
        Self { kind, sim: sim % SIMS.len(), hours_ago: hours_ago % HOURS_AGO.len(), variant }
    }

    pub(super) fn giccid(self) -> &'static str {
        SIMS[self.sim]
    }

    /// When it began, in a case that began at this time.
    pub(super) fn own_ms(self, began_ms: i64) -> i64 {
        let hour = began_ms / HOUR_MS - HOURS_AGO[self.hours_ago];
        // Away from the full hour, and not all in one quarter of it.
        hour * HOUR_MS + HOUR_MS / 4 + self.variant % 5 * 7 * 60_000
    }

    /// No other record has this number; it is the volume of a usage record.
    pub(super) fn number(self) -> i64 {
        let kind = self.kind as i64;
        let (sim, hours_ago) = (self.sim as i64, self.hours_ago as i64);
        ((self.variant * 10 + hours_ago) * 6 + sim) * 4 + kind + 1
    }

    /// The record with this number.
    pub(super) fn of_number(number: i64) -> Option<Self> {
        let rest = number.checked_sub(1).filter(|rest| *rest >= 0)?;
        let kind = *Kind::ALL.get(usize::try_from(rest % 4).ok()?)?;
        let sim = usize::try_from(rest / 4 % 6).ok()?;
        let hours_ago = usize::try_from(rest / 24 % 10).ok()?;
        Some(Self { kind, sim, hours_ago, variant: rest / 240 })
    }

    pub(super) fn group(self) -> &'static str {
        match self.variant % 3 {
            0 => "",
            1 => "a",
            _ => "b",
        }
    }

    pub(super) fn country(self) -> &'static str {
        if self.variant % 2 == 0 { "CN" } else { "DE" }
    }

    /// Another SIM that it mentions, if it does: it stays when that one is erased.
    fn mentioned(self) -> Option<&'static str> {
        let is_swap = matches!(self.kind, Kind::Status | Kind::Future) && self.variant % 3 == 2;
        is_swap.then(|| SIMS[(self.sim + 1) % SIMS.len()])
    }

    /// Its members as they are pushed.
    pub(super) fn members(self, began_ms: i64) -> Vec<(&'static str, Value)> {
        let (giccid, number, at) = (self.giccid(), self.number(), self.own_ms(began_ms));
        let mut members = vec![("giccid", json!(giccid))];
        match self.kind {
            Kind::Usage => {
                members.push(("data_usage", json!(number)));
                members.push(("start_time", json!(at)));
                members.push(("mcc", json!("460")));
                members.push(("mnc", json!(format!("0{}", self.variant % 2))));
                members.push(("country_code", json!(self.country())));
                members.push(("sim_group", json!(self.group())));
                members.push(("imsi", json!(format!("46000{}", self.variant % 2))));
            }
            Kind::Sms => {
                members.push(("event_time", json!(at)));
                members.push(("to_msisdn", json!(number.to_string())));
            }
            Kind::Status => {
                members.push(("event_time", json!(at)));
                members.push(("n", json!(number)));
            }
            Kind::Future => members.push(("n", json!(number))),
        }
        if let Some(other) = self.mentioned() {
            members.push(("note", json!(format!("swapped with {other}"))));
        }
        members
    }
}

/// Members as JSON text, forwards or backwards: it is the same record.
pub(super) fn text_of(members: &[(&'static str, Value)], backwards: bool) -> String {
    let texts = members.iter().map(|(name, value)| format!("\"{name}\":{value}"));
    let texts: Vec<String> = if backwards { texts.rev().collect() } else { texts.collect() };
    texts.join(",")
}
