//! `/v1/status`: how it goes, for people and for what watches over us.
use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{RawQuery, State},
};
use serde::Serialize;

use super::{InternalState, error::ApiError, params};
use crate::{
    domain::ApiKey,
    http::auth::Reader,
    intake::Readiness,
    store::{KindTally, RingTally, Tallies},
};

/// The whole answer.
#[derive(Debug, Serialize)]
pub(super) struct StatusOut {
    version: &'static str,
    now: String,
    ready: bool,
    /// Why nothing can be stored, in a sentence.
    reason: Option<String>,
    queue: QueueOut,
    /// By push kind.
    pushes: BTreeMap<String, KindOut>,
    held: HeldOut,
    keys: Vec<KeyOut>,
}

/// What waits to be stored.
#[derive(Debug, Serialize)]
struct QueueOut {
    records: u64,
    bytes: u64,
}

/// What one kind of push came to.
#[derive(Debug, Serialize)]
struct KindOut {
    rows: i64,
    /// Records that came again and changed nothing.
    repeats: i64,
    /// Those of them that came under another `datePush`: perhaps two true records taken for one.
    repeats_redated: i64,
    last_received_at: Option<String>,
}

/// What lies aside.
#[derive(Debug, Serialize)]
struct HeldOut {
    quarantined: QuarantineOut,
    refused: RingsOut,
}

#[derive(Debug, Serialize)]
struct QuarantineOut {
    rows: i64,
    bytes: i64,
}

#[derive(Debug, Serialize)]
struct RingsOut {
    plausible: RingOut,
    noise: RingOut,
}

/// A ring, and how many pushes it could not hold.
#[derive(Debug, Serialize)]
struct RingOut {
    rows: i64,
    bytes: i64,
    dropped: i64,
}

/// A live key.
#[derive(Debug, Serialize)]
struct KeyOut {
    id: i64,
    label: String,
    scope: &'static str,
}

/// `GET /v1/status`
pub(super) async fn show(
    State(state): State<InternalState>,
    _: Reader,
    RawQuery(query): RawQuery,
) -> Result<Json<StatusOut>, ApiError> {
    params::read_none("status", query.as_deref())?;
    let health = state.intake.health();
    let tallies = state.store.tallies().await?;
    let keys = state.store.api_keys().await?;
    let reason = match health.readiness {
        Readiness::Ready => None,
        Readiness::NotReady(reason) => Some(reason),
    };
    Ok(Json(StatusOut {
        version: env!("CARGO_PKG_VERSION"),
        now: state.clock.now().to_string(),
        ready: reason.is_none(),
        reason,
        queue: QueueOut { records: health.queued_records, bytes: health.queued_bytes },
        held: held_out(&tallies),
        pushes: tallies.kinds.into_iter().map(kind_out).collect(),
        keys: keys.into_iter().filter(|key| key.revoked_at.is_none()).map(key_out).collect(),
    }))
}

fn kind_out(tally: KindTally) -> (String, KindOut) {
    let out = KindOut {
        rows: tally.rows,
        repeats: tally.repeats,
        repeats_redated: tally.repeats_redated,
        last_received_at: tally.last_received.map(|at| at.to_string()),
    };
    (tally.kind, out)
}

fn held_out(tallies: &Tallies) -> HeldOut {
    HeldOut {
        quarantined: QuarantineOut {
            rows: tallies.quarantine_rows,
            bytes: tallies.quarantine_bytes,
        },
        refused: RingsOut {
            plausible: ring_out(&tallies.plausible),
            noise: ring_out(&tallies.noise),
        },
    }
}

fn ring_out(ring: &RingTally) -> RingOut {
    RingOut { rows: ring.rows, bytes: ring.bytes, dropped: ring.dropped }
}

fn key_out(key: ApiKey) -> KeyOut {
    KeyOut { id: key.id, label: key.label, scope: key.scope.as_str() }
}
