//! Which SIMs a text mentions, and what is left of it without some of them.
//!
//! The one rule for what arrives, what is stored and what is in memory. A number is found as a whole
//! run of characters: erasing `894450150318137799` must not touch `8944501503181377991`. Held by
//! `tests/it/properties/mention.rs`.
mod parts;

use std::{borrow::Cow, ops::RangeInclusive};

use self::parts::{Parts, parts};

/// How many characters a SIM's number has.
const LENGTHS: RangeInclusive<usize> = 18..=22;
/// What stands where an erased number stood.
const PLACEHOLDER: &[u8] = b"erased";
/// How deep a text is taken apart; below that it is one piece.
const DEPTH_MAX: usize = 64;

/// Whether a text mentions a number for which this is true.
///
/// A number is a run of letters and digits, as long as a giccid may be, up to the next character of
/// another sort. A run that begins with a letter, or is too long to be a giccid, may be a number
/// behind or before a word (`ICCID8944…`, or `\n8944…` in JSON): then each whole run of digits in it
/// counts, too. In one that begins with a digit they do not: `8944501503181377993F` is a SIM of its
/// own beside `8944501503181377993`, and must not go with it. JSON escapes are read.
pub fn mentions(text: &[u8], mut is_meant: impl FnMut(&str) -> bool) -> bool {
    numbers(text).any(&mut is_meant)
        || (text.contains(&b'\\') && numbers(&unescaped(text)).any(&mut is_meant))
}

/// What is left of a text without some SIMs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remainder {
    /// The text: none of these SIMs is mentioned in it.
    pub text: Vec<u8>,
    /// If the text was an array from which elements went: the positions of those that stayed.
    pub elements: Option<Vec<usize>>,
}

/// Takes some SIMs out of a text, as JSON where it is JSON; nothing where all of it is about them.
///
/// Records of other SIMs stay: an object that names another SIM, or holds one that does, loses only
/// the places that mention these.
pub fn without(text: &[u8], is_gone: impl Fn(&str) -> bool) -> Option<Remainder> {
    let cut = Cut { is_gone: &is_gone };
    if let Parts::Array(elements) = parts(text) {
        let left: Vec<(usize, Cow<'_, [u8]>)> = elements
            .iter()
            .enumerate()
            .filter_map(|(nth, element)| Some((nth, cut.value(element, Owner::Nobody, 1)?)))
            .collect();
        let kept = left.iter().map(|(nth, _)| *nth).collect();
        let text = array(left.into_iter().map(|(_, element)| element))?;
        return cut.checked(text).map(|text| Remainder { text, elements: Some(kept) });
    }
    let text = cut.value(text, Owner::Nobody, 0)?.into_owned();
    cut.checked(text).map(|text| Remainder { text, elements: None })
}

/// The same for a text that is known to be about a SIM that stays; nothing only where these SIMs
/// cannot be taken out.
pub fn without_in_record_of_other(text: &[u8], is_gone: impl Fn(&str) -> bool) -> Option<Vec<u8>> {
    let cut = Cut { is_gone: &is_gone };
    let left = cut.value(text, Owner::Other, 0)?.into_owned();
    cut.checked(left)
}

/// A plain text with this in the place of each mention of a SIM.
pub fn replaced(text: &str, giccid: &str, by: &str) -> String {
    let left = exchanged(text.as_bytes(), &|number| number == giccid, by.as_bytes());
    String::from_utf8_lossy(&left).into_owned()
}

/// Whom the object is about that a value lies in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    Nobody,
    /// A SIM that stays: what is not about others is about it.
    Other,
}

/// A key with its quotes, and its value.
type Member<'t> = (Cow<'t, [u8]>, Cow<'t, [u8]>);

struct Cut<'f> {
    is_gone: &'f dyn Fn(&str) -> bool,
}

/// What was seen of an object while its members were looked at.
#[derive(Default)]
struct Seen {
    /// A member of its own mentions a SIM that goes.
    has_gone: bool,
    /// A member of its own mentions a SIM that stays.
    has_other: bool,
    /// Something is left of an array or object in it.
    has_container: bool,
    /// … which mentions a SIM that stays; in the record of one that goes, which is a record of it.
    has_other_inside: bool,
}

impl Cut<'_> {
    fn mentions_gone(&self, text: &[u8]) -> bool {
        mentions(text, self.is_gone)
    }

    fn mentions_other(&self, text: &[u8]) -> bool {
        mentions(text, |number| {
            number.starts_with(|first: char| first.is_ascii_digit()) && !(self.is_gone)(number)
        })
    }

    fn checked(&self, text: Vec<u8>) -> Option<Vec<u8>> {
        (!self.mentions_gone(&text)).then_some(text)
    }

    fn value<'t>(&self, text: &'t [u8], owner: Owner, depth: usize) -> Option<Cow<'t, [u8]>> {
        if !self.mentions_gone(text) {
            return Some(Cow::Borrowed(text));
        }
        match parts(text) {
            Parts::Array(elements) if depth < DEPTH_MAX => {
                let left = elements.iter().filter_map(|one| self.value(one, owner, depth + 1));
                array(left).map(Cow::Owned)
            }
            Parts::Object(members) if depth < DEPTH_MAX => {
                self.object(&members, owner, depth).map(Cow::Owned)
            }
            _ => {
                // Not JSON, or a single value: it stays for the sake of the other SIM in it.
                let stays = owner == Owner::Other && depth == 0 || self.mentions_other(text);
                stays.then(|| Cow::Owned(self.redacted(text)))
            }
        }
    }

    fn object(&self, members: &[(&[u8], &[u8])], owner: Owner, depth: usize) -> Option<Vec<u8>> {
        let names = members.iter().filter(|(key, value)| is_giccid(key) && !is_container(value));
        let (mut is_of_gone, mut is_of_other) = (false, false);
        for (_, value) in names {
            is_of_gone |= self.mentions_gone(value);
            is_of_other |= self.mentions_other(value);
        }
        let inside = match is_of_other || (owner == Owner::Other && !is_of_gone) {
            true => Owner::Other,
            false => Owner::Nobody,
        };
        let mut seen = Seen::default();
        let left: Vec<Vec<u8>> = members
            .iter()
            .filter_map(|(key, value)| {
                let left = self.member(key, value, inside, depth, &mut seen)?;
                if is_container(value) {
                    seen.has_other_inside |= match is_of_gone {
                        true => self.has_record_of_other(&left.1, depth + 1),
                        false => self.mentions_other(&left.1),
                    };
                }
                Some([&left.0[..], b":", &left.1[..]].concat())
            })
            .collect();
        let stays = inside == Owner::Other
            || seen.has_other_inside
            || (!seen.has_gone && seen.has_container)
            || (!is_of_gone && seen.has_gone && seen.has_other);
        stays.then(|| [&b"{"[..], &left.join(&b","[..]), b"}"].concat())
    }

    fn member<'t>(
        &self,
        key: &'t [u8],
        value: &'t [u8],
        inside: Owner,
        depth: usize,
        seen: &mut Seen,
    ) -> Option<Member<'t>> {
        let key = if !self.mentions_gone(key) {
            Cow::Borrowed(key)
        } else {
            seen.has_gone = true;
            if !self.mentions_other(value) && !self.mentions_other(key) {
                return None;
            }
            Cow::Owned(self.redacted_string(key))
        };
        seen.has_other |= self.mentions_other(&key);
        let value = if is_container(value) {
            let left = self.value(value, inside, depth + 1)?;
            seen.has_container = true;
            left
        } else {
            seen.has_other |= self.mentions_other(value);
            match self.mentions_gone(value) {
                false => Cow::Borrowed(value),
                true => {
                    seen.has_gone = true;
                    Cow::Owned(match value.first() {
                        Some(b'"') => self.redacted_string(value),
                        _ => b"null".to_vec(),
                    })
                }
            }
        };
        Some((key, value))
    }

    /// Whether an object in it names a SIM that stays as its own.
    fn has_record_of_other(&self, text: &[u8], depth: usize) -> bool {
        let is_deep = depth >= DEPTH_MAX;
        match parts(text) {
            Parts::Array(elements) if !is_deep => {
                elements.iter().any(|one| self.has_record_of_other(one, depth + 1))
            }
            Parts::Object(members) if !is_deep => {
                members.iter().any(|(key, value)| match is_container(value) {
                    true => self.has_record_of_other(value, depth + 1),
                    false => is_giccid(key) && self.mentions_other(value),
                })
            }
            _ => is_container(text) && self.mentions_other(text),
        }
    }

    /// A JSON string without the numbers that go.
    fn redacted_string(&self, text: &[u8]) -> Vec<u8> {
        let left = self.redacted(text);
        match self.mentions_gone(&left) {
            // They stand there in escapes.
            true => [&b"\""[..], PLACEHOLDER, b"\""].concat(),
            false => left,
        }
    }

    /// A text with a word in place of each number that goes.
    fn redacted(&self, text: &[u8]) -> Vec<u8> {
        exchanged(text, self.is_gone, PLACEHOLDER)
    }
}

/// A text with something else in the place of each number for which this is true.
fn exchanged(text: &[u8], is_gone: &dyn Fn(&str) -> bool, by: &[u8]) -> Vec<u8> {
    let is_gone =
        |run: &[u8]| LENGTHS.contains(&run.len()) && std::str::from_utf8(run).is_ok_and(is_gone);
    let mut left = Vec::with_capacity(text.len());
    for run in text.chunk_by(|a, b| a.is_ascii_alphanumeric() == b.is_ascii_alphanumeric()) {
        if is_gone(run) {
            left.extend(by);
        } else if is_number_of_its_own(run) {
            left.extend(run);
        } else {
            for part in run.chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit()) {
                left.extend(if is_gone(part) { by } else { part });
            }
        }
    }
    left
}

fn numbers(text: &[u8]) -> impl Iterator<Item = &str> {
    let runs = text.split(|byte| !byte.is_ascii_alphanumeric());
    runs.filter(|run| run.len() >= *LENGTHS.start()).flat_map(|run| {
        let whole = Some(run).filter(|run| LENGTHS.contains(&run.len()));
        let digits = run.split(|byte| !byte.is_ascii_digit());
        let within = digits.filter(|digits| LENGTHS.contains(&digits.len()));
        let within = within.filter(|_| !is_number_of_its_own(run));
        whole.into_iter().chain(within).filter_map(|number| std::str::from_utf8(number).ok())
    })
}

/// Whether a run is a SIM's number by itself, so that no part of it is another's.
fn is_number_of_its_own(run: &[u8]) -> bool {
    LENGTHS.contains(&run.len()) && run.first().is_some_and(u8::is_ascii_digit)
}

/// A text with its JSON escapes read; what is no letter or digit then is a blank.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'\\' {
            plain.push(*byte);
            continue;
        }
        let Some((escape, after)) = rest.split_first() else { break };
        rest = after;
        let hex = rest.get(..4).and_then(|hex| std::str::from_utf8(hex).ok());
        let code = hex.and_then(|hex| u8::from_str_radix(hex.strip_prefix("00")?, 16).ok());
        match (escape, hex) {
            (b'u', Some(_)) => {
                plain.push(code.filter(u8::is_ascii).unwrap_or(b' '));
                rest = &rest[4..];
            }
            _ => plain.push(b' '),
        }
    }
    plain
}

/// An array of these; nothing where there are none.
fn array<'e>(elements: impl Iterator<Item = Cow<'e, [u8]>>) -> Option<Vec<u8>> {
    let elements: Vec<Cow<'e, [u8]>> = elements.collect();
    (!elements.is_empty()).then(|| [&b"["[..], &elements.join(&b","[..]), b"]"].concat())
}

fn is_container(value: &[u8]) -> bool {
    matches!(value.first(), Some(b'[' | b'{'))
}

fn is_giccid(key: &[u8]) -> bool {
    key == b"\"giccid\"" || unescaped(key) == b"\"giccid\""
}

#[cfg(test)]
mod tests;
