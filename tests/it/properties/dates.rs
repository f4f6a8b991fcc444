//! `datePush` in any form: whoever signs a second and writes it in one of the forms is believed,
//! and no form is read as another second.
use jiff::{Timestamp, tz::Offset};
use proptest::prelude::*;
use simdeck::{
    domain::Secret,
    smarthub::{
        Body,
        date_push::{self, Form},
        signature::{PushKey, Verifier, sign},
    },
};

const KEY: &str = "UzE4MDkxNDA2MTE1M";

/// A second, and a JSON value that stands for it.
#[derive(Clone, Debug)]
struct Written {
    second: i64,
    json: String,
    form: Form,
}

fn seconds() -> impl Strategy<Value = i64> {
    prop_oneof![
        date_push::SECONDS_MIN..=date_push::SECONDS_MAX,
        Just(date_push::SECONDS_MIN),
        Just(date_push::SECONDS_MAX),
        1_700_000_000..1_900_000_000_i64,
    ]
}

fn numbers() -> impl Strategy<Value = Written> {
    (seconds(), "[0-9]{9}", 0..=9_usize, 0..8_u8, any::<bool>()).prop_map(
        |(second, fraction, digits, way, quoted)| {
            let some = &fraction[..digits];
            let (text, form) = match way {
                0 => (second.to_string(), Form::Seconds),
                1 => (format!("{second}.{fraction}"), Form::Seconds),
                2 => (format!("{second}{}", &fraction[..3]), Form::Milliseconds),
                3 => (format!("{second}{}", &fraction[..6]), Form::Microseconds),
                4 => (format!("{second}{fraction}"), Form::Nanoseconds),
                5 => (format!("{second}{}.{fraction}", &fraction[..3]), Form::Milliseconds),
                way => {
                    let digits = second.to_string();
                    let power = if way == 6 { "E9" } else { "e+09" };
                    (format!("{}.{}{some}{power}", &digits[..1], &digits[1..]), Form::Seconds)
                }
            };
            let json = if quoted { format!("\"{text}\"") } else { text };
            Written { second, json, form }
        },
    )
}

fn texts() -> impl Strategy<Value = Written> {
    let zones = prop::sample::select(vec![
        "",
        "Z",
        "z",
        "UTC",
        " GMT",
        "%h",
        "%h%m",
        "%h:%m",
        " %h%m",
        "%h:%m[Asia/Shanghai]",
        "Z[UTC]",
    ]);
    let dates = prop::sample::select(vec!["%Y-%m-%dT", "%Y-%m-%d ", "%Y-%m-%dt", "%Y/%m/%d "]);
    (seconds(), -95..=95_i32, zones, dates, "([.,][0-9]{1,12})?", any::<bool>()).prop_map(
        |(second, quarters, zone, date, fraction, to_the_minute)| {
            let is_short = to_the_minute && second > date_push::SECONDS_MIN + 60;
            let second = if is_short { second - second % 60 } else { second };
            let quarters = match zone {
                zone if !zone.contains("%h") => 0,
                zone if !zone.contains("%m") => quarters / 4 * 4,
                _ => quarters,
            };
            let offset = Offset::from_seconds(quarters * 900).unwrap();
            let local = offset.to_datetime(Timestamp::from_second(second).unwrap());
            let time = if is_short { "%H:%M" } else { "%H:%M:%S" };
            let date_time = local.strftime(&format!("{date}{time}")).to_string();
            let sign = if quarters < 0 { '-' } else { '+' };
            let (hours, minutes) = (quarters.abs() / 4, quarters.abs() % 4 * 15);
            let written = zone
                .replace("%h", &format!("{sign}{hours:02}"))
                .replace("%m", &format!("{minutes:02}"));
            let fraction = if is_short { "" } else { &fraction };
            let form = if zone.is_empty() { Form::DateTimeWithoutZone } else { Form::DateTime };
            Written { second, json: format!("\"{date_time}{fraction}{written}\""), form }
        },
    )
}

fn verifies(json: &str, second: i64) -> bool {
    let body = format!(r#"{{"datePush":{json},"signature":"{}"}}"#, sign(KEY, second));
    let key = PushKey { label: None, key: Secret::from(KEY.to_owned()) };
    Body::parse(body.as_bytes()).unwrap().verify(&Verifier::new(&[key], 0)).is_ok()
}

proptest! {
    #[test]
    fn a_second_is_believed_in_every_form_and_in_none_for_another(
        written in prop_oneof![numbers(), texts()],
        other in -100_000..100_000_i64,
    ) {
        let Written { second, json, form } = written;
        let reading = date_push::read_text(json.trim_matches('"')).unwrap();
        prop_assert_eq!((reading.seconds, reading.form), (second, form), "{}", json);
        prop_assert!(verifies(&json, second), "{}", json);
        prop_assert!(other == 0 || !verifies(&json, second + other), "{}", json);
    }

    /// Whatever stands there is read as a second with ten digits or not at all, and never panics.
    #[test]
    fn no_text_is_read_as_a_second_that_cannot_be_signed(
        text in prop_oneof![".*", "[-+0-9TtZzEe:., \\[\\]/]{0,40}", "[0-9]{0,22}([.,][0-9]*)?([eE][-+]?[0-9]{0,7})?"],
    ) {
        if let Some(seconds) = date_push::parse_text(&text) {
            prop_assert!(date_push::in_range(seconds).is_some(), "{}", text);
        }
    }
}
