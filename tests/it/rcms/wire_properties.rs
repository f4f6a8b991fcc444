//! Whatever may be asked is understood as it was signed.
use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;
use simdeck::{
    domain::SystemClock,
    rcms::{Client, ClientOptions, ParametersIn, SignBody, SigningVariant, UniqueCode},
};

use super::{
    asking::{PATIENCE, account, request},
    stand_in::{self, StandIn},
};

/// Texts that libraries like to change: blanks at the edges, dots, slashes and backslashes, what
/// looks encoded or normalised, other alphabets; and some that must be refused.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[ -~]{0,6}",
        3 => proptest::sample::select(vec![
            " ", "'", "\"", "\\", "/", "//", ".", "..", ":", "@", "?", "=", "==", "*", "(", ")",
            "[", "]", "|", "^", "`", "{", "}", "<", ">", "~", "!", "$", ",", "e\u{301}", "é", "ß",
            "南方🙂", "\u{2028}", "\u{feff}", "\u{200f}", "&", "%41", "+", "#", ";", "\t", "\r\n",
        ]).prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    proptest::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
}

fn variant() -> impl Strategy<Value = (SigningVariant, stand_in::Variant)> {
    (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(random, with_body, in_headers)| {
        let ours = SigningVariant {
            unique_code: if random { UniqueCode::Random } else { UniqueCode::ClientId },
            sign_body: if with_body { SignBody::AmpersandJson } else { SignBody::None },
            parameters_in: match in_headers {
                true => ParametersIn::Headers,
                false => ParametersIn::QueryAndHeaders,
            },
        };
        let theirs = stand_in::Variant {
            unique_code: match random {
                true => stand_in::UniqueCode::Random,
                false => stand_in::UniqueCode::ClientId,
            },
            sign_body: match with_body {
                true => stand_in::SignBody::AmpersandJson,
                false => stand_in::SignBody::None,
            },
            parameters_in: match in_headers {
                true => stand_in::ParametersIn::HeadersOnly,
                false => stand_in::ParametersIn::QueryAndHeaders,
            },
        };
        (ours, theirs)
    })
}

#[test]
fn a_server_that_decodes_the_query_rebuilds_what_was_signed() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let rcms = runtime.block_on(StandIn::start());
    let (sent, refused) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    let method = proptest::sample::select(vec!["GET", "PUT", "POST", "DELETE"]);
    let query = proptest::collection::btree_map("[A-Za-z0-9_.-]{1,8}", text(), 0..4);
    let inputs = (method, text(), query, text(), variant());
    proptest!(ProptestConfig::with_cases(600), |((method, path, query, body, variant) in inputs)| {
        rcms.forget_requests();
        let pairs = query.iter().map(|(key, value)| (key.as_str(), value.clone()));
        let Ok(mut request) = request(method, &path, pairs) else {
            prop_assert!(must_be_refused(&path, &query), "{path:?} {query:?}");
            refused.set(refused.get() + 1);
            return Ok(());
        };
        prop_assert!(!must_be_refused(&path, &query), "{path:?} {query:?}");
        if method != "GET" {
            request = request.with_body(&serde_json::json!({ "groupName": body })).unwrap();
        }
        rcms.edit(|world| world.variant = variant.1);
        let account = simdeck::rcms::Account { variant: variant.0, ..account(&rcms.url()) };
        let clock = Arc::new(SystemClock);
        let options = ClientOptions { clock, total_time_max: PATIENCE, retries: 0, authorities: None };
        runtime.block_on(async {
            // Few of these paths are RCMS's own; that it was understood is all that counts.
            drop(Client::new(account, options).unwrap().call(&request).await);
        });
        let seen = rcms.requests().pop().unwrap();
        prop_assert_eq!(seen.verdict, Ok(()), "{}", seen.request_line);
        sent.set(sent.get() + 1);
    });
    assert!(sent.get() > 100 && refused.get() > 100, "{} {}", sent.get(), refused.get());
}

/// The refusals of the protocol page, written once more.
fn must_be_refused(path: &str, query: &BTreeMap<String, String>) -> bool {
    let bad_path = path.contains(['?', '#', '%'])
        || path.chars().any(char::is_control)
        || path.split('/').any(|segment| [".", ".."].contains(&segment));
    let bad_query = query.iter().any(|(key, value)| {
        ["apiVersion", "clientId", "signatureVersion", "timestamp", "uniqueCode"]
            .contains(&key.as_str())
            || value.contains(['&', '#', '%', '+', ';'])
            || value.chars().any(char::is_control)
    });
    bad_path || bad_query
}
