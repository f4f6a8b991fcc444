//! In which time zone times are told to a reader: the one that was chosen, else that of the browser,
//! else the server's. It is apart from the zone by whose days the store keeps its sums.
use axum::http::HeaderMap;
use jiff::tz::TimeZone;

use crate::http::cookie;

/// The cookie with the choice of the reader.
pub(super) const CHOICE: &str = "simdeck_zone";
/// The cookie with the browser's zone, which only the script can tell.
const BROWSER: &str = "simdeck_browser_zone";

/// The words in the cookie that are no zone.
const OF_BROWSER: &str = "browser";
const OF_SERVER: &str = "server";

/// What can be chosen beside these: a zone for each offset that many people live by.
const COMMON: [&str; 31] = [
    "UTC",
    "Pacific/Honolulu",
    "America/Anchorage",
    "America/Los_Angeles",
    "America/Denver",
    "America/Chicago",
    "America/New_York",
    "America/Halifax",
    "America/Sao_Paulo",
    "Atlantic/Azores",
    "Europe/London",
    "Africa/Lagos",
    "Europe/Berlin",
    "Africa/Johannesburg",
    "Europe/Athens",
    "Africa/Nairobi",
    "Europe/Istanbul",
    "Asia/Riyadh",
    "Asia/Tehran",
    "Asia/Dubai",
    "Asia/Karachi",
    "Asia/Kolkata",
    "Asia/Dhaka",
    "Asia/Bangkok",
    "Asia/Jakarta",
    "Asia/Shanghai",
    "Asia/Singapore",
    "Asia/Tokyo",
    "Australia/Adelaide",
    "Australia/Sydney",
    "Pacific/Auckland",
];

/// The zone of one reader.
#[derive(Clone, Debug)]
pub(super) struct ReaderZone {
    /// In it times are told.
    pub(super) zone: TimeZone,
    browser: Option<TimeZone>,
    server: TimeZone,
    choice: String,
}

/// One line of the list to choose from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ZoneOption {
    /// What is sent.
    pub(super) value: String,
    /// Which zone it is.
    pub(super) name: String,
    /// What it says before the name.
    pub(super) whose: &'static str,
    pub(super) is_chosen: bool,
}

impl ReaderZone {
    pub(super) fn of(headers: &HeaderMap, server: TimeZone) -> Self {
        let browser = cookie::value(headers, BROWSER).and_then(named);
        let choice = cookie::value(headers, CHOICE).filter(|choice| is_choice(choice));
        let choice = choice.unwrap_or(OF_BROWSER).to_owned();
        let zone = match choice.as_str() {
            OF_SERVER => None,
            OF_BROWSER => browser.clone(),
            name => named(name),
        };
        Self { zone: zone.unwrap_or_else(|| server.clone()), browser, server, choice }
    }

    /// Whether it follows the browser.
    pub(super) fn is_of_browser(&self) -> bool {
        self.choice == OF_BROWSER
    }

    /// What can be chosen; `of_browser` and `of_server` say whose zone a line is.
    pub(super) fn options(
        &self,
        of_browser: &'static str,
        of_server: &'static str,
    ) -> Vec<ZoneOption> {
        let option = |value: &str, name: &str, whose| ZoneOption {
            value: value.to_owned(),
            name: name.to_owned(),
            whose,
            is_chosen: value == self.choice,
        };
        let browser = self.browser.as_ref().map_or("", name_of);
        let mut options = vec![
            option(OF_BROWSER, browser, of_browser),
            option(OF_SERVER, name_of(&self.server), of_server),
        ];
        options.extend(COMMON.iter().map(|name| option(name, name, "")));
        if !options.iter().any(|option| option.is_chosen) {
            options.push(option(&self.choice, &self.choice, ""));
        }
        options
    }
}

/// Whether a browser may be told to remember it.
pub(super) fn is_choice(text: &str) -> bool {
    matches!(text, OF_BROWSER | OF_SERVER) || named(text).is_some()
}

/// The name of a zone, as the API takes it.
pub(super) fn name_of(zone: &TimeZone) -> &str {
    zone.iana_name().unwrap_or("UTC")
}

fn named(name: &str) -> Option<TimeZone> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-/".contains(&byte);
    if name.len() > 64 || !name.bytes().all(is_plain) {
        return None;
    }
    TimeZone::get(name).ok().filter(|zone| zone.iana_name().is_some())
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, header};

    use super::*;

    fn zone(cookies: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::COOKIE,
            HeaderValue::from_str(cookies).unwrap_or_else(|_| HeaderValue::from_static("")),
        );
        let server = TimeZone::get("Asia/Tokyo").unwrap_or(TimeZone::UTC);
        name_of(&ReaderZone::of(&headers, server).zone).to_owned()
    }

    #[test]
    fn the_choice_comes_before_the_browser_and_the_browser_before_the_server() {
        for (cookies, wanted) in [
            ("", "Asia/Tokyo"),
            ("simdeck_browser_zone=Europe/Berlin", "Europe/Berlin"),
            ("simdeck_browser_zone=Nowhere/Land", "Asia/Tokyo"),
            ("simdeck_browser_zone=../../etc/localtime", "Asia/Tokyo"),
            ("simdeck_zone=server; simdeck_browser_zone=Europe/Berlin", "Asia/Tokyo"),
            ("simdeck_zone=browser; simdeck_browser_zone=Europe/Berlin", "Europe/Berlin"),
            ("simdeck_zone=Asia/Shanghai; simdeck_browser_zone=Europe/Berlin", "Asia/Shanghai"),
            ("simdeck_zone=Moon/Base; simdeck_browser_zone=Europe/Berlin", "Europe/Berlin"),
        ] {
            assert_eq!(zone(cookies), wanted, "{cookies}");
        }
    }

    #[test]
    fn every_zone_in_the_list_is_known() {
        assert!(COMMON.iter().all(|name| named(name).is_some()));
    }
}
