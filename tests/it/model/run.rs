//! One case: a server of its own, the model beside it, and step after step on both.
use std::{
    ffi::OsStr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::Method;
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    compare::agree,
    read::{Follower, all_rows, key_of, quarantine, second_of},
    record::{Kind, SIMS, Spec, text_of},
    step::{Age, Part, Push, Shape, Step},
    world::{Counts, Key, RETENTION_H, World, captured_s, date_push_s},
};
use crate::{
    disk::{Disk, Number},
    server::{Simdeck, now_s, signature, signed_at},
};

/// Clients that push at once.
const CLIENTS: usize = 4;
/// Records of one flood: more than the summaries are left behind by.
const FLOOD_RECORDS: i64 = 2_500;
/// So many failures of one source are answered as such; the next ones only with 429.
const REFUSED_MAX: usize = 15;
/// What takes so long will not end.
const REMOVAL_TIME_MAX: Duration = Duration::from_secs(60);

/// A server and its model.
struct Run {
    server: Option<Simdeck>,
    world: World,
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
    fn start(&mut self) {
        let retention = format!("{RETENTION_H}h");
        let data = self.folder.path().join("data");
        let environment = self.disk.environment(&data);
        let environment = environment.iter().filter(|(name, _)| *name != "DISK_JOURNAL");
        let mut variables: Vec<(&str, &str)> = environment
            .map(|(name, value): &(_, _)| (*name, OsStr::to_str(value).unwrap()))
            .collect();
        variables.extend([
            ("SIMDECK_RETENTION_RECORDS", &*retention),
            ("SIMDECK_RETENTION_SMS", &*retention),
            ("SIMDECK_RETENTION_REFUSED", "30d"),
        ]);
        self.server = Some(Simdeck::start_in(Arc::clone(&self.folder), &variables));
    }

    fn server(&self) -> &Simdeck {
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

    async fn push(&mut self, push: &Push) -> Result<(), String> {
        let second = now_s();
        let (kind, body) = (push.kind.slug(), self.body(push, second));
        let answer = self.server().post(kind, body).await;
        let wanted = self.world.push(push, second, second);
        same("push", answer.status, 200, &answer.body)?;
        same("push", counts(&answer.body), wanted, &answer.body)
    }

    /// Several clients at once. What a killed server did not answer is sent again.
    async fn burst(&mut self, pushes: &[Push], kill_after: Option<usize>) -> Result<(), String> {
        let second = now_s();
        let bodies: Vec<String> = pushes.iter().map(|push| self.body(push, second)).collect();
        let (server, answered) = (self.server(), AtomicUsize::new(0));
        let client = |nth: usize| {
            let (bodies, answered) = (&bodies, &answered);
            async move {
                let mut told = Vec::new();
                for (nth, push) in pushes.iter().enumerate().skip(nth).step_by(CLIENTS) {
                    let answer = server.try_post(push.kind.slug(), bodies[nth].clone()).await;
                    let count = answered.fetch_add(usize::from(answer.is_ok()), Ordering::Relaxed);
                    if Some(count) == kill_after {
                        // It may be dead already.
                        kill_process(server.pid(), Signal::KILL).ok();
                    }
                    told.push((nth, answer));
                }
                told
            }
        };
        let told = futures_util::future::join_all((0..CLIENTS).map(client)).await;
        let told: Vec<_> = told.into_iter().flatten().collect();
        if kill_after.is_some() {
            drop(self.server.take());
            self.start();
        }
        let mut sum = Counts::default();
        for (nth, answer) in told {
            let answer = match answer {
                Ok(answer) => answer,
                Err(error) if kill_after.is_none() => return Err(error),
                Err(_) => self.server().post(pushes[nth].kind.slug(), bodies[nth].clone()).await,
            };
            same("one of several pushes", answer.status, 200, &answer.body)?;
            sum.add(counts(&answer.body));
        }
        let mut wanted = Counts::default();
        for push in pushes {
            wanted.add(self.world.push(push, second, second));
        }
        // What was stored and not answered is a repeat.
        let is_known = kill_after.is_none();
        if is_known { same("several pushes", sum, wanted, "") } else { Ok(()) }
    }

    async fn wrong_key(&mut self, spec: Spec) -> Result<(), String> {
        if self.world.refused.len() >= REFUSED_MAX {
            return Ok(());
        }
        let second = now_s();
        let signature = signature("another key", second);
        let members = text_of(&spec.members(self.world.began_ms), false);
        let body = format!(r#"{{"datePush":{second},"signature":"{signature}",{members}}}"#);
        let answer = self.server().post(spec.kind.slug(), body).await;
        self.world.refuse(spec, second);
        same("a push with another key", answer.status, 401, &answer.body)
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

    /// The body of a push of this second.
    fn body(&self, push: &Push, second: i64) -> String {
        let date = date_push_s(push.age, second, self.world.began_ms);
        let mut parts = push.parts.iter().map(|part| self.members(*part, push.backwards));
        match push.shape {
            Shape::Single => signed_at(date, &parts.next().unwrap()),
            Shape::Container => {
                let records: Vec<String> = parts.map(|part| format!("{{{part}}}")).collect();
                let beside = match push.kind {
                    Kind::Usage | Kind::Sms => r#""batch":"b7","#,
                    Kind::Status | Kind::Future => "",
                };
                signed_at(date, &format!(r#"{beside}"cdrs":[{}]"#, records.join(",")))
            }
            Shape::Array => {
                let elements: Vec<String> = parts.map(|part| signed_at(date, &part)).collect();
                format!("[{}]", elements.join(","))
            }
        }
    }

    fn members(&self, part: Part, backwards: bool) -> String {
        let spec = part.spec();
        let mut members = spec.members(self.world.began_ms);
        if let Part::Bad(_) = part {
            match spec.kind {
                Kind::Usage | Kind::Sms => {
                    members.retain(|(name, _)| !["start_time", "event_time"].contains(name));
                }
                Kind::Status | Kind::Future => {
                    members.extend([("twice", json!(1)), ("twice", json!(2))]);
                }
            }
        }
        text_of(&members, backwards)
    }
}

fn counts(body: &str) -> Counts {
    let answer: Value = serde_json::from_str(body).unwrap();
    let count = |name: &str| answer[name].as_u64().unwrap();
    Counts {
        stored: count("stored"),
        duplicates: count("duplicates"),
        quarantined: count("quarantined"),
    }
}

fn same<T: PartialEq + std::fmt::Debug>(
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
