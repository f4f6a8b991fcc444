//! Our reader of JSON against serde_json, and what makes two records the same.

use proptest::{collection::vec, prelude::*};
use serde_json::{Map, Value};
use simdeck::{
    domain::{KeptFrom, Timestamp},
    smarthub::{Body, IdentityRule, ReadRules},
};

use crate::plain_json::{self, Json};

/// Texts whose order by bytes, by characters and by escapes differs.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[ab]{0,2}",
        1 => "[\"\\\\/\u{8}\u{c}\n\r\t\u{1}\u{7f}é€😀\u{ffff}\u{e000}u0]{0,3}",
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3..12_i64).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((text(), inner), 0..4).prop_map(|members| Value::Object(Map::from_iter(members))),
        ]
    })
}

fn object() -> impl Strategy<Value = Map<String, Value>> {
    vec((text(), value()), 0..4).prop_map(Map::from_iter)
}

/// Decides how a value is written, one draw at a time.
struct Draws(std::vec::IntoIter<u8>);

impl Draws {
    fn next(&mut self, choices: u8) -> u8 {
        self.0.next().unwrap_or_default() % choices
    }
}

/// Writes a value in one of the many ways that mean the same.
fn write(value: &Value, draws: &mut Draws, out: &mut String) {
    space(draws, out);
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            if !members.is_empty() {
                let first = usize::from(draws.next(8)) % members.len();
                members.rotate_left(first);
            }
            list(out, draws, '{', '}', members, |(key, value), draws, out| {
                space(draws, out);
                write_text(key, draws, out);
                space(draws, out);
                out.push(':');
                write(value, draws, out);
            });
        }
        Value::Array(elements) => {
            list(out, draws, '[', ']', elements.iter().collect(), |value, draws, out| {
                write(value, draws, out);
            });
        }
        Value::String(text) => write_text(text, draws, out),
        other => out.push_str(&other.to_string()),
    }
    space(draws, out);
}

fn list<T>(
    out: &mut String,
    draws: &mut Draws,
    open: char,
    close: char,
    items: Vec<T>,
    item: impl Fn(T, &mut Draws, &mut String),
) {
    out.push(open);
    if items.is_empty() {
        space(draws, out);
    }
    for (nth, one) in items.into_iter().enumerate() {
        if nth > 0 {
            out.push(',');
        }
        item(one, draws, out);
    }
    out.push(close);
}

fn write_text(text: &str, draws: &mut Draws, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        let must = matches!(character, '"' | '\\' | '\0'..='\x1f');
        match draws.next(3) {
            0 if !must => out.push(character),
            1 => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            2 if character == '/' => out.push_str("\\/"),
            _ => {
                let quoted = Value::from(character.to_string()).to_string();
                out.push_str(&quoted[1..quoted.len() - 1]);
            }
        }
    }
    out.push('"');
}

fn space(draws: &mut Draws, out: &mut String) {
    out.push_str(["", "", "", " ", "\t\n", "\r"][usize::from(draws.next(6))]);
}

fn draws() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..200)
}

fn written(value: &Value, how: Vec<u8>) -> String {
    let mut out = String::new();
    write(value, &mut Draws(how.into_iter()), &mut out);
    out
}

/// The identity of an object pushed as a notification, which nothing else of it decides.
fn identity(mut object: Map<String, Value>, how: Vec<u8>) -> i64 {
    object.insert("datePush".into(), 1_725_499_848_i64.into());
    // So that it is the record itself and not what holds one.
    object.insert("giccid".into(), Value::Null);
    let text = written(&object.into(), how);
    let body = Body::parse(text.as_bytes()).unwrap_or_else(|_| panic!("refused: {text}"));
    let kind: simdeck::domain::Kind = "sim-status".parse().unwrap();
    let reading = body.trust().unwrap().read(&ReadRules {
        kind: &kind,
        kept_as: None,
        identity: IdentityRule::Content,
        age: None,
        retracted: None,
        date_shift_s: 0,
        now: Timestamp::from_unix_ms(1_725_499_848_000),
        kept_from: KeptFrom::default(),
        refused: None,
    });
    assert_eq!(reading.unread, [], "{text}");
    reading.records[0].identity
}

/// Whether a value has the shape of a body.
fn is_body(value: &Json) -> bool {
    let is_object = |value: &Json| matches!(value, Json::Object(_));
    match value {
        Json::Array(elements) => {
            (1..=10_000).contains(&elements.len()) && elements.iter().all(is_object)
        }
        other => is_object(other),
    }
}

/// What we take and serde_json does not: it will be told apart later and kept.
fn is_tolerated(text: &[u8], value: &Json) -> bool {
    let half_pairs = [&b"\\ud"[..], b"\\uD"];
    std::str::from_utf8(text).is_err()
        || text.windows(3).any(|window| half_pairs.contains(&window))
        || depth(value) > 100
        || has_huge_number(value)
}

fn children(value: &Json) -> Vec<&Json> {
    match value {
        Json::Object(members) => members.iter().map(|(_, value)| value).collect(),
        Json::Array(elements) => elements.iter().collect(),
        _ => Vec::new(),
    }
}

fn depth(value: &Json) -> usize {
    1 + children(value).into_iter().map(depth).max().unwrap_or_default()
}

fn has_huge_number(value: &Json) -> bool {
    match value {
        Json::Number(source) => source.parse::<f64>().unwrap().is_infinite(),
        other => children(other).into_iter().any(has_huge_number),
    }
}

#[derive(Clone, Debug)]
enum Damage {
    Set(prop::sample::Index, u8),
    Insert(prop::sample::Index, &'static str),
    Cut(prop::sample::Index, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let pieces = [
        "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u", "\\ud800", "\\udc00", "\\u0000", "1e999",
        "-", "0", "00", "1.", ".5", "1e", "1E+5", "tru", "true", "nul", "null", "[[", "]]", "{}",
        "\u{1}", "\u{feff}", " ", "\n", "\u{b}", "'", "/", "é",
    ];
    prop_oneof![
        (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        (any::<prop::sample::Index>(), prop::sample::select(pieces.to_vec()))
            .prop_map(|(at, piece)| Damage::Insert(at, piece)),
        (any::<prop::sample::Index>(), 1..4_usize).prop_map(|(at, bytes)| Damage::Cut(at, bytes)),
    ]
}

impl Damage {
    fn hurt(&self, text: &mut Vec<u8>) {
        match self {
            Self::Set(at, byte) if !text.is_empty() => *at.get_mut(text) = *byte,
            Self::Set(..) => (),
            Self::Insert(at, piece) => {
                let at = at.index(text.len() + 1);
                drop(text.splice(at..at, piece.bytes()));
            }
            Self::Cut(at, bytes) => {
                let at = at.index(text.len() + 1);
                drop(text.drain(at..(at + bytes).min(text.len())));
            }
        }
    }
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 4_000, failure_persistence: None, ..Default::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_body_is_taken_when_serde_json_reads_an_object_or_a_list_of_objects(
        value in prop_oneof![
            object().prop_map(Value::from),
            vec(object().prop_map(Value::from), 0..4).prop_map(Value::from),
            value(),
        ],
        how in draws(),
        damages in vec(damage(), 0..4),
    ) {
        let mut text = written(&value, how).into_bytes();
        for damage in damages {
            damage.hurt(&mut text);
        }
        let ours = Body::parse(&text).is_ok();
        // One byte order mark before a body is skipped.
        let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&text);
        let plain = plain_json::parse(text);
        prop_assert_eq!(ours, plain.as_ref().is_some_and(is_body), "{}", text.escape_ascii());
        match (serde_json::from_slice::<Value>(text), &plain) {
            (Ok(_), plain) => prop_assert!(plain.is_some(), "{}", text.escape_ascii()),
            (Err(_), None) => (),
            (Err(error), Some(plain)) => {
                prop_assert!(is_tolerated(text, plain), "{}: {}", error, text.escape_ascii());
            }
        }
    }

    #[test]
    fn the_same_content_has_one_identity_however_it_is_written(
        object in object(), one in draws(), other in draws(),
    ) {
        prop_assert_eq!(identity(object.clone(), one), identity(object, other));
    }

    #[test]
    fn two_contents_have_one_identity_only_if_they_are_equal(
        one in object(), other in object(), how in draws(),
    ) {
        let same = identity(one.clone(), how.clone()) == identity(other.clone(), how);
        // The two members that every record of this test has.
        let of_push = |mut object: Map<String, Value>| {
            object.insert("giccid".into(), Value::Null);
            object
        };
        prop_assert_eq!(same, of_push(one) == of_push(other));
    }

    #[test]
    fn a_small_change_makes_another_identity(
        object in object(), name in text(), value in value(), how in draws(),
    ) {
        let mut changed = object.clone();
        let before = changed.insert(name, value.clone());
        let same = identity(object, how.clone()) == identity(changed, how);
        prop_assert_eq!(same, before == Some(value));
    }
}

#[test]
fn what_serde_json_does_not_read_is_taken_to_be_judged_later() {
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(5_000), "]".repeat(5_000));
    let wide = format!("[{}]", vec!["{}"; 10_000].join(","));
    for taken in [
        &b"{\"a\":\"\xff\"}"[..],
        br#"{"a":"\ud800"}"#,
        br#"{"\udc00":1}"#,
        br#"{"a":1e999}"#,
        br#"{"a":1,"a":2}"#,
        deep.as_bytes(),
        wide.as_bytes(),
    ] {
        assert!(Body::parse(taken).is_ok(), "{}", taken[..taken.len().min(40)].escape_ascii());
    }
    let too_wide = format!("[{}]", vec!["{}"; 10_001].join(","));
    for refused in
        [&b""[..], b"[]", b"1", b"{}{}", b"\xef\xbb\xbf\xef\xbb\xbf{}", too_wide.as_bytes()]
    {
        assert!(
            Body::parse(refused).is_err(),
            "{}",
            refused[..refused.len().min(40)].escape_ascii()
        );
    }
}
