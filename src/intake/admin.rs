use std::sync::{Arc, PoisonError};

use subtle::ConstantTimeEq;
use tokio::sync::oneshot;

use super::{Intake, Trouble, audit::Record, chores::Upkeep, refused::Handed};
use crate::{
    domain::{
        ApiKey, Caller, DevicePoll, KeyDigest, LabelChange, Pass, PassDigest, PassKind, Scope,
        SerialNumber,
    },
    store::{Forgetting, Outcome, StoreError, Submission},
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
    ForgetDevice {
        sn: SerialNumber,
        reply: Reply<Forgetting>,
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

impl Intake {
    /// Who holds the live API key with this hash. All keys are compared, in the same time.
    pub fn caller(&self, digest: &KeyDigest) -> Option<Caller> {
        let keys = self.shared.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.iter().filter(|key| key.revoked_at.is_none()).fold(None, |found, key| {
            let is_it: bool = key.digest.ct_eq(digest).into();
            if is_it { Some(Caller::new(&*key.label, key.scope)) } else { found }
        })
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
            Some(trouble @ (Trouble::DiskReserve | Trouble::FilesMoved)) => {
                Err(AdminError::NotReady(trouble.sentence()))
            }
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

    /// Whether the writer has ended and nobody stopped it.
    pub fn writer_has_failed(&self) -> bool {
        self.shared.commands.is_closed() && self.trouble() != Some(Trouble::Stopping)
    }

    /// Why the writer takes nothing any more. One that is stopped says so before it ends.
    pub(super) fn ended(&self) -> AdminError {
        match self.trouble() {
            Some(Trouble::Stopping) => AdminError::Stopping,
            Some(trouble @ Trouble::FilesMoved) => AdminError::NotReady(trouble.sentence()),
            // The writer goes on for the pushes, and has only given up its long work.
            _ if self.shared.work_ends.is_cancelled() && !self.shared.commands.is_closed() => {
                AdminError::Stopping
            }
            _ => AdminError::Ended,
        }
    }
}
