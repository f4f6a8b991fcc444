//! What stands in an address where its pattern has `{…}`. The one place to describe a new one.
use serde_json::{Value, json};

use super::page;
use crate::domain::Giccid;

/// A sentence about it and its schema. A name that is not here may be any text.
pub(super) fn parameter(name: &str) -> (&'static str, Value) {
    match name {
        "id" => (
            "The row's number.",
            json!({"type": "integer", "format": "int64", "minimum": 1, "examples": [1]}),
        ),
        "sn" => (
            "The router's serial number.",
            json!({
                "type": "string", "pattern": "^[0-9A-Za-z][0-9A-Za-z-]{0,49}$", "examples": ["24031300770021"],
            }),
        ),
        "giccid" => (
            "The SIM.",
            json!({
                "type": "string", "pattern": Giccid::PATTERN, "examples": ["8944501503181377993"],
            }),
        ),
        "kind" => (
            "The kind of push; one that is not known is kept as a notification.",
            json!({
                "type": "string", "pattern": "^[a-z0-9-]{1,64}$", "examples": ["data-usage"],
            }),
        ),
        "file" => ("A file of the page.", json!({"type": "string", "enum": page::FILES})),
        _ => ("", json!({"type": "string"})),
    }
}
