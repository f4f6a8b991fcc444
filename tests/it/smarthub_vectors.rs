//! SmartHub's signature rule, held against the vendor's and our own vectors.
use simdeck::{
    domain::Secret,
    smarthub::{
        Body,
        signature::{PushKey, Verifier, sign},
    },
};

/// Key, the JSON text of `datePush`, its epoch second, the signature, whether it holds.
type Vector = (&'static str, &'static str, Option<i64>, &'static str, bool);

const KEY: &str = "UzE4MDkxNDA2MTE1M";
const OF_THE_VENDOR: &str = "58210277eeea982589a3f2c5711ce5ac23a866298d77fcb5c30bb1e0aa9c345f";
const NONE: &str = "0000000000000000000000000000000000000000000000000000000000000000";
const SECOND: Option<i64> = Some(1_725_499_848);

const VECTORS: &[Vector] = &[
    (KEY, r#""2024-09-05T01:30:48Z""#, SECOND, OF_THE_VENDOR, true),
    (KEY, r#""2024-09-05T01:30:48+0000""#, SECOND, OF_THE_VENDOR, true),
    (KEY, r#""2024-09-05T09:30:48+08:00""#, SECOND, OF_THE_VENDOR, true),
    (KEY, r#""2024-09-05T09:30:48+0800""#, SECOND, OF_THE_VENDOR, true),
    (KEY, r#""2024-09-05T01:30:48.999Z""#, SECOND, OF_THE_VENDOR, true),
    (KEY, "1725499848", SECOND, OF_THE_VENDOR, true),
    (KEY, r#""1725499848""#, SECOND, OF_THE_VENDOR, true),
    (KEY, "1725499848999", SECOND, OF_THE_VENDOR, true),
    (KEY, r#""1725499848123""#, SECOND, OF_THE_VENDOR, true),
    (KEY, "1725499848.999", SECOND, OF_THE_VENDOR, true),
    (KEY, "1.725499848999E9", SECOND, OF_THE_VENDOR, true),
    (KEY, r#""1725499848.5""#, SECOND, OF_THE_VENDOR, true),
    (KEY, "1725499848123456789", SECOND, OF_THE_VENDOR, true),
    (KEY, r#""2024-09-05 01:30:48""#, SECOND, OF_THE_VENDOR, true),
    (KEY, r#""2024-09-05 01:30:48,999+00""#, SECOND, OF_THE_VENDOR, true),
    (KEY, r#""2024-09-05T09:30:48+08:00[Asia/Shanghai]""#, SECOND, OF_THE_VENDOR, true),
    (
        KEY,
        r#""2024-09-05T01:30Z""#,
        Some(1_725_499_800),
        "ac1ad4a98d34fea5455eea6588d1777538a5a519e86b9f4f065f7c3a143f1dfb",
        true,
    ),
    (
        KEY,
        r#""2024-09-05T01:30:48Z""#,
        SECOND,
        "58210277EEEA982589A3F2C5711CE5AC23A866298D77FCB5C30BB1E0AA9C345F",
        true,
    ),
    (
        "密钥-Ключ-🔑",
        r#""2025-12-31T23:59:59Z""#,
        Some(1_767_225_599),
        "28c87f2674aec587107903cc63655b17002d74e58811815d6a9c99d14c05803e",
        true,
    ),
    (KEY, r#""2024-09-05T01:30:49Z""#, Some(1_725_499_849), OF_THE_VENDOR, false),
    ("another", r#""2024-09-05T01:30:48Z""#, SECOND, OF_THE_VENDOR, false),
    (
        KEY,
        r#""2024-09-05T01:30:48Z""#,
        SECOND,
        "58210277eeea982589a3f2c5711ce5ac23a866298d77fcb5c30bb1e0aa9c345",
        false,
    ),
    (
        KEY,
        r#""2024-09-05T01:30:48Z""#,
        SECOND,
        "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
        false,
    ),
    (KEY, r#""2024-09-05T01:30:48Z""#, SECOND, "", false),
    (KEY, r#""""#, None, NONE, false),
    (KEY, r#""2024-09-05 09:30:48""#, Some(1_725_528_648), OF_THE_VENDOR, false),
    (KEY, r#""2024-09-05""#, None, NONE, false),
    (KEY, r#""2024-13-05T01:30:48Z""#, None, NONE, false),
    (KEY, r#""yesterday""#, None, NONE, false),
    (KEY, "null", None, NONE, false),
    (KEY, "-1", None, NONE, false),
    (KEY, "10000000000.0", None, NONE, false),
    (KEY, r#""17254998""#, None, NONE, false),
    (KEY, "true", None, NONE, false),
];

#[test]
fn every_vector_of_the_protocol_page_is_accepted_or_refused_as_it_says() {
    for &(key, date_push, second, signature, valid) in VECTORS {
        let body = format!(r#"{{"datePush":{date_push},"signature":"{signature}"}}"#);
        let verdict = Body::parse(body.as_bytes()).unwrap().verify(&verifier(&[key], 0));
        assert_eq!(verdict.is_ok(), valid, "{key} {date_push} {signature}");
        if valid {
            assert_eq!(sign(key, second.unwrap()), signature.to_lowercase());
        }
    }
}

#[test]
fn any_live_key_verifies_wherever_it_stands_in_the_list() {
    let body = format!(r#"{{"datePush":1725499848,"signature":"{OF_THE_VENDOR}"}}"#);
    for keys in [[KEY, "a", "b"], ["a", KEY, "b"], ["a", "b", KEY]] {
        assert!(Body::parse(body.as_bytes()).unwrap().verify(&verifier(&keys, 0)).is_ok());
    }
    assert!(Body::parse(body.as_bytes()).unwrap().verify(&verifier(&["a", "b"], 0)).is_err());
}

#[test]
fn the_date_shift_is_added_before_hashing() {
    let signature = sign(KEY, 1_725_499_848 + 28_800);
    let body = format!(r#"{{"datePush":1725499848,"signature":"{signature}"}}"#);
    assert!(Body::parse(body.as_bytes()).unwrap().verify(&verifier(&[KEY], 28_800)).is_ok());
    assert!(Body::parse(body.as_bytes()).unwrap().verify(&verifier(&[KEY], 0)).is_err());
}

fn verifier(keys: &[&str], date_shift_s: i64) -> Verifier {
    let key = |key: &&str| PushKey { label: None, key: Secret::from((*key).to_owned()) };
    Verifier::new(&keys.iter().map(key).collect::<Vec<_>>(), date_shift_s)
}
