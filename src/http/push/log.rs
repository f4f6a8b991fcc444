//! The last requests to the public listener, for an operator to look at. In memory only, and small:
//! so many rows, and of each body the beginning. Beside them, how many there were of each sort, and
//! what was noticed on the way.
use std::{
    collections::{HashSet, VecDeque},
    error::Error,
    net::IpAddr,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use axum::http::StatusCode;
use bytes::Bytes;
use tokio::task::spawn_blocking;

use super::{
    figures::PushFigures,
    refusal::{Reason, SentAway},
};
use crate::{
    domain::{Clock, Giccid, Kind, Timestamp, mention::mentions},
    intake::Accepted,
    store::{ErasedNumbers, Outcome},
    watch::Signals,
};

/// How many requests are remembered.
const ROWS_MAX: usize = 1_000;
/// How much of each body; of all together 4 MB.
const BODY_BYTES_MAX: usize = 4_096;

/// Remembers requests. Clones share one memory.
#[derive(Clone)]
pub struct PushLog {
    clock: Arc<dyn Clock>,
    rows: Arc<Mutex<Rows>>,
    figures: Arc<PushFigures>,
    signals: Arc<Signals>,
}

#[derive(Default)]
struct Rows {
    newest_first: VecDeque<Arc<PushRow>>,
    last_id: u64,
    /// The SIMs that were erased when the rows were last looked through for them, and up to which row.
    searched: Option<(Arc<ErasedNumbers>, u64)>,
}

/// A request to the public listener.
#[derive(Clone, Debug)]
pub(in crate::http) struct PushRow {
    /// Counts the requests since the start.
    pub(in crate::http) id: u64,
    /// When it came.
    pub(in crate::http) at: Timestamp,
    /// From its head to our answer.
    pub(in crate::http) took: Duration,
    /// What became of it.
    pub(in crate::http) outcome: PushOutcome,
    /// Our answer; none if the client did not wait for it.
    pub(in crate::http) status: Option<StatusCode>,
    /// Why it was not stored, in a word.
    pub(in crate::http) reason: Option<Reason>,
    /// The push category, if the address named one.
    pub(in crate::http) kind: Option<Kind>,
    /// What stood in the address behind the token, where that is none of a push.
    pub(in crate::http) address: Option<Box<str>>,
    /// Who sent it.
    pub(in crate::http) source: IpAddr,
    /// The size of the body, as far as it is known.
    pub(in crate::http) bytes: Option<u64>,
    /// What became of its records, if it was taken in.
    pub(in crate::http) records: Option<Outcome>,
    /// Whether it was one of our own tests.
    pub(in crate::http) is_test: bool,
    /// The beginning of the body.
    pub(in crate::http) body: Bytes,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum PushOutcome {
    /// All of it is stored, or was there already and some of it is new; or there was nothing in it.
    Stored,
    /// All of it was there already.
    Duplicate,
    /// It is authentic, and something in it could not be read and lies in quarantine.
    Quarantined,
    /// It is authentic, and all of it is about erased SIMs: acknowledged, and not kept.
    Erased,
    /// It did not prove to be from SmartHub.
    Refused,
    /// It was sent away before anybody looked for a proof.
    Rejected,
    /// It could not be stored now.
    Unavailable,
    /// It asked whether somebody is there, and was told so.
    Probe,
    /// The client left before its body had come whole.
    Unanswered,
}

/// What became of a request: what is stored, or why it is not.
pub(super) type CameOfIt = Result<Accepted, (PushOutcome, Option<Reason>)>;

/// A request on its way. Whatever becomes of it, it is remembered when this is dropped.
pub(super) struct Visit {
    log: Arc<PushLog>,
    began: Instant,
    row: Option<PushRow>,
}

impl PushLog {
    /// Remembers nothing yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, rows: Arc::default(), figures: Arc::default(), signals: Arc::default() }
    }

    /// The newest requests that fit, so many at most.
    pub(in crate::http) fn newest(
        &self,
        rows_max: usize,
        fits: impl Fn(&PushRow) -> bool,
    ) -> Vec<Arc<PushRow>> {
        // Only the list is copied under the lock: pushes wait for it.
        let all: Vec<_> = {
            let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
            rows.newest_first.iter().cloned().collect()
        };
        all.into_iter().filter(|row| fits(row)).take(rows_max).collect()
    }

    /// How many there were, and what became of them.
    pub(in crate::http) fn figures(&self) -> &PushFigures {
        &self.figures
    }

    /// What was noticed on the way.
    pub(in crate::http) fn signals(&self) -> &Arc<Signals> {
        &self.signals
    }

    /// Forgets what was sent that mentions a SIM, and says up to which row it has looked.
    pub(in crate::http) async fn forget_what_names(&self, giccid: &Giccid) -> u64 {
        let giccid = giccid.clone();
        let names = move |text: &[u8]| mentions(text, |number| number == giccid.as_str());
        self.forget(0, names).await
    }

    /// The same of all SIMs that are erased: a push or an address of others may name one, and what is
    /// refused is not even read. Each row is looked through once.
    pub(in crate::http) async fn forget_erased(&self, erased: Arc<ErasedNumbers>) -> u64 {
        if erased.is_empty() {
            return u64::MAX;
        }
        let after = {
            let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
            let searched = rows.searched.as_ref();
            searched.filter(|(for_these, _)| Arc::ptr_eq(for_these, &erased)).map(|(_, to)| *to)
        };
        let names = Arc::clone(&erased);
        let to = self.forget(after.unwrap_or_default(), move |text| names.are_in(text)).await;
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).searched = Some((erased, to));
        to
    }

    /// Forgets bodies and addresses of rows after this one that name what is to go. They are looked
    /// through on a thread of its own and not under the lock, for which pushes wait: there may be 4 MB
    /// of them.
    async fn forget(&self, after: u64, names: impl Fn(&[u8]) -> bool + Send + 'static) -> u64 {
        let log = self.clone();
        let looking = spawn_blocking(move || {
            log.signals.forget(&names);
            let rows = log.newest(ROWS_MAX, |row| row.id > after);
            let to = rows.first().map_or(after, |row| row.id);
            let is_named = |row: &PushRow| {
                let address = row.address.as_deref().unwrap_or_default();
                names(&row.body) || names(address.as_bytes())
            };
            let found: HashSet<u64> =
                rows.iter().filter(|row| is_named(row)).map(|row| row.id).collect();
            let mut rows = log.rows.lock().unwrap_or_else(PoisonError::into_inner);
            for row in rows.newest_first.iter_mut().filter(|row| found.contains(&row.id)) {
                let row = Arc::make_mut(row);
                (row.body, row.address) = (Bytes::new(), None);
            }
            to
        });
        looking.await.unwrap_or_else(|error| {
            let error = &error as &dyn Error;
            tracing::error!(error, "What names an erased SIM is still in the list of pushes");
            // None that may still show it is shown.
            after
        })
    }

    pub(super) fn visit(self: &Arc<Self>, source: IpAddr) -> Visit {
        let row = PushRow {
            id: 0,
            at: self.clock.now(),
            took: Duration::ZERO,
            outcome: PushOutcome::Unanswered,
            status: None,
            reason: None,
            kind: None,
            address: None,
            source,
            bytes: None,
            records: None,
            is_test: false,
            body: Bytes::new(),
        };
        Visit { log: Arc::clone(self), began: Instant::now(), row: Some(row) }
    }

    fn add(&self, row: PushRow) {
        self.figures.count(&row);
        let mut row = Arc::new(row);
        let forgotten = {
            let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
            rows.last_id += 1;
            // Nobody else has it yet.
            if let Some(row) = Arc::get_mut(&mut row) {
                row.id = rows.last_id;
            }
            let is_full = rows.newest_first.len() >= ROWS_MAX;
            let oldest = if is_full { rows.newest_first.pop_back() } else { None };
            rows.newest_first.push_front(row);
            oldest
        };
        drop(forgotten);
    }
}

impl Visit {
    /// Notes what is known so far.
    pub(super) fn note(&mut self, note: impl FnOnce(&mut PushRow)) {
        if let Some(row) = &mut self.row {
            note(row);
        }
    }

    /// Notes the body; of a long one a copy of its beginning, since the whole would hold more memory.
    pub(super) fn note_body(&mut self, body: &Bytes) {
        self.note(|row| {
            row.bytes = Some(body.len() as u64);
            row.body = match body.len() {
                ..=BODY_BYTES_MAX => body.clone(),
                _ => Bytes::copy_from_slice(&body[..BODY_BYTES_MAX]),
            };
        });
    }

    /// What is known so far.
    pub(super) fn row(&self) -> Option<&PushRow> {
        self.row.as_ref()
    }

    /// Whatever comes of it, it is of no interest.
    pub(super) fn forget(&mut self) {
        self.row = None;
    }

    /// Notes what became of it, and our answer if the client waited for it.
    pub(super) fn end(mut self, came_of_it: CameOfIt, status: Option<StatusCode>) {
        self.note(|row| {
            row.status = status;
            match came_of_it {
                Ok(accepted) => {
                    row.outcome = PushOutcome::of(accepted.outcome);
                    row.reason = accepted.reason.map(Reason::Held);
                    row.records = Some(accepted.outcome);
                    if accepted.outcome.erased > 0 {
                        // It mentions an erased SIM.
                        row.body = Bytes::new();
                    }
                }
                Err((outcome, reason)) => {
                    row.outcome = outcome;
                    // Whoever knew it better said it already.
                    row.reason = row.reason.or(reason);
                }
            }
        });
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if let Some(mut row) = self.row.take() {
            row.took = self.began.elapsed();
            if thread::panicking() {
                row.outcome = PushOutcome::Unavailable;
                row.status = Some(StatusCode::INTERNAL_SERVER_ERROR);
                row.reason = Some(Reason::SentAway(SentAway::Failed));
            }
            self.log.add(row);
        }
    }
}

impl PushRow {
    /// Whether the body is longer than what was kept of it.
    pub(in crate::http) fn is_cut(&self) -> bool {
        self.bytes.is_some_and(|bytes| bytes > self.body.len() as u64)
    }
}

impl PushOutcome {
    /// Every outcome.
    pub(in crate::http) const ALL: [Self; 9] = [
        Self::Stored,
        Self::Duplicate,
        Self::Quarantined,
        Self::Erased,
        Self::Refused,
        Self::Rejected,
        Self::Unavailable,
        Self::Probe,
        Self::Unanswered,
    ];

    fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome { quarantined: 1.., .. } => Self::Quarantined,
            Outcome { stored: 0, duplicates: 1.., .. } => Self::Duplicate,
            Outcome { stored: 0, duplicates: 0, erased: 1.., .. } => Self::Erased,
            _ => Self::Stored,
        }
    }

    /// The word in the API.
    pub(in crate::http) fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Duplicate => "duplicate",
            Self::Quarantined => "quarantined",
            Self::Erased => "erased",
            Self::Refused => "refused",
            Self::Rejected => "rejected",
            Self::Unavailable => "unavailable",
            Self::Probe => "probe",
            Self::Unanswered => "unanswered",
        }
    }
}

/// A word that is none of the outcomes'.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no request ends so")]
pub(in crate::http) struct UnknownOutcome;

impl FromStr for PushOutcome {
    type Err = UnknownOutcome;

    fn from_str(text: &str) -> Result<Self, UnknownOutcome> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == text).ok_or(UnknownOutcome)
    }
}
