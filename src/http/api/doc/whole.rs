//! The document around its operations.
use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, schema::Schema};

use super::{Operation, Routes, Tag, problem};

const ABOUT: &str = "\
What SmartHub pushed about a fleet's SIM cards, as simdeck keeps it, with SmartHub's own habits.

**Lists** are bare arrays, the newest row first. In pages: `page` and `size`; `Link` has first,
prev, next and last, and following it is stable while rows arrive. By cursor: begin with `cursor=`
and follow `Link`, rel `next`, until there is none; where rows are long, an answer ends at 8 MiB of
them. Whole: `format=ndjson`, `format=csv` or an `Accept` header streams all rows.

**Whole or cut?** An export is chunked: one that was cut short ends without the last chunk, and HTTP
clients tell. It also has the trailer `Simdeck-Rows` (for clients that send `TE: trailers`), and
with `count=true` a last line: NDJSON `{\"rows\":n}`, CSV a row `rows,n` as long as the others.

**Filters**: different ones narrow, several values of one widen. A value's comma is written `\\,`; an
empty value asks for rows without it. Times are RFC 3339 or milliseconds since 1970 (ten digits are seconds); a range
includes its start and not its end.

**Refusals** are problem JSON. A value that this document does not allow is 422 and names the
parameter; an unknown parameter is never ignored. What only the data or another parameter forbids is
409 or 404. 503 has `Retry-After`.

**HEAD** answers as GET without a body. A method that an address does not take is 405 with `Allow`.
JSON, NDJSON and CSV of more than 1 KiB are gzipped for clients that accept it. `X-Request-Id` is
taken over from the request, or made.

The webhook at the end is what SmartHub posts to the *public* listener.";

const PUSH: &str = "\
`POST /v1/{kind}` on the public listener, or `/{token}/v1/{kind}`; the kind is one of SmartHub's or
another one of `[a-z0-9-]{1,64}`. The body is an object, or an array of up to 10,000. It is answered
2xx once all of it is on disk; a repeat is answered alike and changes nothing.";

/// What of the document depends on the settings.
#[derive(Clone, Debug, Default)]
pub struct DocumentSettings {
    /// The number of the first page.
    pub first_page: u32,
    /// The URL that people use for the internal listener.
    pub internal_url: Option<String>,
}

impl Routes {
    /// The whole document.
    pub(in crate::http::api) fn document(&self, settings: &DocumentSettings) -> Value {
        let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
        for operation in &self.operations {
            let document = operation.document(settings.first_page);
            paths.entry(operation.path).or_default().insert(operation.method.to_owned(), document);
        }
        let url = settings.internal_url.as_deref().unwrap_or("/");
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": "simdeck",
                "version": env!("CARGO_PKG_VERSION"),
                "description": ABOUT,
                "license": {"name": "MIT", "identifier": "MIT"},
            },
            "servers": [{"url": url, "description": "The internal listener."}],
            "tags": Tag::ALL.map(|tag| json!({"name": tag.name(), "description": tag.says()})),
            "paths": paths,
            "webhooks": {"push": {"post": push()}},
            "components": {
                "schemas": self.schemas(),
                "responses": problem::responses(),
                "headers": headers(),
                "securitySchemes": {
                    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                    "Bearer": {"type": "http", "scheme": "bearer"},
                },
            },
        })
    }

    /// Those of our types, which may come more than once.
    fn type_schemas(&self) -> impl Iterator<Item = (String, Value)> {
        let ours = self.operations.iter().flat_map(Operation::schemas);
        ours.map(|(name, schema)| {
            let mut schema = serde_json::to_value(schema).unwrap_or_default();
            require_nullable(&mut schema);
            (name.clone(), schema)
        })
    }

    fn schemas(&self) -> Value {
        let ours = self.type_schemas();
        let problems = problem::schemas();
        let problems = problems.into_iter().map(|(name, schema)| (name.to_owned(), schema));
        ours.chain(problems).collect()
    }
}

impl Operation {
    fn schemas(&self) -> impl Iterator<Item = &(String, RefOr<Schema>)> {
        self.doc.schemas()
    }
}

/// A member that may be null is always there, and one that may be missing is never null; utoipa
/// takes an `Option` for both. (One that is both is written with `anyOf`.)
fn require_nullable(schema: &mut Value) {
    for word in ["allOf", "oneOf", "anyOf"] {
        let parts = schema.get_mut(word).and_then(Value::as_array_mut);
        parts.into_iter().flatten().for_each(require_nullable);
    }
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    let is_null = |part: &Value| part["type"] == "null";
    let may_be_null = |member: &Value| {
        let types = member["type"].as_array().into_iter().flatten();
        let choices = member["oneOf"].as_array().into_iter().flatten();
        types.clone().any(|word| word == "null") || choices.clone().any(is_null)
    };
    let nullable = properties.iter().filter(|(_, member)| may_be_null(member));
    let nullable: Vec<Value> = nullable.map(|(name, _)| name.as_str().into()).collect();
    match schema.get_mut("required").and_then(Value::as_array_mut) {
        Some(required) => required.extend(nullable),
        None => schema["required"] = nullable.into(),
    }
}

fn headers() -> Value {
    let text = |says: &str, example: &str| {
        let schema = json!({"type": "string"});
        json!({"description": says, "schema": schema, "example": example})
    };
    let number = |says: &str, example: u32| {
        let schema = json!({"type": "integer", "minimum": 0});
        json!({"description": says, "schema": schema, "example": example})
    };
    json!({
        "Link": text(
            "Where the walk goes on, by `rel`.",
            "<http://127.0.0.1:8081/v1/data-usage?size=20&cursor=02…>; rel=\"next\"",
        ),
        "X-Total-Count": number("In pages: how many rows there are in all.", 110),
        "Simdeck-Arrived-Through": text(
            "Up to when records of all SIMs have usually come; later sums may still grow.",
            "2024-09-05T01:30:48.000Z",
        ),
        "X-Request-Id": text("Names the request in simdeck's log.", "my-request-7"),
        "X-RateLimit-Limit": number("Requests an hour, where there is a limit.", 100_000),
        "X-RateLimit-Remaining": number("How many of them are left.", 99_999),
        "X-RateLimit-Reset": number("Seconds until all are there again.", 3600),
        "Retry-After": number("Seconds after which to ask again.", 3),
        "WWW-Authenticate": text("How to send a key.", "Bearer realm=\"simdeck\""),
        "Allow": text("What the address takes.", "GET,HEAD"),
    })
}

/// What SmartHub posts. It goes to the other listener, so it is no path of this document.
fn push() -> Value {
    let refusal = |title: &str| {
        json!({"description": title, "content": {"application/problem+json": {
            "schema": {"type": "object", "properties": {"title": {"const": title}}},
        }}})
    };
    let proof = json!({
        "datePush": 1_725_499_848,
        "signature": "58210277eeea982589a3f2c5711ce5ac23a866298d77fcb5c30bb1e0aa9c345f",
        "giccid": "8944501503181377993", "data_usage": 1302, "start_time": 1_713_888_842_473_i64,
    });
    let count = json!({"type": "integer", "minimum": 0});
    let stored = json!({
        "type": "object", "required": ["stored", "duplicates", "quarantined"],
        "properties": {"stored": count, "duplicates": count, "quarantined": count},
        "examples": [{"stored": 1, "duplicates": 0, "quarantined": 0}],
    });
    json!({
        "operationId": "push",
        "tags": [Tag::Push.name()],
        "summary": "Take a push",
        "description": PUSH,
        "security": [],
        "requestBody": {"required": true, "content": {"application/json": {
            "schema": {"type": ["object", "array"]}, "example": proof,
        }}},
        "responses": {
            "200": {
                "description": "Stored. A setting may choose another status and body.",
                "content": {"application/json": {"schema": stored}},
            },
            "400": refusal("Bad Request"),
            "401": refusal("Invalid signature"),
            "404": refusal("Not Found"),
            "405": refusal("Method Not Allowed"),
            "408": refusal("Request Timeout"),
            "413": refusal("Payload Too Large"),
            "415": refusal("Unsupported Media Type"),
            "429": refusal("Too many failures"),
            "503": refusal("Service Unavailable"),
        },
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::http::api::routes;

    #[test]
    fn no_name_stands_for_two_schemas() {
        let routes = routes::routes();
        let mut known = BTreeMap::new();
        for (name, schema) in routes.type_schemas() {
            let first = known.entry(name.clone()).or_insert_with(|| schema.clone());
            assert_eq!(*first, schema, "{name}");
        }
        assert!(known.len() > 20, "{} schemas", known.len());
    }
}
