use std::num::NonZeroU32;

use super::{PLAIN, Setting, Shape};
use crate::cli::settings::values::{header_text, name, origin, whole};

/// What answers look like.
pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        section: "api",
        key: "key",
        secret: true,
        sample: "\"put-your-own-random-word-here\"",
        hint: "KEY",
        doc: "The admin's API key; made and kept in the data directory where not set.",
        set: |s, given| given.one(header_text).map(|v| s.api.key = Some(v.into())),
        ..PLAIN
    },
    Setting {
        section: "api",
        key: "first_page",
        shape: Shape::Number,
        default: Some("0"),
        hint: "0|1",
        doc: "The number of the first page of a list.",
        set: |s, given| given.one(|text| whole(text, 0, 1)).map(|v| s.api.first_page = v),
        ..PLAIN
    },
    Setting {
        section: "api",
        key: "cors_origins",
        shape: Shape::List,
        sample: "[\"https://ops.example.com\"]",
        hint: "ORIGINS",
        doc: "Other origins whose pages may use the query API from a browser.",
        set: |s, given| given.all(origin).map(|v| s.api.cors_origins = v),
        ..PLAIN
    },
    Setting {
        section: "api",
        key: "rate_limit",
        shape: Shape::Number,
        default: Some("100000"),
        hint: "REQUESTS",
        doc: "How many requests an hour an API key may make; 0 for no limit, nor one of dead keys.",
        set: |s, given| {
            let count = |text: &str| whole(text, 0, 1_000_000_000);
            given.one(count).map(|v| s.api.requests_per_hour = NonZeroU32::new(v))
        },
        ..PLAIN
    },
    Setting {
        section: "sms",
        key: "text_field",
        sample: "\"content\"",
        hint: "FIELD",
        doc: "The name of the field that holds a message's text; applied when reading.",
        set: |s, given| given.one(name).map(|v| s.sms.text_field = Some(v)),
        ..PLAIN
    },
];
