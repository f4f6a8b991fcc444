use std::{fmt, str::FromStr};

/// A SIM's number (ICCID) as SmartHub sends it: 18 to 22 ASCII letters or digits. Most have digits
/// only, but some operators issue letters (`898604B7…`) or fill up with a trailing `F`.
///
/// It is kept and compared as sent: zeros may lead, and `898604b7…` is another SIM than
/// `898604B7…`, because two numbers that a platform tells apart must not share their records.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Giccid(Box<str>);

/// Why a text is no [`Giccid`]. The text itself is personal and not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GiccidError {
    /// It has this many bytes.
    #[error("a giccid has 18 to 22 letters or digits, not {0} characters")]
    Length(usize),
    /// It has something other than ASCII letters and digits.
    #[error("a giccid consists of the letters A to Z and digits only")]
    Character,
}

impl Giccid {
    /// What a text has to be, for people.
    pub const EXPECTED: &str = "18 to 22 letters or digits";
    /// The same as a regular expression.
    pub const PATTERN: &str = "^[0-9A-Za-z]{18,22}$";

    /// The number as it was sent.
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
        if !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(GiccidError::Character);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Giccid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
