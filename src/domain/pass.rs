use super::{KeyDigest, Timestamp};

/// SHA-256 of the word that a link or a cookie carries. A word has 256 random bits, so a plain hash
/// keeps it.
pub type PassDigest = [u8; 32];

/// What lets a browser in without its API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassKind {
    /// Good once, to begin a session.
    Link,
    /// Good until it ends.
    Session,
}

/// A link or a session, as it lies in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    /// What it is.
    pub kind: PassKind,
    /// The hash of its word.
    pub digest: PassDigest,
    /// The API key that it stands for: it opens what that key opens, for as long as the key is live.
    pub key: KeyDigest,
    /// From when on it opens nothing.
    pub ends_at: Timestamp,
}

impl PassKind {
    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Session => "session",
        }
    }
}
