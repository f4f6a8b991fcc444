//! The page: the fleet in a browser.
//!
//! It is a client of the API like any other (see [`ask`]), so that whatever it shows can be asked for
//! again by the call that stands beside it. [`frame`] is what surrounds every page, [`words`] all that
//! is said in either language, [`format`](mod@format) how numbers and times are told; each page has a file and a
//! template of its own. What others wrote is only ever text: templates escape it, the script sets it as
//! text, and the policy lets nothing run but our own script.
use std::{num::NonZeroU32, sync::Arc};

use askama::Template;
use axum::{
    Router,
    extract::{FromRef, FromRequestParts},
    http::{HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tower_http::set_header::SetResponseHeaderLayer;

use super::{
    api::InternalState,
    auth::{Denied, Gate, Reader},
    query_string::append,
    rate::Limiter,
};
use crate::domain::{Caller, Scope};

mod api_page;
mod ask;
mod assets;
mod audit;
mod beats;
mod call;
mod chart;
mod filters;
mod first_run;
mod format;
mod frame;
mod live;
mod look;
mod messages;
mod nowhere;
mod overview;
mod payload;
mod preferences;
mod registration;
mod router;
mod routers;
mod search;
mod sign_in;
mod sim;
mod sims;
mod time_zone;
mod turns;
mod words;
mod zone;

use ask::{Api, Recent, Refused};
use call::Call;
use format::Format;
pub use format::UnitBase;
use frame::{Frame, Here, Pulse, StatusIn};
use look::Look;
pub use registration::{PushAddress, Registration, Registrations};
use zone::ReaderZone;

/// What the page has to know beyond what the API tells.
#[derive(Clone, Debug, Default)]
pub struct PageSettings {
    /// What a kilobyte is.
    pub unit_base: UnitBase,
    /// What to register in SmartHub; shown to admins.
    pub registrations: Registrations,
    /// Whether the internet can see these addresses, as far as their looks tell.
    pub is_public: bool,
    /// Whether all of this is made up.
    pub is_demo: bool,
}

/// What the pages are made from.
#[derive(Clone)]
struct PageState {
    api: InternalState,
    router: Router,
    recent: Recent,
    settings: Arc<PageSettings>,
    sign_ins: Arc<Limiter>,
}

impl FromRef<PageState> for Gate {
    fn from_ref(state: &PageState) -> Self {
        Self::from_ref(&state.api)
    }
}

impl PageState {
    fn gate(&self) -> Gate {
        Gate::from_ref(self)
    }

    /// Whether browsers come by TLS.
    fn is_https(&self) -> bool {
        self.api.settings.is_https()
    }
}

/// How often a key may open a session: each is a row of the store.
const SIGN_INS_AN_HOUR: NonZeroU32 = NonZeroU32::MIN.saturating_add(119);

/// All pages, which ask this API.
pub(super) fn router(api: InternalState, router: Router, settings: PageSettings) -> Router {
    let sign_ins = Arc::new(Limiter::new(SIGN_INS_AN_HOUR, Arc::clone(&api.clock)));
    let state = PageState {
        api,
        router,
        recent: Recent::default(),
        settings: Arc::new(settings),
        sign_ins,
    };
    let header =
        |name, value| SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value));
    Router::new()
        .route("/", get(overview::show))
        .route("/sims", get(sims::show))
        .route("/sims/{giccid}", get(sim::show).post(sim::label))
        .route("/messages", get(messages::show))
        .route("/search", get(search::show))
        .route("/live", get(live::show))
        .route("/test-push", post(live::test_push))
        .route("/held/{id}/retry", post(live::retry))
        .route("/routers", get(routers::show))
        .route("/routers/{sn}", get(router::show).post(router::act))
        .route("/api", get(api_page::show).post(api_page::act))
        .route("/audit", get(audit::show))
        .route("/sign-in", get(sign_in::form).post(sign_in::enter))
        .route("/sign-out", post(sign_in::leave))
        .route("/time-zone", get(time_zone::show))
        .route("/preferences", post(preferences::set))
        .route("/assets/{file}", get(assets::show))
        .route("/favicon.ico", get(nowhere::icon))
        .fallback(nowhere::show)
        .layer(header(header::CONTENT_SECURITY_POLICY, POLICY))
        // Without any a browser would not say which page a form is of.
        .layer(header(header::REFERRER_POLICY, "same-origin"))
        .layer(header(header::X_FRAME_OPTIONS, "DENY"))
        .layer(header(HeaderName::from_static("cross-origin-opener-policy"), "same-origin"))
        .with_state(state)
}

/// Nothing but our own files, and nobody may put us into a frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Who looks at a page, and how.
struct Visitor {
    state: PageState,
    caller: Caller,
    api: Api,
    look: Look,
    zone: ReaderZone,
    /// The address that was asked for.
    address: String,
}

impl FromRequestParts<PageState> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &PageState) -> Result<Self, Response> {
        let look = Look::of(&parts.headers);
        let address = parts.uri.path_and_query().map_or("/", |it| it.as_str()).to_owned();
        match Reader::from_request_parts(parts, state).await {
            Ok(Reader(caller)) => Ok(Self {
                state: state.clone(),
                caller,
                api: Api::of(&state.router, &state.recent, parts),
                look,
                zone: ReaderZone::of(&parts.headers, state.api.store.zone()),
                address,
            }),
            Err(Denied::NoKey) => Err(to_sign_in(&address)),
            Err(denied) => Err(denied.into_response()),
        }
    }
}

impl Visitor {
    fn is_admin(&self) -> bool {
        self.caller.scope >= Scope::Admin
    }

    fn format(&self) -> Format {
        Format {
            words: self.look.words,
            zone: self.zone.zone.clone(),
            base: self.state.settings.unit_base,
            now: self.state.api.clock.now(),
        }
    }

    /// What surrounds this page.
    fn frame(&self, here: Here, title: &str, status: &Result<StatusIn, Refused>) -> Frame {
        let pulse = Pulse::of(status, &self.format());
        Frame {
            here,
            address: self.address.clone(),
            pulse: Some(pulse),
            caller: self.caller.label.clone(),
            is_admin: self.is_admin(),
            can_test: self.is_admin() && self.state.api.live.test_pusher.is_some(),
            zone: zone::name_of(&self.zone.zone).to_owned(),
            is_zone_of_browser: self.zone.is_of_browser(),
            zone_offset: zone::offset_of(&self.zone.zone, self.state.api.clock.now()),
            ..Frame::outside(&self.state, self.look, title)
        }
    }

    /// The call behind a panel, to be kept or asked again.
    fn source(&self, call: &Call) -> Source {
        Source { csv: call.csv(), curl: call.curl(&self.base()) }
    }

    /// The address of the API, as it stands in a copied call.
    fn base(&self) -> String {
        match &self.state.api.settings.internal_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("http://{}", self.api.host().unwrap_or("127.0.0.1")),
        }
    }
}

/// The call behind a panel.
#[derive(Clone, Debug, Default)]
struct Source {
    /// The address of the same as a table.
    csv: String,
    /// The same for a shell.
    curl: String,
}

/// The sign-in form, which leads back here.
fn to_sign_in(address: &str) -> Response {
    let mut query = String::new();
    if address != "/" {
        append(&mut query, "next", address);
    }
    let place = if query.is_empty() { "/sign-in".to_owned() } else { format!("/sign-in?{query}") };
    (StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response()
}

/// A document.
fn page_of(status: StatusCode, template: &impl Template) -> Response {
    const HTML: &str = "text/html; charset=utf-8";
    match template.render() {
        Ok(html) => (status, [(header::CONTENT_TYPE, HTML)], html).into_response(),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "A page could not be made");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// A page that cannot be made because the API refused.
fn failed(visitor: &Visitor, refused: &Refused) -> Response {
    let title = refused.headline(visitor.look.words);
    let frame = visitor.frame(Here::Elsewhere, &title, &Err(refused.clone()));
    page_of(refused.status, &Failed { frame, refused })
}

#[derive(Template)]
#[template(path = "failed.html")]
struct Failed<'p> {
    frame: Frame,
    refused: &'p Refused,
}

/// Where a browser is sent on: only to an address of ours, however it reads it.
fn place_of(next: &str) -> HeaderValue {
    let is_ours = next.starts_with('/')
        && !next.starts_with("//")
        && !next.contains('\\')
        && next.bytes().all(|byte| byte.is_ascii_graphic());
    let place = is_ours.then(|| HeaderValue::from_str(next).ok()).flatten();
    place.unwrap_or(HeaderValue::from_static("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_another_server() {
        assert_eq!(place_of("/sims?country_code=DE"), "/sims?country_code=DE");
        for elsewhere in ["//evil.example", "/\\evil.example", "https://evil.example", "", "/a\nb"]
        {
            assert_eq!(place_of(elsewhere), "/", "{elsewhere}");
        }
    }
}
