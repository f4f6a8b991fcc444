//! Requests to push addresses that are sent away before anybody looks for their proof.
//!
//! Nothing of them is kept, and each may have been SmartHub's: whatever the cause, it is told, with
//! what to do. Held by `tests/it/front/rejected.rs`.
use std::{collections::HashMap, net::IpAddr, time::Duration};

use super::{rules::DAY, signals::Run};
use crate::domain::{Condition, ConditionKind, SourceBlock, Timestamp};

/// How often the log names one source for one cause.
const LOGGED_EVERY: Duration = Duration::from_secs(60 * 60);
/// So many sources and causes are named in that time.
const LOGGED_MAX: usize = 1_000;

/// Why a request that may be a push was sent away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rejection {
    /// It names no host.
    NoHost,
    /// Others may find another request in it than we do.
    Ambiguous,
    /// It has a path token that is not live, or none, before the path of a push.
    WrongToken,
    /// It is no POST.
    Method,
    /// Its source is not allowed.
    Source,
    /// Its body is encoded.
    Encoded,
    /// Its body is too large.
    TooLarge,
    /// Its body did not come in time.
    TooSlow,
    /// Its body ended before its declared size.
    CutShort,
    /// Its header is too large, so that its address is not known.
    LargeHeader,
}

/// All that were noted.
#[derive(Debug, Default)]
pub(super) struct Rejections {
    runs: Vec<RejectedRun>,
    logged: HashMap<(Rejection, SourceBlock), Timestamp>,
}

/// Requests that were sent away for one cause.
#[derive(Clone, Debug)]
pub(super) struct RejectedRun {
    pub(super) rejection: Rejection,
    pub(super) last_source: IpAddr,
    pub(super) run: Run,
}

impl Rejection {
    /// What such requests have in common: so many requests …
    pub fn fault(self) -> &'static str {
        match self {
            Self::NoHost => "without a Host header (400)",
            Self::Ambiguous => "with two Host headers or an unusual Transfer-Encoding (400)",
            Self::WrongToken => "with a wrong path token or none (404)",
            Self::Method => "with another method than POST (405)",
            Self::Source => "from outside SIMDECK_PUBLIC_ALLOW_SOURCES (403)",
            Self::Encoded => "with a Content-Encoding (415)",
            Self::TooLarge => "larger than SIMDECK_PUBLIC_MAX_BODY (413)",
            Self::TooSlow => "whose body took longer than 10 s (408)",
            Self::CutShort => "whose body was cut short (400)",
            Self::LargeHeader => {
                "whose header is larger than 8 KiB or has more than 64 lines (431)"
            }
        }
    }

    /// What to do, if they are SmartHub's.
    pub fn advice(self) -> &'static str {
        match self {
            Self::NoHost | Self::Ambiguous | Self::LargeHeader => {
                "look at how the proxy in front of simdeck passes requests on"
            }
            Self::WrongToken => {
                "register the addresses that `simdeck welcome` shows, or keep the old token in \
                 SIMDECK_PUBLIC_PATH_TOKEN beside the new one"
            }
            Self::Method => "have it send them with POST",
            Self::Source => {
                "add their address to SIMDECK_PUBLIC_ALLOW_SOURCES, or set \
                 SIMDECK_PUBLIC_ALLOW_MODE=monitor until the list is complete"
            }
            Self::Encoded => {
                "have it, or the proxy in front of simdeck, send bodies without an encoding"
            }
            Self::TooLarge => "raise SIMDECK_PUBLIC_MAX_BODY",
            Self::TooSlow | Self::CutShort => {
                "look at the line, and at the timeouts of the proxy in front of simdeck"
            }
        }
    }

    /// So many are told of: a body is cut short by any client that leaves, and a large header may be
    /// of anybody; the rest fails again and again.
    fn count_min(self) -> u64 {
        match self {
            Self::TooSlow | Self::CutShort | Self::LargeHeader => 20,
            _ => 1,
        }
    }
}

impl Rejections {
    /// Notes one more; says whether the log should name it.
    pub(super) fn add(&mut self, rejection: Rejection, source: IpAddr, now: Timestamp) -> bool {
        match self.runs.iter_mut().find(|it| it.rejection == rejection) {
            // One that came after a day without is a new run.
            Some(known) if known.run.is_recent(now, DAY) => {
                known.run.count += 1;
                known.run.last = now;
                known.last_source = source;
            }
            known => {
                let run = Run { count: 1, since: now, last: now };
                let new = RejectedRun { rejection, last_source: source, run };
                match known {
                    Some(known) => *known = new,
                    None => self.runs.push(new),
                }
            }
        }
        self.is_to_be_logged((rejection, source.into()), now)
    }

    fn is_to_be_logged(&mut self, what: (Rejection, SourceBlock), now: Timestamp) -> bool {
        // Of requests that come together a later one may be noted first.
        let is_known =
            |at: &Timestamp| now.since(*at) < LOGGED_EVERY && at.since(now) < LOGGED_EVERY;
        if self.logged.get(&what).is_some_and(is_known) {
            return false;
        }
        if self.logged.len() >= LOGGED_MAX {
            self.logged.retain(|_, at| is_known(at));
        }
        let has_room = self.logged.len() < LOGGED_MAX;
        if has_room {
            self.logged.insert(what, now);
        }
        has_room
    }

    /// Those that are still told of, in a fixed order.
    pub(super) fn read(&self, now: Timestamp) -> Vec<RejectedRun> {
        let is_told = |it: &&RejectedRun| {
            it.run.is_recent(now, DAY) && it.run.count >= it.rejection.count_min()
        };
        let mut told: Vec<_> = self.runs.iter().filter(is_told).cloned().collect();
        told.sort_by_key(|it| it.rejection);
        told
    }
}

/// One condition for all causes.
pub(super) fn condition(runs: &[RejectedRun]) -> Option<Condition> {
    let since = runs.iter().map(|it| it.run.since).min()?;
    let last = runs.iter().max_by_key(|it| it.run.last)?;
    let causes: Vec<String> =
        runs.iter().map(|it| format!("{} {}", it.run.count, it.rejection.fault())).collect();
    let mut advice: Vec<&str> = runs.iter().map(|it| it.rejection.advice()).collect();
    advice.dedup();
    let says = format!(
        "Requests that may be pushes are sent away before their signature is looked at, and kept \
         nowhere: {}. The last one came from {}.",
        causes.join(", "),
        last.last_source,
    );
    let todo = format!(
        "Look at /v1/pushes?outcome=rejected for who sends them. If it is SmartHub, {}; it has to \
         send them again.",
        advice.join("; "),
    );
    Some(Condition { kind: ConditionKind::PushesRejected, about: None, since, says, todo })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_ms(seconds * 1_000)
    }

    #[test]
    fn the_log_names_a_source_once_an_hour_for_each_cause() {
        let mut rejections = Rejections::default();
        let (one, other) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        for (rejection, source, seconds, is_logged) in [
            (Rejection::Encoded, one, 0, true),
            (Rejection::Encoded, one, 3_599, false),
            (Rejection::TooLarge, one, 3_599, true),
            (Rejection::Encoded, other, 3_599, true),
            (Rejection::Encoded, one, 3_600, true),
            (Rejection::Encoded, one, 3_601, false),
            // A clock that was set back is no reason to say nothing.
            (Rejection::Encoded, one, 3_599, false),
            (Rejection::Encoded, one, 0, true),
        ] {
            assert_eq!(rejections.add(rejection, source, at(seconds)), is_logged, "{seconds}");
        }
    }

    #[test]
    fn of_very_many_sources_so_many_are_named_and_all_are_counted() {
        let mut rejections = Rejections::default();
        let source = |nth: u32| IpAddr::from(nth.to_be_bytes());
        let logged =
            (0..2_000).filter(|nth| rejections.add(Rejection::Method, source(*nth), at(0)));
        assert_eq!(logged.count(), LOGGED_MAX);
        assert_eq!(rejections.read(at(0))[0].run.count, 2_000);
        assert!(rejections.add(Rejection::Method, source(1), at(3_600)), "an hour later");
        assert_eq!(rejections.logged.len(), 1);
    }

    #[test]
    fn a_run_ends_a_day_after_its_last() {
        let mut rejections = Rejections::default();
        let source = [192, 0, 2, 1].into();
        let day = 24 * 60 * 60;
        rejections.add(Rejection::Source, source, at(0));
        rejections.add(Rejection::Source, source, at(day));
        assert_eq!(rejections.read(at(2 * day))[0].run.count, 2);
        assert!(condition(&rejections.read(at(2 * day + 1))).is_none());
        rejections.add(Rejection::Source, source, at(2 * day + 1));
        assert_eq!(rejections.read(at(2 * day + 1))[0].run.count, 1, "a new one");
    }

    #[test]
    fn a_body_that_is_cut_short_now_and_then_is_not_told() {
        let mut rejections = Rejections::default();
        for nth in 1..=20 {
            rejections.add(Rejection::CutShort, [192, 0, 2, 1].into(), at(nth));
            assert_eq!(condition(&rejections.read(at(nth))).is_some(), nth == 20, "{nth}");
        }
    }
}
