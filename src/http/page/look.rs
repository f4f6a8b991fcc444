//! How a browser wants the page: its language, its colours, and whether keys act.
use std::convert::Infallible;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};

use super::words::{EN, Words, ZH};
use crate::http::cookie;

/// The cookies that a browser keeps of it. They are no secret.
pub(super) const LANGUAGE: &str = "simdeck_lang";
/// `light` or `dark`; without it the browser's own.
pub(super) const THEME: &str = "simdeck_theme";
/// `off` where letters shall not act.
pub(super) const KEYS: &str = "simdeck_keys";

/// What one browser wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// All that the page says.
    pub(super) words: &'static Words,
    /// A choice of colours; without one the browser's own.
    pub(super) theme: Option<Theme>,
    /// Whether letters act.
    pub(super) has_keys: bool,
}

/// A choice of colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Theme {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

impl Theme {
    /// The word in cookie and document.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

impl Look {
    /// As cookies say, and where they do not, as the browser's languages do.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let words = match cookie::value(headers, LANGUAGE) {
            Some("zh") => &ZH,
            Some("en") => &EN,
            _ if is_chinese_first(headers) => &ZH,
            _ => &EN,
        };
        let theme = match cookie::value(headers, THEME) {
            Some("light") => Some(Theme::Light),
            Some("dark") => Some(Theme::Dark),
            _ => None,
        };
        Self { words, theme, has_keys: cookie::value(headers, KEYS) != Some("off") }
    }
}

impl<S: Sync> FromRequestParts<S> for Look {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers))
    }
}

/// Browsers name their languages in order, the dearest first.
fn is_chinese_first(headers: &HeaderMap) -> bool {
    let sent = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    let mut names = sent.unwrap_or_default().split(',').map(|name| name.trim().get(..2));
    names.find(|name| matches!(name, Some("en" | "zh"))) == Some(Some("zh"))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn language(sent: &[(header::HeaderName, &'static str)]) -> &'static str {
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.insert(name.clone(), HeaderValue::from_static(value));
        }
        Look::of(&headers).words.tag
    }

    #[test]
    fn the_cookie_comes_before_what_the_browser_speaks() {
        assert_eq!(language(&[]), "en");
        assert_eq!(language(&[(header::ACCEPT_LANGUAGE, "zh-CN,zh;q=0.9,en;q=0.8")]), "zh");
        assert_eq!(language(&[(header::ACCEPT_LANGUAGE, "de,en;q=0.8,zh;q=0.1")]), "en");
        let both = [(header::ACCEPT_LANGUAGE, "zh"), (header::COOKIE, "simdeck_lang=en")];
        assert_eq!(language(&both), "en");
    }
}
