//! What can go wrong with a request to the internal listener, and what the client reads then.
use std::{error::Error, ops::RangeInclusive, sync::Arc};

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use http_body_util::LengthLimitError;

mod removal;
mod retry;
mod room;
pub(super) use removal::Earlier;
pub(in crate::http) use removal::RemovalError;

use crate::{
    domain::Timestamp,
    http::problem::{Cause, Code, FieldError, Problem},
    intake::AdminError,
    rcms::RcmsError,
    store::{BackupError, StoreError},
};

/// When to ask again what could not be stored now.
const RETRY_AFTER_S: RangeInclusive<u16> = 1..=5;

/// Why a request is not answered as it was meant.
#[derive(Debug, thiserror::Error)]
pub(in crate::http) enum ApiError {
    /// No key, or none that is live.
    #[error("the request has no live API key")]
    NoKey,
    /// The key does not allow this.
    #[error("the API key's scope does not allow this")]
    Forbidden,
    /// A session's cookie came with a request that a page of another origin made.
    #[error("the request was made by a page of another origin")]
    ForeignPage,
    /// The key asked too often.
    #[error("the API key has no requests left in this hour")]
    TooOften {
        /// When it may ask again.
        retry_after_s: i64,
    },
    /// There is nothing at this address.
    #[error("there is nothing at this address")]
    NoSuchAddress,
    /// There is nothing with this id.
    #[error("there is no {0} with this id")]
    NoSuchRow(&'static str),
    /// There is no router with this serial number.
    #[error("there is no router with this serial number")]
    NoSuchDevice,
    /// There is no SIM with this giccid.
    #[error("there is no SIM with this giccid")]
    NoSuchSim,
    /// Nothing is there to erase, to retract or to lift.
    #[error(transparent)]
    Removal(#[from] RemovalError),
    /// The address takes other methods.
    #[error("the address does not take this method")]
    MethodNotAllowed,
    /// A parameter or a member is wrong.
    #[error("`{}` was refused", .0.field)]
    Invalid(Invalid),
    /// The body is not a JSON object.
    #[error("the body is not a JSON object")]
    NotAnObject,
    /// The body is larger than any that is meant for us.
    #[error("the body is too large")]
    BodyTooLarge,
    /// The body ended before its end.
    #[error("the body broke off")]
    BodyCut,
    /// The body is packed in a way that we do not unpack.
    #[error("the body has a content coding other than gzip")]
    UnknownCoding,
    /// The request is well-formed, but what is stored does not allow it.
    #[error("what is stored does not allow this: {0}")]
    Conflict(String, Option<FieldError>),
    /// Nothing can be stored now.
    #[error("not ready: {0}")]
    NotReady(&'static str),
    /// The writer has too much to do.
    #[error("the intake is busy")]
    Busy,
    /// What cannot be read of a held push has no room in quarantine.
    #[error("quarantine is full")]
    QuarantineFull,
    /// A part was done, and then something went wrong.
    #[error("{done} Then: {why}")]
    CutShort {
        /// What was done, in a sentence.
        done: String,
        /// What went wrong.
        why: Box<ApiError>,
    },
    /// There are as many streams as there may be.
    #[error("there are as many streams as there may be")]
    TooManyStreams,
    /// There is no public listener that a test could be pushed to.
    #[error("no public listener runs here")]
    NoFrontDoor,
    /// Our own public listener did not answer.
    #[error("the public listener did not answer")]
    FrontDoor(#[source] Box<dyn Error + Send + Sync>),
    /// RCMS did not do what it was asked.
    #[error("RCMS did not do it")]
    Rcms(#[source] RcmsError),
    /// The store failed.
    #[error("the store did not answer")]
    Store(#[from] StoreError),
    /// A copy of the database could not be made.
    #[error("the backup failed")]
    Backup(#[source] BackupError),
    /// A row holds what is no JSON.
    #[error("row {id} of {resource} holds what is no JSON")]
    Corrupt {
        /// The list.
        resource: &'static str,
        /// The row.
        id: i64,
        /// Where it ends to be JSON.
        source: serde_json::Error,
    },
    /// A table could not be written.
    #[error("the table could not be written")]
    Table(#[from] std::io::Error),
    /// The metrics could not be written.
    #[error("the metrics could not be written")]
    Metrics(#[from] std::fmt::Error),
    /// A handler panicked.
    #[error("the request's handler panicked")]
    Panicked,
}

/// One field that is wrong, and a sentence about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::http) struct Invalid {
    /// What was asked for.
    pub(super) resource: &'static str,
    /// The parameter or member.
    pub(super) field: String,
    /// In which way.
    pub(super) code: Code,
    /// What it should have been.
    pub(super) detail: String,
}

impl Invalid {
    /// A field whose value, or whose name, is none that we take.
    pub(super) fn field(resource: &'static str, field: &str, detail: String) -> Self {
        Self { resource, field: field.to_owned(), code: Code::Invalid, detail }
    }

    /// A field that has to be there.
    pub(super) fn missing(resource: &'static str, field: &str) -> Self {
        let detail = format!("`{field}` is required.");
        Self { resource, field: field.to_owned(), code: Code::MissingField, detail }
    }
}

impl From<Invalid> for ApiError {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl From<AdminError> for ApiError {
    fn from(error: AdminError) -> Self {
        match error {
            AdminError::Store(error) => Self::Store(error),
            AdminError::NotReady(reason) => Self::NotReady(reason),
            AdminError::Stopping => Self::NotReady("simdeck is stopping"),
            AdminError::Ended => Self::NotReady(AdminError::ENDED),
        }
    }
}

impl ApiError {
    /// Why a body of a limited length could not be read.
    pub(super) fn of_body(error: axum::Error) -> Self {
        match error.into_inner().is::<LengthLimitError>() {
            true => Self::BodyTooLarge,
            false => Self::BodyCut,
        }
    }

    /// A value that something else has already.
    pub(super) fn taken(resource: &'static str, field: &str) -> Self {
        let error = FieldError { resource, field: field.to_owned(), code: Code::AlreadyExists };
        Self::Conflict(format!("Another one has this `{field}`."), Some(error))
    }

    /// The one place that picks a status, and what the client reads.
    fn problem(&self) -> Problem {
        match self {
            Self::NoKey => Problem::new(StatusCode::UNAUTHORIZED, "Invalid api key"),
            Self::Forbidden => Problem::new(StatusCode::FORBIDDEN, "Access forbidden")
                .detail("This needs an API key of scope admin."),
            Self::ForeignPage => Problem::new(StatusCode::FORBIDDEN, "Forbidden").detail(
                "A browser's session acts only where the page that asks is simdeck's own; programs \
                 send an API key.",
            ),
            Self::TooOften { .. } => too_often(),
            Self::NoSuchAddress => Problem::new(StatusCode::NOT_FOUND, "Not Found"),
            Self::NoSuchRow(resource) => not_found(resource, "id"),
            Self::NoSuchDevice => not_found("devices", "sn"),
            Self::NoSuchSim => not_found("sims", "giccid"),
            Self::Removal(error) => error.problem(),
            Self::MethodNotAllowed => method_not_allowed(),
            Self::Invalid(Invalid { resource, field, code, detail }) => {
                let error = FieldError { resource, field: field.clone(), code: *code };
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "Validation Failed")
                    .detail(detail)
                    .errors(vec![error])
            }
            Self::NotAnObject => Problem::new(StatusCode::BAD_REQUEST, "Bad Request")
                .detail("Body should be a JSON object"),
            Self::BodyTooLarge => Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "Content Too Large"),
            Self::BodyCut => Problem::new(StatusCode::BAD_REQUEST, "Bad Request")
                .detail("The body broke off. What was stored stays; send the file again."),
            Self::UnknownCoding => {
                Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Unsupported Media Type")
                    .detail("Send the body as it is, or as `Content-Encoding: gzip`.")
            }
            Self::Conflict(detail, error) => Problem::new(StatusCode::CONFLICT, "Conflict")
                .detail(detail)
                .errors(error.iter().cloned().collect()),
            Self::NotReady(reason) => unavailable().detail(*reason),
            Self::Busy => unavailable().detail("Too much waits to be stored. Ask again."),
            Self::QuarantineFull => retry::quarantine_full(),
            Self::CutShort { done, why } => why.problem().after(done),
            Self::TooManyStreams => {
                unavailable().detail("There are as many streams as may be. End one.")
            }
            Self::NoFrontDoor => Problem::new(StatusCode::CONFLICT, "Conflict")
                .detail("No public listener runs here. Start `simdeck serve`."),
            Self::FrontDoor(_) => Problem::new(StatusCode::BAD_GATEWAY, "Bad Gateway").detail(
                "The public listener did not answer a push from this machine. The log says why.",
            ),
            Self::Store(StoreError::Busy) => {
                unavailable().detail("Too much is asked at once. Ask again, or ask for less.")
            }
            Self::Store(StoreError::TooSlow) => {
                unavailable().detail("The question took too long. Narrow it by time or by SIM.")
            }
            Self::Store(StoreError::TooManyRows(max)) => {
                Problem::new(StatusCode::CONFLICT, "Conflict").detail(format!(
                    "The answer would have more than {max} rows. Ask for longer intervals, a \
                     shorter time, or fewer groups; `top` sums those that are left."
                ))
            }
            Self::Store(StoreError::Pruned { what, from_ms }) => pruned(what, *from_ms),
            Self::Rcms(error) => rcms_problem(error),
            Self::Backup(error) => room::backup_problem(error),
            Self::Store(error) if error.is_disk_full() => room::no_room(error),
            Self::Store(_)
            | Self::Corrupt { .. }
            | Self::Table(_)
            | Self::Metrics(_)
            | Self::Panicked => {
                Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
                    .detail("The log says why, under this answer's X-Request-Id.")
            }
        }
    }
}

fn too_often() -> Problem {
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "API rate limit exceeded")
}

fn method_not_allowed() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
}

fn not_found(resource: &'static str, field: &str) -> Problem {
    let error = FieldError { resource, field: field.to_owned(), code: Code::Missing };
    Problem::new(StatusCode::NOT_FOUND, "Not Found").errors(vec![error])
}

/// Never a part of a sum: from when on there is the whole of it.
fn pruned(what: &'static str, from_ms: i64) -> Problem {
    let from = Timestamp::from_unix_ms(from_ms);
    if what == "sims" {
        let error = FieldError { resource: what, field: "tz".to_owned(), code: Code::Invalid };
        return Problem::new(StatusCode::CONFLICT, "Conflict")
            .detail(format!(
                "What SIMs used today and this month in this zone begins before {from}, and the \
                 records before that were pruned. Leave `tz` out: in the store's own zone the sums \
                 are kept."
            ))
            .errors(vec![error]);
    }
    let error = FieldError { resource: what, field: "from".to_owned(), code: Code::Invalid };
    Problem::new(StatusCode::CONFLICT, "Conflict")
        .detail(format!(
            "Only the records can answer this, and those before {from} were pruned. Ask from \
             {from} on, or for whole hours and days by no more than one of group, country, \
             network and apn, or by SIM: those sums are kept."
        ))
        .errors(vec![error])
}

fn unavailable() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable")
}

/// What RCMS refuses is the client's to mend; what it could not be asked is not.
fn rcms_problem(error: &RcmsError) -> Problem {
    match error {
        RcmsError::Code { code, msg } => Problem::new(StatusCode::CONFLICT, "Conflict")
            .detail(format!("RCMS refused it (code {code}): {msg}")),
        RcmsError::Timeout(_) => {
            Problem::new(StatusCode::GATEWAY_TIMEOUT, "Gateway Timeout").detail(error.sentence())
        }
        RcmsError::Unsure { cause, .. } => rcms_problem(cause).detail(error.sentence()),
        _ => Problem::new(StatusCode::BAD_GATEWAY, "Bad Gateway").detail(error.sentence()),
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.problem().into_response();
        match self.first_cause() {
            Self::NoKey => {
                let scheme = HeaderValue::from_static("Bearer realm=\"simdeck\"");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
            }
            Self::TooOften { retry_after_s } => {
                let seconds = HeaderValue::from(*retry_after_s);
                response.headers_mut().insert(header::RETRY_AFTER, seconds);
            }
            Self::Busy
            | Self::TooManyStreams
            | Self::NotReady(_)
            | Self::Store(StoreError::Busy | StoreError::TooSlow) => {
                // Not the same for all, so that they do not come back together.
                let seconds = HeaderValue::from(rand::random_range(RETRY_AFTER_S));
                response.headers_mut().insert(header::RETRY_AFTER, seconds);
            }
            _ => {}
        }
        response.extensions_mut().insert(Cause(Arc::new(self)));
        response
    }
}
