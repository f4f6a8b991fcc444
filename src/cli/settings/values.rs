//! How the text of a value is read. Each error says what the value must be, for a sentence that
//! goes "… must be {error}".
use std::{
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use ipnet::IpNet;
use jiff::tz::TimeZone;
use reqwest::Url;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

use super::words::Words;
use crate::http::{Origin, UnitBase};

const DAY_S: u64 = 86_400;
/// Ten years: longer than any of our spans is meant to be, short enough for all arithmetic.
const DURATION_S_MAX: u64 = 3_650 * DAY_S;

pub(super) fn data_dir(text: &str) -> Result<PathBuf, String> {
    match text {
        "" => Err("a folder".to_owned()),
        path => Ok(path.into()),
    }
}

pub(super) fn file(text: &str) -> Result<PathBuf, String> {
    match text {
        "" => Err("a file".to_owned()),
        path => Ok(path.into()),
    }
}

/// The file behind `sqlite://…`.
pub(super) fn database(text: &str) -> Result<PathBuf, String> {
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        return Err("sqlite://PATH: this version does not work with PostgreSQL yet".to_owned());
    }
    match text.strip_prefix("sqlite://") {
        Some(path) if !path.is_empty() && !path.contains(['?', '#']) && path != ":memory:" => {
            Ok(path.into())
        }
        _ => Err("sqlite:// and the path of a file, such as sqlite://data/simdeck.db".to_owned()),
    }
}

pub(super) fn unit_base(text: &str) -> Result<UnitBase, String> {
    match text {
        "1024" => Ok(UnitBase::Binary),
        "1000" => Ok(UnitBase::Decimal),
        _ => Err("1024 or 1000".to_owned()),
    }
}

pub(super) fn time_zone(text: &str) -> Result<TimeZone, String> {
    TimeZone::get(text)
        .map_err(|_| "the name of a time zone such as UTC or Asia/Shanghai".to_owned())
}

/// A word alone is a level or a part of simdeck: `inof` would be the name of a part that nobody has, and
/// there would be no log at all.
pub(super) fn log_filter(text: &str) -> Result<String, String> {
    let is_known = |part: &str| {
        let part = part.trim();
        part.contains(['=', '['])
            || part.starts_with("simdeck")
            || part.parse::<LevelFilter>().is_ok()
    };
    match EnvFilter::try_new(text) {
        Ok(_) if !text.is_empty() && text.split(',').all(is_known) => Ok(text.to_owned()),
        _ => Err("a log filter such as info or info,simdeck=debug".to_owned()),
    }
}

pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "an IP address and a port such as 127.0.0.1:8080".to_owned())
}

/// A network such as `10.0.0.0/8`; a plain address is a network of one.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    let network = text.parse::<IpNet>().map(|network| network.trunc());
    network
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| "networks such as 10.0.0.0/8, or IP addresses".to_owned())
}

/// The name of a host, without scheme and port.
pub(super) fn host_name(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let is_name = (1..=253).contains(&text.len()) && text.bytes().all(is_plain);
    is_name
        .then(|| text.to_ascii_lowercase())
        .ok_or_else(|| "names such as simdeck.example.net, without scheme and port".to_owned())
}

/// An address without a slash at its end, so that a path can follow.
pub(super) fn url(text: &str) -> Result<String, String> {
    let wanted = || "an http:// or https:// address without a query".to_owned();
    let url: Url = text.parse().map_err(|_| wanted())?;
    let plain = url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    match url.scheme() {
        "http" | "https" if plain => Ok(url.as_str().trim_end_matches('/').to_owned()),
        _ => Err(wanted()),
    }
}

/// An address to post to, whatever it consists of.
pub(super) fn hook(text: &str) -> Result<String, String> {
    let url: Option<Url> = text.parse().ok();
    match url {
        Some(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
            Ok(text.to_owned())
        }
        _ => Err("an http:// or https:// address".to_owned()),
    }
}

pub(super) fn token(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if (16..=128).contains(&text.len()) && text.bytes().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err("16 to 128 characters long, with nothing but letters, digits, - and _".to_owned())
    }
}

/// A key that travels in a header.
pub(super) fn header_text(text: &str) -> Result<String, String> {
    match text.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(text.to_owned()),
        false => Err("of visible ASCII characters without blanks".to_owned()),
    }
}

/// The name of a JSON field.
pub(super) fn name(text: &str) -> Result<String, String> {
    match text.len() {
        1..=256 => Ok(text.to_owned()),
        _ => Err("a field's name of 1 to 256 bytes".to_owned()),
    }
}

/// A whole number within bounds, of the type that the setting has.
pub(super) fn whole<T: TryFrom<i64>>(text: &str, min: i64, max: i64) -> Result<T, String> {
    let number = text.parse().ok().filter(|number| (min..=max).contains(number));
    number
        .and_then(|number: i64| T::try_from(number).ok())
        .ok_or_else(|| format!("a whole number from {min} to {max}"))
}

pub(super) fn origin(text: &str) -> Result<Origin, String> {
    text.parse().map_err(|_| "origins such as https://ops.example.com, without a path".to_owned())
}

/// A number of bytes, such as `4194304` or `4MiB`, within bounds.
pub(super) fn size<T: TryFrom<u64>>(text: &str, min: u64, max: u64) -> Result<T, String> {
    let bytes = bytes_of(text).filter(|bytes| (min..=max).contains(bytes));
    bytes.and_then(|bytes| T::try_from(bytes).ok()).ok_or_else(|| {
        format!("a size from {} to {}, such as 4194304 or 4MiB", size_text(min), size_text(max))
    })
}

fn bytes_of(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

fn size_text(bytes: u64) -> String {
    let units = [("TiB", 1_u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let fits = |(_, factor): &(&str, u64)| bytes >= *factor && bytes.is_multiple_of(*factor);
    match units.into_iter().find(fits) {
        Some((unit, factor)) => format!("{}{unit}", bytes / factor),
        None => bytes.to_string(),
    }
}

/// A span such as `7d`, `5m` or `1h30m`.
pub(in crate::cli) fn duration(text: &str) -> Result<Duration, String> {
    seconds_of(text)
        .filter(|seconds| (1..=DURATION_S_MAX).contains(seconds))
        .map(Duration::from_secs)
        .ok_or_else(|| "a span from 1s to 3650d, such as 7d, 5m or 1h30m".to_owned())
}

/// How often something is done; `off` is never.
pub(super) fn every(text: &str) -> Result<Option<Duration>, String> {
    match text {
        "off" => Ok(None),
        span => duration(span).map(Some).map_err(|span| format!("off or {span}")),
    }
}

/// A span such as `30s` or `5m` within bounds.
pub(super) fn duration_within(
    text: &str,
    bounds: &RangeInclusive<Duration>,
) -> Result<Duration, String> {
    duration(text).ok().filter(|span| bounds.contains(span)).ok_or_else(|| {
        let (min, max) = (bounds.start().as_secs(), bounds.end().as_secs());
        format!("a span from {min}s to {max}s, such as 30s or 5m")
    })
}

fn seconds_of(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.bytes().take_while(u8::is_ascii_digit).count());
        let mut letters = after.chars();
        let unit = match letters.next()? {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => DAY_S,
            'w' => 7 * DAY_S,
            _ => return None,
        };
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(unit)?)?;
        rest = letters.as_str();
    }
    Some(total)
}

/// What a layer below reads by itself.
pub(super) fn parsed<T: FromStr>(text: &str, wanted: &str) -> Result<T, String> {
    text.parse().map_err(|_| wanted.to_owned())
}

/// One of a closed set of words.
pub(super) fn word<T: Words>(text: &str) -> Result<T, String> {
    T::WORDS.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning).ok_or_else(|| {
        let words: Vec<&str> = T::WORDS.iter().map(|(word, _)| *word).collect();
        words.join(" or ")
    })
}
