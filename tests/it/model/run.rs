//! One case: a server of its own, the model beside it, and step after step on both.
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    compare::agree,
    read::{Follower, all_rows, key_of, quarantine, second_of},
    record::{Kind, SIMS, Spec, text_of},
    step::{Age, Part, Push, Shape, Step},
    world::{Counts, Key, RETENTION_H, World, captured_s},
};
use crate::{
    disk::{Disk, Number},
    server::{Simdeck, now_s},
};

/// Records of one flood: more than the summaries are left behind by.
const FLOOD_RECORDS: i64 = 2_500;
/// What takes so long will not end.
const REMOVAL_TIME_MAX: Duration = Duration::from_secs(60);

/// A server and its model.
pub(super) struct Run {
    pub(super) server: Option<Simdeck>,
    pub(super) world: World,
    follower: Follower,
    exports: Vec<File>,
    disk: Disk,
    folder: Arc<TempDir>,
}

/// A file that can be read in.
struct File {
    query: String,
    text: String,
    /// The records, each with the second that the file says; 0 where it says none.
    rows: Vec<(Key, i64)>,
}

/// Takes these steps, and compares after each.
pub(super) async fn run(steps: &[Step]) -> Result<(), String> {
    let disk = Disk::new();
    let folder = Arc::new(TempDir::new().unwrap());
    let world = World::new(now_s() * 1_000);
    let mut run = Run {
        server: None,
        world,
        follower: Follower::default(),
        exports: Vec::new(),
        disk,
        folder,
    };
    run.start();
    // From here on the server knows of a time that somebody has signed.
    let first = Push {
        kind: Kind::Usage,
        parts: vec![Part::Good(Spec::new(Kind::Usage, 3, 0, 0))],
        shape: Shape::Single,
        age: Age::Fresh,
        backwards: false,
    };
    run.push(&first).await?;
    run.follower.follow(run.server.as_ref().unwrap()).await;
    for (nth, step) in steps.iter().enumerate() {
        let told = |error: String| format!("step {nth}, {step:?}: {error}");
        run.take(step).await.map_err(told)?;
        let server = run.server.as_ref().unwrap();
        agree(server, &run.world, &mut run.follower, nth).await.map_err(told)?;
    }
    let log = run.server.take().unwrap().end();
    if log.contains("panicked") { Err(format!("the server panicked:\n{log}")) } else { Ok(()) }
}

impl Run {
    pub(super) fn start(&mut self) {
        let retention = format!("{RETENTION_H}h");
        let data = self.folder.path().join("data");
        let environment = self.disk.without_journal(&data);
        let mut variables: Vec<(&str, &str)> =
            environment.iter().map(|(name, value)| (*name, value.to_str().unwrap())).collect();
        variables.extend([
            ("SIMDECK_RETENTION_RECORDS", &*retention),
            ("SIMDECK_RETENTION_SMS", &*retention),
            ("SIMDECK_RETENTION_REFUSED", "30d"),
        ]);
        self.server = Some(Simdeck::start_in(Arc::clone(&self.folder), &variables));
    }

    pub(super) fn server(&self) -> &Simdeck {
        self.server.as_ref().unwrap()
    }

    async fn take(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Push(push) => self.push(push).await,
            Step::Burst(pushes, kill_after) => self.burst(pushes, *kill_after).await,
            Step::Flood(sim) => {
                let spec = |nth: i64, hours_ago| {
                    Part::Good(Spec::new(Kind::Usage, *sim, hours_ago, 100 + nth / 10))
                };
                let parts = (0..FLOOD_RECORDS).zip((0..10).cycle());
                let parts = parts.map(|(nth, hours_ago)| spec(nth, hours_ago)).collect();
                let (kind, shape) = (Kind::Usage, Shape::Container);
                self.push(&Push { kind, parts, shape, age: Age::Fresh, backwards: false }).await
            }
            Step::WrongKey(spec) => self.wrong_key(*spec).await,
            Step::Erase(sim) => self.erase(SIMS[*sim]).await,
            Step::LiftErasure(sim) => self.lift_erasure(SIMS[*sim]).await,
            Step::Retract(nth, is_killed) => self.retract(*nth, *is_killed).await,
            Step::LiftRetraction(nth) => self.lift_retraction(*nth).await,
            Step::Prune => {
                let (status, answer) = self.server().ask(Method::POST, "/v1/prune").await;
                self.world.prune();
                same("prune", status, 200, &answer)
            }
            Step::Restart => {
                self.server.take().unwrap().end();
                self.start();
                Ok(())
            }
            Step::Kill => {
                drop(self.server.take());
                self.start();
                Ok(())
            }
            Step::Retry(which) => self.retry(which).await,
            Step::Discard(which) => self.discard(which).await,
            Step::Export(kind, is_table) => self.export(*kind, *is_table).await,
            Step::Import(which) => match self.exports.is_empty() {
                true => Ok(()),
                false => self.import(which.index(self.exports.len())).await,
            },
            Step::ImportNew(kind, specs) => self.import_new(*kind, specs).await,
            Step::Clock(hours) => {
                self.world.ahead_s = hours * 3_600;
                self.disk.set(Number::ClockAheadS, hours * 3_600);
                Ok(())
            }
        }
    }

    async fn erase(&mut self, sim: &'static str) -> Result<(), String> {
        let body = json!({ "giccid": sim, "force": true }).to_string();
        let (status, answer) = self.server().send_json(Method::POST, "/v1/erase", &body).await;
        self.world.erase(sim);
        same("erase", status, 200, &answer)
    }

    async fn lift_erasure(&mut self, sim: &'static str) -> Result<(), String> {
        let path = format!("/v1/erasures/{sim}");
        let (status, answer) = self.server().ask(Method::DELETE, &path).await;
        let wanted = if self.world.erased.remove(sim) { 204 } else { 404 };
        same("lift of an erasure", status, wanted, &answer)
    }

    /// The retractions of a captured second that are not lifted.
    async fn retractions(&self, nth: i64) -> Vec<i64> {
        let second = captured_s(nth, self.world.began_ms);
        let rows = self.server().get("/v1/retractions").await;
        let rows = rows.as_array().unwrap().iter();
        rows.filter(|row| second_of(row) == second && row["lifted_at"].is_null())
            .map(|row| row["id"].as_i64().unwrap())
            .collect()
    }

    async fn retract(&mut self, nth: i64, is_killed: bool) -> Result<(), String> {
        let second = captured_s(nth, self.world.began_ms);
        let body = json!({ "datePush": second, "force": true }).to_string();
        if !is_killed {
            let (status, answer) =
                self.server().send_json(Method::POST, "/v1/retract", &body).await;
            self.world.retract(second);
            return same("retract", status, 200, &answer);
        }
        let before = self.retractions(nth).await.len();
        self.server().begin("/v1/retract", &body).await;
        drop(self.server.take());
        self.start();
        // One that had begun goes on after the start.
        if self.retractions(nth).await.len() > before {
            self.retractions_ended().await?;
            self.world.retract(second);
        }
        Ok(())
    }

    /// Waits until none goes on.
    async fn retractions_ended(&self) -> Result<(), String> {
        let began = Instant::now();
        loop {
            let rows = self.server().get("/v1/retractions").await;
            if rows.as_array().unwrap().iter().all(|row| row["is_pending"] == false) {
                return Ok(());
            }
            if began.elapsed() > REMOVAL_TIME_MAX {
                return Err(format!("a retraction does not end: {rows}"));
            }
            tokio::task::yield_now().await;
        }
    }

    async fn lift_retraction(&mut self, nth: i64) -> Result<(), String> {
        let Some(id) = self.retractions(nth).await.first().copied() else { return Ok(()) };
        let path = format!("/v1/retractions/{id}");
        let (status, answer) = self.server().ask(Method::DELETE, &path).await;
        self.world.retracted.remove(&captured_s(nth, self.world.began_ms));
        same("lift of a retraction", status, 204, &answer)
    }

    /// Tries a held push again, and those that cannot be told from it.
    async fn retry(&mut self, which: &proptest::sample::Index) -> Result<(), String> {
        if self.world.held.is_empty() {
            return Ok(());
        }
        let nth = which.index(self.world.held.len());
        let held = self.world.held.iter().nth(nth).unwrap().clone();
        let rows = quarantine(self.server(), self.world.began_ms).await;
        for (id, _) in rows.into_iter().filter(|(_, it)| *it == held) {
            let path = format!("/v1/held/{id}/retry");
            let (status, answer) = self.server().ask(Method::POST, &path).await;
            let wanted = self.world.retry(&held);
            same("retry", status, 200, &answer)?;
            same("retry", counts(&answer.to_string()), wanted, &answer)?;
        }
        Ok(())
    }

    async fn discard(&mut self, which: &proptest::sample::Index) -> Result<(), String> {
        if self.world.held.is_empty() {
            return Ok(());
        }
        let nth = which.index(self.world.held.len());
        let held = self.world.held.iter().nth(nth).unwrap().clone();
        let rows = quarantine(self.server(), self.world.began_ms).await;
        for (id, _) in rows.into_iter().filter(|(_, it)| *it == held) {
            let path = format!("/v1/held/{id}");
            let (status, answer) = self.server().ask(Method::DELETE, &path).await;
            same("discard", status, 204, &answer)?;
        }
        self.world.held.remove(&held);
        Ok(())
    }

    async fn export(&mut self, kind: Kind, is_table: bool) -> Result<(), String> {
        let (list, form) = (kind.list(), if is_table { "csv" } else { "ndjson" });
        let path = format!("/v1/{list}?format={form}");
        let (status, text) = self.server().ask_text(Method::GET, &path).await;
        let rows = all_rows(self.server(), &format!("/v1/{list}")).await;
        let query = format!("kind={list}&format={form}");
        let rows = rows.iter().map(|row| (key_of(row), second_of(row))).collect();
        self.exports.push(File { query, text, rows });
        same("export", status, 200, "")
    }

    async fn import(&mut self, nth: usize) -> Result<(), String> {
        let File { query, text, rows } = &self.exports[nth];
        let path = format!("/v1/import?{query}");
        let (status, answer) = self.server().send_json(Method::POST, &path, text).await;
        let wanted = self.world.import(rows);
        same("import", status, 200, &answer)?;
        let count = |name: &str| answer[name].as_u64().unwrap();
        let told = (count("stored"), count("duplicates"), count("refused_lines"));
        same("import", told, wanted, &answer)
    }

    async fn import_new(&mut self, kind: Kind, specs: &[Spec]) -> Result<(), String> {
        // Without a time of its own a row would have to say when it was pushed.
        let kind = if kind == Kind::Future { Kind::Status } else { kind };
        let specs = specs.iter().map(|spec| Spec { kind, ..*spec });
        let rows: Vec<(Key, i64)> = specs.map(|spec| ((spec, None), 0)).collect();
        let lines = rows.iter().map(|((spec, _), _)| {
            let members = text_of(&spec.members(self.world.began_ms), false);
            format!("{{{members}}}\n")
        });
        let (query, text) = (format!("kind={}&format=ndjson", kind.slug()), lines.collect());
        self.exports.push(File { query, text, rows });
        self.import(self.exports.len() - 1).await
    }
}

pub(super) fn counts(body: &str) -> Counts {
    let answer: Value = serde_json::from_str(body).unwrap();
    let count = |name: &str| answer[name].as_u64().unwrap();
    Counts {
        stored: count("stored"),
        duplicates: count("duplicates"),
        quarantined: count("quarantined"),
    }
}

pub(super) fn same<T: PartialEq + std::fmt::Debug>(
    what: &str,
    told: T,
    wanted: T,
    answer: impl std::fmt::Display,
) -> Result<(), String> {
    if told == wanted {
        return Ok(());
    }
    Err(format!("{what}: {told:?}, not {wanted:?}: {answer}"))
}
