//! `/v1/status`: how it goes, for people and for what watches over us.
use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{RawQuery, State},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    InternalState,
    conditions::{self, ConditionOut},
    doc::words,
    error::ApiError,
    params,
    rcms::RcmsOut,
    status_backup::StatusBackupOut,
    status_counts::StatusCounts,
};
use crate::{
    domain::{ApiKey, Kind, Timestamp},
    http::auth::Reader,
    intake::{DiskState, FolderRoom, Health},
    store::{KindTally, RingTally, Tallies},
};

/// The whole answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "version": "0.1.0", "now": "2024-09-05T01:30:48.000Z",
    "counted_at": "2024-09-05T01:30:48.000Z", "ready": true, "reason": null,
    "queue": {"records": 0, "bytes": 0}, "received_per_s": 212.4,
    "pushes": {"data-usage": {
        "records": 502, "data_usage": 52_118, "repeats": 1, "repeats_redated": 0,
        "last_received_at": "2024-09-05T01:30:48.000Z",
    }},
    "held": {
        "quarantined": {"pushes": 0, "bytes": 0},
        "stale": {"pushes": 0, "bytes": 0, "dropped": 0},
        "refused": {
            "noise": {"pushes": 0, "bytes": 0, "dropped": 0},
            "plausible": {"pushes": 3, "bytes": 945, "dropped": 0},
        },
    },
    "rcms": {
        "state": "ok", "last_success_at": "2024-09-05T01:30:37.257Z", "error": null,
        "error_since": null, "paused_until": null, "calls": {},
        "devices": {"online": 7, "offline": 1, "unknown": 0},
    },
    "conditions": [{
        "name": "silent", "on": true, "kind": "mo-sms", "since": "2024-09-04T01:02:03.000Z",
        "sentence": "No mo-sms push has come for more than 6 h, since 2024-09-04T01:02:03.000Z; the \
            longest pause is usually 3 h.",
        "todo": "Check that this server can be reached from outside, and that SmartHub still has its \
            address.",
    }],
    "disk": {
        "free_bytes": 52_428_800_000_u64, "reserve_bytes": 536_870_912, "database_bytes": 4_194_304,
        "full_at": "2024-11-05T01:30:48.000Z",
        "folders": [
            {"name": "database", "free_bytes": 52_428_800_000_u64, "is_elsewhere": false},
            {"name": "data", "free_bytes": 52_428_800_000_u64, "is_elsewhere": false},
            {"name": "backups", "free_bytes": 104_857_600_000_u64, "is_elsewhere": true},
        ],
    },
    "backup": {
        "every_s": 86_400, "last_success_at": "2024-09-05T01:00:02.000Z", "bytes": 4_194_304,
        "took_s": 0.214, "failures": 0, "failing_since": null, "error": null,
    },
    "erased": {"sims": 0, "came_again": 0},
    "time_zone": {
        "name": "UTC", "next": "Asia/Shanghai", "progress": 0.42, "given_up": null,
    },
    "tests": 0, "keys": [{"id": 1, "label": "grafana", "scope": "read"}],
})))]
pub(super) struct StatusOut {
    version: &'static str,
    #[schema(format = DateTime)]
    now: String,
    /// When what the store counts was read: pushes, what is held and erased, tests, keys. It is long before
    /// `now` where the database cannot be read.
    #[schema(format = DateTime)]
    counted_at: String,
    ready: bool,
    /// Why nothing can be stored, in a sentence.
    reason: Option<&'static str>,
    queue: QueueOut,
    /// Records that were stored in a second, over the last ten; tests among them.
    received_per_s: f64,
    /// By push kind.
    pushes: BTreeMap<String, KindOut>,
    held: HeldOut,
    rcms: RcmsOut,
    /// What can be wrong with how data comes in: that which is, then that which is not.
    conditions: Vec<ConditionOut>,
    disk: DiskOut,
    backup: StatusBackupOut,
    erased: ErasedOut,
    time_zone: TimeZoneOut,
    /// Our own test records, which are in no total.
    tests: i64,
    keys: Vec<KeyOut>,
}

/// What waits to be stored.
#[derive(Debug, Serialize, ToSchema)]
struct QueueOut {
    records: usize,
    bytes: usize,
}

/// What one kind of push came to.
#[derive(Debug, Serialize, ToSchema)]
struct KindOut {
    /// Those that can be read: not what was pruned, erased or retracted.
    records: i64,
    /// The volume of all records, also of those that were pruned, without what was erased or retracted.
    data_usage: i64,
    /// Records that came again and changed nothing.
    repeats: i64,
    /// Those of them that came under another `datePush`: perhaps two true records taken for one.
    repeats_redated: i64,
    /// When the last push came in; none where all records came from files.
    #[schema(format = DateTime)]
    last_received_at: Option<String>,
}

/// What lies aside.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HeldTallyOut)]
struct HeldOut {
    quarantined: QuarantineOut,
    /// Authentic pushes whose `datePush` is too old: late, or sent again by somebody who captured
    /// a signature. The oldest go when there are too many.
    stale: RingOut,
    refused: BTreeMap<String, RingOut>,
}

#[derive(Debug, Serialize, ToSchema)]
struct QuarantineOut {
    pushes: i64,
    bytes: i64,
}

/// A ring, and how many pushes it could not hold.
#[derive(Debug, Serialize, ToSchema)]
struct RingOut {
    /// Each as often as it came.
    pushes: i64,
    bytes: i64,
    dropped: i64,
}

/// The disk that holds the database.
#[derive(Debug, Serialize, ToSchema)]
struct DiskOut {
    /// None where nobody can tell.
    free_bytes: Option<u64>,
    /// With less, pushes are answered 503.
    reserve_bytes: u64,
    database_bytes: u64,
    /// When nothing but the reserve is left, if the database grows as it did in the last week, with the
    /// backups that are to come; none where it does not grow, or this was not looked at for an hour.
    #[schema(format = DateTime)]
    full_at: Option<String>,
    /// The folders that simdeck writes to.
    folders: Vec<FolderOut>,
}

/// A folder that simdeck writes to, and the room on its disk.
#[derive(Debug, Serialize, ToSchema)]
struct FolderOut {
    /// `database`, `data` or `backups`.
    name: &'static str,
    /// None where nobody can tell, or the folder does not answer.
    free_bytes: Option<u64>,
    /// Whether it lies on another disk than the database; none where nobody can tell.
    is_elsewhere: Option<bool>,
}

/// SIMs that were erased.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ErasedTallyOut)]
struct ErasedOut {
    sims: i64,
    /// Records of them that came since, and were not kept.
    came_again: i64,
}

/// The zone by whose days the sums of each SIM are kept.
#[derive(Debug, Serialize, ToSchema)]
struct TimeZoneOut {
    name: String,
    /// The zone of `SIMDECK_TIME_ZONE`, as long as the sums are being cut anew by its days; until
    /// that is done all sums go by the other.
    next: Option<String>,
    /// How much of that is done, from 0 to 1.
    progress: Option<f64>,
    /// The zone of a change that was given up half way, because the server was started without it; null
    /// once another change has begun.
    given_up: Option<String>,
}

/// A live key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LiveKeyOut)]
struct KeyOut {
    id: i64,
    label: String,
    #[schema(schema_with = words::scope)]
    scope: &'static str,
}

/// `GET /v1/status`
pub(super) async fn show(
    State(state): State<InternalState>,
    _: Reader,
    RawQuery(query): RawQuery,
) -> Result<Json<StatusOut>, ApiError> {
    params::read_none("status", query.as_deref())?;
    let queue = state.intake.queue_depth();
    let StatusCounts { tallies, keys, erased, fleet, zone_given_up, read_at } =
        state.status_counts().await?;
    let (sims, came_again) = erased;
    let conditions = conditions::rows(state.conditions().await);
    let reason = match state.intake.health() {
        Health::Ready => None,
        Health::NotReady(reason) => Some(reason),
    };
    Ok(Json(StatusOut {
        version: env!("CARGO_PKG_VERSION"),
        now: state.clock.now().to_string(),
        counted_at: read_at.to_string(),
        ready: reason.is_none(),
        reason,
        queue: QueueOut { records: queue.records, bytes: queue.bytes },
        received_per_s: state.intake.received_per_s(),
        held: held_out(&tallies),
        disk: disk_out(state.intake.disk()),
        backup: state.intake.backups().into(),
        erased: ErasedOut { sims, came_again },
        time_zone: time_zone_out(&state, zone_given_up),
        rcms: RcmsOut::new(state.poll_report().as_ref(), &fleet),
        conditions,
        tests: tallies.tests,
        pushes: tallies.kinds.into_iter().map(kind_out).collect(),
        keys: keys.into_iter().filter(|key| key.revoked_at.is_none()).map(key_out).collect(),
    }))
}

fn time_zone_out(state: &InternalState, given_up: Option<String>) -> TimeZoneOut {
    let (next, progress) = state.intake.rezoning().map(|it| (it.zone, it.progress)).unzip();
    let name = state.store.zone().iana_name().unwrap_or("UTC").to_owned();
    let progress = progress.map(|share| (share * 100.0).round() / 100.0);
    TimeZoneOut { name, next, progress, given_up }
}

fn disk_out(disk: DiskState) -> DiskOut {
    DiskOut {
        free_bytes: disk.free_bytes,
        reserve_bytes: disk.reserve_bytes,
        database_bytes: disk.database_bytes,
        full_at: disk.lasts.full_at().map(|at| at.to_string()),
        folders: disk
            .folders
            .into_iter()
            .map(|FolderRoom { folder, free_bytes, is_elsewhere, .. }| FolderOut {
                name: folder.as_str(),
                free_bytes,
                is_elsewhere,
            })
            .collect(),
    }
}

fn kind_out(
    (kind, tally, last_received): (Kind, KindTally, Option<Timestamp>),
) -> (String, KindOut) {
    let out = KindOut {
        records: tally.records,
        data_usage: tally.data_usage,
        repeats: tally.repeats,
        repeats_redated: tally.repeats_redated,
        last_received_at: last_received.map(|at| at.to_string()),
    };
    (kind.to_string(), out)
}

fn held_out(tallies: &Tallies) -> HeldOut {
    let quarantine = tallies.quarantine;
    HeldOut {
        quarantined: QuarantineOut { pushes: quarantine.pushes, bytes: quarantine.bytes },
        stale: ring_out(&tallies.stale),
        refused: tallies.rings.iter().map(|ring| (ring.ring.clone(), ring_out(ring))).collect(),
    }
}

fn ring_out(ring: &RingTally) -> RingOut {
    RingOut { pushes: ring.pushes, bytes: ring.bytes, dropped: ring.dropped }
}

fn key_out(key: ApiKey) -> KeyOut {
    KeyOut { id: key.id, label: key.label, scope: key.scope.as_str() }
}
