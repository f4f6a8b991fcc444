//! Heartbeat bars: whether a router was there, over the last hours. A drop is seen however short it was;
//! else a slot shows what was most of it.
use std::fmt::Write as _;

use futures_util::{StreamExt, stream};
use serde::Deserialize;

use super::{
    Visitor,
    ask::{Answer, Refused},
    call::Call,
    format::{Format, told},
};
use crate::domain::{DeviceState, Timestamp};

/// How far back bars go, and into what that is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// Its length.
    pub(super) hours: i64,
    slot_ms: i64,
    /// How many changes are asked for: as many as there are polls, if they are a minute apart.
    changes: u32,
}

/// A router as the API's list has it, as far as bars need it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now<'d> {
    pub(super) sn: &'d str,
    pub(super) state: &'d str,
    pub(super) since: &'d str,
}

/// An entry of a router's history.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct ChangeIn {
    at: String,
    state: Option<String>,
}

/// What is drawn for one router: a path for each state, in a box whose height is 16.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Beats {
    pub(super) online: String,
    /// Shorter than online.
    pub(super) offline: String,
    /// Shorter still.
    pub(super) unknown: String,
    pub(super) width: usize,
    /// How often it went offline, and that in words.
    pub(super) drops: usize,
    pub(super) drops_told: String,
    /// All of it in a sentence.
    pub(super) summary: String,
}

/// A state, and from when to when it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stretch {
    from_ms: i64,
    to_ms: i64,
    state: DeviceState,
}

impl Span {
    /// For a row of a list.
    pub(super) const SIX_HOURS: Self = Self { hours: 6, slot_ms: 600_000, changes: 400 };
    /// For a router's own page.
    pub(super) const DAY: Self = Self { hours: 24, slot_ms: 900_000, changes: 1_000 };

    /// When the first slot begins. They begin at full ten minutes; the last one is not over.
    fn first_ms(self, now: Timestamp) -> i64 {
        let last = now.unix_ms().div_euclid(self.slot_ms);
        (last + 1) * self.slot_ms - self.hours * 3_600_000
    }
}

/// The question for the changes of a router's state, the newest first: also for what was before the
/// first slot, since that holds until the first change in it.
pub(super) fn changes_of(sn: &str, span: Span) -> Call {
    let call = Call::to(format!("/v1/devices/{sn}/history")).with("kind", "state");
    call.with("cursor", "").with("size", span.changes)
}

/// The bars of these routers over the last six hours, in their order; none for one whose history the
/// API does not give.
pub(super) async fn for_devices<'d>(
    visitor: &Visitor,
    devices: impl IntoIterator<Item = Now<'d>>,
) -> Vec<Option<Beats>> {
    /// Each takes a place among the API's heavy questions, which others want too.
    const AT_ONCE: usize = 4;
    let asked: Vec<_> =
        devices.into_iter().map(|device| of_device(visitor, device, Span::SIX_HOURS)).collect();
    stream::iter(asked).buffered(AT_ONCE).map(Result::ok).collect().await
}

/// The bars of one router.
pub(super) async fn of_device(
    visitor: &Visitor,
    device: Now<'_>,
    span: Span,
) -> Result<Beats, Refused> {
    let call = changes_of(device.sn, span);
    let answer: Answer<Vec<ChangeIn>> = visitor.api.get_recent(&call).await?;
    Ok(Beats::of(&answer.body, device, span, &visitor.format()))
}

impl Beats {
    /// Of a router's changes, and what it is now.
    pub(super) fn of(history: &[ChangeIn], device: Now<'_>, span: Span, format: &Format) -> Self {
        let from_ms = span.first_ms(format.now);
        let stretches = stretches(history, device, from_ms, format.now.unix_ms());
        let drops = drops(&stretches);
        let drops_told = (format.words.routers.drops)(drops);
        let mut beats = Self { drops, drops_told, ..Self::default() };
        let slots = usize::try_from(span.hours * 3_600_000 / span.slot_ms).unwrap_or_default();
        for nth in 0..slots {
            let start_ms = from_ms + i64::try_from(nth).unwrap_or_default() * span.slot_ms;
            let end_ms = start_ms + span.slot_ms;
            beats.draw(nth, shown_of(&stretches, start_ms, end_ms));
        }
        beats.width = slots * STEP;
        beats.summary = beats.told(&stretches, span, format);
        beats
    }

    fn draw(&mut self, nth: usize, state: DeviceState) {
        const HEIGHT: usize = 16;
        let (path, height) = match state {
            DeviceState::Online => (&mut self.online, HEIGHT),
            DeviceState::Offline => (&mut self.offline, 10),
            DeviceState::Unknown => (&mut self.unknown, 4),
        };
        // Writing to a String does not fail.
        let _written = write!(path, "M{} {}h4v{height}h-4z", nth * STEP, HEIGHT - height);
    }

    fn told(&self, stretches: &[Stretch], span: Span, format: &Format) -> String {
        let whole = stretches.iter().map(Stretch::length_ms).sum();
        let share = |state| {
            let of = |it: &&Stretch| it.state == state;
            let part = stretches.iter().filter(of).map(Stretch::length_ms).sum();
            let share = format.share(part, whole);
            // A drop is short, and still there.
            if share == "100%" && part < whole { ">99%".to_owned() } else { share }
        };
        let [online, offline, unknown] = DeviceState::ALL.map(share);
        let tell = format.words.routers.beats;
        tell(span.hours, &online, &offline, &unknown, &self.drops_told)
    }
}

/// How wide a slot is with the gap behind it.
const STEP: usize = 6;

impl Stretch {
    fn length_ms(&self) -> i64 {
        self.to_ms - self.from_ms
    }
}

/// What the slot between these moments shows of all that was in it.
fn shown_of(stretches: &[Stretch], start_ms: i64, end_ms: i64) -> DeviceState {
    let length_ms = |state| {
        let inside = |it: &Stretch| (it.to_ms.min(end_ms) - it.from_ms.max(start_ms)).max(0);
        stretches.iter().filter(|it| it.state == state).map(inside).sum::<i64>()
    };
    if length_ms(DeviceState::Offline) > 0 {
        DeviceState::Offline
    } else if length_ms(DeviceState::Online) > length_ms(DeviceState::Unknown) {
        DeviceState::Online
    } else {
        DeviceState::Unknown
    }
}

/// What was when, without a gap from the one moment to the other. Before the first change that is told
/// nothing is known; what is now may have begun without a change, where RCMS fell silent.
fn stretches(history: &[ChangeIn], device: Now<'_>, from_ms: i64, now_ms: i64) -> Vec<Stretch> {
    let change = |at: &str, state: &str| Some((told(at)?.unix_ms(), state.parse().ok()?));
    let mut changes: Vec<(i64, DeviceState)> = vec![(i64::MIN, DeviceState::Unknown)];
    changes.extend(change(device.since, device.state));
    changes.extend(history.iter().filter_map(|it| change(&it.at, it.state.as_deref()?)));
    changes.sort_by_key(|(at_ms, _)| *at_ms);
    let ends = changes.iter().skip(1).map(|(at_ms, _)| *at_ms).chain([i64::MAX]);
    let cut = |(&(at_ms, state), end_ms): (&(i64, DeviceState), i64)| {
        let (from_ms, to_ms) = (at_ms.max(from_ms), end_ms.min(now_ms));
        (from_ms < to_ms).then_some(Stretch { from_ms, to_ms, state })
    };
    changes.iter().zip(ends).filter_map(cut).collect()
}

/// From online to offline, also if nobody knew in between.
fn drops(stretches: &[Stretch]) -> usize {
    let known: Vec<_> =
        stretches.iter().map(|it| it.state).filter(|it| *it != DeviceState::Unknown).collect();
    known.windows(2).filter(|pair| *pair == [DeviceState::Online, DeviceState::Offline]).count()
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::{
        super::{format::UnitBase, words::EN},
        *,
    };

    /// At 08:05 a router is so since then, after these changes.
    fn beats(now: (&str, &str), history: &[(&str, &str)]) -> Beats {
        let at = |time: &str| format!("2024-09-05T{time}:00.000Z");
        let change = |(time, state): &(&str, &str)| ChangeIn {
            at: at(time),
            state: Some((*state).to_owned()),
        };
        let history: Vec<_> = history.iter().map(change).collect();
        let since = at(now.0);
        let device = Now { sn: "RT1", state: now.1, since: &since };
        let now = told("2024-09-05T08:05:00Z").expect("a time");
        let format = Format { words: &EN, zone: TimeZone::UTC, base: UnitBase::Binary, now };
        Beats::of(&history, device, Span::SIX_HOURS, &format)
    }

    fn bars(path: &str) -> usize {
        path.matches('M').count()
    }

    #[test]
    fn a_state_that_began_before_the_first_slot_fills_them_all() {
        let beats = beats(("01:00", "online"), &[]);
        assert_eq!((bars(&beats.online), beats.width, beats.drops), (36, 216, 0));
        assert_eq!(beats.offline.clone() + &beats.unknown, "");
        assert_eq!(
            beats.summary,
            "Last 6 h: online 100% of the time, offline 0%, unknown 0%; no drop."
        );
    }

    #[test]
    fn a_drop_is_seen_however_short_and_told() {
        let changes = [("05:02", "online"), ("05:01", "offline"), ("00:00", "online")];
        let beats = beats(("05:02", "online"), &changes);
        assert_eq!((bars(&beats.online), bars(&beats.offline), beats.drops), (35, 1, 1));
        // The slot from 05:00 is the 18th of those from 02:10 on.
        assert_eq!(beats.offline, "M102 6h4v10h-4z");
        assert!(beats.summary.ends_with("offline <1%, unknown 0%; 1 drop."), "{}", beats.summary);
    }

    #[test]
    fn what_nobody_told_is_unknown_and_no_drop() {
        let first_seen = beats(("07:00", "offline"), &[("07:00", "offline")]);
        assert_eq!((bars(&first_seen.unknown), bars(&first_seen.offline)), (29, 7));
        let silent = beats(("07:55", "unknown"), &[("00:00", "online")]);
        assert_eq!((bars(&silent.online), bars(&silent.unknown)), (34, 2));
        assert_eq!(silent.drops, 0);
        assert_eq!(first_seen.drops, 0);
        let changes = [("07:00", "offline"), ("06:00", "unknown"), ("00:00", "online")];
        assert_eq!(beats(("07:00", "offline"), &changes).drops, 1);
    }
}
