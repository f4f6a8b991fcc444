use std::{net::IpAddr, time::Duration};

use bytes::Bytes;
use tokio::{sync::oneshot, time::timeout};

use super::{
    Acknowledge, COMMIT_TIME_MAX, Intake, TRY_TIME_MAX, Trouble,
    large::{AT_ONCE_BYTES_MAX, Memory, NotRead, Read, SMALL_BYTES_MAX, Turn},
    queue::{Job, Origin, Ticket},
};
use crate::{
    domain::{HeldClass, HeldReason, KeptFrom, Kind, NewHeld, Retracted, Ring, Timestamp},
    smarthub::{AgePolicy, Body, NotJson, ReadRules, Reading, TooHeavy, Unproved, Unread},
    store::{Outcome, Submission},
};

/// A push as it came in.
#[derive(Clone, Debug)]
pub struct Push {
    /// The push category in the address.
    pub kind: Kind,
    /// The body.
    pub body: Bytes,
    /// Who sent it.
    pub source: IpAddr,
    /// The word that marks it as our own test.
    pub test_nonce: Option<String>,
}

/// Why a push was not taken in.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// It did not prove to be from SmartHub, or is no JSON of the right shape.
    #[error("the push was refused: {}", .0.reason)]
    Refused(Refused),
    /// It cannot be stored now and may be sent again.
    #[error("the push cannot be stored now")]
    Busy,
    /// What it holds would have to lie in quarantine, which has no room; it may be sent again.
    #[error("quarantine is full")]
    QuarantineFull,
    /// It says that it is a test, with a word that is not live.
    #[error("the test's nonce is unknown, used up or older than 15 minutes")]
    UnknownNonce,
}

/// What became of a push that was taken in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// In numbers.
    pub outcome: Outcome,
    /// Why the first part that could not be read lies in quarantine.
    pub reason: Option<HeldReason>,
}

/// A push that was refused. It is only kept if somebody [holds](Intake::hold) it.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub reason: HeldReason,
    pub(super) ring: Ring,
    push: Push,
}

impl Refused {
    /// The push category it came in.
    pub fn kind(&self) -> &Kind {
        &self.push.kind
    }

    /// The body.
    pub fn body(&self) -> &Bytes {
        &self.push.body
    }

    /// Who sent it.
    pub fn source(&self) -> IpAddr {
        self.push.source
    }

    /// As it is kept: without its signatures, which lie beside it.
    pub(super) fn into_held(self) -> NewHeld {
        let Self { reason, ring, push } = self;
        let parsed = (reason != HeldReason::NotJson).then(|| Body::parse(&push.body));
        let (body, signatures) = match parsed {
            Some(Ok(body)) => body.without_signature(),
            Some(Err(NotJson)) | None => (push.body.into(), None),
        };
        NewHeld {
            ring: Some(ring),
            reason,
            field: None,
            kind: push.kind,
            source: push.source,
            body: body.into(),
            signatures: signatures.map(Into::into),
            pushed_at: None,
        }
    }

    /// Whether it may be a true push that only our key or clock refuses, or a form that we do not
    /// know. That is all that the ring of plausible pushes is for, and every well-formed proof.
    pub fn may_be_true(&self) -> bool {
        self.ring == Ring::Plausible || self.reason == HeldReason::SignatureWrong
    }
}

impl Intake {
    /// Takes a push in. When this returns `Ok`, everything in it is on disk.
    pub async fn accept(&self, push: Push) -> Result<Outcome, AcceptError> {
        let turn = self.turn(push.body.len()).await;
        self.accept_told(push, turn).await.map(|accepted| accepted.outcome)
    }

    /// The same in its [turn](Self::turn), and why something in it could not be read.
    pub async fn accept_told(
        &self,
        push: Push,
        turn: Option<Turn>,
    ) -> Result<Accepted, AcceptError> {
        let read_at = self.now();
        let read = match push.body.len() {
            ..=SMALL_BYTES_MAX => match self.read(&push, read_at, AT_ONCE_BYTES_MAX) {
                Ok(Err(TooHeavy)) => self.read_large(&push, turn).await,
                Ok(reading) => Ok(Read { reading: reading.unwrap_or_default(), memory: None }),
                Err((reason, ring)) => Err(NotRead::Refused(reason, ring)),
            },
            _ => self.read_large(&push, turn).await,
        };
        let Read { reading, memory } = match read {
            Ok(read) => read,
            Err(NotRead::Refused(reason, ring)) => {
                return Err(AcceptError::Refused(Refused { reason, ring, push }));
            }
            Err(NotRead::Busy) => return Err(AcceptError::Busy),
        };
        let is_test = match &push.test_nonce {
            Some(nonce) if !self.shared.nonces.take(nonce, self.now()) => {
                return Err(AcceptError::UnknownNonce);
            }
            nonce => nonce.is_some(),
        };
        if reading.records.is_empty() && reading.unread.is_empty() {
            return Ok(Accepted::default());
        }
        let reason = reading.unread.first().map(|unread| unread.reason);
        let quarantine = quarantine(reading.unread, &push.kind, push.source);
        let submission = Submission {
            records: reading.records,
            quarantine,
            source: Some(push.source),
            also_from: Vec::new(),
            releases: None,
            is_test,
            is_history: false,
            pushed_at: reading.pushed_at.filter(|_| !is_test),
            accepted_date: reading.accepted_date.filter(|_| !is_test),
        };
        let age = Some(self.shared.options.age);
        let origin = Origin { push, age, read_at, is_held_as_authentic: false };
        let outcome = self.submit(submission, reading.bytes, memory, origin).await;
        Ok(Accepted { outcome: outcome?, reason })
    }

    /// Keeps a refused push in its ring, as soon as the writer has nothing better to do. It may be
    /// dropped; then it is counted.
    pub async fn hold(&self, refused: Refused) {
        if refused.body().len() <= SMALL_BYTES_MAX {
            self.shared.waiting.add(refused.into_held());
        } else {
            self.hold_large(refused).await;
        }
    }

    /// Says in the log that pushes are sent away, now and then and how many.
    pub fn tell_sent_away(&self, cause: &'static str) {
        self.shared.sent_away.tell(cause);
    }

    /// Counts a refused push that is not worth being held.
    pub fn drop_refused(&self, refused: &Refused) {
        self.shared.waiting.count_dropped(refused.ring, refused.reason);
    }

    /// Hands records to the writer and waits until they are on disk. They take so many bytes beside
    /// their body, which may be counted already.
    pub(super) async fn submit(
        &self,
        submission: Submission,
        bytes: usize,
        memory: Option<Memory>,
        origin: Origin,
    ) -> Result<Outcome, Unstored> {
        if self.refuses_all() {
            return Err(Unstored::Busy);
        }
        let records = submission.records.len() + submission.quarantine.len();
        let unproved = Outcome {
            stored: submission.records.len() as u64,
            duplicates: 0,
            quarantined: submission.quarantine.len() as u64,
            erased: 0,
        };
        let bytes = bytes.saturating_add(origin.push.body.len());
        let queue = &self.shared.queue;
        let room = match memory {
            Some(memory) => queue.room_in(memory, records, bytes),
            None => queue.room(records, bytes),
        };
        let Some(room) = room else {
            self.shared
                .sent_away
                .tell("the queue is full: pushes come faster than the disk takes them");
            return Err(Unstored::Busy);
        };
        let (reply, answer) = oneshot::channel();
        let ticket = Ticket { origin, reply, room };
        self.shared.queue.send(Job { submission, ticket })?;
        if self.shared.options.acknowledge == Acknowledge::BeforeCommit {
            return Ok(unproved);
        }
        let (patience, news) = patience(self.trouble());
        match timeout(patience, answer).await {
            Ok(Ok(answer)) => answer,
            // The writer ended; its last words are in the log.
            Ok(Err(_)) => Err(Unstored::Busy),
            // Stored or not, it is not proved.
            Err(_) => {
                if let Some(cause) = news {
                    self.shared.sent_away.tell(cause);
                }
                Err(Unstored::Busy)
            }
        }
    }

    /// Verifies a push and reads its records, unless they take more memory than this.
    pub(super) fn read(
        &self,
        push: &Push,
        now: Timestamp,
        bytes_max: usize,
    ) -> Result<Result<Reading, TooHeavy>, (HeldReason, Ring)> {
        self.read_body(Body::parse(&push.body), push, now, bytes_max)
    }

    /// The same for a body of which the shape is known.
    pub(super) fn read_body(
        &self,
        body: Result<Body<'_>, NotJson>,
        push: &Push,
        now: Timestamp,
        bytes_max: usize,
    ) -> Result<Result<Reading, TooHeavy>, (HeldReason, Ring)> {
        let body = body.map_err(Unproved::NotJson);
        let authentic =
            body.and_then(|body| body.verify(&self.verifier()).map_err(Unproved::Refused));
        let authentic = authentic.map_err(|unproved| self.refused_as(unproved))?;
        // No lock is held while the body is read, which may be large.
        let retracted = self.retracted();
        let age = Some(self.shared.options.age);
        Ok(authentic.read_within(&self.rules(push, age, Some(&retracted), now), bytes_max))
    }

    /// Why a push is refused, and which ring it goes to.
    pub(super) fn refused_as(&self, unproved: Unproved) -> (HeldReason, Ring) {
        match unproved {
            Unproved::NotJson(NotJson) => (HeldReason::NotJson, Ring::Noise),
            Unproved::Refused(refusal) => {
                let plausible = refusal.is_plausible(self.now());
                (refusal.reason, if plausible { Ring::Plausible } else { Ring::Noise })
            }
        }
    }

    /// The rules by which an authentic push is read.
    pub(super) fn rules<'p>(
        &self,
        push: &'p Push,
        age: Option<AgePolicy>,
        retracted: Option<&'p Retracted>,
        now: Timestamp,
    ) -> ReadRules<'p> {
        ReadRules {
            kind: &push.kind,
            kept_as: self.shared.kinds.kept_as(&push.kind),
            identity: self.shared.options.identity,
            age,
            retracted: retracted.map(|all| (all, push.source)),
            date_shift_s: self.verifier().date_shift_s(),
            now,
            // A test is kept whatever its age: it is in no total.
            kept_from: match push.test_nonce {
                Some(_) => KeptFrom::default(),
                None => self.shared.kept_from.read(),
            },
            refused: None,
        }
    }
}

/// How long a push waits for its commit, and what is told if that was too short.
fn patience(trouble: Option<Trouble>) -> (Duration, Option<&'static str>) {
    match trouble {
        // Each push tries whether a database that failed works again; few would bear to wait long.
        Some(Trouble::Failing) => (TRY_TIME_MAX, None),
        _ => (COMMIT_TIME_MAX, Some("a commit took longer than 5 s: the disk is too slow")),
    }
}

/// Why a push cannot be stored now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unstored {
    /// Too much waits, or the disk or the database does not take it.
    Busy,
    /// What it holds has no room in quarantine.
    QuarantineFull,
}

impl From<Unstored> for AcceptError {
    fn from(unstored: Unstored) -> Self {
        match unstored {
            Unstored::Busy => Self::Busy,
            Unstored::QuarantineFull => Self::QuarantineFull,
        }
    }
}

/// What could not be read, on its way to quarantine.
pub(super) fn quarantine(unread: Vec<Unread>, kind: &Kind, source: IpAddr) -> Vec<NewHeld> {
    unread
        .into_iter()
        .map(|Unread { reason, field, body, pushed_at }| NewHeld {
            ring: (reason.class() == HeldClass::Stale).then_some(Ring::Stale),
            reason,
            field: field.map(Into::into),
            kind: kind.clone(),
            source,
            body: body.into(),
            signatures: None,
            pushed_at,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_push_waits_five_seconds_and_one_while_the_database_fails_of_which_no_more_is_told() {
        for (trouble, seconds, is_told) in [
            (None, 5, true),
            (Some(Trouble::DiskReserve), 5, true),
            (Some(Trouble::Stopping), 5, true),
            (Some(Trouble::Failing), 1, false),
        ] {
            let (time, news) = patience(trouble);
            assert_eq!((time.as_secs(), news.is_some()), (seconds, is_told), "{trouble:?}");
        }
    }
}
