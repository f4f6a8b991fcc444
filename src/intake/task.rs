use std::{
    error::Error,
    io, mem, slice, thread,
    time::{Duration, Instant},
};

use tokio::{
    runtime,
    sync::{mpsc, oneshot},
};
use tokio_util::sync::CancellationToken;

use super::{
    Intake, Trouble,
    accept::Unstored,
    admin::{Command, Reply},
    answers::{self, Answers},
    audit::Record,
    chore_queue::Chores,
    queue::{Job, Ticket},
    refused::{Handed, RefusedQueue},
    refused_turns::counted_as,
    unfinished::Followed,
};
use crate::{
    domain::Timestamp,
    store::{FileMoved, Outcome, StoreError, Submission, Verdict, Writer},
};

/// How many records one commit holds, one push more or less, and how much memory they take.
const BATCH_RECORDS_MAX: usize = 4_096;
const BATCH_BYTES_MAX: usize = 8 << 20;
/// How long the last writes wait for another process that holds the database.
const STOP_WAIT: Duration = Duration::from_secs(1);

/// What the intake runs beside the requests. Somebody has to await [`IntakeTasks::run`].
pub struct IntakeTasks {
    pub(super) intake: Intake,
    pub(super) writer: Writer,
    pub(super) chores: Chores,
    pub(super) followed: Followed,
    pub(super) jobs: mpsc::UnboundedReceiver<Job>,
    pub(super) asked: mpsc::Receiver<Command>,
    pub(super) refused: RefusedQueue,
    pub(super) stop: CancellationToken,
}

/// Why the intake ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The disk or the database file failed in a way that only a new start can mend.
    #[error("the database failed; start simdeck again, and look at the disk if it comes back")]
    Fatal(#[source] StoreError),
    /// The database lies elsewhere than when it was opened, or nowhere.
    #[error(
        "{0}: start simdeck again when the files are back under their names, or a backup is restored"
    )]
    Moved(FileMoved),
    /// The writer has no thread to run on.
    #[error("the writer's thread could not be started; does the system allow so many?")]
    NoThread(#[source] io::Error),
    /// The writer panicked; the log says where.
    #[error("the writer broke; start simdeck again, and report what the log says")]
    Broke,
}

impl IntakeTasks {
    /// Writes until it is told to stop and everything that waits is on disk.
    pub async fn run(self) -> Result<(), IntakeError> {
        let Self { intake, writer, chores, followed, jobs, asked, refused, stop } = self;
        let commands = intake.shared.commands.clone();
        let (disk, keeper) = (intake.clone(), intake.clone());
        let follower = intake.clone();
        let (answers, committed) = Answers::new();
        let answering = tokio::spawn(answers::run(intake.clone(), committed));
        let writing =
            WriterTask { intake, writer, chores, jobs, asked, answers, has_ended_work: false };
        // The watch never ends, so that nothing can cut a transaction short: the refused pushes end
        // as soon as the writer takes no more of them, which is before it has written the last.
        let beside = async {
            tokio::join!(
                refused.run(commands),
                disk.watch_disk(),
                disk.watch_backup_folder(),
                disk.watch_growth(),
                keeper.keep(),
                follower.follow(followed),
                keeper.count_silent_by_clock()
            )
        };
        let done = tokio::select! {
            done = on_its_own_thread(writing.run(stop)) => done,
            _ = beside => Ok(()),
        };
        // Whatever is on disk is acknowledged before the end.
        answering.await.map_err(|_| IntakeError::Broke)?;
        done
    }
}

/// Runs the writer where no request can come before it. A commit waits for the database several
/// times; among the tasks of a crowd of requests it would wait for its turn behind all of them each
/// time, and the crowd for it.
async fn on_its_own_thread(
    writing: impl Future<Output = Result<(), IntakeError>> + Send + 'static,
) -> Result<(), IntakeError> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(IntakeError::NoThread)?;
    let (done, outcome) = oneshot::channel();
    thread::Builder::new()
        .name("simdeck-writer".to_owned())
        // Whoever would hear of it may be gone: a process that ends waits for no thread.
        .spawn(move || drop(done.send(runtime.block_on(writing))))
        .map_err(IntakeError::NoThread)?;
    outcome.await.unwrap_or(Err(IntakeError::Broke))
}

pub(super) struct WriterTask {
    pub(super) intake: Intake,
    pub(super) writer: Writer,
    pub(super) chores: Chores,
    pub(super) jobs: mpsc::UnboundedReceiver<Job>,
    pub(super) asked: mpsc::Receiver<Command>,
    pub(super) answers: Answers,
    /// Whether long work is given up, since we stop.
    pub(super) has_ended_work: bool,
}

/// A batch on its way: what is stored, and who waits for it.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) submissions: Vec<Submission>,
    pub(super) tickets: Vec<Ticket>,
}

impl WriterTask {
    async fn run(mut self, stop: CancellationToken) -> Result<(), IntakeError> {
        let written = self.write(&stop).await;
        if let Err(IntakeError::Fatal(StoreError::Moved(moved))) = &written {
            self.intake.note_moved(moved.clone());
        }
        self.intake.check_files();
        if let Some(moved) = self.intake.moved_file() {
            self.keep_what_is_open(&moved).await;
            self.refuse_all(&stop).await;
            // The last connection to close would delete the log of whatever has the database's name now.
            mem::forget(self.writer);
            return Err(IntakeError::Moved(moved));
        }
        // What is sent while a channel is dropped can stay in it, and whoever asked wait for ever.
        self.asked.close();
        while self.asked.recv().await.is_some() {}
        written?;
        // Refused pushes that waited for their turn have it now, and so has the count of the others.
        let rest = self.intake.shared.waiting.take_all();
        self.keep_refused(rest, self.intake.now()).await?;
        self.close().await
    }

    /// Takes what comes until it is told to stop, and then the rest.
    async fn write(&mut self, stop: &CancellationToken) -> Result<(), IntakeError> {
        loop {
            tokio::select! {
                biased;
                () = self.intake.shared.moved_file.noticed() => return Ok(()),
                () = self.intake.shared.work_ends.cancelled(), if !self.has_ended_work => self.end_work(),
                () = stop.cancelled(), if !self.jobs.is_closed() => {
                    self.intake.change_trouble(|_| Some(Trouble::Stopping));
                    // Nobody waits any more but whoever stops us.
                    if let Err(error) = self.writer.hurry(STOP_WAIT).await {
                        tracing::debug!(error = &error as &dyn Error, "The end may take longer");
                    }
                    self.jobs.close();
                    self.asked.close();
                }
                job = self.jobs.recv() => {
                    let Some(first) = job else { break };
                    self.commit(first).await?;
                    self.tell_newest();
                    // Pushes come first, but a flood of them must not shut out everything else.
                    if let Ok(command) = self.asked.try_recv() {
                        let done = self.obey(command).await;
                        self.unless_it_heals(done).await?;
                    }
                    if self.chores.is_due() {
                        let done = self.do_chore().await;
                        self.unless_it_heals(done).await?;
                    }
                }
                Some(command) = self.asked.recv() => {
                    let done = self.obey(command).await;
                    self.unless_it_heals(done).await?;
                }
                () = self.chores.due() => {
                    let done = self.do_chore().await;
                    self.unless_it_heals(done).await?;
                }
            }
            self.tell_newest();
        }
        while let Some(command) = self.asked.recv().await {
            let done = self.obey(command).await;
            self.unless_it_heals(done).await?;
        }
        Ok(())
    }

    /// What could not be written for a quota that is used up heals. Whoever asked has heard that it was
    /// not done.
    async fn unless_it_heals(&mut self, done: Result<(), IntakeError>) -> Result<(), IntakeError> {
        match done {
            Err(IntakeError::Fatal(error)) if error.is_failed_write() => {
                let error = self.writer.told_apart(error).await;
                self.failed(error)
            }
            done => done,
        }
    }

    /// Commits a job together with what waits behind it.
    async fn commit(&mut self, first: Job) -> Result<(), IntakeError> {
        let mut batch = Batch::default();
        let (mut records, mut bytes) = (0, 0);
        let mut next = Some(first);
        while let Some(Job { submission, ticket }) = next {
            records += submission.records.len();
            bytes += ticket.room.bytes();
            batch.submissions.push(submission);
            batch.tickets.push(ticket);
            let has_room = records < BATCH_RECORDS_MAX && bytes < BATCH_BYTES_MAX;
            next = has_room.then(|| self.jobs.try_recv().ok()).flatten();
        }
        let now = self.intake.now();
        let began = Instant::now();
        match self.writer.commit(&batch.submissions, now).await {
            Ok(verdicts) => {
                self.intake.shared.commits.note(began.elapsed(), records);
                self.intake.note_failing(false);
                self.answers.give(batch, verdicts);
                Ok(())
            }
            Err(error) if error.is_of_data() => {
                tracing::debug!(error = &error as &dyn Error, "A batch failed for its data");
                self.commit_in_parts(batch).await
            }
            Err(error) => {
                batch.send_away();
                self.failed(error)
            }
        }
    }

    /// Wakes those who wait for something new, if there is.
    fn tell_newest(&self) {
        let Some(last_id) = self.writer.last_id() else { return };
        self.intake.shared.newest.send_if_modified(|newest| {
            let is_news = *newest != last_id;
            *newest = last_id;
            is_news
        });
    }

    async fn obey(&mut self, command: Command) -> Result<(), IntakeError> {
        if self.intake.check_files() {
            // Whoever asked hears why.
            return Ok(());
        }
        let now = self.intake.now();
        match command {
            Command::KeepRefused(handed) => self.keep_refused(handed, now).await,
            Command::Discard { id, caller, reply } => {
                answer(reply, self.writer.discard(id, &caller, now).await)
            }
            Command::DiscardAll { ids, sources, reply } => {
                answer(reply, self.writer.discard_all(&ids, &sources).await)
            }
            Command::Audit(record) => self.record(record, now).await,
            Command::CreateKey { label, scope, digest, caller, reply } => {
                answer(reply, self.writer.create_key(&label, scope, digest, &caller, now).await)
            }
            Command::RevokeKey { id, caller, reply } => {
                answer(reply, self.writer.revoke_key(id, &caller, now).await)
            }
            Command::AddPass { pass, caller, reply } => {
                answer(reply, self.writer.add_pass(&pass, &caller, now).await)
            }
            Command::TakePass { kind, digest, reply } => {
                answer(reply, self.writer.take_pass(kind, &digest, now).await)
            }
            Command::KeepPoll { poll, reply } => answer(reply, self.writer.keep_poll(&poll).await),
            Command::ForgetDevice { sn, reply } => {
                answer(reply, self.writer.forget_device(&sn, now).await)
            }
            Command::Beat { reply } => answer(reply, Ok(())),
            Command::KeepHistory { history, reply } => {
                answer(reply, self.keep_history(&history, now).await)
            }
            Command::KeepUp(upkeep) => self.keep_up(upkeep, now).await,
            Command::LabelSims { changes, caller, reply } => {
                answer(reply, self.writer.label_sims(&changes, &caller, now).await)
            }
        }
    }

    async fn record(&mut self, record: Record, now: Timestamp) -> Result<(), IntakeError> {
        match record {
            Record::Row { note, times, reply } => {
                answer(reply, self.writer.audit_times(&note, times, now).await)
            }
            Record::End { id, outcome, details, reply } => {
                answer(reply, self.writer.end_audit(id, outcome, &details).await)
            }
            Record::Start { version, settings, secrets, reply } => {
                answer(reply, self.writer.audit_start(&version, &settings, &secrets, now).await)
            }
            Record::Secrets { digests, reply } => {
                answer(reply, self.writer.keep_secret_digests(&digests).await)
            }
            Record::FailedSignIns { failures, reply } => {
                answer(reply, self.writer.audit_failed_sign_ins(&failures, now).await)
            }
        }
    }

    /// Holds refused pushes; those that the database does not take are counted as dropped.
    async fn keep_refused(
        &mut self,
        mut handed: Handed,
        now: Timestamp,
    ) -> Result<(), IntakeError> {
        for ((ring, reason), pushes) in handed.dropped.drain() {
            self.writer.count_dropped(ring, reason, pushes, now);
        }
        self.writer.note_waiting(&handed.left, now);
        if let Err(error) = self.writer.keep_refused(&handed.held, now).await {
            for held in &handed.held {
                let (ring, reason) = counted_as(held);
                self.writer.count_dropped(ring, reason, 1, now);
            }
            self.failed(error)?;
        }
        Ok(())
    }

    /// Stores rows of a file, all or nothing.
    async fn keep_history(
        &mut self,
        history: &Submission,
        now: Timestamp,
    ) -> Result<Outcome, StoreError> {
        let verdicts = self.writer.commit(slice::from_ref(history), now).await?;
        let all = verdicts.into_iter().filter_map(|verdict| verdict_of(verdict).ok());
        Ok(all.fold(Outcome::default(), sum))
    }

    /// Notes a failure; one that cannot heal ends the task.
    pub(super) fn failed(&self, error: StoreError) -> Result<(), IntakeError> {
        if error.is_fatal() {
            return Err(IntakeError::Fatal(error));
        }
        tracing::warn!(error = &error as &dyn Error, "The database did not take a batch");
        self.intake.note_failing(true);
        Ok(())
    }
}

/// Answers whoever asked for a change; a failure that cannot heal ends the task.
pub(super) fn answer<T>(reply: Reply<T>, done: Result<T, StoreError>) -> Result<(), IntakeError> {
    let (answer, end) = match done {
        Err(error) if error.is_fatal() => return Err(IntakeError::Fatal(error)),
        done => (done, Ok(())),
    };
    // Nobody waits any more: the change is made all the same.
    drop(reply.send(answer));
    end
}

pub(super) fn verdict_of(verdict: Verdict) -> Result<Outcome, Unstored> {
    match verdict {
        Verdict::Stored(outcome) => Ok(outcome),
        Verdict::QuarantineFull => Err(Unstored::QuarantineFull),
    }
}

pub(super) fn sum(a: Outcome, b: Outcome) -> Outcome {
    Outcome {
        stored: a.stored + b.stored,
        duplicates: a.duplicates + b.duplicates,
        quarantined: a.quarantined + b.quarantined,
        erased: a.erased + b.erased,
    }
}
