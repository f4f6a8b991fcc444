//! What an answer says when it is not a success: SmartHub's own problem JSON, and its cause, which
//! stays here and goes to the log.
use std::{error::Error, sync::Arc};

use axum::{
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::Serialize;

/// The media type of a problem (RFC 9457).
pub(super) const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// A problem as the client reads it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Problem {
    /// No problem of ours has a page of its own yet.
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    #[serde(serialize_with = "as_number")]
    status: StatusCode,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    /// Where the internal listener describes the operation; the public one has no such page.
    #[serde(skip_serializing_if = "Option::is_none")]
    documentation_url: Option<String>,
}

/// One thing that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct FieldError {
    /// What was asked for, such as `data-usage`.
    pub(super) resource: &'static str,
    /// The parameter or member.
    pub(super) field: String,
    /// In which way.
    pub(super) code: Code,
}

/// SmartHub's words for what can be wrong with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Code {
    /// There is no such resource.
    Missing,
    /// A required field is not there.
    MissingField,
    /// The value, or the name, is none that we take.
    Invalid,
    /// Another resource has this value already.
    AlreadyExists,
}

/// Why an answer is what it is. It travels in the response's extensions, so that it is logged
/// once, inside the request's span, and never reaches the client.
#[derive(Clone)]
pub(super) struct Cause(pub(super) Arc<dyn Error + Send + Sync>);

impl Problem {
    /// A problem with its title alone.
    pub(super) fn new(status: StatusCode, title: &'static str) -> Self {
        Self {
            kind: "about:blank",
            title,
            status,
            detail: None,
            errors: Vec::new(),
            documentation_url: None,
        }
    }

    /// The same, where something was done before that.
    #[must_use]
    pub(super) fn after(mut self, done: &str) -> Self {
        let detail = self.detail.take().map(|detail| format!(" {detail}")).unwrap_or_default();
        self.detail = Some(format!("{done}{detail}"));
        self
    }

    /// A sentence for the person who reads it.
    #[must_use]
    pub(super) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Where the operation is described.
    #[must_use]
    pub(super) fn documented(mut self, url: String) -> Self {
        self.documentation_url = Some(url);
        self
    }

    /// The fields that are wrong.
    #[must_use]
    pub(super) fn errors(mut self, errors: Vec<FieldError>) -> Self {
        self.errors = errors;
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // Only text, a number and lists of text: this cannot fail.
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response =
            (self.status, [(header::CONTENT_TYPE, PROBLEM_JSON)], body).into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Logs the cause of an answer. Sits inside the layer that opens the request's span.
pub(super) async fn log_causes(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    if let Some(Cause(cause)) = response.extensions().get::<Cause>() {
        log_cause(response.status(), cause.as_ref());
    }
    response
}

/// What broke is for a person to look at; what a client got wrong, or waits for, is not.
fn log_cause(status: StatusCode, cause: &(dyn Error + Send + Sync + 'static)) {
    let error = cause as &dyn Error;
    let status_code = status.as_u16();
    match status {
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => {
            tracing::warn!(http.status = status_code, error, "Cannot answer now");
        }
        _ if status.is_server_error() => {
            tracing::error!(http.status = status_code, error, "Failed to answer");
        }
        _ => tracing::debug!(http.status = status_code, error, "Refused a request"),
    }
}

fn as_number<S: serde::Serializer>(status: &StatusCode, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u16(status.as_u16())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_smarthubs_shape_and_leaves_out_what_is_empty() {
        let bare = Problem::new(StatusCode::UNAUTHORIZED, "Invalid api key");
        assert_eq!(
            serde_json::to_string(&bare).ok().as_deref(),
            Some(r#"{"type":"about:blank","title":"Invalid api key","status":401}"#)
        );
        let error = FieldError {
            resource: "data-usage",
            field: "size".to_owned(),
            code: Code::AlreadyExists,
        };
        let full = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "Validation Failed")
            .detail("why")
            .errors(vec![error]);
        assert_eq!(
            serde_json::to_string(&full).ok().as_deref(),
            Some(concat!(
                r#"{"type":"about:blank","title":"Validation Failed","status":422,"detail":"why","#,
                r#""errors":[{"resource":"data-usage","field":"size","code":"already_exists"}]}"#
            ))
        );
    }
}
