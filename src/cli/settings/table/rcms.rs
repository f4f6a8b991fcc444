use std::time::Duration;

use super::{PLAIN, Setting, Shape};
use crate::cli::settings::values::{duration_within, file, parsed, time_zone, whole, word};

const POLL_EVERY_MIN: Duration = Duration::from_secs(10);
const POLL_EVERY_MAX: Duration = Duration::from_secs(3_600);

/// RCMS, which manages the fleet's routers.
pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        section: "rcms",
        key: "endpoint",
        default: Some("https://rcms-cloud.robustel.net"),
        hint: "URL",
        doc: "Where RCMS is; a path behind the host is sent but not signed.",
        set: |s, given| {
            let wanted = "an http:// or https:// address without user, query and fragment";
            given.one(|text| parsed(text, wanted)).map(|v| s.rcms.endpoint = Some(v))
        },
        ..PLAIN
    },
    Setting {
        section: "rcms",
        key: "ca_file",
        sample: "\"/etc/simdeck/tls/authority.pem\"",
        hint: "FILE",
        doc: "The authorities of RCMS's certificate, PEM, instead of the public ones.",
        set: |s, given| given.one(file).map(|v| s.rcms.ca_file = Some(v)),
        ..PLAIN
    },
    Setting {
        section: "rcms",
        key: "client_id",
        sample: "\"the-client-id\"",
        hint: "ID",
        doc: "The client id that RCMS gave you; with the secret it makes simdeck ask for your routers.",
        set: |s, given| {
            let wanted = "1 to 256 visible ASCII characters, none of them &, #, %, + or ;";
            given.one(|text| parsed(text, wanted)).map(|v| s.rcms.client_id = Some(v))
        },
        ..PLAIN
    },
    Setting {
        section: "rcms",
        key: "client_secret",
        secret: true,
        sample: "\"the client secret\"",
        hint: "SECRET",
        doc: "The client secret that RCMS gave you; requests are signed with it and it never travels.",
        set: |s, given| {
            given.one(|text| Ok(text.to_owned().into())).map(|v| s.rcms.client_secret = Some(v))
        },
        ..PLAIN
    },
    Setting {
        section: "rcms",
        key: "devices",
        shape: Shape::List,
        sample: "[\"RB0000000000001\", \"RB0000000000002\"]",
        hint: "SERIALS",
        doc: "Serial numbers of routers whose status is asked for whatever RCMS's list says.",
        set: |s, given| {
            let wanted = "serial numbers of 1 to 50 letters, digits and hyphens";
            given.all(|text| parsed(text, wanted)).map(|v| s.rcms.devices = v)
        },
        ..PLAIN
    },
    Setting {
        section: "rcms",
        key: "poll_every",
        default: Some("60s"),
        hint: "DURATION",
        doc: "How often RCMS is asked, 10s to 1h.",
        set: |s, given| {
            let bounds = POLL_EVERY_MIN..=POLL_EVERY_MAX;
            given.one(|text| duration_within(text, &bounds)).map(|v| s.rcms.poll_every = v)
        },
        ..PLAIN
    },
    Setting {
        section: "rcms",
        key: "page_size",
        shape: Shape::Number,
        default: Some("100"),
        hint: "ITEMS",
        doc: "How many items to ask for on a page, 1 to 1000; where RCMS refuses it, 50, 20 and 10 are tried.",
        set: |s, given| given.one(|text| whole(text, 1, 1_000)).map(|v| s.rcms.page_size = v),
        ..PLAIN
    },
    Setting {
        section: "rcms",
        key: "time_zone",
        sample: "\"Asia/Shanghai\"",
        hint: "ZONE",
        doc: "The time zone of samples that name none; where not set it is learned of them.",
        set: |s, given| given.one(time_zone).map(|v| s.rcms.time_zone = Some(v)),
        ..PLAIN
    },
    Setting {
        section: "rcms",
        key: "unique_code",
        default: Some("client-id"),
        hint: "client-id|random",
        doc: "What uniqueCode in a signature is; `simdeck rcms probe` finds what your RCMS takes.",
        set: |s, given| given.one(word).map(|v| s.rcms.variant.unique_code = v),
        ..PLAIN
    },
    Setting {
        section: "rcms",
        key: "sign_body",
        default: Some("none"),
        hint: "none|ampersand_json",
        doc: "Whether a body is signed, which only a write shows.",
        set: |s, given| given.one(word).map(|v| s.rcms.variant.sign_body = v),
        ..PLAIN
    },
    Setting {
        section: "rcms",
        key: "parameters_in",
        default: Some("query+headers"),
        hint: "query+headers|headers",
        doc: "Where a signature's own parameters stand; `simdeck rcms probe` finds that too.",
        set: |s, given| given.one(word).map(|v| s.rcms.variant.parameters_in = v),
        ..PLAIN
    },
];
