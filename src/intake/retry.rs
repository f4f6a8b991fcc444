//! Held pushes that are tried again.
//!
//! A held push of several sources is stored as a push of each of them, so that a retraction of one
//! leaves what the others sent. All for whom the same of it is retracted are one submission: it is
//! stored for all of them or for none. Held by `front::held_sources`.
use std::{collections::BTreeMap, net::IpAddr};

use super::{
    AdminError, Intake, Push,
    accept::{Unstored, quarantine},
    finished::finished,
    large::Read,
    queue::Origin,
};
use crate::{
    domain::{
        AuditAction, AuditNote, AuditOutcome, Caller, Held, HeldBody, HeldClass, HeldReason, Kind,
        Retracted, Timestamp, counted,
    },
    smarthub::{Body, NotJson, Reading, Refusal, Unread},
    store::{Outcome, Submission},
};

/// Why a held push could not be tried again.
#[derive(Debug, thiserror::Error)]
pub enum RetryError {
    /// There is none of this number.
    #[error("there is no such held push")]
    Unknown,
    /// It still does not prove to be from SmartHub.
    #[error("it is still refused: {0}")]
    StillRefused(HeldReason),
    /// Reading it failed, which is a fault of ours; the log says where.
    #[error("it could not be read, which is a fault of simdeck")]
    Failed,
    /// It cannot be stored now.
    #[error("it cannot be stored now")]
    Busy,
    /// What cannot be read of it would have to lie in quarantine, which has no room.
    #[error("quarantine is full")]
    QuarantineFull,
    /// A part was done, and then something went wrong.
    #[error("{}; then: {why}", in_words(.done))]
    CutShort {
        /// What was done; it stays.
        done: Outcome,
        /// What went wrong.
        why: Box<RetryError>,
    },
    /// The change could not be made.
    #[error(transparent)]
    Admin(#[from] AdminError),
}

impl RetryError {
    /// The same, after something was done.
    pub(super) fn after(self, before: Outcome) -> Self {
        let (done, why) = match self {
            Self::CutShort { done, why } => (super::task::sum(before, done), why),
            why => (before, Box::new(why)),
        };
        if done == Outcome::default() { *why } else { Self::CutShort { done, why } }
    }
}

impl From<Unstored> for RetryError {
    fn from(unstored: Unstored) -> Self {
        match unstored {
            Unstored::Busy => Self::Busy,
            Unstored::QuarantineFull => Self::QuarantineFull,
        }
    }
}

/// How much of a body is stored in one commit, counted once for each of those who sent it.
const COMMIT_BYTES: usize = 256 << 10;

impl Intake {
    /// Tries a held push again, whatever its age, under its own kind or another. A refused one has
    /// to verify now. What can be read is stored and taken out of the held pushes, in one
    /// transaction; what still cannot stays. What came under a `datePush` that was retracted since is
    /// held for that reason instead, and stored if it is tried once more.
    pub async fn retry(
        &self,
        id: i64,
        as_kind: Option<Kind>,
        caller: &Caller,
    ) -> Result<Outcome, RetryError> {
        let (intake, caller) = (self.clone(), caller.clone());
        // Whoever asked may go: what becomes of it is on record all the same.
        let retrying =
            tokio::spawn(async move { intake.retry_on_record(id, as_kind, caller).await });
        finished(retrying).await.unwrap_or_else(|| Err(RetryError::Admin(self.ended())))
    }

    async fn retry_on_record(
        &self,
        id: i64,
        as_kind: Option<Kind>,
        caller: Caller,
    ) -> Result<Outcome, RetryError> {
        // Where nothing is there to be tried, nothing is put on record.
        let held = self.held_body(id).await?;
        let note = AuditNote::by(&caller, AuditAction::HeldRetry, id.to_string());
        let audited = self.begin_audit(note).await?;
        let done = self.try_retry(held, as_kind).await;
        let (outcome, details) = match &done {
            Ok(outcome) if outcome.quarantined == 0 => (AuditOutcome::Done, in_words(outcome)),
            Ok(outcome) => (AuditOutcome::Failed, in_words(outcome)),
            Err(error) => (AuditOutcome::Failed, error.to_string()),
        };
        audited.end(outcome, details).await;
        done
    }

    /// A held push that is to be tried again.
    pub(super) async fn held_body(&self, id: i64) -> Result<HeldBody, RetryError> {
        let held = self.shared.store.held_body(id).await.map_err(AdminError::from)?;
        held.ok_or(RetryError::Unknown)
    }

    /// The same, and no row says so.
    pub(super) async fn try_retry(
        &self,
        held: HeldBody,
        as_kind: Option<Kind>,
    ) -> Result<Outcome, RetryError> {
        let mut all = Outcome::default();
        // Pushes wait for a commit, which stores each record once for each source.
        let sources_max = (COMMIT_BYTES / held.body.len().max(1)).max(1);
        let alike = self.sources_alike(&held.held);
        for sources in alike.iter().flat_map(|sources| sources.chunks(sources_max)) {
            let one = self.retry_of(&held, as_kind.as_ref(), sources).await;
            let one = one.map_err(|why| why.after(all))?;
            // What others sent, too, is the same part, and no repeat of what was there before.
            all = Outcome {
                stored: all.stored + one.stored,
                duplicates: all.duplicates.max(one.duplicates.saturating_sub(all.stored)),
                quarantined: all.quarantined.max(one.quarantined),
                erased: all.erased.max(one.erased),
            };
        }
        Ok(all)
    }

    /// All that sent a held push, together where the same of it is retracted. Those of whom nothing is
    /// come first: if they fail, the push is not held for what was retracted of others.
    fn sources_alike(&self, held: &Held) -> Vec<Vec<Option<IpAddr>>> {
        let retracted = self.retracted();
        let mut alike: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for source in [&held.source].into_iter().chain(&held.other_sources) {
            let source: Option<IpAddr> = source.parse().ok();
            let only_of = source.map(|source| retracted.only_of(source)).unwrap_or_default();
            alike.entry(only_of).or_default().push(source);
        }
        alike.into_values().collect()
    }

    async fn retry_of(
        &self,
        held: &HeldBody,
        as_kind: Option<&Kind>,
        sources: &[Option<IpAddr>],
    ) -> Result<Outcome, RetryError> {
        let Some((source, also_from)) = sources.split_first() else {
            return Ok(Outcome::default());
        };
        let id = held.held.id;
        let push = Push {
            kind: as_kind.unwrap_or(&held.held.kind).clone(),
            body: held.body.clone().into(),
            source: source.unwrap_or([0, 0, 0, 0].into()),
            test_nonce: None,
        };
        let (class, read_at) = (held.held.class, self.now());
        let signatures = held.signatures.clone().unwrap_or_default();
        // What lies here for another reason is not taken in under a `datePush` that was retracted
        // since: only then has a person decided of that.
        let is_decided = held.held.reason == HeldReason::DateRetracted;
        let retracted = (!is_decided).then(|| self.retracted());
        let read = self.read_aside(&push, move |intake, push| {
            intake.read_held(push, class, &signatures, retracted.as_deref(), intake.now())
        });
        let Read { reading, memory } =
            read.await.ok_or(RetryError::Failed)?.map_err(RetryError::StillRefused)?;
        let is_retracted = |unread: &Unread| unread.reason == HeldReason::DateRetracted;
        let still_unread = reading.records.is_empty()
            && !reading.unread.is_empty()
            && !reading.unread.iter().any(is_retracted);
        let is_held_as_authentic = class.is_authentic();
        if still_unread && is_held_as_authentic {
            return Ok(Outcome { quarantined: reading.unread.len() as u64, ..Outcome::default() });
        }
        let submission = Submission {
            records: reading.records,
            quarantine: quarantine(reading.unread, &push.kind, push.source),
            source: *source,
            also_from: also_from.to_vec(),
            releases: Some(id),
            ..Submission::default()
        };
        let origin = Origin { push, age: None, read_at, is_held_as_authentic };
        let mut outcome = self.submit(submission, reading.bytes, memory, origin).await?;
        // Each record was stored, or was there, once for each of them.
        let (of_all, also) = (outcome.stored + outcome.duplicates, also_from.len() as u64);
        outcome.duplicates = outcome.duplicates.saturating_sub(of_all / (also + 1) * also);
        Ok(outcome)
    }

    /// Reads a held body, once it is known to be authentic.
    fn read_held(
        &self,
        push: &Push,
        class: HeldClass,
        signatures: &[u8],
        retracted: Option<&Retracted>,
        read_at: Timestamp,
    ) -> Result<Reading, HeldReason> {
        let body = Body::parse(&push.body).map_err(|NotJson| HeldReason::NotJson)?;
        let authentic = match class {
            HeldClass::Quarantined | HeldClass::Stale => body.trust(),
            HeldClass::Refused => body.verify_kept(signatures, &self.verifier()),
        };
        let authentic = authentic.map_err(|Refusal { reason, .. }| reason)?;
        Ok(authentic.read(&self.rules(push, None, retracted, read_at)))
    }
}

/// What became of held pushes, for the audit.
pub(super) fn in_words(outcome: &Outcome) -> String {
    let Outcome { stored, duplicates, quarantined, .. } = outcome;
    let duplicates = counted(*duplicates, "duplicate", "duplicates");
    format!("{stored} stored, {duplicates}, {quarantined} quarantined")
}
