use std::{net::IpAddr, time::Duration};

use super::{
    erased, place, rcms,
    rejected::{self, RejectedRun, Rejection},
    signals::{MisaddressedRun, Reading, RefusedRun, Run},
};
use crate::{
    domain::{
        BelievedTime, ClockEvidence, ClockFault, Condition, ConditionKind, HeldReason, HeldTally,
        Kind, PollReport, PushPause, SourceBlock, Timestamp, edits, span,
    },
    smarthub::kind,
};

pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Slow acknowledgements are told of for so long after the last one.
pub(super) const SLOW_TOLD_FOR: Duration = Duration::from_secs(10 * 60);
/// A name that is nearly right is told of for so long after it was last used.
const MISSPELT_TOLD_FOR: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// So many letters differ at most in a slip of the pen.
const SLIP_EDITS_MAX: usize = 2;
/// So many authentic pushes are sent away in a row before it is told.
const SENT_AWAY_MIN: u64 = 5;

/// What has to be read from elsewhere. What cannot be read at the moment is none: then what is
/// known of it stays.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The moment.
    pub now: Timestamp,
    /// When each kind last came.
    pub pushes: Option<Vec<LastPush>>,
    /// Which authentic pushes are held, by reason; the counts may be cut at some bound.
    pub authentic_held: Option<Vec<HeldTally>>,
    /// How the poller of RCMS fares, where there is one.
    pub rcms: Option<PollReport>,
    /// Why the disk is too full, in a sentence with what to do, if it is.
    pub disk: Option<String>,
    /// The data directory, if it lies on a disk of its own that has hardly any room.
    pub folder_low: Option<String>,
    /// Which file of the database is elsewhere than where it was opened, in words, if one is.
    pub moved_file: Option<String>,
    /// What the newest authentic push says of the time, if there was one.
    pub clock: Option<BelievedTime>,
    /// Since when no backup can be made, and why, if none can.
    pub backup: Option<(Timestamp, String)>,
    /// Since when the copy that was made last is not in its folder any more, and which, if it is not.
    pub backup_lost: Option<(Timestamp, String)>,
    /// Of how many erased SIMs bytes may be left in the files, since when, and why, if of any.
    pub erased_in_files: Option<(usize, Timestamp, String)>,
    /// Which listener ran out of places for connections lately, if one did.
    pub places: Option<PlacesTaken>,
    /// Which requests to the public listener had a header that is too large.
    pub large_headers: Option<LargeHeaders>,
    /// Which source had all the connections that one may have lately, if one did.
    pub share: Option<ShareTaken>,
}

/// All connections that a listener may have, at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacesTaken {
    /// Which listener.
    pub listener: &'static str,
    /// How many it may have.
    pub places: u64,
    /// Since when.
    pub since: Timestamp,
}

/// Requests that were answered 431.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LargeHeaders {
    /// How many.
    pub count: u64,
    /// From where the last one came.
    pub last_source: IpAddr,
    /// When the first one came.
    pub since: Timestamp,
    /// When the last one came.
    pub last: Timestamp,
}

/// All connections that one source may have, at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShareTaken {
    /// To which listener.
    pub listener: &'static str,
    /// The source.
    pub source: SourceBlock,
    /// How many it may have.
    pub connections_max: u64,
    /// Since when.
    pub since: Timestamp,
}

/// When a kind of push last came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastPush {
    /// The kind.
    pub kind: Kind,
    /// When.
    pub at: Timestamp,
    /// How long its longest pause usually is, where that is known.
    pub usual: Option<Duration>,
}

impl Facts {
    /// What nobody can tell by them.
    pub(super) fn unknown(&self) -> Vec<ConditionKind> {
        let mut unknown = Vec::new();
        if self.pushes.is_none() {
            unknown.extend([ConditionKind::Silent, ConditionKind::KindMisspelt]);
        }
        if self.authentic_held.is_none() {
            unknown.push(ConditionKind::Quarantining);
        }
        if self.clock.is_none() {
            unknown.push(ConditionKind::ClockWrong);
        }
        unknown
    }
}

/// All that is wrong.
pub(super) fn found(facts: &Facts, noted: &Reading) -> Vec<Condition> {
    let mut found = Vec::new();
    for push in facts.pushes.iter().flatten() {
        found.extend(silent(push, facts.now));
        found.extend(misspelt(push, facts.now));
    }
    found.extend(refused(&noted.refused));
    found.extend(facts.authentic_held.as_deref().and_then(quarantining));
    found.extend(noted.sent_away.and_then(not_acknowledged));
    found.extend(noted.slow.map(slow));
    found.extend(noted.no_room.map(no_room));
    found.extend(noted.proxy.map(|(peer, run)| {
        let says = format!(
            "Authentic pushes come by {peer}, which names the client in X-Forwarded-For and is not \
             believed: all its pushes count as one source."
        );
        let todo = format!(
            "If it is a proxy of yours, add {peer} to SIMDECK_PUBLIC_TRUSTED_PROXIES; else let it \
             drop that header."
        );
        of(ConditionKind::ProxyNotTrusted, run.since, says, todo)
    }));
    found.extend(misaddressed(&noted.misaddressed));
    found.extend(pushes_rejected(facts, noted));
    found.extend(facts.rcms.iter().flat_map(|report| rcms::found(report, facts.now)));
    found.extend(place::found(facts));
    found.extend(connections_full(facts.places.as_ref(), facts.share.as_ref()));
    found.extend(facts.clock.and_then(|believed| clock_wrong(believed, facts.now)));
    found.extend(facts.backup.as_ref().map(backup_failing));
    found.extend(facts.erased_in_files.as_ref().map(erased::in_files));
    found
}

pub(super) fn of(
    kind: ConditionKind,
    since: Timestamp,
    says: String,
    todo: impl Into<String>,
) -> Condition {
    Condition { kind, about: None, since, says, todo: todo.into() }
}

fn silent(push: &LastPush, now: Timestamp) -> Option<Condition> {
    let pause = PushPause { since: push.at, usual: push.usual? };
    if !pause.is_overdue(now) {
        return None;
    }
    let usual = match pause.usual.is_zero() {
        true => "usually there is no pause".to_owned(),
        false => format!("the longest pause is usually {}", span(pause.usual)),
    };
    let says = format!(
        "No {} push has come for more than {}, since {}; {usual}.",
        push.kind,
        // Not how long it is by now: what is the same is told in the same words.
        span(pause.usual.saturating_mul(2).max(PushPause::TIME_MIN)),
        pause.since,
    );
    let todo = "Check that this server can be reached from outside (`simdeck doctor --public-url`), \
                and that SmartHub still has its address.";
    let about = Some(push.kind.clone());
    Some(Condition { about, ..of(ConditionKind::Silent, pause.since, says, todo) })
}

fn misspelt(push: &LastPush, now: Timestamp) -> Option<Condition> {
    let name = push.kind.as_str();
    if kind::is_known(name) || now.since(push.at) > MISSPELT_TOLD_FOR {
        return None;
    }
    let (_, meant) = kind::KNOWN
        .iter()
        .map(|known| (edits(name, known.slug), known.slug))
        .filter(|(edits, _)| *edits <= SLIP_EDITS_MAX)
        .min()?;
    let says = format!(
        "Pushes come as `{name}`, which SmartHub does not document, and are kept as notifications; \
         `{meant}` was probably meant."
    );
    let todo = format!(
        "Register the address that ends in /v1/{meant} in SmartHub instead (`simdeck welcome` shows \
         it). What came so far stays at /v1/notifications?kind={name}."
    );
    let about = Some(push.kind.clone());
    Some(Condition { about, ..of(ConditionKind::KindMisspelt, push.at, says, todo) })
}

/// One for each kind of push: by its longest run.
fn refused(runs: &[RefusedRun]) -> Vec<Condition> {
    let mut longest: Vec<&RefusedRun> = Vec::new();
    for run in runs.iter().filter(|run| run.is_long()) {
        match longest.iter_mut().find(|it| it.kind == run.kind) {
            Some(it) if it.run.count < run.run.count => *it = run,
            Some(_) => (),
            None => longest.push(run),
        }
    }
    longest.into_iter().map(refused_run).collect()
}

fn refused_run(refused: &RefusedRun) -> Condition {
    let RefusedRun { kind, reason, run, finding, .. } = refused;
    let says =
        format!("The last {} {kind} pushes were all refused, for {}.", run.count, reason.fault());
    let todo = match finding {
        Some(finding) => format!("Their signature {finding}."),
        None => reason.advice().to_owned(),
    };
    let about = kind.parse().ok();
    Condition { about, ..of(ConditionKind::RefusedRun, run.since, says, todo) }
}

/// With those of which the header was not even read.
fn pushes_rejected(facts: &Facts, noted: &Reading) -> Option<Condition> {
    let large_headers =
        facts.large_headers.map(|LargeHeaders { count, last_source, since, last }| {
            let run = Run { count, since, last };
            RejectedRun { rejection: Rejection::LargeHeader, last_source, run }
        });
    let large_headers = large_headers.filter(|it| it.run.is_recent(facts.now, DAY));
    let runs: Vec<_> = noted.rejected.iter().cloned().chain(large_headers).collect();
    rejected::condition(&runs)
}

/// One for each kind that was meant: by the address that was used last.
fn misaddressed(runs: &[MisaddressedRun]) -> Vec<Condition> {
    let mut latest: Vec<&MisaddressedRun> = Vec::new();
    for run in runs {
        match latest.iter_mut().find(|it| it.meant == run.meant) {
            Some(it) if it.run.last < run.run.last => *it = run,
            Some(_) => (),
            None => latest.push(run),
        }
    }
    latest.into_iter().map(misaddressed_run).collect()
}

fn misaddressed_run(it: &MisaddressedRun) -> Condition {
    let MisaddressedRun { address, meant, run } = it;
    let says = format!(
        "Pushes come to an address that is none of the ten, `{address}` behind the path token if \
         there is one: {} so far, answered 404 and kept nowhere.",
        run.count
    );
    let todo = match meant {
        Some(meant) => format!(
            "If SmartHub sends them, register the address that ends in /v1/{meant} there instead \
             (`simdeck welcome` shows it)."
        ),
        None => "If SmartHub sends them, register the ten addresses there as `simdeck welcome` \
                 shows them."
            .to_owned(),
    };
    let about = meant.and_then(|meant| meant.parse().ok());
    Condition { about, ..of(ConditionKind::AddressUnknown, run.since, says, todo) }
}

fn quarantining(held: &[HeldTally]) -> Option<Condition> {
    let since = held.iter().map(|tally| tally.since).min()?;
    let reasons: Vec<&str> = held.iter().map(HeldTally::fault).collect();
    let says = format!(
        "Parts of authentic pushes are held and in no total, for {}.",
        reasons.join(", and for ")
    );
    let todo = "Look at them with `simdeck held list --class quarantined,stale`, then retry or \
                discard them.";
    Some(of(ConditionKind::Quarantining, since, says, todo))
}

fn not_acknowledged(run: Run) -> Option<Condition> {
    if run.count < SENT_AWAY_MIN {
        return None;
    }
    let says = format!("The last {} authentic pushes were answered 503.", run.count);
    let todo = "Look at `reason` and `queue` in /v1/status and at the log: the disk, the database \
                or quarantine is full, or the disk is too slow. SmartHub has to send them again.";
    Some(of(ConditionKind::NotAcknowledged, run.since, says, todo))
}

fn slow(run: Run) -> Condition {
    let says = format!("{} authentic pushes waited 2 s or longer for their answer.", run.count);
    let todo = "The disk is too slow or too busy: look at simdeck_commit_seconds in /metrics, and \
                for what else writes to the disk.";
    of(ConditionKind::SlowAcknowledgement, run.since, says, todo)
}

fn no_room((last_source, run): (IpAddr, Run)) -> Condition {
    // Not how many by now: what is the same is told in the same words.
    let says = format!(
        "Pushes are answered 503 before they have come: there is no room for so many bodies that \
         come slowly, or for so many from one source. The last one came from {last_source}."
    );
    let todo = "Look at /v1/pushes?outcome=unavailable for who sends them. If it is nobody you know, \
                block it in front of simdeck, or set SIMDECK_PUBLIC_ALLOW_SOURCES.";
    of(ConditionKind::NoRoom, run.since, says, todo)
}

/// One for both causes, which may come together.
fn connections_full(places: Option<&PlacesTaken>, share: Option<&ShareTaken>) -> Option<Condition> {
    let since = places.map(|it| it.since).into_iter().chain(share.map(|it| it.since)).min()?;
    let of_places = places.map(|PlacesTaken { listener, places, .. }| {
        let says = format!(
            "The {listener} listener has all the {places} connections that it may have: others wait, \
             and those that have waited longest for their client are closed."
        );
        let todo = "Look at simdeck_connections in /metrics and at who connects (`ss -tn`). If they are \
                    yours, raise the limit of open files (LimitNOFILE) or name your proxy in \
                    SIMDECK_PUBLIC_TRUSTED_PROXIES; else keep them out with a firewall.";
        (says, todo.to_owned())
    });
    let of_share = share.map(|ShareTaken { listener, source, connections_max, .. }| {
        let says = format!(
            "The {listener} listener closes further connections of {source} without an answer: it has \
             the {connections_max} that one source may have."
        );
        let todo = match *listener {
            "public" => format!(
                "If {source} is a proxy of yours, add it to SIMDECK_PUBLIC_TRUSTED_PROXIES; if \
                 SmartHub sends from it, put a proxy in front of simdeck and name that; else keep it \
                 out with a firewall."
            ),
            _ => "Have the programs there keep fewer connections open.".to_owned(),
        };
        (says, todo)
    });
    let (says, todo): (Vec<_>, Vec<_>) = of_places.into_iter().chain(of_share).unzip();
    Some(of(ConditionKind::ConnectionsFull, since, says.join(" "), todo.join(" ")))
}

fn clock_wrong(believed: BelievedTime, now: Timestamp) -> Option<Condition> {
    let ClockEvidence { pushed, received } = believed.newest?;
    let (side, reason) = match believed.fault(now)? {
        ClockFault::Ahead => ("ahead of", HeldReason::DateOld),
        ClockFault::Behind => ("behind", HeldReason::DateAhead),
    };
    let says = format!(
        "This server's clock is more than a day {side} SmartHub's: the newest authentic push is of \
         {pushed} and came at {received} by this clock."
    );
    let todo = format!(
        "Set the clock, and keep it right with NTP (`timedatectl set-ntp true`); then retry what is \
         quarantined (`simdeck held list --reason {reason}`). Until then nothing is pruned by this \
         clock. If it is right, old pushes are being sent again: this ends with the next new one."
    );
    Some(of(ConditionKind::ClockWrong, received, says, todo))
}

fn backup_failing((since, why): &(Timestamp, String)) -> Condition {
    let says = format!("No backup can be made: {why}.");
    let todo = "Free some room or mend the folder that SIMDECK_BACKUP_DIR names, then make one with \
                `simdeck backup`. It is tried again by itself.";
    of(ConditionKind::BackupFailing, *since, says, todo)
}
