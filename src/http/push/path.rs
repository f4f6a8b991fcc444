use std::sync::{Arc, PoisonError, RwLock};

use subtle::{Choice, ConstantTimeEq};

use crate::{
    domain::{Kind, Secret, edits},
    smarthub::kind::{self, KNOWN},
};

/// How much of an address that is no push's is shown.
const SHOWN_BYTES_MAX: usize = 128;
/// So many letters differ at most in a slip of the pen.
const SLIP_EDITS_MAX: usize = 2;
/// A part of a path that is as long may be a token.
const TOKEN_BYTES_MIN: usize = 16;

/// What a path on the public listener is for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// `/v1/{kind}`, behind a token where there are tokens.
    Push(Kind),
    /// `/healthz`
    Health,
    /// It is no push's, but whoever sent it knows a live token, or there are none.
    NoPush(Misaddressed),
    /// The path of a push, behind a wrong token or none.
    WrongToken,
    /// Another path, behind a wrong token or none.
    Unknown,
}

/// An address that is none of the ten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Misaddressed {
    /// What stood behind the token, without anything that may be one.
    pub(super) shown: Box<str>,
    /// The kind that was probably meant.
    pub(super) meant: Option<&'static str>,
    /// Whether it looks like a push's, and not like what scanners try everywhere.
    pub(super) is_like_a_push: bool,
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
    let Some(rest) = behind_token(path, tokens) else {
        // A slash too many before a token is no reason to say nothing of it.
        let slashes = path.bytes().take_while(|byte| *byte == b'/').count();
        let rest = behind_token(&path[slashes.saturating_sub(1)..], tokens);
        return match rest {
            Some(rest) => Target::NoPush(Misaddressed::new(&format!("/{rest}"), true)),
            None if is_of_known_push(path) => Target::WrongToken,
            None => Target::Unknown,
        };
    };
    let kind = rest.strip_prefix("/v1/").map(|kind| kind.strip_suffix('/').unwrap_or(kind));
    // A token is no kind: it would be shown as one.
    let kind = kind.filter(|kind| !is_live(kind, tokens));
    match kind.and_then(|kind| kind.parse().ok()) {
        Some(kind) => Target::Push(kind),
        None => Target::NoPush(Misaddressed::new(rest, !tokens.is_empty())),
    }
}

/// Whether a path ends as that of a push which SmartHub documents: nobody else asks for one.
fn is_of_known_push(path: &str) -> bool {
    let path = path.strip_suffix('/').unwrap_or(path);
    path.rsplit_once("/v1/").is_some_and(|(_, kind)| kind::is_known(kind))
}

/// What stands behind a live token, with its slash; all of it where there are no tokens.
fn behind_token<'p>(path: &'p str, tokens: &[Secret]) -> Option<&'p str> {
    if tokens.is_empty() {
        return Some(path);
    }
    let inner = path.strip_prefix('/')?;
    let token = inner.split_once('/').map_or(inner, |(token, _)| token);
    is_live(token, tokens).then(|| &inner[token.len()..])
}

/// Compares with every token, whichever matches.
fn is_live(token: &str, tokens: &[Secret]) -> bool {
    let found = tokens.iter().fold(Choice::from(0), |found, live| {
        found | live.expose().as_bytes().ct_eq(token.as_bytes())
    });
    found.into()
}

impl Misaddressed {
    /// Whoever knows a token was given one of our addresses; without tokens anybody asks anything.
    fn new(rest: &str, knows_token: bool) -> Self {
        let last = rest.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        let meant = meant(last);
        let has_version = rest.split('/').any(|part| part.eq_ignore_ascii_case("v1"));
        let is_like_a_push = knows_token || has_version || meant.is_some();
        Self { shown: shown(rest), meant, is_like_a_push }
    }
}

/// The kind that a part of an address is nearly.
fn meant(part: &str) -> Option<&'static str> {
    if part.len() > Kind::BYTES_MAX {
        return None;
    }
    let plain = part.replace("%2D", "-").replace("%2d", "-").replace("%20", "-");
    let plain = plain.to_ascii_lowercase().replace(['_', '.', '+'], "-");
    KNOWN
        .iter()
        .map(|known| (edits(&plain, known.slug), known.slug))
        .filter(|(edits, _)| *edits <= SLIP_EDITS_MAX)
        .min()
        .map(|(_, slug)| slug)
}

/// An address as it may be shown: short, and where a part of it may be a token (an old one, one that
/// stands there twice) not that part.
fn shown(rest: &str) -> Box<str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let parts: Vec<&str> = rest
        .split('/')
        .map(|part| {
            let may_be_token = part.len() >= TOKEN_BYTES_MIN && part.bytes().any(is_plain);
            if may_be_token && meant(part).is_none() { "…" } else { part }
        })
        .collect();
    let mut shown = parts.join("/");
    if shown.len() > SHOWN_BYTES_MAX {
        shown.truncate(shown.floor_char_boundary(SHOWN_BYTES_MAX));
        shown.push('…');
    }
    if shown.is_empty() {
        shown.push('/');
    }
    shown.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn tokens() -> [Secret; 1] {
        [Secret::from(TOKEN.to_owned())]
    }

    fn misaddressed(path: &str, tokens: &[Secret]) -> (String, Option<&'static str>) {
        match target(path, tokens) {
            Target::NoPush(it) => (it.shown.into(), it.meant),
            other => panic!("{path}: {other:?}"),
        }
    }

    #[test]
    fn a_trailing_slash_is_accepted_and_more_is_not() {
        let push = Target::Push("data-usage".parse().expect("a kind"));
        for rest in ["/v1/data-usage", "/v1/data-usage/"] {
            assert_eq!(target(rest, &[]), push);
            assert_eq!(target(&format!("/{TOKEN}{rest}"), &tokens()), push);
        }
    }

    #[test]
    fn a_slip_of_the_pen_is_known_for_what_was_meant() {
        for (rest, meant) in [
            ("/v1/data_usage", Some("data-usage")),
            ("/v1/Data-Usage", Some("data-usage")),
            ("/v1/data%2Dusage", Some("data-usage")),
            ("/v1/data-usage//", Some("data-usage")),
            ("//v1/data-usage", Some("data-usage")),
            ("/V1/mo-sms", Some("mo-sms")),
            ("/mo-sms", Some("mo-sms")),
            ("/v1/v1/mo_sms/", Some("mo-sms")),
            ("/v1/", None),
            ("/v1", None),
            ("/", None),
            ("/v1/anything/else", None),
        ] {
            assert_eq!(misaddressed(rest, &[]), (rest.to_owned(), meant), "{rest}");
            let path = format!("/{TOKEN}{rest}");
            assert_eq!(misaddressed(&path, &tokens()), (rest.to_owned(), meant), "{path}");
        }
        assert_eq!(misaddressed(&format!("/{TOKEN}"), &tokens()), ("/".to_owned(), None));
        let doubled = misaddressed(&format!("//{TOKEN}/v1/data-usage"), &tokens());
        assert_eq!(doubled, ("//v1/data-usage".to_owned(), Some("data-usage")));
    }

    #[test]
    fn nothing_that_may_be_a_token_is_shown() {
        for (path, tokens) in [
            (format!("/{TOKEN}/{TOKEN}/v1/data_usage"), tokens().to_vec()),
            (format!("/{TOKEN}/v1/{TOKEN}"), tokens().to_vec()),
            (format!("/{TOKEN}/v1/data-usage"), Vec::new()),
            (format!("/{TOKEN}%20/v1/data-usage"), Vec::new()),
        ] {
            let (shown, _) = misaddressed(&path, &tokens);
            assert!(!shown.contains(&TOKEN[..8]) && shown.contains('…'), "{path}: {shown}");
        }
        let long = format!("/{}", "a/".repeat(300));
        assert!(misaddressed(&long, &[]).0.len() <= SHOWN_BYTES_MAX + 3);
    }

    #[test]
    fn who_has_no_token_is_unknown() {
        for path in ["/", "//", "", "/other", "/v1/login", "/other/v1/data_usage", "/v2/mo-sms"] {
            assert_eq!(target(path, &tokens()), Target::Unknown, "{path}");
        }
        for path in [
            "/v1/data-usage",
            "/other/v1/data-usage",
            "//other/v1/data-usage",
            "/0123456789abcdeF/v1/mo-sms/",
            "/in/front/0123456789abcdef/v1/mo-sms",
        ] {
            assert_eq!(target(path, &tokens()), Target::WrongToken, "{path}");
        }
    }

    #[test]
    fn what_scanners_ask_everywhere_is_not_like_a_push() {
        let is_like = |path: &str| match target(path, &[]) {
            Target::NoPush(it) => it.is_like_a_push,
            other => panic!("{path}: {other:?}"),
        };
        for path in ["/", "/wp-login.php", "/boaform/admin/formLogin", "/.env"] {
            assert!(!is_like(path), "{path}");
        }
        for path in ["/v1/data_usage", "/data-usage", "//v1/data-usage", "/api/v1/usage"] {
            assert!(is_like(path), "{path}");
        }
    }
}
