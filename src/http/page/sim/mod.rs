//! One SIM: what is known of it, its last 30 days, and one story of everything.
use askama::Template;
use axum::{
    Form,
    extract::{Path, RawQuery, rejection::PathRejection},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::json;

use super::{
    Frame, Here, Source, StatusIn, Visitor,
    ask::{Answer, Refused},
    call::Call,
    filters::Filters,
    format::Format,
    page_of, place_of,
    routers::When,
    sims::{Link, Number, SimIn, in_readers_zone, narrowed},
    turns::PLACE,
};
use crate::domain::Giccid;

mod chart;
mod story;

use chart::Chart;
use story::Story;

#[derive(Template)]
#[template(path = "sim.html")]
struct SimPage {
    frame: Frame,
    number: Number,
    known: Result<Known, Refused>,
    chart: Result<Chart, Refused>,
    story: Result<Story, Refused>,
    /// Why the form was of no avail.
    unsaved: Option<String>,
}

#[derive(Template)]
#[template(path = "no_sim.html")]
struct NoSim {
    frame: Frame,
}

/// What is known of it.
struct Known {
    imsi: Option<String>,
    name: Option<String>,
    group: Option<Link>,
    country: Option<Link>,
    network: Option<Link>,
    apn: Option<Link>,
    /// If RCMS lists it.
    router: Option<Link>,
    /// What people say that it is.
    sn: Option<String>,
    today: (String, String),
    month: (String, String),
    first_seen: Option<When>,
    last_seen: Option<When>,
    /// What stands in the form.
    label: Label,
    source: Source,
}

#[derive(Deserialize)]
struct OneSimIn {
    #[serde(flatten)]
    sim: SimIn,
    device: Option<DeviceIn>,
}

#[derive(Deserialize)]
struct DeviceIn {
    sn: String,
    name: Option<String>,
}

/// What the form sends.
#[derive(Default, Deserialize)]
pub(super) struct Label {
    #[serde(default)]
    name: String,
    #[serde(default)]
    device_sn: String,
}

/// `GET /sims/{giccid}`
pub(super) async fn show(
    visitor: Visitor,
    path: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Response {
    match named(path) {
        Some(giccid) => shown(&visitor, giccid, query.as_deref(), None).await,
        None => none(&visitor).await,
    }
}

/// `POST /sims/{giccid}`: what a person calls it, and the router it sits in.
pub(super) async fn label(
    visitor: Visitor,
    path: Result<Path<String>, PathRejection>,
    Form(label): Form<Label>,
) -> Response {
    let Some(giccid) = named(path) else { return none(&visitor).await };
    let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let body = json!({"name": given(&label.name), "device_sn": given(&label.device_sn)});
    let saved: Result<Answer<IgnoredAny>, _> =
        visitor.api.put(&format!("/v1/sims/{giccid}"), body).await;
    match saved {
        Ok(_) => {
            let place = place_of(&format!("/sims/{giccid}"));
            (StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response()
        }
        Err(refused) => shown(&visitor, giccid, None, Some((label, refused))).await,
    }
}

/// What is no giccid is no SIM's.
fn named(path: Result<Path<String>, PathRejection>) -> Option<Giccid> {
    path.ok()?.0.parse().ok()
}

async fn shown(
    visitor: &Visitor,
    giccid: Giccid,
    query: Option<&str>,
    unsaved: Option<(Label, Refused)>,
) -> Response {
    let words = visitor.look.words;
    let others = [PLACE.as_slice(), &["view"]].concat();
    let filters = Filters::among(&[], "/sims", query, &others, words);
    let here = Call::to(format!("/sims/{giccid}")).with_some("view", filters.value("view"));
    let (status, known, chart, story) = tokio::join!(
        StatusIn::of(&visitor.api),
        known(visitor, &giccid),
        Chart::ask(visitor, &giccid, &filters, &here),
        Story::ask(visitor, &giccid, &filters, &here),
    );
    if known.as_ref().is_err_and(|refused| refused.status == StatusCode::NOT_FOUND) {
        return none(visitor).await;
    }
    let mut known = known;
    let mut code = StatusCode::OK;
    let unsaved = unsaved.map(|(label, refused)| {
        code = refused.status;
        if let Ok(known) = &mut known {
            known.label = label;
        }
        (words.sims.not_saved)(&refused.told(words))
    });
    let number = Number::of(giccid.to_string());
    let frame = visitor.frame(Here::Sims, &format!("…{}", number.tail), &status);
    page_of(code, &SimPage { frame, number, known, chart, story, unsaved })
}

async fn none(visitor: &Visitor) -> Response {
    let status = StatusIn::of(&visitor.api).await;
    let frame = visitor.frame(Here::Sims, visitor.look.words.nav.sims, &status);
    page_of(StatusCode::NOT_FOUND, &NoSim { frame })
}

async fn known(visitor: &Visitor, giccid: &Giccid) -> Result<Known, Refused> {
    let format = visitor.format();
    let call = Call::to(format!("/v1/sims/{giccid}"));
    let (call, answer) = in_readers_zone::<OneSimIn>(visitor, call).await?;
    Ok(Known::of(answer.body, visitor.source(&call), &format))
}

impl Known {
    fn of(OneSimIn { sim, device }: OneSimIn, source: Source, format: &Format) -> Self {
        let volume = |bytes| (format.bytes(bytes).to_string(), format.exactly(bytes));
        let when = |at: Option<&String>| at.map(|at| When::of(at, format));
        let all = Call::to("/sims");
        let router = device.map(|DeviceIn { sn, name }| {
            let name = name.filter(|name| !name.is_empty());
            (format!("/routers/{sn}"), name.unwrap_or(sn))
        });
        Self {
            network: sim.network_link(&all),
            group: narrowed(&all, "sim_group", sim.sim_group),
            country: narrowed(&all, "country_code", sim.country_code),
            apn: narrowed(&all, "apn", sim.apn),
            router,
            today: volume(sim.data_usage_today),
            month: volume(sim.data_usage_this_month),
            first_seen: when(sim.first_seen.as_ref()),
            last_seen: when(sim.last_seen.as_ref()),
            label: Label {
                name: sim.name.clone().unwrap_or_default(),
                device_sn: sim.device_sn.clone().unwrap_or_default(),
            },
            sn: sim.device_sn,
            imsi: sim.imsi,
            name: sim.name,
            source,
        }
    }
}
