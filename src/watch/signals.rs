use std::{
    net::IpAddr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU32, Ordering},
    },
    time::Duration,
};

use super::rejected::{RejectedRun, Rejection, Rejections};
use crate::{
    domain::{HeldReason, Kind, Timestamp},
    smarthub::kind,
};

/// An acknowledgement that takes longer is slow: a platform that waits 5 s has half of it left.
const ACKNOWLEDGEMENT_TIME_MAX: Duration = Duration::from_secs(2);

/// A body longer than this is not kept to find out why it is refused.
const SAMPLE_BYTES_MAX: usize = 64 << 10;

/// How often it is noted that a proxy is not trusted.
const PROXY_NOTED_EVERY: Duration = Duration::from_secs(60);

/// So many addresses that are none of a push are remembered.
const ADDRESSES_MAX: usize = 16;

/// The bit that says that authentic pushes were sent away; those below it are of refused runs.
const SENT_AWAY: u32 = 1 << kind::KNOWN_COUNT;

/// What those who take pushes have noticed.
///
/// While all is well a push costs one look at a word that nobody writes then; it has a
/// cache line of its own, so that no neighbour makes it travel between cores.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Signals {
    /// What an acknowledged push would end: a bit for each kind with refused pushes, and one for
    /// authentic ones that were sent away.
    open: AtomicU32,
    /// When a proxy that is not trusted was last noted, in milliseconds.
    proxy_noted_ms: AtomicI64,
    noted: Mutex<Noted>,
}

#[derive(Debug, Default)]
struct Noted {
    refused: Vec<RefusedRun>,
    sent_away: Option<Run>,
    slow: Option<Run>,
    proxy: Option<(IpAddr, Run)>,
    misaddressed: Vec<MisaddressedRun>,
    no_room: Option<(IpAddr, Run)>,
    rejections: Rejections,
}

/// Things of one sort, one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) count: u64,
    pub(super) since: Timestamp,
    pub(super) last: Timestamp,
}

/// Refused pushes of one kind, for one cause, with no acknowledged one of that kind between.
#[derive(Clone, Debug)]
pub(super) struct RefusedRun {
    pub(super) kind: &'static str,
    pub(super) reason: HeldReason,
    pub(super) run: Run,
    /// What would make them valid.
    pub(super) finding: Option<String>,
    /// One of them that has not been explained yet.
    sample: Option<Box<[u8]>>,
}

/// Requests to one address that is none of a push.
#[derive(Clone, Debug)]
pub(super) struct MisaddressedRun {
    /// The address without its token.
    pub(super) address: Box<str>,
    /// The kind that was probably meant.
    pub(super) meant: Option<&'static str>,
    pub(super) run: Run,
}

/// All that was noted up to a moment.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) refused: Vec<RefusedRun>,
    pub(super) sent_away: Option<Run>,
    pub(super) slow: Option<Run>,
    pub(super) proxy: Option<(IpAddr, Run)>,
    pub(super) misaddressed: Vec<MisaddressedRun>,
    pub(super) no_room: Option<(IpAddr, Run)>,
    pub(super) rejected: Vec<RejectedRun>,
}

impl Run {
    /// For how long it is told after it last happened.
    const TOLD_FOR: Duration = Duration::from_secs(60 * 60);

    fn add(run: &mut Option<Self>, now: Timestamp) {
        let run = run.get_or_insert(Self { count: 0, since: now, last: now });
        run.count += 1;
        run.last = now;
    }

    pub(super) fn is_recent(&self, now: Timestamp, told_for: Duration) -> bool {
        now.since(self.last) <= told_for
    }
}

impl Signals {
    /// Forgets bodies and addresses that name what was erased.
    pub fn forget(&self, names: &impl Fn(&[u8]) -> bool) {
        let mut noted = self.noted();
        for refused in &mut noted.refused {
            refused.sample.take_if(|sample| names(sample));
        }
        noted.misaddressed.retain(|it| !names(it.address.as_bytes()));
    }

    /// An authentic push was answered 2xx, after so long.
    pub fn acknowledged(&self, kind: &Kind, took: Duration, now: Timestamp) {
        let open = self.open.load(Ordering::Relaxed);
        if open != 0 {
            let of_kind = kind::number(kind.as_str()).map_or(0, |number| 1 << number);
            if open & (of_kind | SENT_AWAY) != 0 {
                self.end_runs(kind, of_kind | SENT_AWAY);
            }
        }
        if took >= ACKNOWLEDGEMENT_TIME_MAX {
            Run::add(&mut self.noted().slow, now);
        }
    }

    /// An authentic push was sent away.
    pub fn sent_away(&self, now: Timestamp) {
        let mut noted = self.noted();
        Run::add(&mut noted.sent_away, now);
        self.open.fetch_or(SENT_AWAY, Ordering::Relaxed);
    }

    /// A push did not prove to be from SmartHub. Kinds that SmartHub does not document count for
    /// nothing: anybody can invent one.
    pub fn refused(&self, kind: &Kind, reason: HeldReason, body: &[u8], now: Timestamp) {
        let Some(number) = kind::number(kind.as_str()) else { return };
        let slug = kind::KNOWN[number].slug;
        let mut noted = self.noted();
        let known = noted.refused.iter_mut().find(|it| it.kind == slug && it.reason == reason);
        let sample = || (body.len() <= SAMPLE_BYTES_MAX).then(|| body.into());
        match known {
            Some(refused) => {
                refused.run.count += 1;
                refused.run.last = now;
                // The longer it lasts, the more seldom another one is looked at.
                if refused.finding.is_none() && refused.run.count.is_power_of_two() {
                    refused.sample = sample();
                }
            }
            None => {
                let run = Run { count: 1, since: now, last: now };
                let sample = sample();
                noted.refused.push(RefusedRun { kind: slug, reason, run, finding: None, sample });
            }
        }
        self.open.fetch_or(1 << number, Ordering::Relaxed);
    }

    /// A request came to an address that is none of a push, and may be one all the same.
    pub fn misaddressed(&self, address: &str, meant: Option<&'static str>, now: Timestamp) {
        let all = &mut self.noted().misaddressed;
        if let Some(known) = all.iter_mut().find(|known| &*known.address == address) {
            known.run.count += 1;
            known.run.last = now;
            return;
        }
        if all.len() >= ADDRESSES_MAX
            && let Some(oldest) = (0..all.len()).min_by_key(|nth| all[*nth].run.last)
        {
            all.swap_remove(oldest);
        }
        let run = Run { count: 1, since: now, last: now };
        all.push(MisaddressedRun { address: address.into(), meant, run });
    }

    /// An authentic push came by a proxy that names the client and is not believed.
    pub fn forwarded_by(&self, peer: IpAddr, now: Timestamp) {
        let noted_ms = self.proxy_noted_ms.load(Ordering::Relaxed);
        let noted = Timestamp::from_unix_ms(noted_ms);
        if noted_ms != 0 && noted <= now && now.since(noted) < PROXY_NOTED_EVERY {
            return;
        }
        self.proxy_noted_ms.store(now.unix_ms(), Ordering::Relaxed);
        let mut noted = self.noted();
        let mut run = noted.proxy.take().map(|(_, run)| run);
        Run::add(&mut run, now);
        noted.proxy = run.map(|run| (peer, run));
    }

    /// A body from `source` had to make room for others.
    pub fn no_room(&self, source: IpAddr, now: Timestamp) {
        let mut noted = self.noted();
        // One that came after an hour without is a new run.
        let before = noted.no_room.take().map(|(_, run)| run);
        let mut run = before.filter(|run| run.is_recent(now, Run::TOLD_FOR));
        Run::add(&mut run, now);
        noted.no_room = run.map(|run| (source, run));
    }

    /// A request that may be a push was sent away before its proof was looked at. Says whether the
    /// log should name it: a source and cause is named once an hour.
    pub fn rejected(&self, rejection: Rejection, source: IpAddr, now: Timestamp) -> bool {
        self.noted().rejections.add(rejection, source, now)
    }

    /// What was noted. What ended by itself is gone.
    pub(super) fn read(&self, now: Timestamp) -> Reading {
        let noted = self.noted();
        let recent = |run: &Run| run.is_recent(now, Run::TOLD_FOR);
        let is_told = |refused: &&RefusedRun| refused.run.is_recent(now, super::rules::DAY);
        Reading {
            refused: noted.refused.iter().filter(is_told).cloned().collect(),
            sent_away: noted.sent_away.filter(recent),
            slow: noted.slow.filter(|run| run.is_recent(now, super::rules::SLOW_TOLD_FOR)),
            proxy: noted.proxy.filter(|(_, run)| recent(run)),
            misaddressed: noted
                .misaddressed
                .iter()
                .filter(|it| it.run.is_recent(now, super::rules::DAY))
                .cloned()
                .collect(),
            no_room: noted.no_room.filter(|(_, run)| recent(run)),
            rejected: noted.rejections.read(now),
        }
    }

    /// Finds out what would make refused pushes valid, of runs that are worth it. It hashes some hundred
    /// times for each key: nobody waits for the lock meanwhile, and no thread that answers requests
    /// should do it.
    pub fn explain(&self, explain: impl Fn(&[u8]) -> Option<String>) {
        let mut samples = Vec::new();
        for refused in &mut self.noted().refused {
            if refused.reason == HeldReason::SignatureWrong && refused.is_long() {
                samples.extend(refused.sample.take().map(|sample| (refused.kind, sample)));
            }
        }
        for (kind, sample) in samples {
            let finding = explain(&sample);
            let of_kind =
                |it: &&mut RefusedRun| it.kind == kind && it.reason == HeldReason::SignatureWrong;
            if let Some(refused) = self.noted().refused.iter_mut().find(of_kind) {
                refused.finding = finding;
            }
        }
    }

    fn end_runs(&self, kind: &Kind, bits: u32) {
        let mut noted = self.noted();
        noted.refused.retain(|refused| refused.kind != kind.as_str());
        noted.sent_away = None;
        self.open.fetch_and(!bits, Ordering::Relaxed);
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RefusedRun {
    /// Whether it is long enough to be told. A wrong key is SmartHub's or ours; what is not formed
    /// as documented may be SmartHub's too, or of anybody who found the address.
    pub(super) fn is_long(&self) -> bool {
        let count_min = match self.reason {
            HeldReason::SignatureWrong => 5,
            _ => 20,
        };
        self.run.count >= count_min
    }
}
