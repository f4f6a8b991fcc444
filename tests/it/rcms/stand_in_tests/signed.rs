//! What is accepted as signed, and what is not.
use serde_json::Value;

use super::client::{LIST, Request, TOTAL};
use crate::rcms::stand_in::{
    Account, CLIENT_ID, ParametersIn, SignBody, StandIn, UniqueCode, Variant,
    signature::{Refusal, TOLERANCE_MS, hmac_sha256},
};

const VECTORS: &str = include_str!("../vectors.json");
const GROUP: &str = "/api/link/devices/RB0000000000001/group";

#[tokio::test]
async fn every_request_of_the_reference_client_is_accepted() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 13);
    for vector in vectors {
        let stand_in = vector.stand_in().await;
        let answer = vector.request.send(&stand_in).await;
        let [seen] = stand_in.requests().try_into().unwrap();
        assert_eq!(seen.verdict, Ok(()), "{}", vector.name);
        assert_eq!(seen.request_line, vector.request_line, "{}", vector.name);
        assert_ne!(answer.code(), 40002, "{}", vector.name);
    }
}

#[tokio::test]
async fn a_request_with_one_thing_changed_is_refused() {
    for vector in vectors() {
        let genuine = &vector.request;
        let signature = genuine.headers.iter().find(|(name, _)| name == "signature").unwrap();
        let digit = if signature.1.ends_with('0') { "1" } else { "0" };
        let other_signature = format!("{}{digit}", &signature.1[..63]);
        let without_signature = genuine.headers.iter().filter(|pair| *pair != signature).cloned();
        let cases = [
            (genuine.clone().with_header("signature", &other_signature), Refusal::Signature),
            (
                genuine.clone().with_header("signature", &signature.1.to_uppercase()),
                Refusal::Signature,
            ),
            (
                Request { headers: without_signature.collect(), ..genuine.clone() },
                Refusal::HeaderMissing("signature"),
            ),
            (
                Request { query: format!("{}&zzz=1", genuine.query), ..genuine.clone() },
                Refusal::Signature,
            ),
            (
                Request {
                    query: genuine.query.replace("timestamp=17", "timestamp=18"),
                    ..genuine.clone()
                },
                Refusal::Disagree("timestamp"),
            ),
            (Request { path: genuine.path.clone() + "s", ..genuine.clone() }, Refusal::Signature),
            (Request { method: "POST".into(), ..genuine.clone() }, Refusal::Signature),
            (
                genuine.clone().with_header("clientId", "somebody-else"),
                Refusal::Disagree("clientId"),
            ),
        ];
        for (forged, refusal) in cases {
            let stand_in = vector.stand_in().await;
            let answer = forged.send(&stand_in).await;
            assert_eq!(stand_in.requests()[0].verdict, Err(refusal), "{}", vector.name);
            assert!(answer.status == 404 || answer.code() == 40002, "{}", vector.name);
        }
    }
}

#[tokio::test]
async fn an_ordinary_client_that_signs_nothing_is_refused() {
    let stand_in = StandIn::start().await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let response = client.get(stand_in.url() + TOTAL).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.json::<Value>().await.unwrap()["code"], 40002);
    assert_eq!(stand_in.requests()[0].verdict, Err(Refusal::HeaderMissing("apiVersion")));
}

#[tokio::test]
async fn each_character_of_the_query_counts() {
    let vector = vectors().into_iter().find(|vector| vector.name == "get_status_data").unwrap();
    let stand_in = vector.stand_in().await;
    let genuine = &vector.request.query;
    for (at, _) in genuine.char_indices() {
        let other = if &genuine[at..=at] == "x" { "y" } else { "x" };
        let query = format!("{}{other}{}", &genuine[..at], &genuine[at + 1..]);
        let answer = Request { query, ..vector.request.clone() }.send(&stand_in).await;
        assert_eq!(answer.code(), 40002, "character {at}");
    }
}

#[tokio::test]
async fn a_timestamp_is_fresh_for_ten_minutes_on_both_sides() {
    let vector = &vectors()[0];
    for (off_ms, verdict) in [
        (TOLERANCE_MS, Ok(())),
        (-TOLERANCE_MS, Ok(())),
        (TOLERANCE_MS + 1, Err(Refusal::Timestamp)),
        (-TOLERANCE_MS - 1, Err(Refusal::Timestamp)),
    ] {
        let stand_in = vector.stand_in().await;
        let now_ms = vector.timestamp_ms + off_ms;
        stand_in.edit(|world| world.now_ms = Box::new(move || now_ms));
        vector.request.send(&stand_in).await;
        assert_eq!(stand_in.requests()[0].verdict, verdict, "{off_ms}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_in_one_way_only_is_refused() {
    let stand_in = StandIn::start().await;
    let genuine = Request::get(TOTAL, &[]);
    let with = |own: &str| Request { query: format!("{}&{own}", genuine.query), ..genuine.clone() };
    let mut header_twice = genuine.clone();
    header_twice.headers.push(("TimeStamp".into(), "1".into()));
    let without_query = Request { query: String::new(), ..genuine.clone() };
    for (request, refusal) in [
        (with("a=%4"), Refusal::Encoding),
        (with("a=%FF"), Refusal::Encoding),
        (with("a"), Refusal::Encoding),
        (with("a=1&%61=2"), Refusal::Twice("a".into())),
        (header_twice, Refusal::Twice("timestamp".into())),
        (without_query, Refusal::QueryLacks("apiVersion")),
    ] {
        stand_in.forget_requests();
        assert_eq!(request.send(&stand_in).await.code(), 40002);
        assert_eq!(stand_in.requests()[0].verdict, Err(refusal));
    }
}

#[tokio::test]
async fn the_fixed_parameters_must_say_what_this_account_says() {
    let stand_in = StandIn::start().await;
    for (from, to, name, refusal) in [
        ("apiVersion=1.0", "apiVersion=1.1", "apiVersion", Refusal::Version("apiVersion")),
        (
            "signatureVersion=1.0",
            "signatureVersion=2",
            "signatureVersion",
            Refusal::Version("signatureVersion"),
        ),
        (&format!("clientId={CLIENT_ID}"), "clientId=other", "clientId", Refusal::ClientId),
    ] {
        stand_in.forget_requests();
        let genuine = Request::get(TOTAL, &[]);
        let (_, value) = to.split_once('=').unwrap();
        let query = genuine.query.replace(from, to);
        let request = Request { query, ..genuine }.with_header(name, value);
        assert_eq!(request.send(&stand_in).await.code(), 40002);
        assert_eq!(stand_in.requests()[0].verdict, Err(refusal));
    }
}

#[tokio::test]
async fn an_account_takes_the_client_id_or_a_random_code_and_not_both() {
    let stand_in = StandIn::start().await;
    let random = "6f1d1c1e-4a57-4f4e-9d3c-0f1c2b3a4d5e";
    for (habit, right, wrong) in
        [(UniqueCode::ClientId, CLIENT_ID, random), (UniqueCode::Random, random, CLIENT_ID)]
    {
        stand_in.forget_requests();
        stand_in.edit(|world| world.variant = Variant { unique_code: habit, ..Variant::default() });
        for code in [right, wrong] {
            Request::signed_with(code, "", "GET", TOTAL, &[], "").send(&stand_in).await;
        }
        let verdicts: Vec<_> = stand_in.requests().into_iter().map(|seen| seen.verdict).collect();
        assert_eq!(verdicts, [Ok(()), Err(Refusal::UniqueCode)]);
    }
}

#[tokio::test]
async fn an_account_signs_the_body_or_not() {
    let stand_in = StandIn::start().await;
    let body = r#"{"groupName":"Demo"}"#;
    let plain = Request::signed("PUT", GROUP, &[], body);
    let with_body = Request::signed_with(CLIENT_ID, &format!("&{body}"), "PUT", GROUP, &[], body);
    let other_body = Request { body: body.replace("Demo", "Dem0"), ..with_body.clone() };
    for (habit, verdicts) in [
        (SignBody::None, [true, false, false, true]),
        (SignBody::AmpersandJson, [false, true, false, true]),
    ] {
        stand_in.forget_requests();
        stand_in.edit(|world| world.variant.sign_body = habit);
        for request in [&plain, &with_body, &other_body, &Request::get(LIST, &[])] {
            request.send(&stand_in).await;
        }
        let seen: Vec<_> = stand_in.requests().iter().map(|seen| seen.verdict.is_ok()).collect();
        assert_eq!(seen, verdicts, "{habit:?}");
    }
}

#[tokio::test]
async fn an_account_wants_the_parameters_in_the_query_or_not() {
    let stand_in = StandIn::start().await;
    let both = Request::get(LIST, &[("pageNum", "1"), ("pageSize", "10")]);
    let headers_only = Request { query: "pageNum=1&pageSize=10".into(), ..both.clone() };
    for (habit, verdicts) in [
        (ParametersIn::QueryAndHeaders, [Ok(()), Err(Refusal::QueryLacks("apiVersion"))]),
        (ParametersIn::HeadersOnly, [Err(Refusal::QueryHas("apiVersion")), Ok(())]),
        (ParametersIn::Either, [Ok(()), Ok(())]),
    ] {
        stand_in.forget_requests();
        stand_in.edit(|world| world.variant.parameters_in = habit);
        for request in [&both, &headers_only] {
            request.send(&stand_in).await;
        }
        let seen: Vec<_> = stand_in.requests().into_iter().map(|seen| seen.verdict).collect();
        assert_eq!(seen, verdicts, "{habit:?}");
    }
}

/// Cases 2 and 6 of RFC 4231: a short key, and one longer than a block.
#[test]
fn the_hmac_is_that_of_the_rfc() {
    let short = hmac_sha256(b"Jefe", b"what do ya want for nothing?");
    assert_eq!(
        hex::encode(short),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    );
    let long = hmac_sha256(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First");
    assert_eq!(
        hex::encode(long),
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
    );
}

struct Vector {
    name: String,
    client_id: String,
    client_secret: String,
    prefix: String,
    timestamp_ms: i64,
    request_line: String,
    request: Request,
}

impl Vector {
    /// At the vector's hour, with its account, and with the router that some of them name.
    async fn stand_in(&self) -> StandIn {
        let stand_in = StandIn::start().await;
        let timestamp_ms = self.timestamp_ms;
        stand_in.edit(|world| {
            world.account = Account {
                client_id: self.client_id.clone(),
                client_secret: self.client_secret.clone(),
            };
            world.prefix.clone_from(&self.prefix);
            world.now_ms = Box::new(move || timestamp_ms);
            world.devices = crate::rcms::stand_in::fleet(1);
        });
        stand_in
    }
}

fn vectors() -> Vec<Vector> {
    let all: Value = serde_json::from_str(VECTORS).unwrap();
    let vector = |value: &Value| {
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let request_line = text("wire_request_line");
        let [method, target, _] = *request_line.split(' ').collect::<Vec<_>>() else {
            panic!("{request_line}");
        };
        let (path, query) = target.split_once('?').unwrap();
        let headers = value["headers"].as_object().unwrap().iter();
        let request = Request {
            method: method.into(),
            path: path.into(),
            query: query.into(),
            headers: headers
                .map(|(name, value)| (name.clone(), value.as_str().unwrap().into()))
                .collect(),
            body: text("body"),
        };
        Vector {
            name: text("name"),
            client_id: text("client_id"),
            client_secret: text("client_secret"),
            prefix: path.strip_suffix(&text("path")).unwrap().into(),
            timestamp_ms: value["timestamp_ms"].as_i64().unwrap(),
            request_line,
            request,
        }
    };
    all["vectors"].as_array().unwrap().iter().map(vector).collect()
}
