//! What is sent away at the address of a push before its proof is looked at.
use axum::http::Method;

use super::{Front, log::Visit, refusal::Reason, request_id::RequestId};
use crate::{domain::Kind, smarthub::kind, watch::Rejection};

/// Whether a request of this method brings something: who only looks pushes nothing.
pub(super) fn has_body(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

impl Front {
    /// Notes that a request was sent away which may have been SmartHub's. Says whether the log has it
    /// now: it names a source once an hour for each cause.
    pub(super) fn rejected(
        &self,
        rejection: Rejection,
        reason: Option<Reason>,
        id: RequestId,
        visit: &Visit,
    ) -> bool {
        let Some(row) = visit.row() else { return false };
        // Without tokens anybody can invent a kind.
        let is_push = row.kind.as_ref().is_some_and(|kind| {
            kind::is_known(kind.as_str()) || !self.settings.path_tokens.live().is_empty()
        });
        if !is_push && rejection != Rejection::WrongToken {
            return false;
        }
        let is_due = self.log.signals().rejected(rejection, row.source, row.at);
        if is_due {
            tracing::warn!(
                request.id = %id,
                source = %row.source,
                push.kind = row.kind.as_ref().map(Kind::as_str),
                reason = reason.map(Reason::as_str),
                "Sent away a request {}, which may be a push: if SmartHub sent it, {}",
                rejection.fault(),
                rejection.advice(),
            );
        }
        is_due
    }
}
