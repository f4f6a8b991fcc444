//! A query string read by hand, so that a fault can be told with the parameter's name.
use std::borrow::Cow;

use crate::domain::edits;

/// What cannot be read as percent-encoded UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not percent-encoded UTF-8")]
pub(super) struct BadEncoding;

/// The `name=value` parts, still encoded; a part without `=` has an empty value.
pub(super) fn parts(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query
        .split('&')
        .filter(|part| !part.is_empty())
        .map(|part| part.split_once('=').unwrap_or((part, "")))
}

/// Takes `%XX` and `+` for what they stand for.
pub(super) fn decode(text: &str) -> Result<String, BadEncoding> {
    let (bytes, is_whole) = decoded_bytes(text);
    let decoded = String::from_utf8(bytes).map_err(|_| BadEncoding)?;
    if is_whole { Ok(decoded) } else { Err(BadEncoding) }
}

/// The same; what cannot be read is left as it is or told as U+FFFD.
pub(super) fn decode_lossy(text: &str) -> String {
    String::from_utf8_lossy(&decoded_bytes(text).0).into_owned()
}

/// The bytes that a text stands for, and whether each `%` had its two digits.
fn decoded_bytes(text: &str) -> (Vec<u8>, bool) {
    let (mut bytes, mut is_whole) = (Vec::with_capacity(text.len()), true);
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        let mut byte = [0];
        match (first, rest.split_first_chunk::<2>()) {
            (b'+', _) => bytes.push(b' '),
            (b'%', Some((digits, tail))) if hex::decode_to_slice(digits, &mut byte).is_ok() => {
                rest = tail;
                bytes.push(byte[0]);
            }
            (other, _) => {
                is_whole &= *other != b'%';
                bytes.push(*other);
            }
        }
    }
    (bytes, is_whole)
}

/// Adds `name=value` to a query string.
pub(super) fn append(query: &mut String, name: &str, value: &str) {
    if !query.is_empty() {
        query.push('&');
    }
    encode(query, name);
    query.push('=');
    encode(query, value);
}

fn encode(query: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                query.push(char::from(byte));
            }
            _ => {
                query.push('%');
                query.push_str(&hex::encode_upper([byte]));
            }
        }
    }
}

/// The values of a list: cut at commas. A comma that belongs to a value is written `\,`.
pub(super) fn split_list(text: &str) -> Vec<String> {
    let mut values = vec![String::new()];
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            ',' => values.push(String::new()),
            '\\' if characters.next_if_eq(&',').is_some() => push(&mut values, ','),
            other => push(&mut values, other),
        }
    }
    values
}

fn push(values: &mut [String], character: char) {
    if let Some(last) = values.last_mut() {
        last.push(character);
    }
}

/// One value as it stands in a list.
pub(super) fn list_item(value: &str) -> Cow<'_, str> {
    if value.contains(',') { value.replace(',', "\\,").into() } else { value.into() }
}

/// The name that was probably meant: the nearest one, if it is near.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// No name of ours is longer; what is much longer is no slip of the finger.
    const CHARACTERS_MAX: usize = 32;
    if name.chars().count() > CHARACTERS_MAX {
        return None;
    }
    let name = name.to_lowercase();
    known
        .into_iter()
        .map(|candidate| (edits(&name, candidate), candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_and_plus_are_decoded_and_broken_ones_refused() {
        assert_eq!(decode("a%2Cb+c%e4%BD%A0"), Ok("a,b c你".to_owned()));
        for broken in ["%", "%4", "%zz", "%ff"] {
            assert_eq!(decode(broken), Err(BadEncoding), "{broken}");
        }
        for (broken, left) in [
            ("%", "%"),
            ("a%4+", "a%4 "),
            ("%zz%41", "%zzA"),
            ("%ff%41", "\u{fffd}A"),
            ("%%41", "%A"),
        ] {
            assert_eq!(decode_lossy(broken), left);
        }
    }

    #[test]
    fn what_is_encoded_is_decoded_to_the_same() {
        let value = "a b&c=d+e%f/你\\,";
        let mut query = String::new();
        append(&mut query, "x", "1");
        append(&mut query, "sim_group", value);
        let all: Vec<_> = parts(&query).collect();
        assert_eq!(all[0], ("x", "1"));
        assert_eq!(all[1].0, "sim_group");
        assert_eq!(decode(all[1].1).as_deref(), Ok(value));
    }

    #[test]
    fn a_comma_cuts_unless_a_backslash_stands_before_it() {
        assert_eq!(split_list("a,b\\,c,,d\\e"), ["a", "b,c", "", "d\\e"]);
        assert_eq!(split_list(""), [""]);
        assert_eq!(split_list(&list_item("x,y")), ["x,y"]);
    }

    #[test]
    fn a_slip_finds_its_name_and_a_stranger_none() {
        let known = ["giccid", "imsi", "from", "received_from", "size"];
        assert_eq!(nearest("gicid", known), Some("giccid"));
        assert_eq!(nearest("ICCID", known), Some("giccid"));
        assert_eq!(nearest("form", known), Some("from"));
        assert_eq!(nearest("recieved_form", known), Some("received_from"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest(&"x".repeat(10_000), known), None);
    }
}
