//! Why nothing was erased, retracted or lifted.
use std::net::IpAddr;

use super::not_found;
use crate::{domain::Timestamp, http::problem::Problem};

/// An erasure, a retraction or a lift that has nothing to do.
#[derive(Debug, thiserror::Error)]
pub(in crate::http) enum RemovalError {
    /// Nothing is known of the SIM that is to be erased, and when it was erased before, if it was.
    #[error("nothing is known of the SIM that is to be erased")]
    NothingToErase(Option<Timestamp>),
    /// The SIM whose erasure is to be lifted was never erased.
    #[error("the SIM was not erased")]
    NotErased,
    /// Nothing came under the `datePush` to be retracted, and what retracted it before, if anything.
    #[error("nothing came under the datePush that is to be retracted")]
    NothingToRetract(Option<Earlier>),
    /// Nothing is stored under the `datePush` to be retracted, and whether something is held
    /// was not found out.
    #[error("it is not known whether anything came under the datePush that is to be retracted")]
    NotKnownToRetract,
    /// What is to be lifted was already lifted, and when.
    #[error("it was already lifted at {2}")]
    AlreadyLifted(&'static str, &'static str, Timestamp),
}

/// An earlier retraction of the same `datePush`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) struct Earlier {
    pub(in crate::http) at: Timestamp,
    /// The one source of which it was, if less than what is to be retracted now.
    pub(in crate::http) source: Option<IpAddr>,
}

impl RemovalError {
    pub(super) fn problem(&self) -> Problem {
        match self {
            Self::NothingToErase(erased_at) => nothing_to_erase(*erased_at),
            Self::NotErased => not_found("erasures", "giccid").detail("This SIM was not erased."),
            Self::NothingToRetract(earlier) => nothing_to_retract(*earlier),
            Self::NotKnownToRetract => not_found("retract", "datePush").detail(
                "Nothing is stored under this datePush, and what is held is too much to \
                 look through. Check it; with --force (`force` in the API) nothing of it is ever \
                 stored.",
            ),
            Self::AlreadyLifted(resource, field, at) => {
                not_found(resource, field).detail(format!("This was already lifted at {at}."))
            }
        }
    }
}

fn nothing_to_erase(erased_at: Option<Timestamp>) -> Problem {
    let detail = match erased_at {
        None => {
            "Nothing is known of this SIM. Check its number; with --force (`force` in the API) \
                 nothing of it is ever kept."
                .to_owned()
        }
        Some(at) => format!(
            "This SIM was already erased at {at}, and nothing has been kept of it since: there is nothing \
             left to erase."
        ),
    };
    not_found("erase", "giccid").detail(detail)
}

fn nothing_to_retract(earlier: Option<Earlier>) -> Problem {
    let detail = match earlier {
        None => {
            "Nothing came under this datePush. Check it; with --force (`force` in the API) nothing \
                 of it is ever stored."
                .to_owned()
        }
        Some(Earlier { at, source: None }) => format!(
            "What came under this datePush was already retracted at {at}, and nothing of it has been \
             stored since: there is nothing left to retract."
        ),
        Some(Earlier { at, source: Some(source) }) => format!(
            "What came under this datePush was already retracted at {at} for source {source}, and \
             nothing came from others: there is nothing left to retract. With --force (`force` in \
             the API) nothing of it is ever stored from any source."
        ),
    };
    not_found("retract", "datePush").detail(detail)
}
