//! How the store and the way into it are.
use std::fmt;

use prometheus_client::metrics::MetricType;

use super::{backups, page::Page};
use crate::{
    domain::{Condition, ConditionKind, Timestamp},
    http::api::{InternalState, conditions::soon},
    intake::{BackupState, CommitFigures, FolderRoom, Health, Lasts, QueueDepth},
    store::{Room, Tallies},
};

/// What is told of it. A store that cannot be read takes away its own figures, not the others.
pub(super) struct StateFigures {
    now: Timestamp,
    is_ready: bool,
    queue: QueueDepth,
    commits: CommitFigures,
    conditions: Vec<Condition>,
    backups: BackupState,
    lasts: Lasts,
    room: Option<Room>,
    folders: Vec<FolderRoom>,
    tallies: Option<Tallies>,
}

impl StateFigures {
    pub(super) async fn gather(state: &InternalState) -> Self {
        let (store, of_room) = (state.store.clone(), state.store.clone());
        let (conditions, room, tallies) = tokio::join!(
            state.conditions(),
            soon(async move { of_room.room().await }),
            soon(async move { store.tallies().await }),
        );
        Self {
            now: state.clock.now(),
            is_ready: state.intake.health() == Health::Ready,
            queue: state.intake.queue_depth(),
            commits: state.intake.commits(),
            conditions,
            backups: state.intake.backups(),
            lasts: state.intake.disk().lasts,
            room: room.and_then(Result::ok),
            folders: state.intake.disk().folders,
            tallies: tallies.and_then(Result::ok),
        }
    }

    pub(super) fn encode(&self, page: &mut Page<'_>) -> fmt::Result {
        let help = "Whether a push that came now would be stored.";
        page.gauge("simdeck_ready", help, u64::from(self.is_ready))?;
        let help = "Records that wait to be committed.";
        page.gauge("simdeck_queue_records", help, self.queue.records as u64)?;
        let help = "Bytes of the bodies that wait to be committed.";
        page.gauge("simdeck_queue_bytes", help, self.queue.bytes as u64)?;
        let help = "How long commits took, until they were on disk.";
        page.histogram("simdeck_commit_seconds", help, &self.commits.took_us, 1_000_000)?;
        let help = "How many records a commit held.";
        page.histogram("simdeck_commit_records", help, &self.commits.records, 1)?;
        let conditions = ConditionKind::ALL.map(|kind| {
            let count = self.conditions.iter().filter(|it| it.kind == kind).count();
            ([("condition", kind.as_str())], count as u64)
        });
        let help = "What is wrong: for how many kinds of push, or 1 where it is about none.";
        page.each("simdeck_conditions", help, MetricType::Gauge, conditions)?;
        backups::encode(&self.backups, self.now, page)?;
        let full_in = match self.lasts {
            Lasts::Unknown => None,
            Lasts::ForAges => Some(f64::INFINITY),
            Lasts::Until(at) => Some(at.since(self.now).as_millis() as f64 / 1000.0),
        };
        if let Some(full_in) = full_in {
            let help = "Seconds until nothing but the reserve is left on the database's disk, if the \
                        database grows as in the last week; +Inf where it does not. Not there for as \
                        long as that is not known.";
            page.gauge("simdeck_disk_full_in_seconds", help, full_in)?;
        }
        if let Some(room) = self.room {
            let help = "The size of the database file.";
            page.gauge("simdeck_database_bytes", help, room.database_bytes)?;
            let help = "The size of the log beside the database.";
            page.gauge("simdeck_wal_bytes", help, room.wal_bytes)?;
            let help = "What is free on the database's disk.";
            page.gauge("simdeck_disk_free_bytes", help, room.free_bytes)?;
        }
        let folders = self
            .folders
            .iter()
            .filter_map(|room| Some(([("folder", room.folder.as_str())], room.free_bytes?)));
        let help = "What is free on the disk of each folder that simdeck writes to.";
        page.each("simdeck_folder_free_bytes", help, MetricType::Gauge, folders)?;
        self.tallies.as_ref().map_or(Ok(()), |tallies| self.encode_tallies(tallies, page))
    }

    fn encode_tallies(&self, tallies: &Tallies, page: &mut Page<'_>) -> fmt::Result {
        let ages = tallies.kinds.iter().filter_map(|(kind, _, last)| {
            let age_ms = self.now.since((*last)?).as_millis() as f64;
            Some(([("kind", kind.as_str())], age_ms / 1000.0))
        });
        let help = "Seconds since the newest push of a kind was stored.";
        page.each("simdeck_push_age_seconds", help, MetricType::Gauge, ages)?;
        let count = |count: i64| count.max(0).unsigned_abs();
        let quarantine = tallies.quarantine;
        let rings = || tallies.rings.iter().chain([&tallies.stale]);
        let held = |of_quarantine: i64, of_ring: fn(&crate::store::RingTally) -> i64| {
            let rings = rings().map(move |it| ([("held", it.ring.as_str())], count(of_ring(it))));
            [([("held", "quarantined")], count(of_quarantine))].into_iter().chain(rings)
        };
        let help = "Pushes that lie aside: in quarantine, or in a ring that may drop them.";
        let pushes = held(quarantine.pushes, |ring| ring.pushes);
        page.each("simdeck_held_pushes", help, MetricType::Gauge, pushes)?;
        let help = "Bytes of the bodies that lie aside.";
        let bytes = held(quarantine.bytes, |ring| ring.bytes);
        page.each("simdeck_held_bytes", help, MetricType::Gauge, bytes)?;
        let dropped = rings().map(|it| ([("held", it.ring.as_str())], count(it.dropped)));
        let help = "Pushes that a ring could not hold.";
        page.each("simdeck_held_dropped_total", help, MetricType::Counter, dropped)
    }
}
