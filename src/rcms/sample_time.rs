//! When a sample was taken, in whatever form it says so.
//!
//! RCMS documents none. A time that leaves no doubt (epoch milliseconds or seconds, RFC 3339 with
//! its offset) is taken as it is, also where RCMS answers with more than was asked for. One without an
//! offset is in the zone that is set, or else in the one by which most samples of an answer lie in the
//! span that was asked for. In a long span several may do: then it is the one that an earlier answer left
//! no doubt about, or none.
use std::sync::{Mutex, PoisonError};

use jiff::{civil::DateTime, tz::TimeZone};

use crate::domain::Timestamp;

/// How far behind the end of the span a time may lie: a router's clock may be wrong.
const SLACK_MS: i64 = 3_600_000;
/// The same at both ends, where the offset is not known.
const LOCAL_SLACK_MS: i64 = 60_000;
/// 2010. A router that has not been told the time yet says that it is 1970, 2000 or so.
const EARLIEST_MS: i64 = 1_262_304_000_000;
/// Every offset in use is a multiple of this, and none is farther off than the other.
const QUARTER_MS: i64 = 15 * 60_000;
const QUARTERS_MAX: i64 = 14 * 4;

/// The span that was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) begin: Timestamp,
    pub(super) end: Timestamp,
}

/// The zone of times that name none.
#[derive(Debug, Default)]
pub(super) struct LocalZone {
    set: Option<TimeZone>,
    learned_ms: Mutex<Option<i64>>,
}

/// What a text says of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    At(i64),
    Local(DateTime),
}

impl LocalZone {
    /// The one that is set.
    pub(super) fn set(zone: TimeZone) -> Self {
        Self { set: Some(zone), learned_ms: Mutex::default() }
    }

    /// When each sample of a page was taken, each by the first of its texts that says it; none where
    /// none does. What leaves no doubt goes before what does.
    pub(super) fn moments(&self, samples: &[Vec<&str>], span: Span) -> Vec<Option<Timestamp>> {
        let said: Vec<Vec<Said>> =
            samples.iter().map(|texts| texts.iter().copied().filter_map(said).collect()).collect();
        let sure = |times: &[Said]| {
            times.iter().find_map(|time| match time {
                Said::At(ms) if span.may_hold(*ms) => Some(*ms),
                _ => None,
            })
        };
        let local = |times: &[Said]| {
            times.iter().find_map(|time| match time {
                Said::Local(local) => Some(*local),
                Said::At(_) => None,
            })
        };
        let of_no_zone: Vec<DateTime> = said
            .iter()
            .filter(|times| sure(times).is_none())
            .filter_map(|times| local(times))
            .collect();
        let offset_ms = self.offset_ms(&of_no_zone, span);
        let read = |times: &Vec<Said>| {
            let ms = sure(times).or_else(|| self.in_zone(local(times)?, offset_ms, span));
            ms.map(Timestamp::from_unix_ms)
        };
        said.iter().map(read).collect()
    }

    fn in_zone(&self, local: DateTime, offset_ms: Option<i64>, span: Span) -> Option<i64> {
        let ms = match &self.set {
            Some(zone) => zone.to_ambiguous_timestamp(local).compatible().ok()?.as_millisecond(),
            None => as_utc_ms(local)? - offset_ms?,
        };
        span.may_hold(ms).then_some(ms)
    }

    /// The offset by which these lie in the span: the one that was learned if most of them do, or else
    /// the one by which more of them do than by any other. One router with a wrong clock has no say.
    fn offset_ms(&self, locals: &[DateTime], span: Span) -> Option<i64> {
        if self.set.is_some() {
            return None;
        }
        let times: Vec<i64> = locals.iter().copied().filter_map(as_utc_ms).collect();
        let fitting =
            |offset_ms: i64| times.iter().filter(|ms| span.fits(**ms - offset_ms)).count();
        let are_most = |fitting: usize| fitting > 0 && fitting * 2 >= times.len();
        let mut learned = self.learned_ms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(offset_ms) = learned.filter(|offset_ms| are_most(fitting(*offset_ms))) {
            return Some(offset_ms);
        }
        let offsets = (-QUARTERS_MAX..=QUARTERS_MAX).map(|quarters| quarters * QUARTER_MS);
        let votes: Vec<(usize, i64)> = offsets.map(|offset| (fitting(offset), offset)).collect();
        let most = votes.iter().map(|(fitting, _)| *fitting).max()?;
        let mut best = votes.into_iter().filter(|(fitting, _)| *fitting == most);
        let offset_ms = best.next().filter(|_| are_most(most) && best.next().is_none());
        let offset_ms = offset_ms.map(|(_, offset_ms)| offset_ms);
        *learned = offset_ms.or(*learned);
        offset_ms
    }
}

impl Span {
    /// Whether a sample that was answered may have been taken then.
    fn may_hold(self, ms: i64) -> bool {
        (EARLIEST_MS..=self.end.unix_ms().saturating_add(SLACK_MS)).contains(&ms)
    }

    /// Whether it lies where it was asked for.
    fn fits(self, ms: i64) -> bool {
        let (begin, end) = (self.begin.unix_ms(), self.end.unix_ms());
        let (begin, end) =
            (begin.saturating_sub(LOCAL_SLACK_MS), end.saturating_add(LOCAL_SLACK_MS));
        (begin..=end).contains(&ms)
    }
}

fn said(text: &str) -> Option<Said> {
    let text = text.trim();
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match (is_number, text.len()) {
        (true, 13) => text.parse().ok().map(Said::At),
        (true, 10) => text.parse::<i64>().ok().map(|seconds| Said::At(seconds * 1000)),
        (true, _) => None,
        (false, _) => {
            let sure = text.parse::<jiff::Timestamp>().ok();
            let sure = sure.map(|at| Said::At(at.as_millisecond()));
            sure.or_else(|| Some(Said::Local(text.replace('/', "-").parse().ok()?)))
        }
    }
}

fn as_utc_ms(local: DateTime) -> Option<i64> {
    let utc = TimeZone::UTC.to_ambiguous_timestamp(local).compatible().ok()?;
    Some(utc.as_millisecond())
}
