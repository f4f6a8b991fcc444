//! The one cookie: the word of a browser's session.
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};

/// Its name.
const NAME: &str = "simdeck_session";
/// Its name over HTTPS. A browser takes a cookie of such a name only from this very host over HTTPS, so
/// that no other host of the domain can put one of its own in our place.
const NAME_OF_HTTPS: &str = "__Host-simdeck_session";

/// How long a session lasts.
pub(super) const SESSION_TIME: Duration = Duration::from_secs(12 * 60 * 60);

/// The word in the cookie that a browser sent.
pub(super) fn word(headers: &HeaderMap, is_https: bool) -> Option<&str> {
    value(headers, name(is_https))
}

fn name(is_https: bool) -> &'static str {
    if is_https { NAME_OF_HTTPS } else { NAME }
}

/// The value of the cookie of this name; the first, if there are more.
pub(super) fn value<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    pairs.find(|(it, _)| it.trim() == name).map(|(_, value)| value.trim())
}

/// Hands the word to a browser, which gives it to no script and to no other site.
pub(super) fn begin(word: &str, is_https: bool) -> Option<HeaderValue> {
    set(word, SESSION_TIME, is_https)
}

/// Has a browser forget the word.
pub(super) fn end(is_https: bool) -> Option<HeaderValue> {
    set("", Duration::ZERO, is_https)
}

fn set(word: &str, time: Duration, is_https: bool) -> Option<HeaderValue> {
    let secure = if is_https { "; Secure" } else { "" };
    let (name, seconds) = (name(is_https), time.as_secs());
    let cookie =
        format!("{name}={word}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::from_str(&cookie).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(lines: &[&'static str]) -> HeaderMap {
        let cookie = |line| (header::COOKIE, HeaderValue::from_static(line));
        lines.iter().copied().map(cookie).collect()
    }

    #[test]
    fn the_word_is_found_among_the_cookies_of_others() {
        let word = |lines: &[&'static str]| word(&sent(lines), false).map(str::to_owned);
        assert_eq!(word(&["a=b; simdeck_session=w0rd; c=d"]).as_deref(), Some("w0rd"));
        assert_eq!(word(&["a=b", "simdeck_session=w0rd"]).as_deref(), Some("w0rd"));
        assert_eq!(word(&["xsimdeck_session=w0rd"]), None);
        assert_eq!(word(&["simdeck_session"]), None);
        assert_eq!(word(&[]), None);
    }

    #[test]
    fn over_https_only_the_cookie_that_no_other_host_can_set_counts() {
        let both = sent(&["simdeck_session=theirs; __Host-simdeck_session=ours"]);
        assert_eq!(word(&both, true), Some("ours"));
        assert_eq!(word(&sent(&["simdeck_session=theirs"]), true), None);
    }

    #[test]
    fn a_browser_gives_the_word_to_nobody_else() {
        let told =
            |value: Option<HeaderValue>| value.and_then(|it| it.to_str().ok().map(str::to_owned));
        let begun =
            "__Host-simdeck_session=w0rd; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict; Secure";
        assert_eq!(told(begin("w0rd", true)).as_deref(), Some(begun));
        let ended = "simdeck_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict";
        assert_eq!(told(end(false)).as_deref(), Some(ended));
    }
}
