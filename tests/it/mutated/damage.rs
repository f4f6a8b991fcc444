//! Valid bodies of every kind, and what happens to them on the way.

use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};

/// A part of a body; the proof of an element is a part of its own, so that it can be spared.
#[derive(Clone)]
pub(super) struct Part {
    pub(super) bytes: Vec<u8>,
    pub(super) is_proof: bool,
}

/// What bodies look like: kind, and the text with `@` where each element's proof goes and `#` in
/// times that no two bodies share.
const BODIES: &[(&str, &str)] = &[
    (
        "data-usage",
        r#"{@,"giccid":"8944501503181377993","data_usage":1302,"start_time":17#473,"duration":0,"mcc":"460","mnc":"10","country_code":"CN","apn":"apn1","imsi":"460001234567890","sim_group":"groupA"}"#,
    ),
    (
        "data-usage",
        r#"{"cdrs":[{"giccid":8944501503181377993,"data_usage":"1302","start_time":17#473},{"giccid":"894450150318137799","data_usage":7,"start_time":"17#474","apn":null}],"batch":12,@}"#,
    ),
    (
        "data-usage",
        r#"[{@,"giccid":"8944501503181377993","data_usage":0,"start_time":17#473},{"giccid":"8944501503181377994","data_usage":1,"start_time":17#473,@}]"#,
    ),
    (
        "data-usage",
        r#"{ "data" : {"giccid":"8944501503181377993","data_usage":5,"start_time":17#475,"rat":{"name":"LTE","bands":[1,3.5,-2e3]}} , @ }"#,
    ),
    (
        "mo-sms",
        r#"{"giccid":"8944500310194312699","event_time":17#473,"from_msisdn":"882360010341361","to_msisdn":"449086237252","imsi":"460001234567890","sim_group":"gr\u00fcn \ud83d\ude00",@,"text":"上行短信 \"quoted\" \\ \/ \n"}"#,
    ),
    (
        "mo-sms",
        r#"{@,"messages":[{"giccid":"8944500310194312699","event_time":17#473},{"giccid":"8944500310194312699","event_time":17#474}]}"#,
    ),
    (
        "sim-status",
        r#"{@,"giccid":"8944501503181377993","status":"ACTIVE","previous":null,"by":{"user":"ü","at":[true,false]}}"#,
    ),
    ("imei-change", r#"{"events":[{"imei":"490154203237518","event_time":17#473},{"imei":""}],@}"#),
    ("made-up-kind", r#"[{@},{"x":[[[[]]]],@}]"#),
];

/// What may be put somewhere, or in place of a value.
const TOKENS: &[&[u8]] = &[
    b"null",
    b"true",
    b"0",
    b"-0",
    b"-1",
    b"1.5",
    b"1e5",
    b"1e999",
    b"-1E-999",
    b"00",
    b"+1",
    b"1.",
    b"9999999999999999999",
    b"1000000000000001",
    b"946684799999",
    b"4102444800000",
    b"123456789012345678901234567890123456789012345678901234567890",
    b"\"\"",
    b"\"x\"",
    b"\"12\"",
    b"\"8944501503181377993\"",
    b"\"894450150318137799x\"",
    b"{}",
    b"[]",
    b"[{}]",
    b"[1]",
    b"{\"a\":1,\"a\":2}",
    b"{\"giccid\":1}",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\"",
    b"\\",
    b" ",
    b"\n",
    b"\t",
    b"\r\n",
    b"\x00",
    b"\x01",
    b"\x1f",
    b"\x7f",
    b"\xff",
    b"\xfe\xff",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"\xe4\xb8",
    b"\xf4\x90\x80\x80",
    b"\\u0000",
    b"\\ud800",
    b"\\udc00",
    b"\\ud800\\u0041",
    b"\\u00e9",
    b"\\uZZZZ",
    b"\\x",
    b"\\u12",
    b"\"\\u0000\"",
    b"\"\\ud83d\"",
    b"\"\xff\"",
    b"\"giccid\":\"8944501503181377993\",",
    b"\"data_usage\":1,",
    b"\"\":0,",
    b"\"k\":\"v\",",
    b"\"datePush\":1725499848,",
    b"\"signature\":\"00\",",
    b"\"date\\u0050ush\":1,",
    b"\"_push\":{\"_push\":1},",
    b"NaN",
    b"Infinity",
    b"'",
    b"//",
    b"/* */",
    b"undefined",
];

/// A kind and a whole body.
pub(super) fn body(
    rng: &mut StdRng,
    nth: u64,
    proof: impl Fn() -> String,
) -> (&'static str, Vec<Part>) {
    let (kind, text) = BODIES.choose(rng).unwrap();
    let mut parts = Vec::new();
    for (place, piece) in text.replace('#', &format!("{nth:08}")).split('@').enumerate() {
        if place > 0 {
            parts.push(Part { bytes: proof().into_bytes(), is_proof: true });
        }
        parts.push(Part { bytes: piece.into(), is_proof: false });
    }
    (kind, parts)
}

/// Damages a body in one to three places; the proofs too, unless they are spared.
pub(super) fn damage(rng: &mut StdRng, mut parts: Vec<Part>, spares_proof: bool) -> Vec<u8> {
    for _ in 0..rng.random_range(1..=3) {
        if spares_proof {
            let mut others: Vec<_> = parts.iter_mut().filter(|part| !part.is_proof).collect();
            let nth = rng.random_range(0..others.len());
            hurt(rng, &mut others[nth].bytes);
        } else {
            let mut whole: Vec<u8> = parts.into_iter().flat_map(|part| part.bytes).collect();
            hurt(rng, &mut whole);
            parts = vec![Part { bytes: whole, is_proof: false }];
        }
    }
    parts.into_iter().flat_map(|part| part.bytes).collect()
}

fn hurt(rng: &mut StdRng, bytes: &mut Vec<u8>) {
    let at = rng.random_range(0..=bytes.len());
    match rng.random_range(0..10) {
        0 if at < bytes.len() => bytes[at] ^= 1 << rng.random_range(0..8),
        1 if at < bytes.len() => bytes[at] = rng.random(),
        2 => drop(bytes.drain(at..(at + rng.random_range(1..8)).min(bytes.len()))),
        3 => {
            let copy = bytes[at..(at + rng.random_range(1..40)).min(bytes.len())].to_vec();
            insert(bytes, rng.random_range(0..=bytes.len()), &copy);
        }
        4 if rng.random_ratio(1, 4) => bytes.truncate(at),
        5 => {
            let depth = rng.random_range(2..400);
            let (open, close): (&[u8], &[u8]) =
                if rng.random() { (b"[", b"]") } else { (b"{\"n\":", b"}") };
            let nest = [open.repeat(depth), b"0".to_vec(), close.repeat(depth)].concat();
            replace_value(rng, bytes, &nest);
        }
        6 => replace_number(rng, bytes),
        7 => {
            let token = *TOKENS.choose(rng).unwrap();
            replace_value(rng, bytes, token);
        }
        8 => swap_tokens(rng, bytes),
        _ => insert(bytes, at, TOKENS.choose(rng).unwrap()),
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, new: &[u8]) {
    drop(bytes.splice(at..at, new.iter().copied()));
}

/// Puts something in the place of the value behind some colon.
fn replace_value(rng: &mut StdRng, bytes: &mut Vec<u8>, new: &[u8]) {
    let colons: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at] == b':').collect();
    let Some(colon) = colons.choose(rng) else { return };
    let length = bytes[colon + 1..].iter().take_while(|byte| !b",}]".contains(byte)).count();
    drop(bytes.splice(colon + 1..colon + 1 + length, new.iter().copied()));
}

fn replace_number(rng: &mut StdRng, bytes: &mut Vec<u8>) {
    let starts: Vec<_> = (0..bytes.len())
        .filter(|at| bytes[*at].is_ascii_digit() && (*at == 0 || !bytes[at - 1].is_ascii_digit()))
        .collect();
    let Some(start) = starts.choose(rng) else { return };
    let length = bytes[*start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let new = match rng.random_range(0..4) {
        0 => "9".repeat(rng.random_range(1..400)),
        1 => format!("{}e{}", rng.random::<u8>(), rng.random_range(-400..400)),
        2 => format!("{}", rng.random::<i64>()),
        _ => format!("{:?}", f64::from_bits(rng.random())),
    };
    drop(bytes.splice(start..&(start + length), new.into_bytes()));
}

/// Swaps two runs between marks of structure.
fn swap_tokens(rng: &mut StdRng, bytes: &mut Vec<u8>) {
    let mut tokens: Vec<Vec<u8>> = vec![Vec::new()];
    for byte in bytes.iter() {
        if b"{}[],:".contains(byte) {
            tokens.extend([vec![*byte], Vec::new()]);
        } else {
            tokens.last_mut().unwrap().push(*byte);
        }
    }
    let (one, other) = (rng.random_range(0..tokens.len()), rng.random_range(0..tokens.len()));
    tokens.swap(one, other);
    *bytes = tokens.concat();
}
