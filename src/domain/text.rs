use std::{fmt, ops::Deref};

/// A text of at most 256 bytes, as every pushed text field is. The empty text stands for a field
/// that was not sent, so that it can be part of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShortText(Box<str>);

/// A text has more than [`ShortText::BYTES_MAX`] bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a text has at most {max} bytes", max = ShortText::BYTES_MAX)]
pub struct TextTooLong;

/// A count with its noun: `1 record`, `2 records`.
pub fn counted(count: impl Into<i128>, one: &str, many: &str) -> String {
    let count = count.into();
    format!("{count} {}", if count == 1 { one } else { many })
}

/// A size as people read it, rounded up: `180 MiB`.
pub fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

/// A sentence with a mark at its end, whether it has one already or not.
pub fn sentence(text: impl Into<String>) -> String {
    let mut text = text.into();
    if !text.ends_with(['.', '?', '!']) {
        text.push('.');
    }
    text
}

impl ShortText {
    /// The most bytes that such a text has.
    pub const BYTES_MAX: usize = 256;

    /// The text, or nothing where the field was not sent.
    pub fn sent(&self) -> Option<&str> {
        (!self.0.is_empty()).then_some(&*self.0)
    }
}

impl Deref for ShortText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for ShortText {
    type Error = TextTooLong;

    fn try_from(text: &str) -> Result<Self, TextTooLong> {
        if text.len() > Self::BYTES_MAX { Err(TextTooLong) } else { Ok(Self(text.into())) }
    }
}

impl fmt::Display for ShortText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
