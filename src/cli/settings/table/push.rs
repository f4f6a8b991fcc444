use super::{PLAIN, Setting, Shape};
use crate::{
    cli::settings::values::{duration, whole, word},
    smarthub::signature::PushKey,
};

/// How pushes are verified and answered.
pub(super) const SETTINGS: &[Setting] = &[
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
];
