use super::{PLAIN, Setting, Shape};
use crate::{
    cli::settings::values::{address, file, host_name, network, size, token, url, word},
    domain::Secret,
};

/// Where it listens, and who may come.
pub(super) const SETTINGS: &[Setting] = &[
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
        key: "tls_cert",
        sample: "\"/etc/simdeck/tls/fullchain.pem\"",
        hint: "FILE",
        doc: "The certificate with its chain, PEM, read again when it changes; plain HTTP where not set.",
        set: |s, given| given.one(file).map(|v| s.public.tls_cert = Some(v)),
        ..PLAIN
    },
    Setting {
        section: "public",
        key: "tls_key",
        sample: "\"/etc/simdeck/tls/privkey.pem\"",
        hint: "FILE",
        doc: "The certificate's private key, PEM.",
        set: |s, given| given.one(file).map(|v| s.public.tls_key = Some(v)),
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
        section: "internal",
        key: "tls_cert",
        sample: "\"/etc/simdeck/tls/internal.pem\"",
        hint: "FILE",
        doc: "The internal listener's certificate with its chain, PEM, read again when it changes; plain HTTP where not set.",
        set: |s, given| given.one(file).map(|v| s.internal.tls_cert = Some(v)),
        ..PLAIN
    },
    Setting {
        section: "internal",
        key: "tls_key",
        sample: "\"/etc/simdeck/tls/internal-key.pem\"",
        hint: "FILE",
        doc: "The private key of the internal listener's certificate, PEM.",
        set: |s, given| given.one(file).map(|v| s.internal.tls_key = Some(v)),
        ..PLAIN
    },
    Setting {
        section: "internal",
        key: "names",
        shape: Shape::List,
        sample: "[\"simdeck.example.net\", \"sims.lan\"]",
        hint: "NAMES",
        doc: "Further names under which people call the page, beside that of the URL.",
        set: |s, given| given.all(host_name).map(|v| s.internal.names = v),
        ..PLAIN
    },
];
