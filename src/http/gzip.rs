//! Which answers are worth packing.
use axum::http::{Extensions, HeaderMap, StatusCode, Version, header};
use tower_http::compression::{CompressionLayer, Predicate, predicate::SizeAbove};

/// What fits into a packet or so gains nothing.
const BYTES_MIN: u64 = 1024;

/// A media type by which text of ours is known. Streams of events are not among them: packing would
/// hold each event back until there are more.
const PACKED: [&str; 9] = [
    "application/json",
    "application/problem+json",
    "application/x-ndjson",
    "text/css",
    "text/csv",
    "text/html",
    "text/javascript",
    "text/plain",
    "image/svg+xml",
];

/// Packs what is text, where the client takes it. An export is packed as it streams.
pub(super) fn layer() -> CompressionLayer<impl Predicate> {
    CompressionLayer::new().compress_when(SizeAbove::new(BYTES_MIN).and(is_packed))
}

fn is_packed(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = content_type.and_then(|value| value.split(';').next());
    media_type.is_some_and(|media_type| PACKED.contains(&media_type.trim()))
}
