//! Messages that SIMs sent, one SIM's thread, and reports on messages that were sent to them.
use std::collections::BTreeMap;

use askama::Template;
use axum::{extract::RawQuery, http::StatusCode, response::Response};
use serde::Deserialize;
use serde_json::Value;

use super::{
    Frame, Here, StatusIn, Visitor,
    ask::Refused,
    call::Call,
    filters::Filters,
    format::Format,
    page_of,
    payload::{Member, members},
    routers::When,
    sims::{Link, Number, narrowed},
    turns::{PLACE, Rows},
};
use crate::domain::Timestamp;

#[derive(Template)]
#[template(path = "messages.html")]
struct MessagesPage {
    frame: Frame,
    filters: Filters,
    tabs: [(&'static str, String, bool); 2],
    list: Result<Rows<Row>, Refused>,
    is_reports: bool,
    q: String,
    /// The SIM whose thread this is.
    thread: Option<Number>,
    /// Whether not all messages are asked for.
    is_narrowed: bool,
    /// This tab without any filter.
    all: String,
    /// The parameters that a search keeps.
    kept: Vec<(&'static str, String)>,
}

struct Row {
    when: When,
    /// All of this SIM's; in its thread the SIM itself.
    address: Option<String>,
    number: Option<Number>,
    group: Option<Link>,
    from: Option<Link>,
    to: Option<Link>,
    text: Option<String>,
    members: Vec<Member>,
}

#[derive(Deserialize)]
struct MessageIn {
    giccid: Option<String>,
    sim_group: Option<String>,
    event_time: Option<i64>,
    received_at: String,
    from_msisdn: Option<String>,
    to_msisdn: Option<String>,
    text: Option<String>,
    payload: Option<BTreeMap<String, Value>>,
}

const OWN: [&str; 2] = ["tab", "q"];
/// The filters that the list of messages knows.
const KNOWN: [&str; 4] = ["giccid", "sim_group", "from_msisdn", "to_msisdn"];
/// Those of the list of reports.
const OF_REPORTS: [&str; 1] = ["giccid"];

/// `GET /messages`
pub(super) async fn show(visitor: Visitor, RawQuery(query): RawQuery) -> Response {
    let words = visitor.look.words;
    let names = [OWN.as_slice(), &PLACE].concat();
    let of = |known| Filters::among(known, "/messages", query.as_deref(), &names, words);
    let inbox = of(&KNOWN);
    let is_reports = inbox.value("tab") == Some("reports");
    let filters = if is_reports { of(&OF_REPORTS) } else { inbox };
    let (status, list) =
        tokio::join!(StatusIn::of(&visitor.api), list(&visitor, &filters, is_reports));
    let giccid = filters.value("giccid");
    let tab = |word, tab: Option<&str>| {
        let there = Call::to("/messages").with_some("tab", tab).with_some("giccid", giccid);
        (word, there.uri(), is_reports == tab.is_some())
    };
    let q = filters.value("q").filter(|_| !is_reports);
    let all = Call::to("/messages").with_some("tab", is_reports.then_some("reports"));
    let page = MessagesPage {
        frame: visitor.frame(Here::Messages, words.nav.messages, &status),
        tabs: [tab(words.messages.inbox, None), tab(words.messages.reports, Some("reports"))],
        thread: giccid.map(|giccid| Number::of(giccid.to_owned())),
        is_narrowed: filters.is_any() || q.is_some(),
        all: all.uri(),
        q: q.unwrap_or_default().to_owned(),
        kept: KNOWN
            .into_iter()
            .filter_map(|name| Some((name, filters.value(name)?.to_owned())))
            .collect(),
        list,
        is_reports,
        filters,
    };
    page_of(StatusCode::OK, &page)
}

async fn list(
    visitor: &Visitor,
    filters: &Filters,
    is_reports: bool,
) -> Result<Rows<Row>, Refused> {
    let call = match is_reports {
        true => Call::to("/v1/notifications").with("kind", "mt-sms-status"),
        false => Call::to("/v1/mo-sms").with_some("q", filters.value("q")),
    };
    let call = filters.on_list(call, &[]);
    let answer = visitor.api.get(&call).await?;
    let format = visitor.format();
    Ok(Rows::of(visitor, filters, &call, answer, |message| row(message, filters, &format)))
}

fn row(message: MessageIn, filters: &Filters, format: &Format) -> Row {
    let own = message.event_time.map(|ms| Timestamp::from_unix_ms(ms).to_string());
    let top = filters.top();
    let is_thread = filters.value("giccid").is_some();
    let address = message.giccid.as_ref().map(|giccid| match is_thread {
        true => format!("/sims/{giccid}"),
        false => top.clone().set("giccid", giccid).uri(),
    });
    Row {
        when: When::of(&own.unwrap_or(message.received_at), format),
        address,
        number: message.giccid.map(Number::of),
        group: narrowed(&top, "sim_group", message.sim_group),
        from: narrowed(&top, "from_msisdn", message.from_msisdn),
        to: narrowed(&top, "to_msisdn", message.to_msisdn),
        text: message.text,
        members: message.payload.as_ref().map(members).unwrap_or_default(),
    }
}
