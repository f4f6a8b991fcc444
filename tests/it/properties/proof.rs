//! A body is proved by a scan that keeps nothing; it must say what the reader says that keeps all.
use proptest::{collection::vec, prelude::*};
use simdeck::{
    domain::Secret,
    smarthub::{
        Body, Unproved, prove,
        signature::{PushKey, Verifier, sign},
    },
};

const KEY: &str = "UzE4MDkxNDA2MTE1M";
const SECOND: i64 = 1_725_499_848;

/// Members as they are written, right and wrong.
fn member() -> impl Strategy<Value = String> {
    let good = sign(KEY, SECOND);
    let wrong = sign("other", SECOND);
    prop_oneof![
        6 => Just(format!(r#""datePush":{SECOND}"#)),
        6 => Just(format!(r#""signature":"{good}""#)),
        1 => Just(format!(r#""signature":"{wrong}""#)),
        1 => Just(format!(r#""signature":"{}""#, good.to_uppercase())),
        1 => Just(format!(r#""signat\u0075re":"{good}""#)),
        1 => Just(r#""date\u0050ush":"2024-09-05T01:30:48Z""#.to_owned()),
        1 => Just(r#""datePush":[1725499848]"#.to_owned()),
        1 => Just(r#""datePush":{"datePush":1}"#.to_owned()),
        1 => Just(r#""signature":null"#.to_owned()),
        1 => Just(r#""signature":"\ud800""#.to_owned()),
        1 => Just(format!(r#""a":{{"datePush":{SECOND},"signature":"{good}"}}"#)),
        1 => Just(format!(r#""b":[{{"datePush":{SECOND}}}]"#)),
        1 => Just(r#""c":"signature","d":1e999"#.to_owned()),
        1 => (60..70_usize).prop_map(|depth| {
            format!(r#""deep":{}{{"datePush":1}}{}"#, "[".repeat(depth), "]".repeat(depth))
        }),
    ]
}

fn element() -> impl Strategy<Value = String> {
    vec(member(), 0..5).prop_map(|members| format!("{{{}}}", members.join(" , ")))
}

fn good_element() -> impl Strategy<Value = String> {
    Just(format!(r#"{{"datePush":{SECOND},"signature":"{}","x":[{{}}]}}"#, sign(KEY, SECOND)))
}

fn body() -> impl Strategy<Value = String> {
    let any_element = || prop_oneof![2 => good_element(), 1 => element()];
    let odd = prop_oneof![Just("1".to_owned()), Just("[]".to_owned()), Just(String::new())];
    prop_oneof![
        4 => element(),
        2 => good_element(),
        4 => vec(any_element(), 0..4).prop_map(|all| format!("[{}]", all.join(","))),
        1 => (vec(any_element(), 0..3), odd)
            .prop_map(|(all, odd)| format!("[{}{odd}]", all.join(",") + ",")),
    ]
}

fn agree(bytes: &[u8]) -> Result<(), TestCaseError> {
    let key = PushKey { label: None, key: Secret::from(KEY.to_owned()) };
    let verifier = Verifier::new(&[key], 0);
    let kept = Body::parse(bytes)
        .map_err(Unproved::NotJson)
        .and_then(|body| body.verify(&verifier).map(drop).map_err(Unproved::Refused));
    let scanned = prove(bytes, &verifier).map(drop);
    prop_assert_eq!(scanned, kept, "{}", String::from_utf8_lossy(bytes));
    Ok(())
}

proptest! {
    #[test]
    fn a_scan_that_keeps_nothing_says_what_the_reader_says(body in body()) {
        agree(body.as_bytes())?;
        agree(format!("\u{feff}{body}").as_bytes())?;
    }

    #[test]
    fn also_of_what_is_damaged(body in body(), at in any::<prop::sample::Index>(), byte: u8) {
        let mut bytes = body.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        agree(&bytes)?;
        bytes.truncate(at);
        agree(&bytes)?;
    }
}

#[test]
fn an_array_has_at_most_ten_thousand_elements_for_both() {
    let element = format!(r#"{{"datePush":{SECOND},"signature":"{}"}}"#, sign(KEY, SECOND));
    for count in [0, 1, 10_000, 10_001] {
        agree(format!("[{}]", vec![element.as_str(); count].join(",")).as_bytes()).unwrap();
    }
}
