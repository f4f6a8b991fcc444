//! What is wrong with what RCMS tells of routers.
use super::rules::of;
use crate::domain::{Condition, ConditionKind, PollCall, PollReport, Timestamp};

/// All that is wrong by a report of the poller.
pub(super) fn found(report: &PollReport, now: Timestamp) -> impl Iterator<Item = Condition> {
    [
        failing(report),
        list_short(report, now),
        slow(report, now),
        clock(report, now),
        unread(report, now),
        no_samples(report, now),
    ]
    .into_iter()
    .flatten()
}

/// That some routers cannot be asked about themselves is no failure of RCMS.
fn failing(report: &PollReport) -> Option<Condition> {
    let failing = report.failing.iter().find(|(call, _)| **call != PollCall::StatusData);
    let (call, failure) = failing?;
    let says = match call {
        PollCall::Keep => "RCMS's answers are not stored: what is known of routers may be old.",
        _ => "RCMS does not answer as it should: what is known of routers may be old.",
    };
    let todo = format!("Look at `rcms` in /v1/status for what to do ({call}: {}).", failure.kind);
    Some(of(ConditionKind::RcmsFailing, failure.since, says.to_owned(), todo))
}

/// RCMS counts more routers than it lists: those that it does not list are not watched.
fn list_short(report: &PollReport, now: Timestamp) -> Option<Condition> {
    let (counted, listed) = report.short_list()?;
    let says = format!(
        "RCMS counts {counted} routers and lists {listed} of them: the others are not watched here."
    );
    let todo = "Give the client of SIMDECK_RCMS_CLIENT_ID the right to see all groups in RCMS, or \
                name the missing routers in SIMDECK_RCMS_DEVICES.";
    Some(of(ConditionKind::RcmsListShort, now, says, todo))
}

/// Not how many routers by now: what is the same is told in the same words.
fn slow(report: &PollReport, now: Timestamp) -> Option<Condition> {
    if !report.is_slow() {
        return None;
    }
    let says =
        "RCMS is too slow, or bears too few requests, for each router to be asked for within \
                15 minutes: what routers tell about themselves comes late."
            .to_owned();
    let todo = "Look at simdeck_rcms_poll_duration_seconds and simdeck_rcms_failures_total in \
                /metrics; ask Robustel for more requests a minute or larger pages.";
    Some(of(ConditionKind::RcmsSlow, now, says, todo))
}

/// What is listed and cannot be read as a router, or not whether it is online.
fn unread(report: &PollReport, now: Timestamp) -> Option<Condition> {
    let nameless = |count| {
        format!("RCMS lists {count} without a serial number that can be read: not watched here.")
    };
    let of_no_state =
        |count| format!("The online flag of {count} says neither yes nor no: unknown here.");
    let says = match report.unread {
        (0, 0) => return None,
        (items, 0) => nameless(items),
        (0, flags) => of_no_state(flags),
        (items, flags) => format!("{} {}", nameless(items), of_no_state(flags)),
    };
    let todo = "Look at what RCMS lists (`simdeck rcms get /api/link/device/devices --query pageNum=1 \
                --query pageSize=10`) and report it to simdeck; what was not read is under `extra` of \
                /v1/devices.";
    Some(of(ConditionKind::RcmsUnread, now, says, todo))
}

/// Each call may well be answered, and with nothing.
fn no_samples(report: &PollReport, now: Timestamp) -> Option<Condition> {
    let since = report.without_samples(now)?;
    let says = "RCMS has told nothing of what routers say about themselves for 2 h or more, although \
                some are online.";
    let todo = "Run `simdeck rcms check`: the client of SIMDECK_RCMS_CLIENT_ID may lack the right to \
                read `statusData`, or the routers are set to report nothing.";
    Some(of(ConditionKind::RcmsNoSamples, since, says.to_owned(), todo))
}

/// Not by how much: what is the same is told in the same words.
fn clock(report: &PollReport, now: Timestamp) -> Option<Condition> {
    let side = if report.is_clock_ahead()? { "ahead of" } else { "behind" };
    let says = format!("This server's clock is a minute or more {side} RCMS's.");
    let todo = "Set the clock, and keep it right with NTP (`timedatectl set-ntp true`): RCMS refuses \
                requests of a clock that is too wrong. Routers are asked about by RCMS's clock.";
    Some(of(ConditionKind::RcmsClock, now, says, todo))
}
