use std::{fmt, net::IpAddr, str::FromStr};

use super::{Timestamp, held::UnknownWord};

/// What a caller of the internal API may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Look.
    Read,
    /// Look and act.
    Admin,
}

/// SHA-256 of an API key. A key has 256 random bits, so a plain hash keeps it.
pub type KeyDigest = [u8; 32];

/// An API key as it lies in the store: all but the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Its number.
    pub id: i64,
    /// The name a person gave it.
    pub label: String,
    /// What it allows.
    pub scope: Scope,
    /// Its hash.
    pub digest: KeyDigest,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// Who asks, as proved by an API key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The key's label; what audit rows say.
    pub label: String,
    /// What the key allows.
    pub scope: Scope,
    /// The address that asks, if it is asked from one.
    pub source: Option<IpAddr>,
}

impl Caller {
    /// The holder of a key, from no address.
    pub fn new(label: impl Into<String>, scope: Scope) -> Self {
        Self { label: label.into(), scope, source: None }
    }

    /// The same at this address.
    pub fn at(self, source: Option<IpAddr>) -> Self {
        Self { source, ..self }
    }
}

impl Scope {
    /// Every scope, the smaller first.
    pub const ALL: [Self; 2] = [Self::Read, Self::Admin];

    /// The word in API and database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Scope {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text).ok_or(UnknownWord)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
