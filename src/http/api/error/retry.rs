//! What went wrong with held pushes that were to be read again or thrown away.
use super::{ApiError, unavailable};
use crate::{
    domain::{HeldReason, counted},
    http::problem::Problem,
    intake::{DiscardCutShort, RetryError},
    store::Outcome,
};

impl From<RetryError> for ApiError {
    fn from(error: RetryError) -> Self {
        match error {
            RetryError::Unknown => Self::NoSuchRow("held"),
            RetryError::StillRefused(HeldReason::NotJson) => Self::Conflict(
                "The body is no push: it can be discarded, not retried.".to_owned(),
                None,
            ),
            RetryError::StillRefused(reason) => Self::Conflict(
                format!(
                    "It is still refused ({reason}). If its key was not known, add the key to \
                     SIMDECK_PUSH_KEY, then retry."
                ),
                None,
            ),
            RetryError::Failed => Self::Panicked,
            RetryError::Busy => Self::Busy,
            RetryError::QuarantineFull => Self::QuarantineFull,
            RetryError::CutShort { done: Outcome { stored, duplicates, quarantined, .. }, why } => {
                let duplicates = counted(duplicates, "duplicate", "duplicates");
                let done =
                    format!("So far: {stored} stored, {duplicates}, {quarantined} quarantined.");
                Self::CutShort { done, why: Box::new((*why).into()) }
            }
            RetryError::Admin(error) => error.into(),
        }
    }
}

impl From<DiscardCutShort> for ApiError {
    fn from(DiscardCutShort { discarded, why }: DiscardCutShort) -> Self {
        match discarded {
            0 => why.into(),
            _ => {
                let done = format!(
                    "So far: {} discarded.",
                    counted(discarded, "held push", "held pushes")
                );
                Self::CutShort { done, why: Box::new(why.into()) }
            }
        }
    }
}

/// A full quarantine is no fuller for being asked again.
pub(super) fn quarantine_full() -> Problem {
    unavailable().detail(
        "Quarantine has no room for what cannot be read of it. Discard held pushes that are of no \
         use, or raise SIMDECK_QUARANTINE_MAX, then retry.",
    )
}

impl ApiError {
    /// What went wrong, whatever was done before.
    pub(super) fn first_cause(&self) -> &Self {
        match self {
            Self::CutShort { why, .. } => why.first_cause(),
            error => error,
        }
    }
}
