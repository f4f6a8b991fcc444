use std::sync::{Arc, PoisonError, RwLock};

use subtle::{Choice, ConstantTimeEq};

use crate::domain::{Kind, Secret};

/// What a path on the public listener is for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// `/v1/{kind}`, behind a token where there are tokens.
    Push(Kind),
    /// `/healthz`
    Health,
    /// Anything else, a wrong token included.
    Unknown,
}

/// The live path tokens. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct PathTokens(Arc<RwLock<Arc<[Secret]>>>);

impl PathTokens {
    /// From now on these are live, and no others.
    pub fn replace(&self, tokens: &[Secret]) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = tokens.into();
    }

    pub(super) fn live(&self) -> Arc<[Secret]> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl From<&[Secret]> for PathTokens {
    fn from(tokens: &[Secret]) -> Self {
        let live = Self::default();
        live.replace(tokens);
        live
    }
}

/// Reads a path.
pub(super) fn target(path: &str, tokens: &[Secret]) -> Target {
    if path == "/healthz" {
        return Target::Health;
    }
    let rest = if tokens.is_empty() {
        Some(path)
    } else {
        let split = path.strip_prefix('/').and_then(|path| path.split_once('/'));
        // The rest keeps its slash.
        split.filter(|(token, _)| is_live(token, tokens)).map(|(token, _)| &path[1 + token.len()..])
    };
    rest.and_then(|rest| rest.strip_prefix("/v1/"))
        .and_then(|kind| kind.parse().ok())
        .map_or(Target::Unknown, Target::Push)
}

/// Compares with every token, whichever matches.
fn is_live(token: &str, tokens: &[Secret]) -> bool {
    let found = tokens.iter().fold(Choice::from(0), |found, live| {
        found | live.expose().as_bytes().ct_eq(token.as_bytes())
    });
    found.into()
}
