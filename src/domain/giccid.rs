use std::{fmt, str::FromStr};

/// A SIM's number as SmartHub calls it: 18 to 22 digits, kept as text because zeros may lead.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Giccid(Box<str>);

/// Why a text is no [`Giccid`]. The text itself is personal and not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GiccidError {
    /// It has this many bytes.
    #[error("a giccid has 18 to 22 digits, not {0} characters")]
    Length(usize),
    /// It has something other than the digits 0 to 9.
    #[error("a giccid consists of digits only")]
    NotDigits,
}

impl Giccid {
    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Giccid {
    type Err = GiccidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !(18..=22).contains(&text.len()) {
            return Err(GiccidError::Length(text.len()));
        }
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(GiccidError::NotDigits);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Giccid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
