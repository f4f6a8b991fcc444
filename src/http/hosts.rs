//! By which names the internal listener may be called.
//!
//! A page of anybody's can have a browser inside our network ask whatever a name leads to, and whoever
//! owns a name chooses where it leads. So a name that is not known as ours is answered nothing: an
//! address cannot lead elsewhere, nor can a word without a dot, which only our own network knows.
use std::net::IpAddr;

use axum::{
    extract::{Request, State},
    http::{StatusCode, Uri, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::problem::Problem;

/// The name in the URL that people use, if one is set.
#[derive(Clone, Debug, Default)]
pub(super) struct OwnName(Option<String>);

impl OwnName {
    /// Of the URL of the settings.
    pub(super) fn of(internal_url: Option<&str>) -> Self {
        let host = internal_url.and_then(|url| url.parse::<Uri>().ok());
        Self(host.and_then(|url| url.host().map(str::to_ascii_lowercase)))
    }

    fn is_known(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        bare.parse::<IpAddr>().is_ok()
            || !host.contains('.')
            || host.ends_with(".localhost")
            || self.0.as_ref() == Some(&host)
    }
}

/// Lets through what is asked of us by a name that we know.
pub(super) async fn check(State(own): State<OwnName>, request: Request, next: Next) -> Response {
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
    if is_known {
        return next.run(request).await;
    }
    Problem::new(StatusCode::MISDIRECTED_REQUEST, "Misdirected Request")
        .detail("simdeck does not know itself by this name: set SIMDECK_INTERNAL_URL to the URL that people use.")
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_others_may_lead_to_us_are_not_known() {
        let own = OwnName::of(Some("https://Simdeck.example.com:8443/"));
        for host in [
            "127.0.0.1",
            "[::1]",
            "192.168.1.20",
            "localhost",
            "simdeck",
            "a.localhost",
            "simdeck.example.com",
            "SIMDECK.EXAMPLE.COM",
        ] {
            assert!(own.is_known(host), "{host}");
        }
        for host in ["evil.example", "simdeck.example.com.evil.example", "127.0.0.1.evil.example"] {
            assert!(!own.is_known(host), "{host}");
        }
        assert!(!OwnName::of(None).is_known("simdeck.example.com"));
    }
}
