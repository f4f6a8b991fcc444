use std::num::NonZeroU32;

use super::{
    Settings, SettingsError,
    given::Given,
    values::{
        self, address, data_dir, database, duration, header_text, name, network, origin, size,
        time_zone, token, url, whole, word,
    },
};
use crate::{domain::Secret, smarthub::signature::PushKey};

/// One setting: its names, its default, what it is for and where it goes.
#[derive(Debug)]
pub struct Setting {
    /// The section in the file; empty for the top of it.
    pub section: &'static str,
    /// The key in its section.
    pub key: &'static str,
    /// How its value is written.
    pub shape: Shape,
    /// Never shown, never empty, and may come from a file that `…_FILE` names.
    pub secret: bool,
    /// Whether the empty text is a value; elsewhere it counts as not set.
    pub may_be_empty: bool,
    /// What holds where nobody says anything.
    pub default: Option<&'static str>,
    /// A value for the example, in TOML, where there is no default to show.
    pub sample: &'static str,
    /// What stands for the value in the help.
    pub hint: &'static str,
    /// What it is for, in a sentence.
    pub doc: &'static str,
    pub(super) set: fn(&mut Settings, &Given) -> Result<(), SettingsError>,
}

/// How a setting's value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A text.
    Text,
    /// A whole number.
    Number,
    /// A number of bytes, or a text such as `4MiB`.
    Size,
    /// Texts: a list in the file, commas elsewhere; blanks around them do not count.
    List,
    /// Secrets: the same, but every blank counts, and in the file each may have a label.
    Keys,
}

impl Setting {
    /// `public.listen`
    pub fn name(&self) -> String {
        self.joined(".")
    }

    /// `public-listen`
    pub fn flag(&self) -> String {
        self.joined("-").replace('_', "-")
    }

    /// `SIMDECK_PUBLIC_LISTEN`
    pub fn variable(&self) -> String {
        format!("SIMDECK_{}", self.joined("_").to_uppercase())
    }

    /// `SIMDECK_PUSH_KEY_FILE`, for a secret.
    pub fn file_variable(&self) -> Option<String> {
        self.secret.then(|| format!("{}_FILE", self.variable()))
    }

    fn joined(&self, separator: &str) -> String {
        match self.section {
            "" => self.key.to_owned(),
            section => format!("{section}{separator}{}", self.key),
        }
    }
}

/// What a setting is where its line below does not say otherwise.
const PLAIN: Setting = Setting {
    section: "",
    key: "",
    shape: Shape::Text,
    secret: false,
    may_be_empty: false,
    default: None,
    sample: "",
    hint: "TEXT",
    doc: "",
    set: |_, _| Ok(()),
};

/// Every setting, section by section.
pub const SETTINGS: &[Setting] = &[
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
        default: Some("UTC"),
        hint: "ZONE",
        doc: "The time zone in which a SIM's days begin and end, such as Asia/Shanghai.",
        set: |s, given| given.one(time_zone).map(|v| s.time_zone = v),
        ..PLAIN
    },
    Setting {
        key: "log",
        default: Some("info"),
        hint: "FILTER",
        doc: "What is logged: error, warn, info, debug, trace, or by module as in info,simdeck=debug.",
        set: |s, given| given.one(values::log_filter).map(|v| s.log.filter = v),
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
    Setting {
        section: "public",
        key: "listen",
        default: Some("0.0.0.0:8080"),
        hint: "ADDRESS:PORT",
        doc: "Where pushes arrive; this listener knows nothing else.",
        set: |s, given| given.one(address).map(|v| s.public.listen = v),
        ..PLAIN
    },
    Setting {
        section: "public",
        key: "url",
        sample: "\"https://push.example.com\"",
        hint: "URL",
        doc: "The address under which SmartHub reaches the public listener.",
        set: |s, given| given.one(url).map(|v| s.public.url = Some(v)),
        ..PLAIN
    },
    Setting {
        section: "public",
        key: "path_token",
        shape: Shape::Keys,
        secret: true,
        sample: "[\"put-your-own-random-word-here\"]",
        hint: "TOKENS",
        doc: "Tokens of 16 to 128 letters, digits, - and _, all live: pushes then arrive under /TOKEN/v1/….",
        set: |s, given| {
            given
                .all(token)
                .map(|v| s.public.path_tokens = v.into_iter().map(Secret::from).collect())
        },
        ..PLAIN
    },
    Setting {
        section: "public",
        key: "trusted_proxies",
        shape: Shape::List,
        sample: "[\"172.16.0.0/12\", \"fd00::/8\"]",
        hint: "NETWORKS",
        doc: "Proxies whose word about the client's address is believed.",
        set: |s, given| given.all(network).map(|v| s.public.trusted_proxies = v),
        ..PLAIN
    },
    Setting {
        section: "public",
        key: "allow_sources",
        shape: Shape::List,
        sample: "[\"203.0.113.0/24\", \"198.51.100.7\"]",
        hint: "NETWORKS",
        doc: "Where pushes come from, as far as it is known.",
        set: |s, given| given.all(network).map(|v| s.public.allow_sources = v),
        ..PLAIN
    },
    Setting {
        section: "public",
        key: "allow_mode",
        default: Some("monitor"),
        hint: "off|monitor|enforce",
        doc: "What happens to a push from elsewhere: nothing, a log line, or a refusal.",
        set: |s, given| given.one(word).map(|v| s.public.allow_mode = v),
        ..PLAIN
    },
    Setting {
        section: "public",
        key: "max_body",
        shape: Shape::Size,
        default: Some("4MiB"),
        hint: "BYTES",
        doc: "The largest body, 64KiB to 64MiB.",
        set: |s, given| {
            given.one(|text| size(text, 64 << 10, 64 << 20)).map(|v| s.public.max_body_bytes = v)
        },
        ..PLAIN
    },
    Setting {
        section: "internal",
        key: "listen",
        default: Some("127.0.0.1:8081"),
        hint: "ADDRESS:PORT",
        doc: "Where people and programs ask; keep it inside your network.",
        set: |s, given| given.one(address).map(|v| s.internal.listen = v),
        ..PLAIN
    },
    Setting {
        section: "internal",
        key: "url",
        sample: "\"http://simdeck.internal:8081\"",
        hint: "URL",
        doc: "The address that people use for the internal listener; derived where not set.",
        set: |s, given| given.one(url).map(|v| s.internal.url = Some(v)),
        ..PLAIN
    },
    Setting {
        section: "push",
        key: "key",
        shape: Shape::Keys,
        secret: true,
        sample: "[\"the push key\", { label = \"new account\", key = \"a key, with a comma\" }]",
        hint: "KEYS",
        doc: "The push keys configured in SmartHub, all live; one is made for an empty store where not set.",
        set: |s, given| {
            let keys = given.labelled();
            s.push.keys = keys.map(|(label, key)| PushKey { label, key: key.into() }).collect();
            Ok(())
        },
        ..PLAIN
    },
    Setting {
        section: "push",
        key: "max_age",
        default: Some("7d"),
        hint: "DURATION",
        doc: "How old datePush may be before a push is quarantined.",
        set: |s, given| given.one(duration).map(|v| s.push.max_age = v),
        ..PLAIN
    },
    Setting {
        section: "push",
        key: "max_ahead",
        default: Some("5m"),
        hint: "DURATION",
        doc: "How far ahead of our clock datePush may be before a push is quarantined.",
        set: |s, given| given.one(duration).map(|v| s.push.max_ahead = v),
        ..PLAIN
    },
    Setting {
        section: "push",
        key: "date_shift",
        shape: Shape::Number,
        default: Some("0"),
        hint: "SECONDS",
        doc: "Seconds to add to datePush before it is hashed; `simdeck verify --explain` finds the number.",
        set: |s, given| {
            given.one(|text| whole(text, -86_400, 86_400)).map(|v| s.push.date_shift_s = v)
        },
        ..PLAIN
    },
    Setting {
        section: "push",
        key: "identity",
        default: Some("content"),
        hint: "content|content+date",
        doc: "What makes two usage or SMS records the same: what they say, or also their datePush.",
        set: |s, given| given.one(word).map(|v| s.push.identity = v),
        ..PLAIN
    },
    Setting {
        section: "push",
        key: "answer_status",
        shape: Shape::Number,
        default: Some("200"),
        hint: "STATUS",
        doc: "The status that tells SmartHub that a push is stored, 200 to 299.",
        set: |s, given| given.one(|text| whole(text, 200, 299)).map(|v| s.push.answer_status = v),
        ..PLAIN
    },
    Setting {
        section: "push",
        key: "answer_body",
        may_be_empty: true,
        sample: "\"success\"",
        hint: "TEXT",
        doc: "The body of that answer; JSON with the counts where not set.",
        set: |s, given| given.one(|text| Ok(text.to_owned())).map(|v| s.push.answer_body = Some(v)),
        ..PLAIN
    },
    Setting {
        section: "push",
        key: "probe",
        default: Some("405"),
        hint: "405|ok",
        doc: "The answer to GET and HEAD on a push address: 405, or ok for a platform that probes.",
        set: |s, given| given.one(word).map(|v| s.push.probe = v),
        ..PLAIN
    },
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
        doc: "How many requests an hour an API key may make; 0 for no limit.",
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
