//! What is wrong with how data comes in: gathers what the rules need, and shows what they find.
use std::{error::Error, sync::Arc, time::Duration};

use serde::Serialize;
use tokio::{task::spawn_blocking, time::timeout};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::{Connections, InternalState, doc::words};
use crate::{
    domain::{Condition, ConditionKind, Timestamp},
    http::server::Excess,
    intake::Health,
    store::{Store, StoreError},
    watch::{Facts, LargeHeaders, LastPush, Look, PlacesTaken, ShareTaken},
};

/// How often it is looked at without anybody asking.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long who asks waits for what has to be read.
const WAIT_MAX: Duration = Duration::from_secs(3);
/// So many parts of authentic pushes of each class are looked at for their reasons.
const HELD_MAX: u32 = 1_000;

/// Something that can be wrong, and whether it is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ConditionOut {
    #[schema(schema_with = words::condition)]
    name: &'static str,
    /// Whether it is so now.
    on: bool,
    /// The push category it is about, where it is about one.
    kind: Option<String>,
    #[schema(format = DateTime)]
    since: Option<String>,
    /// What there is.
    sentence: Option<String>,
    /// What to do.
    todo: Option<String>,
}

impl InternalState {
    /// Writes the failed sign-ins into the audit that it does not have yet.
    pub async fn write_failed_sign_ins(&self) {
        self.live.key_failures.write(&self.intake).await;
    }

    /// Whether pushes are stored, and what was wrong at the last look: in one line, without a look.
    pub fn short_status(&self) -> String {
        if let Health::NotReady(why) = self.intake.health() {
            return format!("Not ready: {why}");
        }
        let mut wrong: Vec<&str> =
            self.live.watch.last().iter().map(|condition| condition.kind.as_str()).collect();
        wrong.dedup();
        match wrong.is_empty() {
            true => "Ready".to_owned(),
            false => format!("Ready; what is wrong: {}", wrong.join(", ")),
        }
    }

    /// What is wrong now; by the last look, if another takes too long.
    pub(super) async fn conditions(&self) -> Vec<Condition> {
        let state = self.clone();
        match soon(async move { state.look().await }).await {
            Some(conditions) => conditions,
            None => self.live.watch.last(),
        }
    }

    /// Looks at everything. What began or ended since the last look is logged and passed on.
    async fn look(&self) -> Vec<Condition> {
        let mut look = self.live.watch.look().await;
        let now = self.clock.now();
        let facts = Facts {
            now,
            pushes: known(last_pushes(&self.store, &mut look, now).await),
            authentic_held: known(self.store.authentic_held_by_reason(HELD_MAX).await),
            rcms: self.poll_report(),
            disk: self.disk_trouble().await,
            folder_low: self.intake.data_folder_low().map(|room| room.path.display().to_string()),
            moved_file: self.intake.moved_file().map(|moved| moved.to_string()),
            places: self.shortage_of_places(now),
            share: self.source_over_share(now),
            large_headers: self.live.connections.public.large_headers().map(|it| LargeHeaders {
                count: it.count,
                last_source: it.last_peer,
                since: it.times.since,
                last: it.times.last,
            }),
            clock: known(self.store.believed_time().await),
            backup: self.intake.backup_failure(),
            backup_lost: self
                .intake
                .backup_lost()
                .map(|(since, path)| (since, path.display().to_string())),
            erased_in_files: self.intake.erased_in_files(),
        };
        self.explain_refused().await;
        look.end(&facts)
    }

    /// Why the disk is too full, with what of ours takes its room.
    async fn disk_trouble(&self) -> Option<String> {
        let trouble = told(self.intake.disk_trouble()?);
        let copies = self.intake.own_copies().await.to_string();
        Some(match copies.is_empty() {
            true => trouble,
            false => format!(
                "{trouble} Besides, {copies}: delete those that you do not need, or move the backups \
                 to another disk with SIMDECK_BACKUP_DIR."
            ),
        })
    }

    /// Finds out what would make refused pushes valid, on a thread that answers no requests.
    async fn explain_refused(&self) {
        let (signals, intake) = (Arc::clone(self.live.pushes.signals()), self.intake.clone());
        let explaining = spawn_blocking(move || {
            signals.explain(|body| {
                intake.explain(body).into_iter().next().map(|finding| finding.says)
            });
        });
        if let Err(error) = explaining.await {
            let error = &error as &dyn Error;
            tracing::warn!(error, "Refused pushes were not explained");
        }
    }

    /// The listener that ran out of places for connections lately; of both the public one.
    fn shortage_of_places(&self, now: Timestamp) -> Option<PlacesTaken> {
        let Connections { public, internal } = &self.live.connections;
        let listeners = [("public", public), ("internal", internal)];
        listeners.into_iter().find_map(|(listener, counts)| {
            let since = counts.shortage(now)?.since;
            Some(PlacesTaken { listener, places: counts.figures().places, since })
        })
    }

    /// The source that had its share of a listener's connections lately; of both the public one.
    fn source_over_share(&self, now: Timestamp) -> Option<ShareTaken> {
        let Connections { public, internal } = &self.live.connections;
        let listeners = [("public", public), ("internal", internal)];
        listeners.into_iter().find_map(|(listener, counts)| {
            let Excess { source, connections_max, shortage } = counts.excess(now)?;
            Some(ShareTaken { listener, source, connections_max, since: shortage.since })
        })
    }

    /// Looks now and then, until `stop`.
    pub async fn watch_over(self, stop: CancellationToken) {
        let mut next = tokio::time::interval(LOOK_EVERY);
        next.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let look_on = async {
            if let Err(error) = self.status_counts().await {
                let error = &error as &dyn Error;
                tracing::debug!(error, "What the store counts is not known yet");
            }
            loop {
                next.tick().await;
                self.look().await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => (),
            () = look_on => (),
        }
    }
}

/// What this comes to, if it does so before those who ask give up: a collector waits 10 s, and is
/// needed most when the store is slow. It goes on by itself, since a read is not cut short.
pub(super) async fn soon<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    timeout(WAIT_MAX, tokio::spawn(work)).await.ok()?.ok()
}

/// What cannot be read now is not known; it was read before and will be again.
fn known<T>(read: Result<T, StoreError>) -> Option<T> {
    read.inspect_err(|error| {
        tracing::debug!(error = error as &dyn Error, "A condition cannot be looked at now");
    })
    .ok()
}

async fn last_pushes(
    store: &Store,
    look: &mut Look<'_>,
    now: Timestamp,
) -> Result<Vec<LastPush>, StoreError> {
    let pushes = store.last_pushes().await?;
    if look.usual(now).is_none() {
        let place = store.heavy().await?;
        let usual = store.usual_pauses(&pushes, now).await?;
        drop(place);
        look.learn(now, usual);
    }
    let usual = look.usual(now);
    let with_usual = |(kind, at)| {
        let usual = usual.and_then(|usual| usual.get(&kind)).copied();
        LastPush { kind, at, usual }
    };
    Ok(pushes.into_iter().map(with_usual).collect())
}

/// As a sentence.
fn told(reason: &'static str) -> String {
    let mut letters = reason.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).collect()
}

/// Every kind: those that are on, and of the others that they are not.
pub(super) fn rows(conditions: Vec<Condition>) -> Vec<ConditionOut> {
    let is_on = |kind: &ConditionKind| conditions.iter().any(|it| it.kind == *kind);
    let off: Vec<ConditionOut> = ConditionKind::ALL
        .into_iter()
        .filter(|kind| !is_on(kind))
        .map(|kind| ConditionOut {
            name: kind.as_str(),
            on: false,
            kind: None,
            since: None,
            sentence: None,
            todo: None,
        })
        .collect();
    let on = conditions.into_iter().map(|condition| ConditionOut {
        name: condition.kind.as_str(),
        on: true,
        kind: condition.about.map(|kind| kind.to_string()),
        since: Some(condition.since.to_string()),
        sentence: Some(condition.says),
        todo: Some(condition.todo),
    });
    on.chain(off).collect()
}
