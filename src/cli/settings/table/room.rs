use super::{PLAIN, Setting, Shape};
use crate::cli::settings::values::size;

/// How much may be kept.
pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        section: "quarantine",
        key: "max",
        shape: Shape::Size,
        default: Some("1GiB"),
        hint: "BYTES",
        doc: "The most that may lie in quarantine; what comes then is answered 503.",
        set: |s, given| {
            given.one(|text| size(text, 1 << 20, 1 << 50)).map(|v| s.quarantine.max_bytes = v)
        },
        ..PLAIN
    },
    Setting {
        section: "disk",
        key: "reserve",
        shape: Shape::Size,
        default: Some("512MiB"),
        hint: "BYTES",
        doc: "Disk space to leave free; with less of it pushes are answered 503.",
        set: |s, given| given.one(|text| size(text, 0, 1 << 50)).map(|v| s.disk.reserve_bytes = v),
        ..PLAIN
    },
];
