use std::{fmt, str::FromStr};

/// A push category's short name, as it stands in the address: `[a-z0-9-]{1,64}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(Box<str>);

/// A text is no [`Kind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a kind has 1 to 64 characters, each a small letter, a digit or a hyphen")]
pub struct KindError;

impl Kind {
    /// The longest name.
    pub const BYTES_MAX: usize = 64;

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Words by which we call rows and events of our own beside those that were pushed.
    const RESERVED: [&str; 5] = ["device", "erased", "gap", "retracted", "tick"];

    /// Whether a push of this name could be taken for a row or an event of our own; it is then kept
    /// as [`Kind::other`].
    pub fn is_reserved(&self) -> bool {
        Self::RESERVED.contains(&self.as_str())
    }

    /// What unknown kinds are called once there are too many of them.
    pub fn other() -> Self {
        Self("other".into())
    }
}

impl FromStr for Kind {
    type Err = KindError;

    fn from_str(text: &str) -> Result<Self, KindError> {
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        if (1..=Self::BYTES_MAX).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(KindError)
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
