//! One router: what it is, when it was there, what it told of itself, and which SIMs sit in it.
use askama::Template;
use axum::{
    Form,
    extract::{Path, RawQuery, rejection::PathRejection},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{json, value::RawValue};

use super::{
    Frame, Here, Source, StatusIn, Visitor,
    ask::{Answer, Refused},
    beats::{self, Beats, Span, changes_of},
    call::Call,
    filters::Filters,
    format::Format,
    page_of, place_of,
    routers::{DeviceIn, State, When},
    turns::{PLACE, Pages},
    words::Words,
};
use crate::domain::SerialNumber;

#[derive(Template)]
#[template(path = "router.html")]
struct RouterPage {
    frame: Frame,
    device: DeviceIn,
    state: State,
    /// Of its newest sample: when, and what that is.
    sampled: Option<(When, &'static str)>,
    beats: Result<(Beats, Source), Refused>,
    /// How far back the bars go.
    hours: String,
    history: Result<History, Refused>,
    /// A link for each kind of entry, and whether it is the one that is shown.
    kinds: Vec<(&'static str, String, bool)>,
    sims: Result<Sims, Refused>,
    /// Whether it was moved a moment ago.
    is_moved: bool,
    /// Why it was not moved.
    refused: Option<Refused>,
}

/// A page that shows none.
#[derive(Template)]
#[template(path = "no_router.html")]
struct NoRouter {
    frame: Frame,
    /// Why, where there may be one.
    refused: Option<Refused>,
}

struct History {
    entries: Vec<Entry>,
    pages: Pages,
    source: Source,
}

struct Entry {
    at: When,
    /// Class and word of a new state.
    state: Option<State>,
    /// What it told, as JSON, as far as it is shown.
    sample: Option<String>,
    is_cut: bool,
    /// When it last told the same.
    until: Option<When>,
}

struct Sims {
    rows: Vec<SimRow>,
    told: String,
    source: Source,
}

struct SimRow {
    giccid: String,
    name: Option<String>,
    group: Option<String>,
    last_seen: Option<When>,
    used: String,
    used_exactly: String,
}

#[derive(Deserialize)]
struct EntryIn {
    at: String,
    state: Option<String>,
    sample: Option<Box<RawValue>>,
    until: Option<String>,
}

#[derive(Deserialize)]
struct SimIn {
    giccid: String,
    name: Option<String>,
    sim_group: Option<String>,
    last_seen: Option<String>,
    data_usage_this_month: i64,
}

/// What the form sends.
#[derive(Deserialize)]
pub(super) struct Sent {
    #[serde(default)]
    group: String,
}

/// `GET /routers/{sn}`
pub(super) async fn show(
    visitor: Visitor,
    path: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Response {
    match named(path) {
        Some(sn) => shown(&visitor, &sn, query.as_deref(), None).await,
        None => none(&visitor, None).await,
    }
}

/// `POST /routers/{sn}`: moves it into another of RCMS's groups.
pub(super) async fn act(
    visitor: Visitor,
    path: Result<Path<String>, PathRejection>,
    Form(sent): Form<Sent>,
) -> Response {
    let Some(sn) = named(path) else { return none(&visitor, None).await };
    let body = json!({ "groupName": sent.group });
    let moved: Result<Answer<IgnoredAny>, _> =
        visitor.api.put(&format!("/v1/devices/{sn}/group"), body).await;
    match moved {
        Ok(_) => {
            let place = place_of(&format!("/routers/{sn}?moved=true"));
            (StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response()
        }
        Err(refused) => shown(&visitor, &sn, None, Some(refused)).await,
    }
}

/// What is no serial number is no router's.
fn named(path: Result<Path<String>, PathRejection>) -> Option<SerialNumber> {
    path.ok()?.0.parse().ok()
}

async fn shown(
    visitor: &Visitor,
    sn: &SerialNumber,
    query: Option<&str>,
    refused: Option<Refused>,
) -> Response {
    let words = visitor.look.words;
    let format = visitor.format();
    let names = [&["kind", "moved"], PLACE.as_slice()].concat();
    let filters = Filters::of("/routers", query, &names, words);
    let here = Call::to(format!("/routers/{sn}")).with_some("kind", filters.value("kind"));
    let one = Call::to(format!("/v1/devices/{sn}"));
    let (status, device, history, sims) = tokio::join!(
        StatusIn::of(&visitor.api),
        visitor.api.get::<DeviceIn>(&one),
        history(visitor, sn, &filters, &here),
        sims(visitor, sn),
    );
    let device = match device {
        Ok(device) => device.body,
        Err(refused) if refused.status == StatusCode::NOT_FOUND => {
            return none(visitor, None).await;
        }
        Err(refused) => return none(visitor, Some(refused)).await,
    };
    let beats = beats::of_device(visitor, device.now(), Span::DAY).await;
    let source = visitor.source(&changes_of(sn.as_str(), Span::DAY));
    let title = device.name.clone().unwrap_or_else(|| sn.to_string());
    let code = refused.as_ref().map_or(StatusCode::OK, |refused| refused.status);
    let page = RouterPage {
        frame: visitor.frame(Here::Routers, &title, &status),
        state: State::of(&device.state, &device.state_since, &format),
        sampled: device.status.as_ref().map(|sample| {
            let has_own_time = sample.sampled_at.is_some();
            let what = if has_own_time { words.routers.sampled } else { words.routers.received };
            (When::of(&sample.as_of, &format), what)
        }),
        beats: beats.map(|beats| (beats, source)),
        hours: (words.routers.last_hours)(Span::DAY.hours),
        history,
        kinds: kinds(&here, filters.value("kind"), words),
        sims,
        is_moved: refused.is_none() && filters.value("moved").is_some(),
        refused,
        device,
    };
    page_of(code, &page)
}

async fn none(visitor: &Visitor, refused: Option<Refused>) -> Response {
    let status = StatusIn::of(&visitor.api).await;
    let code = refused.as_ref().map_or(StatusCode::NOT_FOUND, |refused| refused.status);
    let frame = visitor.frame(Here::Routers, visitor.look.words.nav.routers, &status);
    page_of(code, &NoRouter { frame, refused })
}

async fn history(
    visitor: &Visitor,
    sn: &SerialNumber,
    filters: &Filters,
    here: &Call,
) -> Result<History, Refused> {
    let call = Call::to(format!("/v1/devices/{sn}/history"));
    let names = ["kind"].into_iter().chain(PLACE);
    let call = names.fold(call, |call, name| call.with_some(name, filters.value(name)));
    let answer: Answer<Vec<EntryIn>> = visitor.api.get(&call).await?;
    let format = visitor.format();
    let entries = answer.body.iter().map(|entry| Entry::of(entry, &format)).collect();
    let pages = Pages::of(&answer, here, &format);
    Ok(History { entries, pages, source: visitor.source(&call) })
}

async fn sims(visitor: &Visitor, sn: &SerialNumber) -> Result<Sims, Refused> {
    let call = Call::to("/v1/sims").with("device_sn", sn).with("size", 100);
    let answer: Answer<Vec<SimIn>> = visitor.api.get(&call).await?;
    let format = visitor.format();
    let told = Pages::of(&answer, &call, &format).told;
    let rows = answer.body.into_iter().map(|sim| SimRow::of(sim, &format)).collect();
    Ok(Sims { rows, told, source: visitor.source(&call) })
}

impl Entry {
    fn of(entry: &EntryIn, format: &Format) -> Self {
        const SHOWN_MAX: usize = 1_000;
        let whole = entry.sample.as_ref().map(|sample| sample.get());
        let until = entry.until.as_ref().filter(|until| **until != entry.at);
        Self {
            at: When::of(&entry.at, format),
            state: entry.state.as_deref().map(|state| State::of(state, &entry.at, format)),
            sample: whole.map(|whole| whole.chars().take(SHOWN_MAX).collect()),
            is_cut: whole.is_some_and(|whole| whole.chars().nth(SHOWN_MAX).is_some()),
            until: until.map(|until| When::of(until, format)),
        }
    }
}

impl SimRow {
    fn of(sim: SimIn, format: &Format) -> Self {
        Self {
            giccid: sim.giccid,
            name: sim.name,
            group: sim.sim_group,
            last_seen: sim.last_seen.map(|at| When::of(&at, format)),
            used: format.bytes(sim.data_usage_this_month).to_string(),
            used_exactly: format.exactly(sim.data_usage_this_month),
        }
    }
}

fn kinds(here: &Call, asked: Option<&str>, words: &Words) -> Vec<(&'static str, String, bool)> {
    let kind = |(kind, word): (Option<&str>, _)| {
        (word, here.clone().without("kind").with_some("kind", kind).uri(), asked == kind)
    };
    let routers = &words.routers;
    [(None, words.common.all), (Some("state"), routers.changes), (Some("status"), routers.samples)]
        .into_iter()
        .map(kind)
        .collect()
}
