//! The internal listener: the query API, and whether we are well.
//!
//! [`params`] is the table of query parameters, [`list`] walks any list, [`export`] streams one,
//! [`aggregate`] adds up; each resource has a file that says what its rows look like.
use std::{num::NonZeroU32, sync::Arc};

use axum::{
    Router,
    extract::{FromRef, MatchedPath, Request},
    http::{HeaderName, HeaderValue, header},
    middleware,
    response::{IntoResponse, Response},
    routing::{delete, get, post, put},
};
use tower_http::{
    catch_panic::CatchPanicLayer,
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
    set_header::SetResponseHeaderLayer,
    trace::TraceLayer,
};

use super::{
    auth::{Denied, Gate},
    problem::log_causes,
    rate::{self, Limiter},
};
use crate::{
    domain::{Clock, KeyDigest},
    intake::Intake,
    store::Store,
};

mod aggregate;
mod base;
mod body;
mod cells;
mod change_row;
mod changes;
mod cors;
mod device_group;
mod device_history;
mod devices;
mod error;
mod export;
mod fleet;
mod health;
mod held;
mod import;
mod index;
mod keys;
mod list;
mod live;
mod metrics;
mod notifications;
mod params;
mod pushes;
mod rcms;
mod respond;
mod search;
mod shown_body;
mod sim_label;
mod sim_timeline;
mod sims;
mod sms;
mod status;
mod stream;
mod test_nonces;
mod test_push;
mod usage;

use error::ApiError;

pub use cors::{Origin, OriginError};
pub use live::{Live, StreamLimits};
pub use rcms::Rcms;
pub use test_push::{TestAnswer, TestPusher};

/// What the internal listener answers from.
#[derive(Clone)]
pub struct InternalState {
    /// Reads.
    pub store: Store,
    /// Writes.
    pub intake: Intake,
    /// RCMS, where it is set up.
    pub rcms: Option<Rcms>,
    /// What routes need that tell what is new.
    pub live: Live,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The digest of the admin key of settings or data directory (see [`super::digest_of`]).
    pub admin_key: Option<KeyDigest>,
    /// What the settings say.
    pub settings: Arc<ApiSettings>,
}

/// The settings of the query API.
#[derive(Clone, Debug, Default)]
pub struct ApiSettings {
    /// The number of the first page.
    pub first_page: u32,
    /// The URL that people use for the internal listener; else what their request says.
    pub internal_url: Option<String>,
    /// The field among the unknown ones that holds a message's text.
    pub sms_text_field: Option<String>,
    /// How many requests a key has in an hour; no end without it.
    pub requests_per_hour: Option<NonZeroU32>,
    /// The origins whose pages may ask from a browser.
    pub cors_origins: Vec<Origin>,
}

impl FromRef<InternalState> for Gate {
    fn from_ref(state: &InternalState) -> Self {
        Self { admin_key: state.admin_key, intake: state.intake.clone() }
    }
}

impl FromRef<InternalState> for Store {
    fn from_ref(state: &InternalState) -> Self {
        state.store.clone()
    }
}

impl FromRef<InternalState> for Intake {
    fn from_ref(state: &InternalState) -> Self {
        state.intake.clone()
    }
}

/// All that the internal listener answers.
pub fn internal_router(state: InternalState) -> Router {
    let no_store = HeaderValue::from_static("no-store");
    let no_sniff = HeaderValue::from_static("nosniff");
    let mut router = routes()
        .layer(CatchPanicLayer::custom(|_| ApiError::Panicked.into_response()))
        .layer(middleware::from_fn(log_causes));
    if let Some(per_hour) = state.settings.requests_per_hour {
        let limiter = Arc::new(Limiter::new(per_hour, Arc::clone(&state.clock)));
        router = router.layer(middleware::from_fn_with_state(limiter, rate::meter));
    }
    if !state.settings.cors_origins.is_empty() {
        router = router.layer(cors::layer(&state.settings.cors_origins));
    }
    router
        .layer(SetResponseHeaderLayer::if_not_present(header::CACHE_CONTROL, no_store))
        .layer(SetResponseHeaderLayer::if_not_present(header::X_CONTENT_TYPE_OPTIONS, no_sniff))
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(TraceLayer::new_for_http().make_span_with(span_of).on_failure(()))
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .layer(middleware::map_request(drop_odd_request_id))
        .with_state(state)
}

fn routes() -> Router<InternalState> {
    Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::show))
        .route("/v1", get(index::show))
        .route("/v1/data-usage", get(list::show::<usage::Usage>))
        .route("/v1/data-usage/aggregate", get(aggregate::usage))
        .route("/v1/data-usage/{id}", get(list::show_one::<usage::Usage>))
        .route("/v1/mo-sms", get(list::show::<sms::Sms>))
        .route("/v1/mo-sms/aggregate", get(aggregate::sms))
        .route("/v1/mo-sms/{id}", get(list::show_one::<sms::Sms>))
        .route("/v1/notifications", get(list::show::<notifications::Notifications>))
        .route("/v1/notifications/{id}", get(list::show_one::<notifications::Notifications>))
        .route("/v1/sims", get(list::show::<sims::Sims>))
        .route("/v1/sims/import", post(sim_label::import))
        .route("/v1/sims/{giccid}", get(sims::show).put(sim_label::put))
        .route("/v1/sims/{giccid}/timeline", get(list::show::<sim_timeline::Timeline>))
        .route("/v1/search", get(search::show))
        .route("/v1/devices", get(list::show::<devices::Devices>))
        .route("/v1/devices/summary", get(fleet::show))
        .route("/v1/devices/{sn}", get(devices::show))
        .route("/v1/devices/{sn}/history", get(list::show::<device_history::DeviceHistory>))
        .route("/v1/devices/{sn}/group", put(device_group::put))
        .route("/v1/held", get(list::show::<held::HeldPushes>))
        .route("/v1/held/{id}", get(held::show).delete(held::discard))
        .route("/v1/held/{id}/retry", post(held::retry))
        .route("/v1/import", post(import::import))
        .route("/v1/keys", get(keys::list).post(keys::create))
        .route("/v1/keys/{id}", delete(keys::revoke))
        .route("/v1/changes", get(changes::show))
        .route("/v1/stream", get(stream::show))
        .route("/v1/pushes", get(pushes::show))
        .route("/v1/test-push", post(test_push::push))
        .route("/v1/status", get(status::show))
        .route("/v1/test-nonces", post(test_nonces::issue))
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .fallback(async || ApiError::NoSuchAddress)
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        match self {
            Self::NoKey => ApiError::NoKey,
            Self::Forbidden => ApiError::Forbidden,
            Self::TooOften { retry_after_s } => ApiError::TooOften { retry_after_s },
        }
        .into_response()
    }
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A request's span names the route, never the path or the query: they may hold what is personal.
fn span_of(request: &Request) -> tracing::Span {
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str);
    let id = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
    tracing::info_span!(
        "internal",
        http.method = %request.method(),
        http.route = route,
        request.id = id,
    )
}

/// A request id goes into the log: one that is long or not plain is replaced by ours.
async fn drop_odd_request_id(mut request: Request) -> Request {
    const BYTES_MAX: usize = 128;
    let is_plain = |id: &HeaderValue| {
        (1..=BYTES_MAX).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    if request.headers().get(REQUEST_ID).is_some_and(|id| !is_plain(id)) {
        request.headers_mut().remove(REQUEST_ID);
    }
    request
}
