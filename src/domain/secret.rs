use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// A key or token. It is wiped when dropped and cannot be printed by accident.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// The secret itself. Every use is a place to look at in a review.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}
