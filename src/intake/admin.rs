use std::{
    net::IpAddr,
    sync::{Arc, PoisonError},
};

use tokio::sync::oneshot;

use super::{
    Intake, Push, Trouble, accept::quarantine, audit::Record, chores::Upkeep, finished::finished,
    large::Read, queue::Origin, refused::Handed,
};
use crate::{
    domain::{
        ApiKey, AuditAction, AuditNote, AuditOutcome, Caller, DevicePoll, Held, HeldBody,
        HeldClass, HeldReason, KeyDigest, Kind, LabelChange, Pass, PassDigest, PassKind, Retracted,
        Scope, Timestamp, counted,
    },
    smarthub::{Body, NotJson, Reading, Refusal, Unread},
    store::{Outcome, StoreError, Submission},
};

/// What the writer is asked for beside pushes.
pub(super) enum Command {
    KeepRefused(Handed),
    Discard {
        id: i64,
        caller: Caller,
        reply: Reply<bool>,
    },
    DiscardAll {
        ids: Vec<i64>,
        /// Only what these sent, or without any, whoever did.
        sources: Vec<String>,
        reply: Reply<u64>,
    },
    Audit(Record),
    CreateKey {
        label: String,
        scope: Scope,
        digest: KeyDigest,
        caller: Caller,
        reply: Reply<ApiKey>,
    },
    RevokeKey {
        id: i64,
        caller: Caller,
        reply: Reply<bool>,
    },
    AddPass {
        pass: Pass,
        caller: Caller,
        reply: Reply<()>,
    },
    TakePass {
        kind: PassKind,
        digest: PassDigest,
        reply: Reply<Option<KeyDigest>>,
    },
    KeepPoll {
        poll: Box<DevicePoll>,
        reply: Reply<()>,
    },
    KeepHistory {
        history: Arc<Submission>,
        reply: Reply<Outcome>,
    },
    /// Asks for nothing but an answer.
    Beat {
        reply: Reply<()>,
    },
    KeepUp(Upkeep),
    LabelSims {
        changes: Vec<LabelChange>,
        caller: Caller,
        reply: Reply<u64>,
    },
}

pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The database refused or failed.
    #[error("the change could not be stored")]
    Store(#[from] StoreError),
    /// Nothing can be stored now, and why, as [`Intake::health`] says it.
    #[error("{0}")]
    NotReady(&'static str),
    /// simdeck is stopping.
    #[error("simdeck is stopping")]
    Stopping,
    /// The writer ended by a fault of its own, or of the disk.
    #[error("{}", Self::ENDED)]
    Ended,
}

impl AdminError {
    /// What is said when the writer has ended and nobody stopped it.
    pub const ENDED: &str = "the writer has failed, so that simdeck ends; its log says why";
}

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
    /// The change could not be made.
    #[error(transparent)]
    Admin(#[from] AdminError),
}

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

    /// The same, and no row says so. Each source that sent it has it stored as its own push, so that a
    /// retraction of one of them leaves what the others sent.
    pub(super) async fn try_retry(
        &self,
        held: HeldBody,
        as_kind: Option<Kind>,
    ) -> Result<Outcome, RetryError> {
        let Held { source, other_sources, .. } = &held.held;
        // One that is not known comes last: it lets go of the whole.
        let mut sources: Vec<Option<IpAddr>> =
            [source].into_iter().chain(other_sources).map(|source| source.parse().ok()).collect();
        sources.sort_by_key(Option::is_none);
        sources.dedup();
        let mut all: Option<Outcome> = None;
        for source in sources {
            let one = self.retry_of(&held, as_kind.as_ref(), source).await?;
            // What others sent, too, is the same part.
            all = Some(all.map_or(one, |all| Outcome {
                stored: all.stored + one.stored,
                quarantined: all.quarantined.max(one.quarantined),
                ..all
            }));
        }
        Ok(all.unwrap_or_default())
    }

    async fn retry_of(
        &self,
        held: &HeldBody,
        as_kind: Option<&Kind>,
        source: Option<IpAddr>,
    ) -> Result<Outcome, RetryError> {
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
            source,
            releases: Some(id),
            ..Submission::default()
        };
        let origin = Origin { push, age: None, read_at, is_held_as_authentic };
        self.submit(submission, reading.bytes, memory, origin).await.map_err(|_| RetryError::Busy)
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

    /// Waits until the writer has come by: while it does, it neither hangs nor has ended.
    pub async fn beat(&self) -> Result<(), AdminError> {
        self.ask(|reply| Command::Beat { reply }).await
    }

    /// Throws a held push away; false if it is not there.
    pub async fn discard(&self, id: i64, caller: &Caller) -> Result<bool, AdminError> {
        let caller = caller.clone();
        self.ask(|reply| Command::Discard { id, caller, reply }).await
    }

    /// Keeps a new API key's hash; the key is live from now on.
    pub async fn create_key(
        &self,
        label: &str,
        scope: Scope,
        digest: KeyDigest,
        caller: &Caller,
    ) -> Result<ApiKey, AdminError> {
        let (label, caller) = (label.to_owned(), caller.clone());
        let key =
            self.ask(|reply| Command::CreateKey { label, scope, digest, caller, reply }).await?;
        self.shared.keys.write().unwrap_or_else(PoisonError::into_inner).push(key.clone());
        Ok(key)
    }

    /// Calls API keys as the database does: an erasure takes a number out of labels.
    pub(super) async fn relabel_keys(&self) -> Result<(), StoreError> {
        let stored = self.shared.store.api_keys().await?;
        let mut keys = self.shared.keys.write().unwrap_or_else(PoisonError::into_inner);
        for key in keys.iter_mut() {
            if let Some(stored) = stored.iter().find(|stored| stored.id == key.id) {
                key.label.clone_from(&stored.label);
            }
        }
        Ok(())
    }

    /// Ends an API key; false if there is no live one of this number.
    pub async fn revoke_key(&self, id: i64, caller: &Caller) -> Result<bool, AdminError> {
        let caller = caller.clone();
        let was_live = self.ask(|reply| Command::RevokeKey { id, caller, reply }).await?;
        let now = self.now();
        let mut keys = self.shared.keys.write().unwrap_or_else(PoisonError::into_inner);
        for key in keys.iter_mut().filter(|key| key.id == id && was_live) {
            key.revoked_at = Some(now);
        }
        Ok(was_live)
    }

    /// Keeps a link, or a session of the caller's browser.
    pub async fn add_pass(&self, pass: Pass, caller: &Caller) -> Result<(), AdminError> {
        let caller = caller.clone();
        self.ask(|reply| Command::AddPass { pass, caller, reply }).await
    }

    /// The key that a live session stands for.
    pub async fn session(&self, digest: &PassDigest) -> Result<Option<KeyDigest>, StoreError> {
        self.shared.store.session(digest, self.now()).await
    }

    /// Takes a link or a session away; gives the key that it stood for, if it was live.
    pub async fn take_pass(
        &self,
        kind: PassKind,
        digest: PassDigest,
    ) -> Result<Option<KeyDigest>, AdminError> {
        self.ask(|reply| Command::TakePass { kind, digest, reply }).await
    }

    /// Keeps what a poll of RCMS learned. Pushes that wait come first. While the disk has no room, or
    /// when we stop, nothing is queued: a poll can be made again, and a push cannot.
    pub async fn keep_poll(&self, poll: DevicePoll) -> Result<(), AdminError> {
        self.may_queue()?;
        let poll = Box::new(poll);
        self.ask(|reply| Command::KeepPoll { poll, reply }).await
    }

    /// Changes what people say of SIMs, a few at a time: pushes that wait come first. Gives how many
    /// changes were of SIMs that have no record yet.
    pub async fn label_sims(
        &self,
        changes: Vec<LabelChange>,
        caller: &Caller,
    ) -> Result<u64, AdminError> {
        self.may_queue()?;
        let caller = caller.clone();
        self.ask(|reply| Command::LabelSims { changes, caller, reply }).await
    }

    pub(super) fn may_queue(&self) -> Result<(), AdminError> {
        match self.trouble() {
            Some(trouble @ Trouble::DiskReserve) => Err(AdminError::NotReady(trouble.sentence())),
            Some(Trouble::Stopping) => Err(AdminError::Stopping),
            Some(Trouble::Failing) | None => Ok(()),
        }
    }

    pub(super) async fn ask<T>(
        &self,
        command: impl FnOnce(Reply<T>) -> Command,
    ) -> Result<T, AdminError> {
        let (reply, answer) = oneshot::channel();
        self.shared.commands.send(command(reply)).await.map_err(|_| self.ended())?;
        Ok(answer.await.map_err(|_| self.ended())??)
    }

    /// Why the writer takes nothing any more. One that is stopped says so before it ends.
    pub(super) fn ended(&self) -> AdminError {
        match self.trouble() {
            Some(Trouble::Stopping) => AdminError::Stopping,
            _ => AdminError::Ended,
        }
    }
}

/// What became of held pushes, for the audit.
pub(super) fn in_words(outcome: &Outcome) -> String {
    let Outcome { stored, duplicates, quarantined, .. } = outcome;
    let duplicates = counted(*duplicates, "duplicate", "duplicates");
    format!("{stored} stored, {duplicates}, {quarantined} quarantined")
}
