use std::{error::Error, time::Duration};

use super::request::Refusal;
use crate::domain::PollFailureKind;

/// Why RCMS did not do what it was asked, in a sentence that says what to look at. None of them
/// holds an address: ours carry the signature.
#[derive(Debug, thiserror::Error)]
pub enum RcmsError {
    /// It could not be signed; nothing was sent.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No connection, or one that broke before the answer's end.
    #[error("RCMS cannot be reached; check {}", way(.0))]
    Transport(#[source] reqwest::Error),
    /// No whole answer in the time it has.
    #[error("RCMS did not answer within {} s", .0.as_secs_f32())]
    Timeout(Duration),
    /// An answer that is not a success of HTTP.
    #[error("RCMS answered with HTTP status {status}{said}{}", hint(*status))]
    Status {
        /// The status.
        status: u16,
        /// A clause with RCMS's own code and words, or with what the address lacks; empty where there
        /// is neither.
        said: String,
        /// When RCMS wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// An answer that nobody needs whole.
    #[error("RCMS answered with more than {} MiB, of which nothing was taken", .0 >> 20)]
    TooLarge(usize),
    /// An answer that is not the JSON that it should be.
    #[error("RCMS answered with {0}; is SIMDECK_RCMS_ENDPOINT the address of its API?")]
    Unreadable(&'static str),
    /// RCMS says no, in its own code.
    #[error("RCMS refused it with code {code}: {msg}")]
    Code {
        /// Its code; −1 is a business reason.
        code: i64,
        /// Its words, cut, without control characters.
        msg: String,
    },
    /// RCMS does not accept our signature, which it says with code 40002.
    #[error("RCMS does not accept our signature (code 40002); {}", clock_hint(*clock_ahead_ms))]
    Signature {
        /// Our clock minus RCMS's, as its answer's `Date` tells, to the second.
        clock_ahead_ms: Option<i64>,
    },
    /// Nobody knows whether RCMS did what it was told: it may have, and only its answer is missing.
    #[error("{cause}. It may have been done all the same: {found}")]
    Unsure {
        /// What came instead of an answer.
        cause: Box<RcmsError>,
        /// What RCMS said when it was asked how things stand, or where to look.
        found: String,
    },
}

/// From here on a clock may be the reason for a refused signature. RCMS's tolerance is not known.
const CLOCK_SUSPECT_MS: u64 = 30_000;

impl RcmsError {
    /// Whether the same question may well be answered a little later.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Transport(_) | Self::Timeout(_) => true,
            Self::Status { status, .. } => matches!(status, 408 | 429 | 500..=599),
            _ => false,
        }
    }

    /// Whether it may be the size of the page that RCMS refuses: it says no to what was asked, and in no
    /// word that it is something else.
    pub fn may_be_about_size(&self) -> bool {
        match self {
            Self::Code { .. } => true,
            Self::Status { status, .. } => matches!(status, 400 | 413 | 416 | 422),
            _ => false,
        }
    }

    /// Whether RCMS may have done what it was told all the same: only a refusal, or a request that
    /// never went out, says that it has not.
    pub(super) fn may_have_been_done(&self) -> bool {
        match self {
            Self::Transport(error) => !error.is_connect(),
            Self::Status { status, .. } => matches!(status, 408 | 500..=599),
            Self::Timeout(_) | Self::TooLarge(_) | Self::Unreadable(_) | Self::Unsure { .. } => {
                true
            }
            Self::Refused(_) | Self::Code { .. } | Self::Signature { .. } => false,
        }
    }

    /// When RCMS wants to be asked again, where it said so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// In which way it failed.
    pub fn kind(&self) -> PollFailureKind {
        match self {
            Self::Transport(_) | Self::Timeout(_) => PollFailureKind::Transport,
            Self::Status { .. } => PollFailureKind::Status,
            Self::TooLarge(_) | Self::Unreadable(_) => PollFailureKind::Unreadable,
            Self::Refused(_) | Self::Code { .. } => PollFailureKind::Code,
            Self::Signature { .. } => PollFailureKind::Signature,
            Self::Unsure { cause, .. } => cause.kind(),
        }
    }

    /// The sentence with its first cause, for people.
    pub fn sentence(&self) -> String {
        let mut root = self.source();
        while let Some(deeper) = root.and_then(Error::source) {
            root = Some(deeper);
        }
        match root {
            Some(root) => format!("{self}: {root}"),
            None => self.to_string(),
        }
    }
}

fn hint(status: u16) -> &'static str {
    match status {
        300..=399 => {
            ", a redirect; it is not followed, because it would take our signature elsewhere: set \
             SIMDECK_RCMS_ENDPOINT to the right address"
        }
        407 => ", which a proxy answers: HTTP_PROXY or HTTPS_PROXY lacks a user and a password",
        429 => ", too many requests",
        _ => "",
    }
}

/// Where to look if no answer came: what a proxy refuses is no fault of the endpoint.
fn way(error: &reqwest::Error) -> &'static str {
    let causes = || std::iter::successors(Some(error as &dyn Error), |error| (*error).source());
    let tells = |words: &[&str]| {
        causes().any(|cause| {
            let told = cause.to_string();
            words.iter().any(|word| told.contains(word))
        })
    };
    if tells(&["proxy", "tunnel"]) {
        "the proxy that HTTPS_PROXY, HTTP_PROXY or ALL_PROXY names"
    } else if tells(&["invalid peer certificate"]) {
        "whose certificate it is at SIMDECK_RCMS_ENDPOINT, and name its authority with \
         SIMDECK_RCMS_CA_FILE if that is your own"
    } else {
        "SIMDECK_RCMS_ENDPOINT and the way to it"
    }
}

fn clock_hint(clock_ahead_ms: Option<i64>) -> String {
    let check = "check SIMDECK_RCMS_CLIENT_ID and SIMDECK_RCMS_CLIENT_SECRET, then `simdeck rcms \
                 probe`";
    let Some(ahead_ms) = clock_ahead_ms else {
        return check.to_owned();
    };
    let seconds = ahead_ms.unsigned_abs() / 1000;
    if ahead_ms.unsigned_abs() < CLOCK_SUSPECT_MS {
        return format!("our clock and RCMS's agree to {} s, so {check}", seconds.max(1));
    }
    let side = if ahead_ms > 0 { "ahead of" } else { "behind" };
    format!("our clock is {seconds} s {side} RCMS's: set it right; if that is not it, {check}")
}
