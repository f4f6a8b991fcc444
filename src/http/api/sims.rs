//! `/v1/sims`: the SIMs that records came of, one row a giccid, whatever its subscribers.
//!
//! By giccid a walk meets each SIM once. By last record or by usage, SIMs move up while it goes on:
//! none comes twice, but one that moves up past the walk's place is not met by this walk any more;
//! the next walk begins with it. By usage, a new month begins a new order.
use axum::{
    Json,
    extract::{FromRequestParts, Path, RawQuery, State},
    http::request::Parts,
};
use jiff::tz::TimeZone;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    InternalState,
    base::Base,
    cells::Cells,
    doc::words,
    error::ApiError,
    list::{List, View},
    params::{self, Question, Route},
};
use crate::{
    domain::{Giccid, NetworkContext, Sim, SimSeen, SimSpot, Walk},
    http::{
        auth::Reader,
        problem::{Code, FieldError},
    },
    store::{Portion, SimMoment, SimQuestion, Store, StoreError},
};

/// The list.
pub(super) struct Sims;

/// The SIM that an address names. What is no giccid is no SIM's.
#[derive(Clone, Debug)]
pub(super) struct NamedSim(pub(super) Giccid);

/// The moment of asking, in the zone that is asked for.
#[derive(Clone, Debug)]
pub(super) struct AsOf(SimMoment);

/// A SIM: what its records say, what people say, and what it used.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "giccid": "8944501503181377993", "imsi": "460001234567890", "name": "Roof 7",
    "device_sn": "24031300770021", "sim_group": "groupA", "country_code": "CN", "mcc": "460",
    "mnc": "10", "apn": "apn1", "first_seen": "2024-04-23T16:14:02.473Z",
    "last_seen": "2024-09-05T01:30:48.000Z", "data_usage_today": 1302, "records_today": 1,
    "data_usage_this_month": 52_118, "records_this_month": 40,
    "url": "http://127.0.0.1:8081/v1/sims/8944501503181377993",
    "timeline_url": "http://127.0.0.1:8081/v1/sims/8944501503181377993/timeline",
    "data_usage_url": "http://127.0.0.1:8081/v1/data-usage?giccid=8944501503181377993",
    "device_url": "http://127.0.0.1:8081/v1/devices/24031300770021",
})))]
pub(super) struct SimOut<'a> {
    giccid: &'a str,
    imsi: Option<&'a str>,
    name: Option<&'a str>,
    device_sn: Option<&'a str>,
    sim_group: Option<&'a str>,
    country_code: Option<&'a str>,
    mcc: Option<&'a str>,
    mnc: Option<&'a str>,
    apn: Option<&'a str>,
    #[schema(format = DateTime)]
    first_seen: Option<String>,
    #[schema(format = DateTime)]
    last_seen: Option<String>,
    data_usage_today: i64,
    records_today: i64,
    data_usage_this_month: i64,
    records_this_month: i64,
    url: String,
    timeline_url: String,
    data_usage_url: String,
    device_url: Option<String>,
}

/// One SIM, with the router that it sits in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "giccid": "8944501503181377993", "imsi": "460001234567890", "name": "Roof 7",
    "device_sn": "24031300770021", "sim_group": "groupA", "country_code": "CN", "mcc": "460",
    "mnc": "10", "apn": "apn1", "first_seen": "2024-04-23T16:14:02.473Z",
    "last_seen": "2024-09-05T01:30:48.000Z", "data_usage_today": 1302, "records_today": 1,
    "data_usage_this_month": 52_118, "records_this_month": 40,
    "url": "http://127.0.0.1:8081/v1/sims/8944501503181377993",
    "timeline_url": "http://127.0.0.1:8081/v1/sims/8944501503181377993/timeline",
    "data_usage_url": "http://127.0.0.1:8081/v1/data-usage?giccid=8944501503181377993",
    "device_url": "http://127.0.0.1:8081/v1/devices/24031300770021",
    "device": {
        "sn": "24031300770021", "name": "Roof 7", "state": "online",
        "state_since": "2024-09-05T01:30:48.000Z",
        "url": "http://127.0.0.1:8081/v1/devices/24031300770021",
    },
})))]
pub(super) struct OneSimOut<'a> {
    #[serde(flatten)]
    sim: SimOut<'a>,
    device: Option<SimDeviceOut>,
}

/// A router, as far as its SIM needs it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SimDeviceOut {
    sn: String,
    name: Option<String>,
    #[schema(schema_with = words::device_state)]
    state: &'static str,
    #[schema(format = DateTime)]
    state_since: String,
    url: String,
}

/// The address of a SIM.
pub(super) fn sim_url(base: &Base, giccid: &Giccid) -> String {
    base.url(&format!("/v1/{}/{giccid}", Sims::ROUTE.resource))
}

impl FromRequestParts<InternalState> for AsOf {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &InternalState,
    ) -> Result<Self, ApiError> {
        as_of(state, &params::SIMS.read(parts.uri.query())?).map(Self)
    }
}

/// The moment of asking, in the zone that is asked for.
pub(super) fn as_of(state: &InternalState, question: &Question) -> Result<SimMoment, ApiError> {
    let zone = match &question.tz {
        None => state.store.zone(),
        Some(name) => TimeZone::get(name).map_err(|_| {
            let (resource, field) = (Sims::ROUTE.resource, "tz".to_owned());
            let error = FieldError { resource, field, code: Code::Invalid };
            let detail = "This zone is not known here; `tz` is a name such as Asia/Shanghai.";
            ApiError::Conflict(detail.to_owned(), Some(error))
        })?,
    };
    Ok(SimMoment { now: state.clock.now(), zone })
}

fn question<'a>(as_of: &'a SimMoment, ask: &'a Question) -> SimQuestion<'a> {
    SimQuestion { filter: &ask.sims, sort: ask.sort, as_of }
}

impl List for Sims {
    const ROUTE: &'static Route = &params::SIMS;
    type Within = AsOf;
    type Row = (SimSpot, Sim);
    type Key = SimSpot;
    type Out<'a> = SimOut<'a>;

    async fn top(store: &Store) -> Result<i64, StoreError> {
        store.sim_top().await
    }

    async fn rows(
        store: &Store,
        AsOf(as_of): &AsOf,
        ask: &Question,
        walk: &Walk<SimSpot>,
    ) -> Result<Portion<Self::Row, SimSpot>, StoreError> {
        Ok(store.sims(question(as_of, ask), walk).await?.into())
    }

    async fn count(
        store: &Store,
        AsOf(as_of): &AsOf,
        ask: &Question,
        top: i64,
    ) -> Result<u64, StoreError> {
        store.sim_count(question(as_of, ask), top).await
    }

    fn id((spot, _): &Self::Row) -> SimSpot {
        *spot
    }

    fn out<'a>((_, sim): &'a Self::Row, view: &'a View) -> Result<SimOut<'a>, ApiError> {
        Ok(sim_out(sim, &view.base))
    }

    fn columns(_: &View) -> Vec<&'static str> {
        vec![
            "giccid",
            "imsi",
            "name",
            "device_sn",
            "sim_group",
            "country_code",
            "mcc",
            "mnc",
            "apn",
            "first_seen",
            "last_seen",
            "data_usage_today",
            "records_today",
            "data_usage_this_month",
            "records_this_month",
        ]
    }

    fn cells((_, sim): &Self::Row, view: &View, cells: &mut Cells) -> Result<(), ApiError> {
        let out = sim_out(sim, &view.base);
        cells.text(out.giccid);
        for text in [out.imsi, out.name, out.device_sn, out.sim_group, out.country_code] {
            cells.text(text.unwrap_or_default());
        }
        for text in [out.mcc, out.mnc, out.apn] {
            cells.text(text.unwrap_or_default());
        }
        for text in [out.first_seen, out.last_seen] {
            cells.text(&text.unwrap_or_default());
        }
        for number in [out.data_usage_today, out.records_today] {
            cells.integer(number);
        }
        for number in [out.data_usage_this_month, out.records_this_month] {
            cells.integer(number);
        }
        Ok(())
    }
}

/// `GET /v1/sims/{giccid}`
pub(super) async fn show(
    State(state): State<InternalState>,
    _: Reader,
    base: Base,
    NamedSim(giccid): NamedSim,
    RawQuery(query): RawQuery,
) -> Result<Json<serde_json::Value>, ApiError> {
    let as_of = as_of(&state, &params::SIM.read(query.as_deref())?)?;
    let sim = state.store.sim(&giccid, &as_of).await?.ok_or(ApiError::NoSuchSim)?;
    Ok(Json(one_out(&state, &sim, &base).await?))
}

/// A SIM and its router as JSON.
pub(super) async fn one_out(
    state: &InternalState,
    sim: &Sim,
    base: &Base,
) -> Result<serde_json::Value, ApiError> {
    let device = match &sim.label.device_sn {
        Some(sn) => state.store.device(sn, state.freshness()).await?,
        None => None,
    };
    let device = device.map(|device| SimDeviceOut {
        sn: device.listed.sn.to_string(),
        name: device.listed.name.sent().map(str::to_owned),
        state: device.listed.state.as_str(),
        state_since: device.state_since.to_string(),
        url: base.url(&format!("/v1/devices/{}", device.listed.sn)),
    });
    let out = OneSimOut { sim: sim_out(sim, base), device };
    Ok(serde_json::to_value(out).map_err(std::io::Error::from)?)
}

fn sim_out<'a>(sim: &'a Sim, base: &Base) -> SimOut<'a> {
    let seen = sim.seen.as_ref();
    let text = |text: fn(&NetworkContext) -> &crate::domain::ShortText| {
        seen.and_then(move |seen: &SimSeen| text(&seen.network).sent())
    };
    let url = sim_url(base, &sim.giccid);
    let device_sn = sim.label.device_sn.as_ref().map(|sn| sn.as_str());
    SimOut {
        giccid: sim.giccid.as_str(),
        imsi: seen.and_then(|seen| seen.imsi.sent()),
        name: sim.label.name.sent(),
        device_sn,
        sim_group: text(|network| &network.sim_group),
        country_code: text(|network| &network.country_code),
        mcc: text(|network| &network.mcc),
        mnc: text(|network| &network.mnc),
        apn: text(|network| &network.apn),
        first_seen: seen.map(|seen| seen.first.to_string()),
        last_seen: seen.map(|seen| seen.last.to_string()),
        data_usage_today: sim.today.data_usage,
        records_today: sim.today.records,
        data_usage_this_month: sim.this_month.data_usage,
        records_this_month: sim.this_month.records,
        timeline_url: format!("{url}/timeline"),
        data_usage_url: base.url(&format!("/v1/data-usage?giccid={}", sim.giccid)),
        device_url: device_sn.map(|sn| base.url(&format!("/v1/devices/{sn}"))),
        url,
    }
}

impl FromRequestParts<InternalState> for NamedSim {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &InternalState,
    ) -> Result<Self, ApiError> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(text) = path.map_err(|_| ApiError::NoSuchSim)?;
        text.parse().map(Self).map_err(|_| ApiError::NoSuchSim)
    }
}
