//! What is to be registered in SmartHub, as it is now: push keys and path tokens are renewed while we
//! run (`tests/it/withstand/rotation.rs`).
use std::{fmt, sync::Arc};

use crate::domain::Secret;

/// Addresses and keys.
#[derive(Clone, Debug, Default)]
pub struct Registration {
    /// Where pushes go. They hold the path token.
    pub addresses: Vec<PushAddress>,
    /// The push keys, with their labels.
    pub push_keys: Vec<(Option<String>, Secret)>,
}

/// An address to register.
#[derive(Clone, Debug)]
pub struct PushAddress {
    /// The kind of push.
    pub kind: String,
    /// SmartHub's title for it.
    pub title: String,
    /// SmartHub's Chinese title, where there is one.
    pub title_zh: Option<String>,
    /// Where pushes of it go.
    pub url: String,
}

/// What tells them whenever it is asked.
#[derive(Clone)]
pub struct Registrations(Arc<dyn Fn() -> Registration + Send + Sync>);

impl Registrations {
    /// From what knows them.
    pub fn new(now: impl Fn() -> Registration + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Those of now.
    pub(super) fn now(&self) -> Registration {
        (self.0)()
    }
}

impl Registration {
    /// Where pushes of this kind go, if it is one of SmartHub's.
    pub(super) fn url_of(self, kind: &str) -> Option<String> {
        self.addresses.into_iter().find(|address| address.kind == kind).map(|address| address.url)
    }
}

impl Default for Registrations {
    /// Nothing to register.
    fn default() -> Self {
        Self::new(Registration::default)
    }
}

impl fmt::Debug for Registrations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Registrations")
    }
}
