use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
};

/// A router's serial number, as RCMS has it in its addresses: 1 to 50 ASCII letters, digits and
/// hyphens, no hyphen first. Two that differ only in the case of letters are equal, since they name one
/// router; each keeps its own spelling for RCMS.
#[derive(Clone, Debug)]
pub struct SerialNumber(Box<str>);

/// A text is no [`SerialNumber`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a serial number has 1 to 50 letters, digits and hyphens, and no hyphen first")]
pub struct SerialNumberError;

impl SerialNumber {
    /// The number.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl SerialNumber {
    /// Whether it is written in the same letters, of the same case too.
    pub fn is_spelled_as(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    fn folded(&self) -> impl Iterator<Item = u8> {
        self.0.bytes().map(|byte| byte.to_ascii_lowercase())
    }
}

impl PartialEq for SerialNumber {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for SerialNumber {}

impl Ord for SerialNumber {
    fn cmp(&self, other: &Self) -> Ordering {
        self.folded().cmp(other.folded())
    }
}

impl PartialOrd for SerialNumber {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for SerialNumber {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.folded().for_each(|byte| state.write_u8(byte));
        state.write_u8(0xff);
    }
}

impl FromStr for SerialNumber {
    type Err = SerialNumberError;

    fn from_str(text: &str) -> Result<Self, SerialNumberError> {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if (1..=50).contains(&text.len()) && is_plain && !text.starts_with('-') {
            Ok(Self(text.into()))
        } else {
            Err(SerialNumberError)
        }
    }
}

impl fmt::Display for SerialNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
