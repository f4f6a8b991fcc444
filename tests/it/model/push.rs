//! Pushes as clients of the model send them: alone, several at once, and with another key.
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use rustix::process::{Signal, kill_process};
use serde_json::json;

use super::{
    record::{Kind, Spec, text_of},
    run::{Run, counts, same},
    step::{Part, Push, Shape},
    world::{Counts, date_push_s},
};
use crate::server::{Answer, now_s, signature, signed_at};

/// Clients that push at once.
const CLIENTS: usize = 4;
/// So many failures of one source are answered as such; the next ones only with 429.
const REFUSED_MAX: usize = 15;
/// A server that is busy for so long is broken.
const BUSY_TIME_MAX: Duration = Duration::from_secs(60);

impl Run {
    pub(super) async fn push(&mut self, push: &Push) -> Result<(), String> {
        let second = now_s();
        let (kind, body) = (push.kind.slug(), self.body(push, second));
        let (answer, is_first) = self.post_until_taken(kind, body).await?;
        let wanted = self.world.push(push, second, second);
        same("push", answer.status, 200, &answer.body)?;
        if is_first { same("push", counts(&answer.body), wanted, &answer.body) } else { Ok(()) }
    }

    /// Posts a body, and once more as long as the answer is 503, as SmartHub does. Whether it was
    /// taken at once: a push whose commit came too late for its answer is a repeat afterwards.
    async fn post_until_taken(&self, kind: &str, body: String) -> Result<(Answer, bool), String> {
        let began = Instant::now();
        let mut answer = self.server().try_post(kind, body.clone()).await?;
        let is_first = answer.status != 503;
        while answer.status == 503 && began.elapsed() < BUSY_TIME_MAX {
            answer = self.server().try_post(kind, body.clone()).await?;
        }
        Ok((answer, is_first))
    }

    /// Several clients at once. What a killed server did not answer is sent again.
    pub(super) async fn burst(
        &mut self,
        pushes: &[Push],
        kill_after: Option<usize>,
    ) -> Result<(), String> {
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
        let (mut sum, mut is_known) = (Counts::default(), kill_after.is_none());
        for (nth, answer) in told {
            let answer = match answer {
                Err(error) if kill_after.is_none() => return Err(error),
                Ok(answer) if answer.status != 503 => answer,
                _ => {
                    is_known = false;
                    let (kind, body) = (pushes[nth].kind.slug(), bodies[nth].clone());
                    self.post_until_taken(kind, body).await?.0
                }
            };
            same("one of several pushes", answer.status, 200, &answer.body)?;
            sum.add(counts(&answer.body));
        }
        let mut wanted = Counts::default();
        for push in pushes {
            wanted.add(self.world.push(push, second, second));
        }
        // What was stored and not answered, or answered with 503, is a repeat.
        if is_known { same("several pushes", sum, wanted, "") } else { Ok(()) }
    }

    pub(super) async fn wrong_key(&mut self, spec: Spec) -> Result<(), String> {
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

    /// The body of a push of this second.
    pub(super) fn body(&self, push: &Push, second: i64) -> String {
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
