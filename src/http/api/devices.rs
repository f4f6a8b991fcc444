//! `/v1/devices`: the routers that RCMS lists, one row a router, from the one seen last to the one
//! seen first.
use axum::{
    Json,
    extract::{FromRequestParts, Path, RawQuery, State},
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{
    InternalState,
    base::Base,
    cells::Cells,
    doc::words,
    error::ApiError,
    list::{List, View},
    params::{self, Question, Route},
    respond,
    sims::sim_url,
    usage::NOTHING,
};
use crate::{
    domain::{Device, Freshness, NewestSample, SerialNumber, StatusFacts, Timestamp, Walk},
    http::auth::{Admin, Reader},
    intake::AdminError,
    store::{Forgetting, Portion, Store, StoreError},
};

/// Why a router is not forgotten.
pub(super) const LISTED: &str =
    "RCMS lists this router, so that it would be there again at once: remove it from RCMS first.";

/// The list.
pub(super) struct Devices;

/// The router that an address names. What is no serial number is no router's.
#[derive(Clone, Debug)]
pub(super) struct Named(pub(super) SerialNumber);

/// A router: what the list says of it, and the newest that it told RCMS about itself.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "id": 1, "sn": "24031300770021", "name": "roof", "model": "R1520-4L", "group": "groupA",
    "firmware_version": "5.2.1", "description": null, "create_time": "2024-03-13 10:00:00",
    "state": "online", "state_since": "2024-09-05T01:30:48.000Z",
    "listed_at": "2024-09-05T02:30:48.000Z", "listed": true, "status_asked_to": null, "status": null, "extra": {},
    "url": "http://127.0.0.1:8081/v1/devices/24031300770021",
    "history_url": "http://127.0.0.1:8081/v1/devices/24031300770021/history",
})))]
pub(super) struct DeviceOut<'a> {
    id: i64,
    sn: &'a str,
    name: Option<&'a str>,
    model: Option<&'a str>,
    group: Option<&'a str>,
    firmware_version: Option<&'a str>,
    description: Option<&'a str>,
    create_time: Option<&'a str>,
    #[schema(schema_with = words::device_state)]
    state: &'static str,
    #[schema(format = DateTime)]
    state_since: String,
    #[schema(format = DateTime)]
    listed_at: Option<String>,
    /// Whether RCMS's list still held it when it was last read.
    listed: bool,
    #[schema(format = DateTime)]
    status_asked_to: Option<String>,
    status: Option<StatusOut<'a>>,
    #[schema(value_type = Object)]
    extra: &'a RawValue,
    url: String,
    history_url: String,
}

/// One router, with the SIMs that people say sit in it.
#[derive(Debug, Serialize)]
struct OneDeviceOut<'a> {
    #[serde(flatten)]
    device: DeviceOut<'a>,
    /// The first hundred.
    sims: Vec<SimOfDeviceOut>,
}

#[derive(Debug, Serialize)]
struct SimOfDeviceOut {
    giccid: String,
    name: Option<String>,
    url: String,
}

/// A sample's fields that we read, under RCMS's names.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeviceStatusOut)]
struct StatusOut<'a> {
    /// When it was taken; where it does not say so, when it came.
    #[schema(format = DateTime)]
    as_of: String,
    /// When it was taken; null where it does not say so.
    #[schema(format = DateTime)]
    sampled_at: Option<String>,
    system: SystemOut<'a>,
    active_link: ActiveLinkOut<'a>,
}

#[derive(Debug, Serialize, ToSchema)]
struct SystemOut<'a> {
    system_time: Option<&'a str>,
    device_model: Option<&'a str>,
    firmware_version: Option<&'a str>,
    uptime: Option<&'a str>,
}

#[derive(Debug, Serialize, ToSchema)]
struct ActiveLinkOut<'a> {
    ip: Option<&'a str>,
    gateway: Option<&'a str>,
    link_uptime: Option<&'a str>,
}

impl List for Devices {
    const ROUTE: &'static Route = &params::DEVICES;
    type Within = Freshness;
    type Row = Device;
    type Key = i64;
    type Out<'a> = DeviceOut<'a>;

    async fn top(store: &Store) -> Result<i64, StoreError> {
        store.device_top().await
    }

    async fn rows(
        store: &Store,
        as_of: &Freshness,
        ask: &Question,
        walk: &Walk,
    ) -> Result<Portion<Device>, StoreError> {
        store.devices(&ask.devices, *as_of, walk).await
    }

    async fn count(
        store: &Store,
        as_of: &Freshness,
        ask: &Question,
        top: i64,
    ) -> Result<u64, StoreError> {
        store.device_count(&ask.devices, *as_of, top).await
    }

    fn id(row: &Device) -> i64 {
        row.id
    }

    fn out<'a>(row: &'a Device, view: &'a View) -> Result<DeviceOut<'a>, ApiError> {
        let listed = &row.listed;
        let url = view.base.url(&format!("/v1/{}/{}", Self::ROUTE.resource, listed.sn));
        Ok(DeviceOut {
            id: row.id,
            sn: listed.sn.as_str(),
            name: listed.name.sent(),
            model: listed.model.sent(),
            group: listed.group.sent(),
            firmware_version: listed.firmware_version.sent(),
            description: listed.description.sent(),
            create_time: listed.create_time.sent(),
            state: listed.state.as_str(),
            state_since: row.state_since.to_string(),
            listed_at: row.listed_at.map(|at| at.to_string()),
            listed: row.is_listed,
            status_asked_to: row.status_asked_to.map(|at| at.to_string()),
            status: row.status.as_ref().map(status_out),
            extra: respond::raw::<Self>(row, listed.extra.as_deref().unwrap_or(NOTHING))?,
            history_url: format!("{url}/history"),
            url,
        })
    }

    fn columns(_: &View) -> Vec<&'static str> {
        vec![
            "id",
            "sn",
            "name",
            "model",
            "group",
            "firmware_version",
            "description",
            "create_time",
            "state",
            "state_since",
            "listed_at",
            "status_asked_to",
            "sampled_at",
            "system_time",
            "system_device_model",
            "system_firmware_version",
            "system_uptime",
            "active_link_ip",
            "active_link_gateway",
            "active_link_link_uptime",
            "extra",
            "as_of",
            "listed",
        ]
    }

    fn cells(row: &Device, _: &View, cells: &mut Cells) -> Result<(), ApiError> {
        let listed = &row.listed;
        let moment = |cells: &mut Cells, at: Option<Timestamp>| {
            cells.text(&at.map(|at| at.to_string()).unwrap_or_default());
        };
        cells.integer(row.id);
        cells.text(listed.sn.as_str());
        for text in [&listed.name, &listed.model, &listed.group] {
            cells.text(text);
        }
        for text in [&listed.firmware_version, &listed.description, &listed.create_time] {
            cells.text(text);
        }
        cells.text(listed.state.as_str());
        moment(cells, Some(row.state_since));
        moment(cells, row.listed_at);
        moment(cells, row.status_asked_to);
        let newest = row.status.as_ref();
        moment(cells, newest.and_then(NewestSample::sampled_at));
        let none = StatusFacts::default();
        let facts = newest.map_or(&none, |newest| &newest.facts);
        for text in [&facts.system_time, &facts.device_model, &facts.firmware_version] {
            cells.text(text);
        }
        for text in [&facts.uptime, &facts.ip, &facts.gateway, &facts.link_uptime] {
            cells.text(text);
        }
        cells.text(listed.extra.as_deref().unwrap_or(NOTHING));
        moment(cells, newest.map(|newest| newest.as_of));
        cells.text(if row.is_listed { "true" } else { "false" });
        Ok(())
    }
}

/// `GET /v1/devices/{sn}`
pub(super) async fn show(
    State(state): State<InternalState>,
    _: Reader,
    base: Base,
    Named(sn): Named,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    params::read_none(Devices::ROUTE.resource, query.as_deref())?;
    let device = state.store.device(&sn, state.freshness()).await?.ok_or(ApiError::NoSuchDevice)?;
    let sims = state.store.sims_of_device(&sn).await?;
    let view = View { base, sms_text_field: None };
    let sims = sims.into_iter().map(|(giccid, label)| SimOfDeviceOut {
        url: sim_url(&view.base, &giccid),
        giccid: giccid.to_string(),
        name: label.name.sent().map(str::to_owned),
    });
    let device = Devices::out(&device, &view)?;
    Ok(Json(OneDeviceOut { device, sims: sims.collect() }).into_response())
}

/// `DELETE /v1/devices/{sn}`
pub(super) async fn forget(
    State(state): State<InternalState>,
    Admin(caller): Admin,
    Named(sn): Named,
    RawQuery(query): RawQuery,
) -> Result<StatusCode, ApiError> {
    params::read_none(Devices::ROUTE.resource, query.as_deref())?;
    state.store.device(&sn, state.freshness()).await?.ok_or(ApiError::NoSuchDevice)?;
    let intake = state.intake.clone();
    // Whoever asked may go: it is finished all the same.
    let forgetting = tokio::spawn(async move { intake.forget_device(&sn, &caller).await });
    match forgetting.await.unwrap_or(Err(AdminError::Ended))? {
        Forgetting::Begun(_) | Forgetting::Done(_) => Ok(StatusCode::NO_CONTENT),
        Forgetting::Unknown => Err(ApiError::NoSuchDevice),
        Forgetting::Listed => Err(ApiError::Conflict(LISTED.to_owned(), None)),
    }
}

impl FromRequestParts<InternalState> for Named {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &InternalState,
    ) -> Result<Self, ApiError> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(text) = path.map_err(|_| ApiError::NoSuchDevice)?;
        text.parse().map(Self).map_err(|_| ApiError::NoSuchDevice)
    }
}

fn status_out(newest: &NewestSample) -> StatusOut<'_> {
    let facts = &newest.facts;
    StatusOut {
        as_of: newest.as_of.to_string(),
        sampled_at: newest.sampled_at().map(|at| at.to_string()),
        system: SystemOut {
            system_time: facts.system_time.sent(),
            device_model: facts.device_model.sent(),
            firmware_version: facts.firmware_version.sent(),
            uptime: facts.uptime.sent(),
        },
        active_link: ActiveLinkOut {
            ip: facts.ip.sent(),
            gateway: facts.gateway.sent(),
            link_uptime: facts.link_uptime.sent(),
        },
    }
}
