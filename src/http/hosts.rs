//! By which names the internal listener may be called.
//!
//! A page of anybody's can have a browser inside our network ask whatever a name leads to, and whoever
//! owns a name chooses where it leads. So a name that is not known as ours is answered nothing: an
//! address cannot lead elsewhere, nor can a word without a dot, which only our own network knows.
use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{StatusCode, Uri, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::problem::Problem;

/// What is answered to any name: it tells nothing personal, and probes and collectors go by names
/// that nobody here knows.
const OPEN_PATHS: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// The names that the settings tell: that in the URL that people use, and others.
#[derive(Clone, Debug, Default)]
pub(super) struct OwnNames(Arc<[String]>);

impl OwnNames {
    /// Of the settings.
    pub(super) fn of(internal_url: Option<&str>, names: &[String]) -> Self {
        let url = internal_url.and_then(|url| url.parse::<Uri>().ok());
        let host = url.as_ref().and_then(Uri::host);
        let names = host.into_iter().chain(names.iter().map(String::as_str));
        Self(names.map(str::to_ascii_lowercase).collect())
    }

    fn is_known(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        bare.parse::<IpAddr>().is_ok()
            || !host.contains('.')
            || host.ends_with(".localhost")
            || self.0.contains(&host)
    }
}

/// Lets through what is asked of us by a name that we know.
pub(super) async fn check(State(own): State<OwnNames>, request: Request, next: Next) -> Response {
    let sent = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let authority = match sent {
        Some(host) => host.parse::<Authority>().ok(),
        None => request.uri().authority().cloned(),
    };
    // Without a name nobody was led anywhere: no browser asks so.
    let is_known = match (sent, authority) {
        (_, Some(authority)) => own.is_known(authority.host()),
        (None, None) => true,
        (Some(_), None) => false,
    };
    if is_known || OPEN_PATHS.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    Problem::new(StatusCode::MISDIRECTED_REQUEST, "Misdirected Request")
        .detail(
            "simdeck does not know itself by this name: set SIMDECK_INTERNAL_URL to the URL that \
             people use, or add the name to SIMDECK_INTERNAL_NAMES.",
        )
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_others_may_lead_to_us_are_not_known() {
        let names = ["Sims.example.net".to_owned()];
        let own = OwnNames::of(Some("https://Simdeck.example.com:8443/"), &names);
        for host in [
            "127.0.0.1",
            "[::1]",
            "192.168.1.20",
            "localhost",
            "simdeck",
            "a.localhost",
            "simdeck.example.com",
            "SIMDECK.EXAMPLE.COM",
            "sims.example.net",
        ] {
            assert!(own.is_known(host), "{host}");
        }
        for host in ["evil.example", "simdeck.example.com.evil.example", "127.0.0.1.evil.example"] {
            assert!(!own.is_known(host), "{host}");
        }
        assert!(!OwnNames::of(None, &[]).is_known("simdeck.example.com"));
    }
}
