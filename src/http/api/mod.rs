//! The query API, and whether we are well.
//!
//! [`routes`] is the table of addresses and [`params`] that of query parameters, [`list`] walks any
//! list, [`export`] streams one, [`aggregate`] adds up; each resource has a file that says what its
//! rows look like. [`doc`] makes the OpenAPI document of all that.
use std::{num::NonZeroU32, sync::Arc};

use axum::{
    Router,
    extract::FromRef,
    middleware,
    response::{IntoResponse, Response},
};
use ipnet::IpNet;

use super::auth::{Denied, Gate, LiveAdminKey};
use crate::{domain::Clock, intake::Intake, store::Store};

mod aggregate;
mod aggregate_row;
mod attention;
mod audit;
mod base;
mod body;
mod cells;
mod change_row;
mod changes;
mod conditions;
mod cors;
mod csv_rows;
mod device_group;
mod device_history;
mod devices;
mod doc;
mod erasures;
mod error;
mod export;
mod fleet;
mod health;
mod held;
mod held_many;
mod import;
mod index;
mod keep;
mod keys;
mod list;
mod live;
mod metrics;
mod notifications;
mod packed;
mod params;
mod pushes;
mod rcms;
mod respond;
mod retract;
mod routes;
mod row_id;
mod search;
mod shown_body;
mod sign_in_links;
mod sim_import;
mod sim_label;
mod sim_timeline;
mod sims;
mod sms;
mod status;
mod status_backup;
mod status_counts;
mod stream;
mod summary;
mod test_nonces;
mod test_push;
mod usage;

pub(super) use cors::layer as cors_layer;
pub(super) use error::ApiError;

pub use cors::{Origin, OriginError};
pub use doc::DocumentSettings;
pub use live::{Connections, Live, StreamLimits};
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
    pub admin_key: LiveAdminKey,
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
    /// Whether the internal listener itself speaks TLS.
    pub is_encrypted: bool,
    /// Other names under which the internal listener is called.
    pub internal_names: Vec<String>,
    /// The field among the unknown ones that holds a message's text.
    pub sms_text_field: Option<String>,
    /// How many requests a key has in an hour; no end without it.
    pub requests_per_hour: Option<NonZeroU32>,
    /// Somebody wants no limit: nor one of how often a source may show dead keys.
    pub is_unlimited: bool,
    /// The origins whose pages may ask from a browser.
    pub cors_origins: Vec<Origin>,
    /// Who is believed about the address of a client.
    pub trusted_proxies: Arc<[IpNet]>,
    /// Only a command asks, which works on the files itself while no server runs.
    pub is_command: bool,
}

impl ApiSettings {
    /// Whether people come over HTTPS, to us or to a proxy in front.
    pub(super) fn is_https(&self) -> bool {
        match &self.internal_url {
            Some(url) => url.starts_with("https://"),
            None => self.is_encrypted,
        }
    }
}

impl FromRef<InternalState> for Gate {
    fn from_ref(state: &InternalState) -> Self {
        Self {
            admin_key: state.admin_key.clone(),
            is_https: state.settings.is_https(),
            intake: state.intake.clone(),
            failures: Arc::clone(&state.live.key_failures),
            limits_failures: !state.settings.is_unlimited,
            trusted_proxies: Arc::clone(&state.settings.trusted_proxies),
            forbidden: Arc::clone(&state.live.forbidden),
            is_command: state.settings.is_command,
        }
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

impl FromRef<InternalState> for Live {
    fn from_ref(state: &InternalState) -> Self {
        state.live.clone()
    }
}

/// Every address of the API.
pub(super) fn router(state: InternalState) -> Router {
    let (router, places) = routes::routes().into_router();
    let router = router
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .fallback(async || ApiError::NoSuchAddress)
        .with_state(state.clone());
    packed::unpacked(router)
        .layer(middleware::from_fn_with_state((state, places), doc::point_to_docs))
}

impl From<Denied> for ApiError {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::NoKey => Self::NoKey,
            Denied::Forbidden => Self::Forbidden,
            Denied::ForeignPage => Self::ForeignPage,
            Denied::Unknown => Self::Busy,
            Denied::TooOften { retry_after_s } => Self::TooOften { retry_after_s },
        }
    }
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        ApiError::from(self).into_response()
    }
}

/// The OpenAPI document.
pub fn openapi(settings: &DocumentSettings) -> serde_json::Value {
    routes::routes().document(settings)
}
