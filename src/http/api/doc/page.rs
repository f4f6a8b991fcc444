//! `/openapi.json` and `/docs`: Swagger UI out of this binary, which loads nothing from elsewhere.
use std::{
    borrow::Cow,
    sync::{Arc, LazyLock},
};

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::Value;
use utoipa_swagger_ui::Config;

use super::whole::DocumentSettings;
use crate::http::api::{InternalState, error::ApiError, openapi};

/// What the page is made of; Swagger UI has more that no page needs.
pub(super) const FILES: [&str; 8] = [
    "index.html",
    "index.css",
    "swagger-ui.css",
    "swagger-ui-bundle.js",
    "swagger-ui-standalone-preset.js",
    "swagger-initializer.js",
    "favicon-16x16.png",
    "favicon-32x32.png",
];

/// Scripts are files of ours only. Swagger UI sets styles and draws its icons inline.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'",
);

static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    // Relative, so that it also works behind a proxy that puts a path before ours.
    let config = Config::from("../openapi.json").deep_linking(true).filter(true);
    Arc::new(config.try_it_out_enabled(true).persist_authorization(false))
});

/// `GET /openapi.json`. It tells what anybody may read in the README, so it needs no key.
pub(in crate::http::api) async fn document(State(state): State<InternalState>) -> Json<Value> {
    let settings = DocumentSettings {
        first_page: state.settings.first_page,
        internal_url: state.settings.internal_url.clone(),
    };
    Json(openapi(&settings))
}

/// `GET /docs`: to the folder, below which the page finds its files.
pub(in crate::http::api) async fn enter() -> Response {
    (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "docs/")]).into_response()
}

/// `GET /docs/`
pub(in crate::http::api) async fn index() -> Result<Response, ApiError> {
    served("index.html")
}

/// `GET /docs/{file}`
pub(in crate::http::api) async fn file(
    file: Result<Path<String>, PathRejection>,
) -> Result<Response, ApiError> {
    let Path(name) = file.map_err(|_| ApiError::NoSuchAddress)?;
    if !FILES.contains(&name.as_str()) {
        return Err(ApiError::NoSuchAddress);
    }
    served(&name)
}

fn served(name: &str) -> Result<Response, ApiError> {
    let file = utoipa_swagger_ui::serve(name, Arc::clone(&CONFIG)).ok().flatten();
    let file = file.ok_or(ApiError::NoSuchAddress)?;
    let content_type = HeaderValue::from_str(&file.content_type).ok();
    let bytes = match file.bytes {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => Bytes::from(bytes),
    };
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    if let Some(content_type) = content_type {
        headers.insert(header::CONTENT_TYPE, content_type);
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    Ok(response)
}
