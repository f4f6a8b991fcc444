//! Who changed what or took it away, and who came in; for admins.
use askama::Template;
use axum::{extract::RawQuery, http::StatusCode, response::Response};
use jiff::civil::DateTime;
use serde::Deserialize;

use super::{
    Frame, Here, StatusIn, Visitor,
    ask::Refused,
    call::Call,
    failed,
    filters::Filters,
    format::Format,
    page_of,
    routers::When,
    turns::{PLACE, Rows},
    words::Words,
};
use crate::domain::{AuditAction, AuditOutcome};

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    frame: Frame,
    filters: Filters,
    list: Result<Rows<Row>, Refused>,
    /// The word in the API, the one on the page, and whether it is chosen.
    actions: Vec<(&'static str, &'static str, bool)>,
    outcomes: Vec<(&'static str, &'static str, bool)>,
    who: String,
    source: String,
    /// As the browser's fields for a day and a time of the reader's zone have them.
    from: String,
    to: String,
    /// In which zone times are told.
    zone: String,
}

struct Row {
    when: When,
    who: Option<String>,
    source: String,
    /// The word in the API.
    action: String,
    /// The one on the page.
    told: String,
    subject: Subject,
    outcome: String,
    /// The class of the outcome's chip.
    class: &'static str,
    details: String,
    /// How often, where it was more than once.
    times: Option<String>,
}

/// On what something was done.
struct Subject {
    shown: String,
    /// All of it, where it is too long to be shown.
    whole: Option<String>,
}

#[derive(Deserialize)]
struct RowIn {
    at: String,
    who: Option<String>,
    source: Option<String>,
    action: String,
    subject: String,
    outcome: String,
    details: String,
    count: i64,
}

/// The filters that the list knows.
const KNOWN: [&str; 6] = ["action", "who", "source", "outcome", "from", "to"];
/// Those of them that are times.
const TIMES: [&str; 2] = ["from", "to"];

/// `GET /audit`
pub(super) async fn show(visitor: Visitor, RawQuery(query): RawQuery) -> Response {
    let words = visitor.look.words;
    let filters = Filters::among(&KNOWN, "/audit", query.as_deref(), &PLACE, words);
    let (status, list) = tokio::join!(StatusIn::of(&visitor.api), list(&visitor, &filters));
    if let Err(refused) = &list
        && refused.status == StatusCode::FORBIDDEN
    {
        return failed(&visitor, refused);
    }
    let value = |name| filters.value(name).unwrap_or_default().to_owned();
    let (chosen_action, chosen_outcome) = (value("action"), value("outcome"));
    let action = |action: AuditAction| {
        let word = action.as_str();
        (word, (words.audit.actions)(action), word == chosen_action)
    };
    let outcome = |outcome: AuditOutcome| {
        let word = outcome.as_str();
        (word, (words.audit.outcomes)(outcome), word == chosen_outcome)
    };
    let page = AuditPage {
        frame: visitor.frame(Here::Audit, words.nav.audit, &status),
        actions: AuditAction::ALL.into_iter().map(action).collect(),
        outcomes: AuditOutcome::ALL.into_iter().map(outcome).collect(),
        from: value("from"),
        to: value("to"),
        zone: (words.overview.times_in)(visitor.format().zone_name()),
        who: value("who"),
        source: value("source"),
        list,
        filters,
    };
    page_of(StatusCode::OK, &page)
}

async fn list(visitor: &Visitor, filters: &Filters) -> Result<Rows<Row>, Refused> {
    let format = visitor.format();
    let call = filters.on_list(Call::to("/v1/audit"), &[]);
    let call = TIMES.into_iter().fold(call, |call, name| match filters.value(name) {
        Some(time) => call.set(name, time_of(time, &format)),
        None => call,
    });
    let answer = visitor.api.get(&call).await?;
    Ok(Rows::of(visitor, filters, &call, answer, |row| Row::of(row, &format)))
}

impl Row {
    fn of(row: RowIn, format: &Format) -> Self {
        let words = format.words;
        let outcome = AuditOutcome::ALL.into_iter().find(|it| it.as_str() == row.outcome);
        let class = match outcome {
            Some(AuditOutcome::Done) => "plain",
            Some(AuditOutcome::Begun) | None => "",
            Some(AuditOutcome::Failed | AuditOutcome::Refused) => "alarm",
        };
        let again = u64::try_from(row.count).unwrap_or_default();
        Self {
            when: When::full(&row.at, format),
            who: row.who.map(|who| (words.audit.said)(&who)),
            source: row.source.unwrap_or_default(),
            told: told(&row.action, words),
            action: row.action,
            subject: Subject::of((words.audit.said)(&row.subject)),
            outcome: outcome.map_or(row.outcome, |it| (words.audit.outcomes)(it).to_owned()),
            class,
            details: (words.audit.said)(&row.details),
            times: (again > 1).then(|| (words.audit.times)(&format.number(again))),
        }
    }
}

impl Subject {
    /// The MAC of an erased number fills a line and says nothing to a person.
    fn of(subject: String) -> Self {
        const SHOWN: usize = 8;
        let is_mac = subject.len() == 64 && subject.bytes().all(|it| it.is_ascii_hexdigit());
        match subject.get(..SHOWN) {
            Some(head) if is_mac => Self { shown: format!("{head}…"), whole: Some(subject) },
            _ => Self { shown: subject, whole: None },
        }
    }
}

/// A day and a time in the reader's zone as the API takes it. What is none is left for the API to
/// refuse.
fn time_of(text: &str, format: &Format) -> String {
    let is_moment = text.parse::<jiff::Timestamp>().is_ok();
    let there = text.parse::<DateTime>().ok().filter(|_| !is_moment);
    let at = there.and_then(|there| there.to_zoned(format.zone.clone()).ok());
    at.map_or_else(|| text.to_owned(), |at| at.timestamp().to_string())
}

/// An action in words; one that only a newer version knows as it stands there.
fn told(action: &str, words: &Words) -> String {
    let known: Option<AuditAction> = action.parse().ok();
    known.map_or(action, |known| (words.audit.actions)(known)).to_owned()
}
