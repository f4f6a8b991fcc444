//! Into which sums records are added up.
use super::{
    Param, Shape,
    table::{COUNT, EXCEL, FORMAT, RAW, any_of, one},
    values::{GROUPS_SHOWN_MAX, INTERVALS, flag, interval, short, top},
};
use crate::domain::GroupBy;

/// How many things one sum may be grouped by.
pub(super) const GROUPS_MAX: usize = 2;

/// By which time, how many of them, and how they are shown.
pub(super) const SUMS: &[Param] = &[
    one(
        "interval",
        Shape::OneOf(|| INTERVALS.map(|(word, _)| word).to_vec()),
        "By which time: `1M` is a month, `1w` begins on Monday, `none` (if not given) is all of it.",
        |ask, text| interval(text).map(|it| ask.sums.interval = it),
    ),
    one(
        "tz",
        Shape::Short("Asia/Shanghai"),
        "The zone whose clock the intervals go by; the server's if not given.",
        |ask, text| short(text).map(|it| ask.sums.tz = Some(it)),
    ),
    one(
        "top",
        Shape::Number { min: 1, max: GROUPS_SHOWN_MAX, example: 10 },
        "So many groups, the largest, stand for themselves; the others are one row more.",
        |ask, text| top(text).map(|it| ask.sums.top = Some(it)),
    ),
    one(
        "usual",
        Shape::Flag,
        "Beside each sum what it usually is: the same time of the week in the four weeks before.",
        |ask, text| flag(text).map(|it| ask.sums.has_usual = it),
    ),
    FORMAT,
    RAW,
    EXCEL,
    COUNT,
];

pub(super) const USAGE_GROUPS: &[Param] = &[any_of(
    "group_by",
    Shape::UpTo(GROUPS_MAX, || vec!["giccid", "sim_group", "country_code", "network", "apn"]),
    "By what else, one or two of these.",
    |ask, text| {
        let group_by = match text {
            "giccid" => GroupBy::Giccid,
            "sim_group" => GroupBy::SimGroup,
            "country_code" => GroupBy::CountryCode,
            "network" => GroupBy::Network,
            "apn" => GroupBy::Apn,
            _ => return Err("up to two of giccid, sim_group, country_code, network, apn"),
        };
        ask.sums.group_by(group_by)
    },
)];

pub(super) const SMS_GROUPS: &[Param] = &[any_of(
    "group_by",
    Shape::UpTo(GROUPS_MAX, || vec!["giccid", "sim_group"]),
    "By what else, one or both of these.",
    |ask, text| {
        let group_by = match text {
            "giccid" => GroupBy::Giccid,
            "sim_group" => GroupBy::SimGroup,
            _ => return Err("giccid, sim_group or both"),
        };
        ask.sums.group_by(group_by)
    },
)];
