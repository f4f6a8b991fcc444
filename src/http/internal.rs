//! The internal listener: the query API, and the page that is made from it.
use std::{any::Any, sync::Arc};

use axum::{
    Router,
    extract::{MatchedPath, Request},
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
    api::{self, ApiSettings, InternalState},
    gzip,
    hosts::{self, OwnNames},
    internal_body,
    page::{self, PageSettings},
    problem::log_causes,
    rate::{self, Limiter},
};

/// All that the internal listener answers.
pub fn internal_router(state: InternalState, page: PageSettings) -> Router {
    let no_store = HeaderValue::from_static("no-store");
    let no_sniff = HeaderValue::from_static("nosniff");
    let ApiSettings { internal_url, internal_names, .. } = &*state.settings;
    let own_names = OwnNames::of(internal_url.as_deref(), internal_names);
    let api = api::router(state.clone());
    // The page asks without the limit of a key's requests: it is one person's look at many answers.
    let pages = page::router(state.clone(), api.clone(), page);
    let mut asked = api;
    if let Some(per_hour) = state.settings.requests_per_hour {
        let limiter = Arc::new(Limiter::new(per_hour, Arc::clone(&state.clock)));
        asked = asked.layer(middleware::from_fn_with_state(limiter, rate::meter));
    }
    if !state.settings.cors_origins.is_empty() {
        asked = asked.layer(api::cors_layer(&state.settings.cors_origins));
    }
    // What neither answers, the pages do.
    pages
        .merge(asked.reset_fallback())
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn(log_causes))
        .layer(middleware::from_fn(internal_body::bound))
        .layer(gzip::layer())
        .layer(middleware::from_fn_with_state(own_names, hosts::check))
        .layer(SetResponseHeaderLayer::if_not_present(header::CACHE_CONTROL, no_store))
        .layer(SetResponseHeaderLayer::if_not_present(header::X_CONTENT_TYPE_OPTIONS, no_sniff))
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(TraceLayer::new_for_http().make_span_with(span_of).on_failure(()))
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .layer(middleware::map_request(drop_odd_request_id))
}

/// What a handler that broke answers.
fn panicked(_: Box<dyn Any + Send>) -> Response {
    api::ApiError::Panicked.into_response()
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
