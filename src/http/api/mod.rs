//! The internal listener: the query API, and whether we are well.
//!
//! [`routes`] is the table of addresses and [`params`] that of query parameters, [`list`] walks any
//! list, [`export`] streams one, [`aggregate`] adds up; each resource has a file that says what its
//! rows look like. [`doc`] makes the OpenAPI document of all that.
use std::{num::NonZeroU32, sync::Arc};

use axum::{
    Router,
    extract::{FromRef, MatchedPath, Request},
    http::{HeaderName, HeaderValue, header},
    middleware,
    response::{IntoResponse, Response},
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
mod aggregate_row;
mod attention;
mod base;
mod body;
mod cells;
mod change_row;
mod changes;
mod conditions;
mod cors;
mod device_group;
mod device_history;
mod devices;
mod doc;
mod error;
mod export;
mod fleet;
mod gzip;
mod health;
mod held;
mod import;
mod index;
mod keep;
mod keys;
mod list;
mod live;
mod metrics;
mod notifications;
mod params;
mod pushes;
mod rcms;
mod respond;
mod routes;
mod row_id;
mod search;
mod shown_body;
mod sim_label;
mod sim_timeline;
mod sims;
mod sms;
mod status;
mod stream;
mod summary;
mod test_nonces;
mod test_push;
mod usage;

use error::ApiError;

pub use cors::{Origin, OriginError};
pub use doc::DocumentSettings;
pub use live::{Live, StreamLimits};
pub use params::read_as_every_list;
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
    let (router, places) = routes::routes().into_router();
    let mut router = router
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .fallback(async || ApiError::NoSuchAddress)
        .layer(CatchPanicLayer::custom(|_| ApiError::Panicked.into_response()))
        .layer(middleware::from_fn_with_state((state.clone(), places), doc::point_to_docs))
        .layer(middleware::from_fn(log_causes))
        .layer(gzip::layer());
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

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        match self {
            Self::NoKey => ApiError::NoKey,
            Self::Forbidden => ApiError::Forbidden,
            Self::ForeignPage => ApiError::ForeignPage,
            Self::Unknown => ApiError::Busy,
            Self::TooOften { retry_after_s } => ApiError::TooOften { retry_after_s },
        }
        .into_response()
    }
}

/// The OpenAPI document.
pub fn openapi(settings: &DocumentSettings) -> serde_json::Value {
    routes::routes().document(settings)
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
