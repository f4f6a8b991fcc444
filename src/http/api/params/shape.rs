//! What a parameter may say, as the OpenAPI document tells it. Every value that is told here is
//! taken by what reads it in [`values`](super::values): a contract test sends thousands of them.
use serde_json::{Value, json};

use super::{
    Param, Route, Takes, VALUES_MAX,
    values::{PAGE_MAX, SPAN_DIGITS_MAX, TEXT_CHARACTERS_MAX, TIME_DIGITS_MAX},
};
use crate::{
    domain::Giccid,
    http::paging::{AT_PATTERN, CURSOR_PATTERN},
};

/// The values of a parameter.
#[derive(Debug)]
pub(in crate::http::api) enum Shape {
    /// A SIM.
    Giccid,
    /// A text as it was pushed, with an example; an empty one asks for the rows that have none.
    Short(&'static str),
    /// A part of a text, with an example.
    Words(&'static str),
    /// A moment.
    Time,
    /// A kind of push.
    Kind,
    /// Yes or no; no if it is not given.
    Flag,
    /// The number of a page: a setting says where they begin.
    Page,
    /// A whole number.
    Number {
        /// The smallest.
        min: u32,
        /// The largest.
        max: u32,
        /// One of them.
        example: u32,
    },
    /// One of these words.
    OneOf(fn() -> Vec<&'static str>),
    /// The same, and at most so many of them.
    UpTo(usize, fn() -> Vec<&'static str>),
    /// A whole number and its unit.
    Span,
    /// How long to wait, in seconds.
    Wait,
    /// The number of a row, or 0 for the place before the first.
    RowOrNone,
    /// Where a walk by pages stands.
    At,
    /// Where a walk by cursor stands.
    Cursor,
}

impl Shape {
    /// The words to choose from, where there are only some.
    pub(super) fn words(&self) -> Option<Vec<&'static str>> {
        match self {
            Self::OneOf(words) | Self::UpTo(_, words) => Some(words()),
            _ => None,
        }
    }

    fn schema(&self, first_page: u32) -> Value {
        match self {
            Self::Giccid => json!({
                "type": "string", "pattern": Giccid::PATTERN, "examples": ["8944501503181377993"],
            }),
            Self::Short(example) => json!({
                "type": "string", "maxLength": TEXT_CHARACTERS_MAX, "examples": [example],
            }),
            Self::Words(example) => json!({
                "type": "string", "minLength": 1, "maxLength": TEXT_CHARACTERS_MAX,
                "examples": [example],
            }),
            Self::Time => json!({
                "anyOf": [
                    {"type": "string", "format": "date-time"},
                    {"type": "string", "pattern": format!("^-?[0-9]{{1,{TIME_DIGITS_MAX}}}$")},
                ],
                "description": "RFC 3339, or milliseconds since 1970; ten digits are seconds.",
                "examples": ["2024-09-05T01:30:48Z", "1725499848000"],
            }),
            Self::Kind => json!({
                "type": "string", "pattern": "^[a-z0-9-]{1,64}$", "examples": ["sim-status"],
            }),
            Self::Flag => json!({"type": "boolean", "default": false}),
            Self::Page => json!({
                "type": "integer", "minimum": first_page, "maximum": PAGE_MAX,
                "default": first_page, "examples": [first_page],
            }),
            Self::Number { min, max, example } => json!({
                "type": "integer", "minimum": min, "maximum": max, "examples": [example],
            }),
            Self::OneOf(words) | Self::UpTo(_, words) => json!({"type": "string", "enum": words()}),
            Self::Span => json!({
                "type": "string", "pattern": format!("^[0-9]{{1,{SPAN_DIGITS_MAX}}}[smhdw]$"),
                "examples": ["24h"],
            }),
            Self::Wait => json!({
                "type": "string", "pattern": "^([0-7](\\.[0-9]{1,9})?|8(\\.0{1,9})?)$",
                "examples": ["0.1"],
            }),
            Self::RowOrNone => json!({
                "type": "integer", "format": "int64", "minimum": 0, "maximum": i64::MAX,
                "examples": [0],
            }),
            Self::At => json!({"type": "string", "pattern": AT_PATTERN}),
            Self::Cursor => json!({
                "type": "string", "pattern": CURSOR_PATTERN, "examples": [""],
            }),
        }
    }
}

impl Route {
    /// The parameters as the document has them.
    pub(in crate::http::api) fn document(&self, first_page: u32) -> Vec<Value> {
        self.all().map(|param| param.document(first_page)).collect()
    }
}

impl Param {
    fn document(&self, first_page: u32) -> Value {
        let one = self.shape.schema(first_page);
        let (schema, several) = match self.takes {
            Takes::One(_) => (one, ""),
            Takes::AnyOf(_) => (self.many(&one), " Repeated, or separated by commas: any of them."),
            Takes::Repeated(_) => (self.many(&one), " Repeated: any of them."),
        };
        let description = format!("{}{several}", self.says);
        json!({
            "name": self.name, "in": "query", "required": self.is_required, "description": description,
            "style": "form", "explode": true, "schema": schema,
        })
    }

    fn many(&self, one: &Value) -> Value {
        let most = if let Shape::UpTo(most, _) = self.shape { most } else { VALUES_MAX };
        json!({"type": "array", "items": one, "maxItems": most})
    }
}
