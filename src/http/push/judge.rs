//! What becomes of a push whose body is whole.
//!
//! From there on it goes its way whether or not its sender waits: it is stored, held or counted as
//! dropped, and every figure says so. Held by `tests/it/withstand/left.rs`.
use std::{
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum::{http::request, response::Response};
use tokio::runtime::Handle;

use super::{
    Front, Peer,
    budget::{NoRoom, Room},
    log::{CameOfIt, Visit},
    refusal::{Reason, Refusal},
    request_id::RequestId,
};
use crate::{
    domain::HeldReason,
    http::client_ip::is_unheard,
    intake::{AcceptError, Accepted, Push, Refused},
};

/// A push whose body is whole.
pub(super) struct Received {
    pub(super) push: Push,
    pub(super) head: request::Parts,
    /// What its body has of the room for bodies in flight.
    pub(super) room: Option<Room>,
}

/// What became of it, before anybody has noted it.
pub(super) struct Judged {
    pub(super) visit: Visit,
    pub(super) came_of_it: CameOfIt,
    pub(super) response: Response,
}

/// The way of a push to its end. It is gone to that end even if nobody waits for it any more.
pub(super) struct ToItsEnd<F: Future<Output = Judged> + Send + 'static>(Option<Pin<Box<F>>>);

impl<F: Future<Output = Judged> + Send + 'static> ToItsEnd<F> {
    pub(super) fn new(judging: F) -> Self {
        Self(Some(Box::pin(judging)))
    }
}

impl<F: Future<Output = Judged> + Send + 'static> Future for ToItsEnd<F> {
    type Output = Judged;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Judged> {
        // One that panics is not gone on with.
        let Some(mut judging) = self.0.take() else { return Poll::Pending };
        let judged = judging.as_mut().poll(cx);
        if judged.is_pending() {
            self.0 = Some(judging);
        }
        judged
    }
}

impl<F: Future<Output = Judged> + Send + 'static> Drop for ToItsEnd<F> {
    fn drop(&mut self) {
        if let Some(judging) = self.0.take()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(async move {
                let Judged { visit, came_of_it, .. } = judging.await;
                visit.end(came_of_it, None);
            });
        }
    }
}

impl Front {
    /// Takes a push in, or refuses it.
    pub(super) async fn judge(
        &self,
        Received { push, head, mut room }: Received,
        id: RequestId,
        visit: &mut Visit,
    ) -> Result<Accepted, Refusal> {
        let turn = self.intake.turn(push.body.len());
        let turn = match &mut room {
            None => turn.await,
            Some(room) => room.wait_for(turn).await.map_err(|NoRoom| {
                self.tell_no_room(push.source, visit);
                Refusal::NoRoom
            })?,
        };
        let is_test = push.test_nonce.is_some();
        let began = Instant::now();
        match self.intake.accept_told(push, turn).await {
            Ok(accepted) => {
                tracing::debug!(outcome = ?accepted.outcome, "Stored a push");
                visit.note(|row| row.is_test = is_test);
                self.acknowledged(visit, began.elapsed(), &head);
                Ok(accepted)
            }
            Err(error @ (AcceptError::Busy | AcceptError::QuarantineFull)) => {
                if let Some(row) = visit.row().filter(|_| !is_test) {
                    self.log.signals().sent_away(row.at);
                }
                let is_busy = matches!(error, AcceptError::Busy);
                Err(if is_busy { Refusal::Busy } else { Refusal::QuarantineFull })
            }
            Err(AcceptError::UnknownNonce) => Err(Refusal::UnknownNonce),
            Err(AcceptError::Refused(refused)) => {
                visit.note(|row| row.reason = Some(Reason::Held(refused.reason)));
                Err(self.refuse(refused, room, id, visit).await)
            }
        }
    }

    /// Notes what an authentic push tells of the way that pushes take. A test tells nothing: it is
    /// signed with a key of ours.
    fn acknowledged(&self, visit: &Visit, took: Duration, head: &request::Parts) {
        let Some(row) = visit.row().filter(|row| !row.is_test) else { return };
        let signals = self.log.signals();
        if let Some(kind) = &row.kind {
            signals.acknowledged(kind, took, row.at);
        }
        if let Some(Peer(peer)) = head.extensions.get()
            && is_unheard(peer.ip(), &head.headers, &self.settings.trusted_proxies)
        {
            signals.forwarded_by(peer.ip(), row.at);
        }
    }

    /// A push that did not verify. It is held, and its sender told why; of a source that has failed
    /// too often only what may be a true push, and the rest is counted as dropped.
    async fn refuse(
        &self,
        refused: Refused,
        room: Option<Room>,
        id: RequestId,
        visit: &Visit,
    ) -> Refusal {
        let (reason, source) = (refused.reason, refused.source());
        if let Some(row) = visit.row() {
            self.log.signals().refused(refused.kind(), reason, refused.body(), row.at);
        }
        if let Err(wait) = self.failures.failed(source) {
            if refused.may_be_true() {
                self.hold(refused, room).await;
            } else {
                self.intake.drop_refused(&refused);
            }
            return Refusal::TooManyFailures { retry_after_s: wait.as_secs() + 1 };
        }
        tracing::info!(request.id = %id, %source, %reason, "Refused a push");
        self.hold(refused, room).await;
        match reason {
            HeldReason::NotJson => Refusal::NotJson,
            _ => Refusal::InvalidSignature,
        }
    }

    /// Holds a push that did not verify, unless its room is needed: then it is counted as dropped.
    async fn hold(&self, refused: Refused, room: Option<Room>) {
        let holding = self.intake.hold(refused);
        let Some(mut room) = room else { return holding.await };
        room.is_refused();
        tokio::select! {
            biased;
            () = holding => (),
            NoRoom = room.ended() => (),
        }
    }
}
