use super::{PLAIN, Setting};
use crate::cli::settings::values::hook;

/// Who is told.
pub(super) const SETTINGS: &[Setting] = &[Setting {
    section: "alert",
    key: "url",
    secret: true,
    sample: "\"https://hooks.example.com/simdeck\"",
    hint: "URL",
    doc: "Gets one JSON POST when something begins to be wrong, and one when it ends.",
    set: |s, given| given.one(hook).map(|v| s.alert.url = Some(v.into())),
    ..PLAIN
}];
