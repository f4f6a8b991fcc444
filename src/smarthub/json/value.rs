use std::borrow::Cow;

use super::{Flaws, scan::Part, tape::Tape};

/// What a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::smarthub) enum What {
    Object,
    Array,
    /// The name of a member; the part behind it is the member's value.
    Key,
    Text,
    Number,
    True,
    False,
    Null,
}

/// A part together with what is needed to look at it.
#[derive(Clone, Copy)]
pub(in crate::smarthub) struct Value<'a> {
    text: &'a [u8],
    tape: &'a Tape,
    at: u32,
}

impl Tape {
    /// The whole document. `text` is what was scanned.
    pub(in crate::smarthub) fn root<'a>(&'a self, text: &'a [u8]) -> Value<'a> {
        Value { text, tape: self, at: 0 }
    }
}

impl<'a> Value<'a> {
    pub(in crate::smarthub) fn what(self) -> What {
        self.part().what
    }

    /// What is wrong with it or inside it.
    pub(in crate::smarthub) fn flaws(self) -> Flaws {
        self.part().flaws
    }

    /// Its source, quotes and brackets included.
    pub(in crate::smarthub) fn source(self) -> &'a [u8] {
        let part = self.part();
        &self.text[part.start as usize..part.end as usize]
    }

    /// The members of an object in the order of the source; nothing for another part.
    pub(in crate::smarthub) fn members(self) -> impl Iterator<Item = (Value<'a>, Value<'a>)> {
        let mut keys = self.children(What::Object);
        std::iter::from_fn(move || {
            let key = keys.next()?;
            Some((key, keys.next()?))
        })
    }

    /// The same in the order of their names; nothing where two have the same. An object may have a
    /// million members, so that each takes four bytes and no more.
    pub(in crate::smarthub) fn members_by_name(
        self,
    ) -> Option<impl Iterator<Item = (Value<'a>, Value<'a>)>> {
        let mut keys: Vec<u32> = Vec::with_capacity(self.members().count());
        keys.extend(self.members().map(|(key, _)| key.at));
        let name = |at: u32| Value { at, ..self }.unescaped();
        keys.sort_unstable_by(|a, b| name(*a).cmp(&name(*b)));
        let is_repeated = keys.array_windows().any(|[a, b]| name(*a) == name(*b));
        let member = move |at| (Value { at, ..self }, Value { at: at + 1, ..self });
        (!is_repeated).then(|| keys.into_iter().map(member))
    }

    /// The elements of an array; nothing for another part.
    pub(in crate::smarthub) fn elements(self) -> impl Iterator<Item = Value<'a>> {
        self.children(What::Array)
    }

    /// The characters of a key or text, as bytes because they need not be UTF-8 where there are
    /// flaws.
    pub(in crate::smarthub) fn unescaped(self) -> Cow<'a, [u8]> {
        let source = self.source();
        let inner = &source[1..source.len() - 1];
        if self.part().escaped { Cow::Owned(unescape(inner)) } else { Cow::Borrowed(inner) }
    }

    /// A text without flaws.
    pub(in crate::smarthub) fn as_text(self) -> Option<Cow<'a, str>> {
        if self.what() != What::Text || self.flaws().any() {
            return None;
        }
        match self.unescaped() {
            Cow::Borrowed(bytes) => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
            Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
        }
    }

    /// A number as its source wrote it.
    pub(in crate::smarthub) fn as_number(self) -> Option<&'a str> {
        let is_number = self.what() == What::Number;
        is_number.then(|| std::str::from_utf8(self.source()).ok()).flatten()
    }

    /// The digits of an integer that is not negative, written without fraction and exponent.
    pub(in crate::smarthub) fn as_digits(self) -> Option<&'a str> {
        let is_integer =
            self.what() == What::Number && self.source().iter().all(|byte| byte.is_ascii_digit());
        is_integer.then(|| std::str::from_utf8(self.source()).ok()).flatten()
    }

    fn children(self, container: What) -> impl Iterator<Item = Value<'a>> {
        let own = self.part();
        let (mut at, end) =
            if own.what == container { (self.at + 1, own.next) } else { (own.next, own.next) };
        std::iter::from_fn(move || {
            let child = Value { at, ..self };
            (at < end).then(|| {
                at = child.part().next;
                child
            })
        })
    }

    fn part(self) -> &'a Part {
        &self.tape.parts[self.at as usize]
    }
}

/// Resolves escapes that the scanner has accepted. Half of a surrogate pair becomes the three
/// bytes it would have if it were a character, so that two different texts stay different.
pub(super) fn unescape(inner: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            plain.push(byte);
            continue;
        }
        let Some((&escape, after)) = rest.split_first() else { break };
        rest = after;
        match escape {
            b'b' => plain.push(8),
            b'f' => plain.push(12),
            b'n' => plain.push(b'\n'),
            b'r' => plain.push(b'\r'),
            b't' => plain.push(b'\t'),
            b'u' => rest = unescape_code(rest, &mut plain),
            literal => plain.push(literal),
        }
    }
    plain
}

/// Four hex digits, and those of the second half of a pair; gives what is behind them.
fn unescape_code<'t>(digits: &'t [u8], plain: &mut Vec<u8>) -> &'t [u8] {
    let high = four_hex(digits);
    let rest = digits.get(4..).unwrap_or_default();
    if (0xD800..0xDC00).contains(&high)
        && let Some(second) = rest.strip_prefix(b"\\u")
        && let low @ 0xDC00..0xE000 = four_hex(second)
    {
        push_code(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00), plain);
        return &second[4..];
    }
    push_code(high, plain);
    rest
}

fn push_code(code: u32, plain: &mut Vec<u8>) {
    match char::from_u32(code) {
        Some(character) => plain.extend(character.encode_utf8(&mut [0; 4]).bytes()),
        None => plain.extend([
            0xE0 + low_byte(code >> 12),
            0x80 + (low_byte(code >> 6) & 0x3F),
            0x80 + (low_byte(code) & 0x3F),
        ]),
    }
}

fn low_byte(code: u32) -> u8 {
    code.to_le_bytes()[0]
}

fn four_hex(digits: &[u8]) -> u32 {
    digits
        .iter()
        .take(4)
        .fold(0, |code, byte| code * 16 + char::from(*byte).to_digit(16).unwrap_or_default())
}
