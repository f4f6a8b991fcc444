//! Bodies that come packed. What is unpacked streams on; limits count what comes out.
use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderValue, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use tower::ServiceBuilder;
use tower_http::decompression::{DecompressionBody, RequestDecompressionLayer};

use super::error::ApiError;

/// Unpacks what is gzip, before any of these routes reads it, and refuses every other coding: a
/// handler that took packed bytes for text would say of each line that it is wrong.
pub(super) fn unpacked(router: Router) -> Router {
    let unpack = ServiceBuilder::new()
        .layer(RequestDecompressionLayer::new())
        .map_request(|request: Request<DecompressionBody<Body>>| request.map(Body::new));
    router.layer(unpack).layer(middleware::from_fn(check))
}

async fn check(mut request: Request, next: Next) -> Response {
    let mut codings = request.headers().get_all(header::CONTENT_ENCODING).iter();
    let first = codings.next().map(|value| value.as_bytes().trim_ascii().to_ascii_lowercase());
    let is_single = codings.next().is_none();
    match first.as_deref() {
        None => {}
        Some(b"" | b"identity") if is_single => {
            request.headers_mut().remove(header::CONTENT_ENCODING);
        }
        Some(b"gzip" | b"x-gzip") if is_single => {
            let gzip = HeaderValue::from_static("gzip");
            request.headers_mut().insert(header::CONTENT_ENCODING, gzip);
        }
        Some(_) => return ApiError::UnknownCoding.into_response(),
    }
    next.run(request).await
}
