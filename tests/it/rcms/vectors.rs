//! The vendor's reference client, request by request: what it signed and what it sent.
use serde_json::Value;
use simdeck::{domain::Secret, rcms::Account};

use super::{
    asking::{account, client, client_at, request},
    stand_in::{self, StandIn},
};

const VECTORS: &str = include_str!("vectors.json");

fn vectors(list: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(VECTORS).unwrap();
    all[list].as_array().unwrap().clone()
}

fn text<'a>(vector: &'a Value, name: &str) -> &'a str {
    vector[name].as_str().unwrap()
}

fn query(vector: &Value) -> Vec<(&str, String)> {
    let Some(query) = vector["query_params"].as_object() else { return Vec::new() };
    let value = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    query.iter().map(|(key, own)| (key.as_str(), value(own))).collect()
}

/// The vector's account, at another address: what stands behind the port is the vector's.
fn account_of(vector: &Value, rcms: &StandIn) -> Account {
    let behind = text(vector, "endpoint").strip_prefix("http://127.0.0.1:9").unwrap();
    let client_secret = text(vector, "client_secret").to_owned();
    rcms.edit(|world| {
        behind.trim_end_matches('/').clone_into(&mut world.prefix);
        world.account = stand_in::Account {
            client_id: text(vector, "client_id").to_owned(),
            client_secret: client_secret.clone(),
        };
        let ms = vector["timestamp_ms"].as_i64().unwrap();
        world.now_ms = Box::new(move || ms);
    });
    let client_id = text(vector, "client_id").parse().unwrap();
    let client_secret = Secret::from(client_secret);
    Account { client_id, client_secret, ..account(&format!("{}{behind}", rcms.url())) }
}

#[tokio::test]
async fn every_vector_is_signed_and_sent_as_the_reference_client_does() {
    let rcms = StandIn::start().await;
    let vectors = vectors("vectors");
    assert_eq!(vectors.len(), 13);
    for vector in &vectors {
        let (name, ms) = (text(vector, "name"), vector["timestamp_ms"].as_i64().unwrap());
        let account = account_of(vector, &rcms);
        let mut request =
            request(text(vector, "method"), text(vector, "path"), query(vector)).unwrap();
        if let Some(body) = vector["body"].as_str() {
            request = request.with_body(&serde_json::from_str(body).unwrap()).unwrap();
        }
        let signed = account.sign(&request, ms);
        assert_eq!(signed.canonical_query, text(vector, "canonical_query"), "{name}");
        assert_eq!(signed.signature, text(vector, "signature"), "{name}");
        let secret = text(vector, "client_secret");
        let string_to_sign = text(vector, "string_to_sign").strip_suffix(secret).unwrap();
        assert_eq!(signed.string_to_sign, format!("{string_to_sign}***"), "{name}");

        // What it answers does not matter here: some paths are none of its own.
        drop(client_at(account, ms).call(&request).await);
        let seen = rcms.requests().pop().unwrap();
        assert_eq!(seen.request_line, text(vector, "wire_request_line"), "{name}");
        assert_eq!(seen.request_line, signed.request_line, "{name}");
        assert_eq!(seen.verdict, Ok(()), "{name}");
        for (header, value) in vector["headers"].as_object().unwrap() {
            assert_eq!(seen.header(header), value.as_str(), "{name}");
        }
        let body: Option<Value> = serde_json::from_slice(&seen.body).ok();
        let expected: Option<Value> =
            vector["body"].as_str().map(|body| serde_json::from_str(body).unwrap());
        assert_eq!(body, expected, "{name}");
    }
    assert_eq!(rcms.requests().len(), vectors.len());
}

#[tokio::test]
async fn every_refused_vector_is_refused_with_a_reason_and_nothing_is_sent() {
    let vectors = vectors("refused");
    assert_eq!(vectors.len(), 6);
    for vector in &vectors {
        let refused = request(text(vector, "method"), text(vector, "path"), query(vector));
        let sentence = refused.unwrap_err().to_string();
        assert!(sentence.contains("must") || sentence.contains("is set by"), "{sentence}");
    }
}

#[tokio::test]
async fn what_could_be_taken_for_something_else_cannot_even_be_asked() {
    let path = "/api/link/device/devices";
    let refused_paths = ["/a?b=c", "/a#b", "/a%20b", "/a/./b", "/a/..", "..", "/a\nb", "/\u{85}"];
    for path in refused_paths {
        assert!(request("GET", path, []).is_err(), "{path:?}");
    }
    for value in ["a&b", "a#b", "a%b", "a+b", "a;b", "a\tb", "a\0b", "\u{7f}", "\u{9b}"] {
        assert!(request("GET", path, [("name", value.to_owned())]).is_err(), "{value:?}");
    }
    for key in ["", "a b", "a=b", "a&b", "ä", "clientId", "uniqueCode", "signatureVersion"] {
        assert!(request("GET", path, [(key, String::new())]).is_err(), "{key:?}");
    }
    let twice = [("a", "1".to_owned()), ("a", "2".to_owned())];
    assert!(request("GET", path, twice).is_err());
    for sn in ["", "RB 1", "RB/1", "-RB1", "-", "RB_1", "é", &"9".repeat(51)] {
        assert!(sn.parse::<simdeck::domain::SerialNumber>().is_err(), "{sn:?}");
    }
    for id in ["", "a b", "ä", "a&b", "a\n"] {
        assert!(id.parse::<simdeck::rcms::ClientId>().is_err(), "{id:?}");
    }
    for endpoint in ["rcms.example.com", "ftp://a", "http://u:p@a", "http://a?b", "http://a/#b"] {
        assert!(endpoint.parse::<simdeck::rcms::Endpoint>().is_err(), "{endpoint:?}");
    }
}

#[tokio::test]
async fn a_path_without_a_slash_gets_one() {
    let rcms = StandIn::start().await;
    let request = request("GET", "api/link/dashboard/deviceTotal", []).unwrap();
    client(&rcms).call(&request).await.unwrap();
    assert_eq!(rcms.requests()[0].path, "/api/link/dashboard/deviceTotal");
}
