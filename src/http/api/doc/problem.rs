//! Refusals in the document, and the document in refusals.
use axum::{
    extract::{FromRequestParts, MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{Places, operation::headers};
use crate::http::{
    api::{InternalState, base::Base},
    problem::{PROBLEM_JSON, Problem},
};

/// A status, its title, the sentence of its example, and the headers it has.
type Known = (u16, &'static str, &'static str, &'static [&'static str]);

const KNOWN: [Known; 15] = [
    (400, "Bad Request", "Body should be a JSON object", &[]),
    (401, "Invalid api key", "", &["WWW-Authenticate"]),
    (403, "Access forbidden", "This needs an API key of scope admin.", &[]),
    (404, "Not Found", "", &[]),
    (405, "Method Not Allowed", "", &["Allow"]),
    (408, "Request Timeout", "The body came too slowly. Send it again.", &[]),
    (409, "Conflict", "What is stored does not allow this.", &[]),
    (413, "Content Too Large", "", &[]),
    (415, "Unsupported Media Type", "Send the body as it is, or as `Content-Encoding: gzip`.", &[]),
    (
        422,
        "Validation Failed",
        "`gicid` is no parameter of this address; did you mean `giccid`?",
        &[],
    ),
    (429, "API rate limit exceeded", "", &["Retry-After"]),
    (500, "Internal Server Error", "The log says why, under this answer's X-Request-Id.", &[]),
    (502, "Bad Gateway", "RCMS did not answer as it should.", &[]),
    (503, "Service Unavailable", "Too much is asked at once. Ask again.", &["Retry-After"]),
    (507, "Insufficient Storage", "The disk has no room for this. Free some, then ask again.", &[]),
];

/// The refusals that operations share, by status.
pub(super) fn responses() -> Value {
    let too_long = [
        ("414", "The address has 64 KiB or more; there is no body."),
        ("431", "The address and the headers have more than 64 KiB; there is no body."),
    ];
    let known = KNOWN
        .iter()
        .map(|(status, title, ..)| (status.to_string(), response(*status, title, true)));
    let too_long = too_long.map(|(status, says)| (status.to_owned(), json!({"description": says})));
    known.chain(too_long).collect()
}

/// A refusal with a sentence about when it comes.
pub(super) fn response(status: u16, says: &str, is_counted: bool) -> Value {
    let known = KNOWN.iter().find(|known| known.0 == status);
    let (title, detail, own) = known.map_or(("", "", &[][..]), |known| (known.1, known.2, known.3));
    let detail = if says == title { detail } else { says };
    let mut example = json!({
        "type": "about:blank",
        "title": title,
        "status": status,
        "documentation_url": "http://127.0.0.1:8081/docs/#/Records/getDataUsage",
    });
    if !detail.is_empty() {
        example["detail"] = detail.into();
    }
    if status == 422 {
        example["errors"] =
            json!([{"resource": "data-usage", "field": "gicid", "code": "invalid"}]);
    }
    let media_type = PROBLEM_JSON.to_str().unwrap_or_default().to_owned();
    let media = json!({"schema": {"$ref": "#/components/schemas/Problem"}, "example": example});
    json!({
        "description": says,
        "headers": headers(own, is_counted),
        "content": {media_type: media},
    })
}

/// A problem, and one of its fields.
pub(super) fn schemas() -> [(&'static str, Value); 2] {
    let problem = json!({
        "type": "object",
        "description": "RFC 9457, as SmartHub writes it.",
        "required": ["type", "title", "status", "documentation_url"],
        "properties": {
            "type": {"type": "string", "const": "about:blank"},
            "title": {"type": "string"},
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": {"type": "string", "description": "A sentence: what to do."},
            "errors": {"type": "array", "items": {"$ref": "#/components/schemas/FieldError"}},
            "documentation_url": {
                "type": "string", "description": "Where this operation is described.",
            },
        },
    });
    let field = json!({
        "type": "object",
        "description": "What is wrong with one parameter or member.",
        "required": ["resource", "field", "code"],
        "properties": {
            "resource": {"type": "string"},
            "field": {"type": "string"},
            "code": {
                "type": "string",
                "enum": ["missing", "missing_field", "invalid", "already_exists"],
            },
        },
        "examples": [{"resource": "data-usage", "field": "gicid", "code": "invalid"}],
    });
    [("Problem", problem), ("FieldError", field)]
}

/// Writes into each problem where the operation that had it is described.
pub(in crate::http::api) async fn point_to_docs(
    State((state, places)): State<(InternalState, Places)>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let Ok(base) = Base::from_request_parts(&mut parts, &state).await;
    let method = parts.method.as_str().to_ascii_lowercase();
    let path = parts.extensions.get::<MatchedPath>().cloned();
    let mut response = next.run(Request::from_parts(parts, body)).await;
    let Some(problem) = response.extensions_mut().remove::<Problem>() else { return response };
    let place = places.of(&method, path.as_ref().map(MatchedPath::as_str));
    let (head, _) = response.into_parts();
    let (told, body) = problem.documented(base.url(place)).into_response().into_parts();
    let mut answer = Response::from_parts(head, body);
    answer.headers_mut().extend(told.headers);
    answer
}
