use std::{
    io::{self, IsTerminal},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Url;
use serde::Deserialize;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{Source, TEST_HEADER, mark::TestMark, tally::Tally};
use crate::{
    cli::{Failure, signed::Proof},
    domain::{Clock, Secret, SystemClock},
};

/// The longest that one push may take.
const PUSH_TIME_MAX: Duration = Duration::from_secs(60);

/// What each push is made of.
pub(super) struct Job {
    pub(super) http: reqwest::Client,
    pub(super) url: Url,
    pub(super) key: Secret,
    pub(super) date_shift_s: i64,
    pub(super) mark: Option<TestMark>,
    pub(super) source: Source,
}

/// How many, how many at once, how fast.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    pub(super) count: u64,
    pub(super) concurrency: u16,
    pub(super) per_second: Option<f64>,
}

/// What every worker shares.
struct Run {
    job: Job,
    pace: Pace,
    began: Instant,
    next: AtomicU64,
    stop: CancellationToken,
    progress: ProgressBar,
}

/// The counts in the receiver's answer.
#[derive(Default, Deserialize)]
pub(super) struct Counts {
    pub(super) stored: u64,
    pub(super) duplicates: u64,
    pub(super) quarantined: u64,
}

/// The title of a problem document.
#[derive(Deserialize)]
struct Problem {
    title: String,
}

/// Pushes until all are sent or a person presses Ctrl-C; what is on its way then still ends.
pub(super) async fn run(job: Job, pace: Pace) -> Result<Tally, Failure> {
    let run = Arc::new(Run {
        job,
        pace,
        began: Instant::now(),
        next: AtomicU64::new(0),
        stop: CancellationToken::new(),
        progress: progress(pace.count),
    });
    let mut workers = JoinSet::new();
    for _ in 0..pace.count.min(u64::from(pace.concurrency)) {
        workers.spawn(work(Arc::clone(&run)));
    }
    let mut total = Tally::new()?;
    loop {
        tokio::select! {
            pressed = tokio::signal::ctrl_c(), if !run.stop.is_cancelled() => {
                pressed.map_err(Failure::because("Ctrl-C cannot be heard"))?;
                run.stop.cancel();
            }
            done = workers.join_next() => match done {
                Some(done) => {
                    let tally = done.map_err(Failure::because("a worker broke down"))??;
                    total.add(&tally)?;
                }
                None => break,
            }
        }
    }
    run.progress.finish_and_clear();
    total.took = run.began.elapsed();
    Ok(total)
}

async fn work(run: Arc<Run>) -> Result<Tally, Failure> {
    let mut tally = Tally::new()?;
    loop {
        let nth = run.next.fetch_add(1, Ordering::Relaxed);
        if nth >= run.pace.count || run.stop.is_cancelled() {
            return Ok(tally);
        }
        // With a rate, time runs from when a push was due: a receiver that stalls cannot hide the
        // pushes that had to wait behind the stall.
        let due = match run.pace.per_second {
            None => Instant::now(),
            Some(rate) => {
                let due = run.began + due_after(nth, rate);
                tokio::select! {
                    () = sleep_until(due) => due,
                    () = run.stop.cancelled() => return Ok(tally),
                }
            }
        };
        match run.job.push(nth).await {
            Ok(counts) => tally.accepted(due.elapsed(), counts),
            Err(reason) => tally.failed(reason),
        }
        run.progress.inc(1);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a schedule needs no more than 53 bits of pushes")]
fn due_after(nth: u64, per_second: f64) -> Duration {
    Duration::try_from_secs_f64(nth as f64 / per_second).unwrap_or(Duration::MAX)
}

impl Job {
    /// One push: the counts, where the answer has them, or why it failed.
    async fn push(&self, nth: u64) -> Result<Option<Counts>, String> {
        let proof = Proof::at(self.key.expose(), SystemClock.now(), self.date_shift_s);
        let body = match &self.source {
            Source::Body(unsigned) => unsigned.with(&proof),
            Source::MadeUp(generator) => proof.object(&generator.members(nth)),
        };
        let mut request = self
            .http
            .post(self.url.clone())
            .timeout(PUSH_TIME_MAX)
            .header("Content-Type", "application/json")
            .body(body);
        if let Some(mark) = &self.mark {
            let word = mark.word().await.map_err(|failure| failure.to_string())?;
            request = request.header(TEST_HEADER, word);
        }
        let response = request.send().await.map_err(|err| why(&err))?;
        let status = response.status();
        let answer = response.bytes().await.map_err(|err| why(&err))?;
        if status.is_success() {
            return Ok(serde_json::from_slice(&answer).ok());
        }
        Err(match serde_json::from_slice::<Problem>(&answer) {
            Ok(problem) => format!("{} {}", status.as_u16(), problem.title),
            Err(_) => status.to_string(),
        })
    }
}

/// A few words, the same for the same cause, so that they can be counted.
fn why(err: &reqwest::Error) -> String {
    let words = if err.is_timeout() {
        "no answer in time"
    } else if err.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    };
    words.to_owned()
}

fn progress(count: u64) -> ProgressBar {
    if count < 2 || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = "{bar:40} {human_pos}/{human_len} pushes, {per_sec}, {eta} to go";
    let style = ProgressStyle::with_template(template);
    ProgressBar::new(count).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
