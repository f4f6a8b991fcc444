//! What of a sample lasts while nothing happens: all of it but its clocks.
//!
//! The time at which it was taken says nothing of the router. For how long it and its link have been up
//! grows by itself, so that it is news only where it does not; where it cannot be read, it is like any
//! other text. Whatever else a sample holds counts, also what we do not know.
use std::collections::BTreeMap;

use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::answer::{OWN_TIMES, members, text};
use crate::domain::Lasting;

const SYSTEM: &str = "system";
const LINK: &str = "active_link";
const DATA: &str = "data";

/// Of a whole sample.
pub(super) fn lasting(whole: &RawValue) -> Lasting {
    let mut sections = Sections { digest: Sha256::new() };
    let Some(mut outer) = members(whole) else {
        sections.add("", &BTreeMap::from([(String::new(), whole)]));
        return Lasting { digest: sections.end(), ..Lasting::default() };
    };
    outer.retain(|name, _| !OWN_TIMES.contains(&name.as_str()));
    let inner = outer.get(DATA).copied().and_then(members);
    let mut inner = match inner {
        Some(inner) => {
            outer.remove(DATA);
            sections.add("", &outer);
            inner
        }
        None => outer,
    };
    let mut take = |name: &str| {
        let section = members(inner.get(name)?)?;
        inner.remove(name);
        Some(section)
    };
    let (system, link) = (take(SYSTEM), take(LINK));
    sections.add(DATA, &inner);
    let mut up_s = [None, None];
    for (nth, (name, section, uptime)) in
        [(SYSTEM, system, "uptime"), (LINK, link, "link_uptime")].into_iter().enumerate()
    {
        let Some(mut section) = section else { continue };
        if name == SYSTEM {
            section.remove("system_time");
        }
        up_s[nth] = section.get(uptime).and_then(|up| seconds(&text(up)?));
        if up_s[nth].is_some() {
            section.remove(uptime);
        }
        sections.add(name, &section);
    }
    let [up_s, link_up_s] = up_s;
    Lasting { digest: sections.end(), up_s, link_up_s }
}

/// Takes in one section after another, so that no two samples can be taken for each other.
struct Sections {
    digest: Sha256,
}

impl Sections {
    fn add(&mut self, name: &str, members: &BTreeMap<String, &RawValue>) {
        self.add_text(name);
        self.digest.update((members.len() as u64).to_le_bytes());
        for (name, value) in members {
            self.add_text(name);
            self.add_text(value.get());
        }
    }

    fn add_text(&mut self, text: &str) {
        self.digest.update((text.len() as u64).to_le_bytes());
        self.digest.update(text.as_bytes());
    }

    fn end(self) -> i64 {
        let digest = self.digest.finalize();
        let (first, _) = digest.split_first_chunk().unwrap_or((&[0; 8], &[]));
        i64::from_le_bytes(*first)
    }
}

/// A span in its usual forms: `273906`, `3 days, 04:05:06`, `3d 4h 5m 6s`. One that has not begun, such
/// as `0` where a link is down, does not run.
fn seconds(text: &str) -> Option<i64> {
    const DIGITS_MAX: usize = 10;
    let is_number = |text: &str| {
        (1..=DIGITS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let number = |text: &str| is_number(text).then(|| text.parse::<i64>().ok()).flatten();
    let mut tokens = text.split([' ', ',']).filter(|token| !token.is_empty()).peekable();
    let (mut sum, mut is_alone) = (0_i64, true);
    while let Some(token) = tokens.next() {
        let parts: Vec<_> = token.split(':').collect();
        let span = match parts[..] {
            [hours, minutes, seconds] => {
                number(hours)? * 3_600 + number(minutes)? * 60 + number(seconds)?
            }
            [token] => {
                let digits = token.bytes().take_while(u8::is_ascii_digit).count();
                let (count, unit) = token.split_at_checked(digits)?;
                let unit = match (unit, tokens.peek()) {
                    ("", None) if is_alone => "s",
                    ("", Some(_)) => tokens.next()?,
                    (unit, _) => unit,
                };
                number(count)?.checked_mul(unit_s(unit)?)?
            }
            _ => return None,
        };
        sum = sum.checked_add(span)?;
        is_alone = false;
    }
    Some(sum).filter(|sum| *sum > 0)
}

fn unit_s(unit: &str) -> Option<i64> {
    match unit.to_ascii_lowercase().as_str() {
        "d" | "day" | "days" => Some(86_400),
        "h" | "hour" | "hours" => Some(3_600),
        "m" | "min" | "minute" | "minutes" => Some(60),
        "s" | "sec" | "second" | "seconds" => Some(1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> Lasting {
        serde_json::from_str(json).map(lasting).unwrap_or_default()
    }

    #[test]
    fn a_span_is_read_in_its_usual_forms_and_in_no_other() {
        for (text, expected) in [
            ("273906", Some(273_906)),
            ("3 days, 04:05:06", Some(273_906)),
            ("1 day, 02:03:04", Some(93_784)),
            ("04:05:06", Some(14_706)),
            ("3d 4h 5m 6s", Some(273_906)),
            ("3 days 4 hours 5 minutes 6 seconds", Some(273_906)),
            ("0", None),
            ("", None),
            ("00:00:00", None),
            ("1760000000000", None),
            ("a while", None),
            ("3 4", None),
            ("3 days 4", None),
            ("-5", None),
            ("1:2", None),
            ("d", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }

    #[test]
    fn clocks_do_not_count_and_all_else_does() {
        let whole = |time: &str, up: &str, ip: &str, rest: &str| {
            of(&format!(
                r#"{{"time":{time},"data":{{"system":{{"system_time":"{time}","uptime":"{up}"}},"active_link":{{"ip":"{ip}","link_uptime":7}}{rest}}}}}"#
            ))
        };
        let one = whole("1", "5", "10.0.0.1", "");
        assert_eq!((one.up_s, one.link_up_s), (Some(5), Some(7)));
        let other = whole("2", "00:00:09", "10.0.0.1", "");
        assert_eq!((one.digest, other.up_s), (other.digest, Some(9)));
        for other in [
            whole("1", "5", "10.0.0.2", ""),
            whole("1", "0", "10.0.0.1", ""),
            whole("1", "5", "10.0.0.1", r#","signal":-71"#),
            of(r#"{"data":{"system":{}}}"#),
            of("[]"),
            of("7"),
        ] {
            assert_ne!(one.digest, other.digest, "{other:?}");
        }
        // Whether or not they stand under `data`.
        assert_eq!(
            of(r#"{"system":{"system_time":1,"a":2},"time":3}"#),
            of(r#"{"system":{"system_time":9,"a":2},"timestamp":8}"#)
        );
    }
}
