//! Which SIMs, and in which order.
use super::{
    Param, Shape,
    table::{any_of, repeated, when},
    values::{SORTS, short, sort, span, words},
};

pub(super) const SIM_FILTER: &[Param] = &[
    any_of(
        "sim_group",
        Shape::Short("groupA"),
        "Your groups, as the last usage record has them.",
        |ask, text| short(text).map(|it| ask.sims.sim_group.push(it)),
    ),
    any_of("country_code", Shape::Short("CN"), "Visited countries of it.", |ask, text| {
        short(text).map(|it| ask.sims.country_code.push(it))
    }),
    any_of(
        "mcc",
        Shape::Short("460"),
        "Visited networks of it, the country's part.",
        |ask, text| short(text).map(|it| ask.sims.mcc.push(it)),
    ),
    any_of("mnc", Shape::Short("10"), "Visited networks of it, their own part.", |ask, text| {
        short(text).map(|it| ask.sims.mnc.push(it))
    }),
    any_of("apn", Shape::Short("apn1"), "Access point names of it.", |ask, text| {
        short(text).map(|it| ask.sims.apn.push(it))
    }),
    any_of("name", Shape::Short("Roof 7"), "Names that people gave.", |ask, text| {
        short(text).map(|it| ask.sims.name.push(it))
    }),
    any_of(
        "device_sn",
        Shape::Short("24031300770021"),
        "Routers that SIMs sit in, whatever the case of letters.",
        |ask, text| short(text).map(|it| ask.sims.device_sn.push(it)),
    ),
    when(
        "silent_for",
        Shape::Span,
        "Only SIMs whose last record is older than this.",
        |ask, text| span(text).map(|it| ask.sims.silent_for = Some(it)),
    ),
    repeated("q", Shape::Words("89445015"), "Parts of a giccid or a name.", |ask, text| {
        words(text).map(|it| ask.sims.q.push(it))
    }),
    when(
        "sort",
        Shape::OneOf(|| SORTS.map(|(word, _)| word).to_vec()),
        "Those first that were first heard of last (if not given), that sent last, or that used most \
         this month.",
        |ask, text| sort(text).map(|it| ask.sort = it),
    ),
];

pub(super) const ZONE: &[Param] = &[when(
    "tz",
    Shape::Short("Asia/Shanghai"),
    "The zone whose day and month are meant; the server's if not given.",
    |ask, text| short(text).map(|it| ask.tz = Some(it)),
)];
