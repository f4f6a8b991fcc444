use super::{PLAIN, Setting, Shape};
use crate::cli::settings::values::{data_dir, duration, every, whole};

/// For how long what is kept, and where copies of it lie.
pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        section: "retention",
        key: "records",
        default: Some("400d"),
        hint: "SPAN",
        doc: "How long usage records and what is quarantined are kept; sums of them stay.",
        set: |s, given| given.one(duration).map(|v| s.retention.records = v),
        ..PLAIN
    },
    Setting {
        section: "retention",
        key: "sms",
        default: Some("400d"),
        hint: "SPAN",
        doc: "How long messages and notifications are kept.",
        set: |s, given| given.one(duration).map(|v| s.retention.messages = v),
        ..PLAIN
    },
    Setting {
        section: "retention",
        key: "refused",
        default: Some("7d"),
        hint: "SPAN",
        doc: "How long refused pushes are kept.",
        set: |s, given| given.one(duration).map(|v| s.retention.refused = v),
        ..PLAIN
    },
    Setting {
        section: "retention",
        key: "audit",
        default: Some("400d"),
        hint: "SPAN",
        doc: "How long it is kept who did what.",
        set: |s, given| given.one(duration).map(|v| s.retention.audit = v),
        ..PLAIN
    },
    Setting {
        section: "retention",
        key: "devices",
        default: Some("400d"),
        hint: "SPAN",
        doc: "How long histories of routers are kept, and routers that are gone; the newest of each other one stays.",
        set: |s, given| given.one(duration).map(|v| s.retention.devices = v),
        ..PLAIN
    },
    Setting {
        section: "backup",
        key: "every",
        default: Some("off"),
        hint: "SPAN|off",
        doc: "How often a backup is made, such as 24h.",
        set: |s, given| given.one(every).map(|v| s.backup.every = v),
        ..PLAIN
    },
    Setting {
        section: "backup",
        key: "keep",
        shape: Shape::Number,
        default: Some("7"),
        hint: "BACKUPS",
        doc: "How many backups are kept.",
        set: |s, given| given.one(|text| whole(text, 1, 10_000)).map(|v| s.backup.kept = v),
        ..PLAIN
    },
    Setting {
        section: "backup",
        key: "dir",
        sample: "\"data/backups\"",
        hint: "FOLDER",
        doc: "Where backups lie; backups in the data directory where not set.",
        set: |s, given| given.one(data_dir).map(|v| s.backup.dir = v),
        ..PLAIN
    },
];
