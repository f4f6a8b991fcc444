use super::{PLAIN, Setting, Shape};
use crate::cli::settings::values::{data_dir, database, log_filter, time_zone, unit_base, word};

/// What stands at the top of the file.
pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        key: "data_dir",
        default: Some("data"),
        hint: "FOLDER",
        doc: "Where simdeck keeps everything; made where it does not exist.",
        set: |s, given| given.one(data_dir).map(|v| s.data_dir = v),
        ..PLAIN
    },
    Setting {
        key: "database_url",
        sample: "\"sqlite://data/simdeck.db\"",
        hint: "URL",
        doc: "The database, sqlite://PATH; simdeck.db in the data directory where not set.",
        set: |s, given| given.one(database).map(|v| s.database = v),
        ..PLAIN
    },
    Setting {
        key: "time_zone",
        sample: "\"Asia/Shanghai\"",
        hint: "ZONE",
        doc: "The time zone of the sums by day; where not set it stays what it is, UTC at first, and another one has them made anew while the server runs.",
        set: |s, given| given.one(time_zone).map(|v| s.time_zone = Some(v)),
        ..PLAIN
    },
    Setting {
        key: "unit_base",
        shape: Shape::Number,
        default: Some("1024"),
        hint: "1024|1000",
        doc: "How many bytes a kilobyte has on the page; the API tells bytes.",
        set: |s, given| given.one(unit_base).map(|v| s.unit_base = v),
        ..PLAIN
    },
    Setting {
        key: "log",
        default: Some("info"),
        hint: "FILTER",
        doc: "What is logged: error, warn, info, debug, trace, or by module as in info,simdeck=debug.",
        set: |s, given| given.one(log_filter).map(|v| s.log.filter = v),
        ..PLAIN
    },
    Setting {
        key: "log_format",
        default: Some("text"),
        hint: "text|json",
        doc: "How log lines are written.",
        set: |s, given| given.one(word).map(|v| s.log.format = v),
        ..PLAIN
    },
];
