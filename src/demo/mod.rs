//! A made-up fleet, to look around: 2,000 SIMs of six groups, four weeks of what they did, 40 routers,
//! and six things that went wrong.
//!
//! Nothing of it takes a way of its own: records come as signed pushes through [`crate::intake`] while
//! a clock runs through the four weeks, and routers as polls do. So all sums, bands and sentences are
//! made by what makes them of a true fleet. The same fleet does the same at any time: what a SIM does
//! in an hour follows from the two alone.
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use jiff::tz::TimeZone;
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    domain::{Clock, Kind, PollReport, Secret, SystemClock, Timestamp},
    intake::{AcceptError, AdminError, Intake, Push},
    smarthub::signature::sign,
};

mod chance;
mod fleet;
mod incidents;
mod routers;

use fleet::Fleet;
use incidents::Incidents;

/// How many SIMs there are.
pub const SIMS: usize = 2_000;
/// How far back the story goes.
pub const DAYS: i64 = 28;
/// How many routers there are.
pub const ROUTERS: usize = 40;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// So far back the demo knows how many SIMs were silent.
const SILENCE_SHOWN_MS: i64 = 7 * DAY_MS;

/// For how long what a poll said holds.
pub fn good_for() -> Duration {
    routers::good_for()
}

/// How often RCMS is said to have been asked.
const POLL_EVERY: Duration = Duration::from_secs(60);
/// How often something happens while somebody looks.
const BEAT: Duration = Duration::from_secs(1);

/// The machine's clock, or while the story is told that of the story.
#[derive(Debug, Default)]
pub struct DemoClock(AtomicI64);

impl Clock for DemoClock {
    fn now(&self) -> Timestamp {
        match self.0.load(Ordering::Relaxed) {
            0 => SystemClock.now(),
            ms => Timestamp::from_unix_ms(ms),
        }
    }
}

impl DemoClock {
    fn set(&self, at_ms: i64) {
        self.0.store(at_ms, Ordering::Relaxed);
    }

    fn let_go(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// Why the story cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A push of it was not taken.
    #[error("a push of the demo was not stored")]
    Push(#[from] AcceptError),
    /// A poll of it or a count was not taken.
    #[error("a poll or a count of the demo was not stored")]
    Poll(#[from] AdminError),
    /// The program has a fault: a name of its own is none.
    #[error("the demo has a name that cannot be: {0}")]
    Name(String),
}

/// The fleet, and where it goes.
pub struct Demo {
    intake: Intake,
    clock: Arc<DemoClock>,
    key: Secret,
    zone: TimeZone,
    fleet: Fleet,
    report: watch::Sender<PollReport>,
}

impl Demo {
    /// A fleet that pushes to this intake, whose clock this is and which knows this key.
    pub fn new(intake: Intake, clock: Arc<DemoClock>, key: Secret, zone: TimeZone) -> Self {
        let report = watch::Sender::new(PollReport::default());
        Self { intake, clock, key, zone, fleet: Fleet::new(), report }
    }

    /// How the polls that never were went.
    pub fn report(&self) -> watch::Receiver<PollReport> {
        self.report.subscribe()
    }

    /// Tells the four weeks until now. `progress` is told how many of how many hours are done.
    pub async fn tell(&self, progress: impl Fn(u64, u64)) -> Result<(), DemoError> {
        let told = self.tell_until(SystemClock.now().unix_ms(), progress).await;
        self.clock.let_go();
        told
    }

    async fn tell_until(&self, now_ms: i64, progress: impl Fn(u64, u64)) -> Result<(), DemoError> {
        let incidents = Incidents::before(now_ms, &self.zone);
        let mut at_ms = self.first_ms(now_ms);
        let hours = u64::try_from((now_ms - at_ms) / HOUR_MS).unwrap_or_default();
        let mut done = 0;
        while at_ms < now_ms {
            // The last day comes in pieces as small as those of its chart, and so does the hour that it
            // begins in.
            // Steps end where silent SIMs are counted.
            let step_ms = if now_ms - at_ms > DAY_MS + HOUR_MS { HOUR_MS } else { HOUR_MS / 4 };
            let end_ms = (at_ms - at_ms.rem_euclid(step_ms) + step_ms).min(now_ms);
            self.clock.set(end_ms);
            let mut records = self.fleet.usage(at_ms, end_ms, &incidents);
            records.extend(incidents.usage(at_ms, end_ms, &self.fleet));
            self.push("data-usage", &records).await?;
            self.push("mo-sms", &self.fleet.messages(at_ms, end_ms)).await?;
            for (kind, notice) in incidents.notices(at_ms, end_ms, &self.fleet) {
                self.push(kind, &[notice]).await?;
            }
            self.intake.keep_poll(routers::poll(at_ms, end_ms, now_ms)?).await?;
            if now_ms - end_ms <= SILENCE_SHOWN_MS {
                self.intake.count_silent_sims().await?;
            }
            at_ms = end_ms;
            if step_ms == HOUR_MS {
                done += 1;
            }
            progress(done, hours);
        }
        progress(hours, hours);
        Ok(())
    }

    /// A day more than four weeks ago, so that the first hour shown has four weeks before it, and from
    /// its beginning, so that no bar of 30 days looks like a bad day.
    fn first_ms(&self, now_ms: i64) -> i64 {
        let first_ms = now_ms - (DAYS + 1) * DAY_MS;
        let first = jiff::Timestamp::from_millisecond(first_ms).unwrap_or_default();
        let day = first.to_zoned(self.zone.clone()).start_of_day();
        day.map_or(first_ms, |day| day.timestamp().as_millisecond())
    }

    /// Goes on until `stop`: some records a second, and a poll a minute.
    pub async fn run(self, stop: CancellationToken) {
        let began_ms = SystemClock.now().unix_ms();
        let incidents = Incidents::before(began_ms, &self.zone);
        let mut polled_at: Option<tokio::time::Instant> = None;
        loop {
            let now_ms = SystemClock.now().unix_ms();
            let records = self.fleet.now(now_ms, &incidents);
            let mut done = self.push("data-usage", &records).await;
            if done.is_ok() {
                done = self.push("mo-sms", &self.fleet.messages(now_ms - 1_000, now_ms)).await;
            }
            if done.is_ok() && polled_at.is_none_or(|at| at.elapsed() >= POLL_EVERY) {
                done = self.poll_now(now_ms, began_ms).await;
                polled_at = Some(tokio::time::Instant::now());
            }
            if let Err(error) = done {
                tracing::debug!(error = &error as &dyn std::error::Error, "The demo rests");
            }
            tokio::select! {
                () = sleep(BEAT) => (),
                () = stop.cancelled() => return,
            }
        }
    }

    async fn poll_now(&self, now_ms: i64, began_ms: i64) -> Result<(), DemoError> {
        self.intake.keep_poll(routers::poll(now_ms - MINUTE_MS, now_ms, began_ms)?).await?;
        self.report.send_modify(|report| {
            report.last_success_at = Some(Timestamp::from_unix_ms(now_ms));
            report.cycles += 1;
        });
        Ok(())
    }

    /// Pushes records as SmartHub would at this moment.
    async fn push(&self, kind: &str, records: &[String]) -> Result<(), DemoError> {
        if records.is_empty() {
            return Ok(());
        }
        let second = self.clock.now().unix_seconds();
        let signature = sign(self.key.expose(), second);
        let members = match records {
            [one] => one.clone(),
            many => {
                let many: Vec<String> = many.iter().map(|one| format!("{{{one}}}")).collect();
                format!("\"records\":[{}]", many.join(","))
            }
        };
        let body = format!(r#"{{"datePush":"{second}","signature":"{signature}",{members}}}"#);
        let kind = kind.parse::<Kind>().map_err(|_| DemoError::Name(kind.to_owned()))?;
        let source = IpAddr::V4(Ipv4Addr::LOCALHOST);
        self.intake.accept(Push { kind, body: body.into(), source, test_nonce: None }).await?;
        Ok(())
    }
}
