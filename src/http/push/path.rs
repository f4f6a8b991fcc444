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
