//! What the audit is asked by.
use super::{
    Param, Route, Shape,
    table::{SHOWN, any_of, when},
    values::{short, time_ms},
};
use crate::domain::{AuditAction, AuditOutcome};

const AUDITED: &[Param] = &[
    any_of(
        "action",
        Shape::OneOf(|| AuditAction::ALL.map(AuditAction::as_str).to_vec()),
        "What was done.",
        |ask, text| {
            ask.audit.action.push(text.parse().map_err(|_| "an action")?);
            Ok(())
        },
    ),
    any_of(
        "who",
        Shape::Short("admin"),
        "Labels of API keys; `admin` for the admin key.",
        |ask, text| short(text).map(|it| ask.audit.who.push(it)),
    ),
    any_of("source", Shape::Short("192.0.2.1"), "Addresses that it came from.", |ask, text| {
        short(text).map(|it| ask.audit.source.push(it))
    }),
    any_of(
        "outcome",
        Shape::OneOf(|| AuditOutcome::ALL.map(AuditOutcome::as_str).to_vec()),
        "How it ended.",
        |ask, text| {
            ask.audit.outcome.push(text.parse().map_err(|_| "an outcome")?);
            Ok(())
        },
    ),
    when("from", Shape::Time, "At this time or later.", |ask, text| {
        time_ms(text).map(|it| ask.audit.from_ms = Some(it))
    }),
    when("to", Shape::Time, "Before this time.", |ask, text| {
        time_ms(text).map(|it| ask.audit.to_ms = Some(it))
    }),
];

/// `GET /v1/audit`
pub(in crate::http::api) const AUDIT: Route =
    Route { resource: "audit", params: &[AUDITED, SHOWN] };
