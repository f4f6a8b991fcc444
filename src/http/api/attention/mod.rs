//! `/v1/attention`: what needs a person, in sentences, the most urgent first.
use axum::{
    Json,
    extract::{RawQuery, State},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{InternalState, base::Base, doc::words, error::ApiError, params};
use crate::{
    domain::{Giccid, NetworkContext, Timestamp},
    http::auth::Reader,
};

mod pushes;
mod routers;
mod sims;
mod wording;

use wording::Wording;

/// What is told of, in the order in which it is told of among equally urgent things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum AttentionKind {
    PushesOverdue,
    PushesQuarantined,
    PushesStale,
    PushesRefused,
    /// Authentic pushes were pushed out of their ring.
    PushesDropped,
    /// What comes is not let in, and may be pushes.
    PushesNotTaken,
    RcmsFailing,
    SimAboveUsual,
    ImeiChange,
    SimsSilent,
    NewCountry,
    RouterOffline,
}

/// How urgent it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    /// Something is being lost, or paid for, now.
    Critical,
    /// Somebody should look today.
    Warning,
    /// Somebody may want to know.
    Notice,
}

impl AttentionKind {
    /// Every kind.
    pub(super) const ALL: [Self; 12] = [
        Self::PushesOverdue,
        Self::PushesQuarantined,
        Self::PushesStale,
        Self::PushesRefused,
        Self::PushesDropped,
        Self::PushesNotTaken,
        Self::RcmsFailing,
        Self::SimAboveUsual,
        Self::ImeiChange,
        Self::SimsSilent,
        Self::NewCountry,
        Self::RouterOffline,
    ];

    /// The word in the API.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::PushesOverdue => "pushes_overdue",
            Self::PushesQuarantined => "pushes_quarantined",
            Self::PushesStale => "pushes_stale",
            Self::PushesRefused => "pushes_refused",
            Self::PushesDropped => "pushes_dropped",
            Self::PushesNotTaken => "pushes_not_taken",
            Self::RcmsFailing => "rcms_failing",
            Self::SimAboveUsual => "sim_above_usual",
            Self::ImeiChange => "imei_change",
            Self::SimsSilent => "sims_silent",
            Self::NewCountry => "new_country",
            Self::RouterOffline => "router_offline",
        }
    }
}

impl Severity {
    /// Every one, the most urgent first.
    pub(super) const ALL: [Self; 3] = [Self::Critical, Self::Warning, Self::Notice];

    /// The word in the API.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Notice => "notice",
        }
    }
}

/// Something that needs a person. Beside the first six members it has those that belong to its kind.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(examples(json!({
    "kind": "sim_above_usual", "severity": "critical",
    "sentence": "SIM …7993 used 1.92 GB today, 122 times its usual 16 MB: look for a new firmware, \
        a transfer that does not end, or a SIM in the wrong hands.",
    "since": "2024-09-05T00:00:00.000Z", "count": 1,
    "url": "http://127.0.0.1:8081/v1/sims/8944501503181377993",
    "giccid": "8944501503181377993", "sim_group": "EV-Chargers", "country_code": "DE",
    "network": "262-01", "apn": "iot.east", "data_usage": 2_061_584_302, "usual": 16_777_216,
})))]
pub(super) struct AttentionOut {
    #[schema(schema_with = words::attention_kind)]
    kind: &'static str,
    #[schema(schema_with = words::severity)]
    severity: &'static str,
    /// What there is, and what to do or what it may come from.
    sentence: String,
    #[schema(format = DateTime)]
    since: Option<String>,
    /// How many pushes, SIMs or routers it is about.
    count: u64,
    /// Where there is more.
    url: String,
    /// Why pushes are held; or the name of the condition by which they are not taken in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    giccid: Option<String>,
    /// The router.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    sn: Option<String>,
    /// The router's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    sim_group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    country_code: Option<String>,
    /// The network's `mcc` and `mnc`, with a hyphen.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    network: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    apn: Option<String>,
    /// Bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    data_usage: Option<i64>,
    /// Bytes of a usual day: the median of the last 14 complete days with use.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    usual: Option<i64>,
    /// For how long no usage record has come, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pause_s: Option<u64>,
    /// How long the longest pause of a day usually is, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    usual_pause_s: Option<u64>,
}

/// Where an item stands among the others: by urgency, then by kind. Those of one kind are in order.
type Rank = (Severity, AttentionKind);

/// Something that needs a person, before it is put in its place.
struct Item {
    rank: Rank,
    out: AttentionOut,
}

impl Item {
    fn new(severity: Severity, kind: AttentionKind, url: String, sentence: String) -> Self {
        let (severity_word, kind_word) = (severity.as_str(), kind.as_str());
        let out = AttentionOut {
            kind: kind_word,
            severity: severity_word,
            sentence,
            count: 1,
            url,
            ..AttentionOut::default()
        };
        Self { rank: (severity, kind), out }
    }

    fn since(mut self, at: Timestamp) -> Self {
        self.out.since = Some(at.to_string());
        self
    }

    fn count(mut self, count: u64) -> Self {
        self.out.count = count;
        self
    }

    fn giccid(mut self, giccid: Option<&Giccid>) -> Self {
        self.out.giccid = giccid.map(Giccid::to_string);
        self
    }

    fn network(mut self, network: &NetworkContext) -> Self {
        self.out.sim_group = network.sim_group.sent().map(str::to_owned);
        self.out.country_code = network.country_code.sent().map(str::to_owned);
        self.out.apn = network.apn.sent().map(str::to_owned);
        self.out.network = network.mcc.sent().map(|mcc| format!("{mcc}-{}", network.mnc));
        self
    }
}

/// What the parts of the answer are told from.
struct Asked<'a> {
    state: &'a InternalState,
    base: &'a Base,
    wording: Wording,
    now: Timestamp,
}

/// `GET /v1/attention`
pub(super) async fn show(
    State(state): State<InternalState>,
    Reader(caller): Reader,
    base: Base,
    RawQuery(query): RawQuery,
) -> Result<Json<Vec<AttentionOut>>, ApiError> {
    params::read_none("attention", query.as_deref())?;
    let now = state.clock.now();
    let wording = Wording { now, zone: state.store.zone() };
    let asked = Asked { state: &state, base: &base, wording, now };
    let place = state.store.heavy_for(&caller.label).await?;
    let mut items = asked.pushes().await?;
    items.extend(asked.routers().await?);
    items.extend(asked.sims().await?);
    drop(place);
    items.sort_by_key(|item| item.rank);
    Ok(Json(items.into_iter().map(|item| item.out).collect()))
}
