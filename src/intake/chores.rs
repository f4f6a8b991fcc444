//! Long work of the writer, done a little at a time between pushes, and owned until it is done.
use std::{error::Error, time::Duration};

use tokio::time::Instant;

use super::{
    Intake, Trouble,
    admin::Reply,
    chore_queue::{Chore, Work},
    task::{IntakeError, WriterTask, answer},
};
use crate::{
    domain::{
        AuditOutcome, Caller, ClockEvidence, Giccid, RetractQuestion, SilentCount, Timestamp,
    },
    store::{
        Erased, Erasing, FileSearch, Lift, NumberBytes, OverflowEnd, Pruned, Pruning,
        RememberedBackups, RetractedCounts, Retracting, RoomNote, Scrubbed, StoreError,
    },
};

/// What is asked for beside pushes so that the store stays what it should be.
pub(super) enum Upkeep {
    /// By a person, or by us.
    Prune {
        /// A person vouches for our clock, whatever authentic pushes say.
        by_clock: bool,
        reply: Reply<Pruned>,
    },
    Erase {
        giccid: Giccid,
        caller: Caller,
        reply: Reply<Erased>,
    },
    /// Keeps again what comes of an erased SIM.
    Lift {
        giccid: Giccid,
        caller: Caller,
        reply: Reply<Lift>,
    },
    Retract {
        question: RetractQuestion,
        caller: Caller,
        reply: Reply<RetractedCounts>,
    },
    /// Keeps again what comes under a retracted `datePush`.
    LiftRetraction {
        id: i64,
        caller: Caller,
        reply: Reply<Lift>,
    },
    /// Overwrites what is left of an erased SIM in a few pages.
    Scrub {
        number: NumberBytes,
        pages: Vec<u32>,
        reply: Reply<Scrubbed>,
    },
    /// The same behind the ends of a few long rows.
    ScrubEnds {
        number: NumberBytes,
        ends: Vec<OverflowEnd>,
        reply: Reply<usize>,
    },
    /// Keeps how many SIMs were silent.
    CountSilent {
        count: SilentCount,
        reply: Reply<()>,
    },
    /// Keeps how large the database was.
    KeepRoomNotes {
        notes: Vec<RoomNote>,
        reply: Reply<()>,
    },
    /// Keeps which backups were made.
    RememberBackups {
        made: RememberedBackups,
        reply: Reply<()>,
    },
    Checkpoint {
        /// How long it may wait for readers; pushes wait with it.
        wait: Duration,
        reply: Reply<bool>,
    },
    /// Which erased SIMs the files are still to be searched for.
    FileSearches {
        reply: Reply<Vec<FileSearch>>,
    },
    /// Notes that the files were searched for the number of an erased SIM.
    EndFileSearch {
        id: i64,
        reply: Reply<()>,
    },
    /// While a copy is made, or when it is done.
    HoldCheckpoints {
        is_held: bool,
        reply: Reply<()>,
    },
}

impl Intake {
    /// Ends when a step of long work has found no room on the disk, from now on: it is tried again until
    /// it is done, and whoever waits for it may want to know.
    pub async fn lacks_room(&self) {
        // The sender lives as long as we do.
        drop(self.shared.lacked_room.subscribe().changed().await);
    }
}

impl Upkeep {
    /// Whether it is done in steps, or takes long.
    fn is_long(&self) -> bool {
        matches!(self, Self::Prune { .. } | Self::Erase { .. } | Self::Retract { .. })
    }
}

impl WriterTask {
    /// Does the next step of the work that has begun, or else of what has waited longest.
    pub(super) async fn do_chore(&mut self) -> Result<(), IntakeError> {
        if self.intake.check_files() {
            return Ok(());
        }
        let began = Instant::now();
        let is_disk_low = self.intake.trouble() == Some(Trouble::DiskReserve);
        let Some(mut chore) = self.chores.next(began, is_disk_low) else {
            self.chores.rest_held_back(began);
            return Ok(());
        };
        if let Work::BeginErase(..) | Work::BeginRetract(..) = &chore.work {
            return self.begin(chore).await;
        }
        let is_last = matches!(&chore.work, Work::Erase(work, _) if work.only_log_is_left());
        let done = self.step(&mut chore).await;
        self.intake.shared.kept_from.set(self.writer.kept_from());
        self.chores.rest(Instant::now(), began.elapsed());
        match done {
            Ok(true) => return self.end(chore.work),
            // No row of it is left, so that others need not wait for it to end.
            Ok(false) if is_last => {
                if chore.pause(Instant::now()) {
                    tracing::warn!(
                        "Somebody reads the database as it was, another process or a long question to \
                         this server, so that its log still has what was erased; the erasure ends when \
                         that has ended"
                    );
                }
                self.chores.wait_behind(chore);
            }
            Ok(false) => {
                chore.step_done();
                self.chores.go_on(chore);
            }
            Err(error) if error.is_fatal() => return Err(IntakeError::Fatal(error)),
            Err(error) if error.is_corrupt() => return self.give_up(chore.work, error).await,
            Err(error) => self.try_again(chore, &error),
        }
        Ok(())
    }

    /// Gives long work up, since we stop: what takes rows away is in the database, and goes on after the
    /// next start.
    pub(super) fn end_work(&mut self) {
        self.has_ended_work = true;
        let works = self.chores.end();
        if !works.is_empty() {
            tracing::info!(
                ?works,
                "Work on the store stops here, since simdeck is stopping; erasures, retractions and a \
                 change of time zone that have begun go on after the next start"
            );
        }
    }

    /// Lets work wait for its next try.
    fn try_again(&mut self, mut chore: Chore, error: &StoreError) {
        if error.is_disk_full() {
            self.intake.shared.lacked_room.send_modify(|times| *times += 1);
        }
        if chore.step_failed(Instant::now()) {
            let (error, work) = (error as &dyn Error, chore.work.name());
            tracing::warn!(
                error,
                work,
                "Work on the store failed, and is tried again until it is done"
            );
        }
        self.chores.wait_behind(chore);
    }

    /// Begins what takes rows away: from then on it is in the database, which the next start goes on
    /// with. Until the database takes that, it is tried again; but where there is no room, and nothing
    /// that outlives us has noted it, whoever asked is told to ask again.
    async fn begin(&mut self, chore: Chore) -> Result<(), IntakeError> {
        let now = self.intake.now();
        let mut is_noted = false;
        let done = match &chore.work {
            Work::BeginErase(giccid, caller, _) => {
                let begun = match self.writer.list_erasure(giccid, now).await {
                    Ok(at) => {
                        is_noted = true;
                        self.writer.begin_listed_erasure(giccid, caller, (at, now)).await
                    }
                    Err(error) => Err(error),
                };
                self.intake.set_erased(self.writer.erased_numbers());
                begun.map(Begun::Erase)
            }
            Work::BeginRetract(question, caller, _) => {
                let begun = self.writer.begin_retraction(*question, caller, now).await;
                self.intake.set_retracted(self.writer.retracted());
                begun.map(Begun::Retract)
            }
            _ => return Ok(()),
        };
        let work = match (chore.work, done) {
            (Work::BeginErase(.., reply), Ok(Begun::Erase(work))) => Work::Erase(work, reply),
            (Work::BeginRetract(.., reply), Ok(Begun::Retract(work))) => Work::Retract(work, reply),
            (work, Err(error)) if error.is_fatal() || error.is_of_data() || error.is_corrupt() => {
                return self.give_up(work, error).await;
            }
            (Work::BeginErase(.., reply), Err(error)) if error.is_disk_full() && !is_noted => {
                return answer(reply, Err(error));
            }
            (Work::BeginRetract(.., reply), Err(error)) if error.is_disk_full() => {
                return answer(reply, Err(error));
            }
            (work, Err(error)) => {
                self.try_again(Chore { work, ..chore }, &error);
                return Ok(());
            }
            (work, Ok(_)) => work,
        };
        self.chores.add(work);
        Ok(())
    }

    /// Does one step of a piece of work; true when all of it is done.
    async fn step(&mut self, chore: &mut Chore) -> Result<bool, StoreError> {
        let is_first_of_prune = matches!(chore.work, Work::Prune(..)) && !chore.has_begun;
        if (chore.work.is_removal() || is_first_of_prune) && self.chores.has_rebuild() {
            self.writer.restart_rebuild().await?;
        }
        match &mut chore.work {
            Work::Rebuild(work) => self.rebuild(work).await,
            Work::Prune(work, _) => {
                self.writer.prune_some(work).await?;
                Ok(work.is_done())
            }
            Work::Erase(work, _) => {
                self.writer.erase_some(work).await?;
                Ok(work.is_done())
            }
            Work::Retract(work, _) => {
                self.writer.retract_some(work).await?;
                Ok(work.is_done())
            }
            Work::BeginErase(..) | Work::BeginRetract(..) => Ok(false),
        }
    }

    /// Answers whoever waits for work that is done.
    fn end(&self, work: Work) -> Result<(), IntakeError> {
        match work {
            Work::Prune(work, reply) => answer(reply, Ok(work.pruned())),
            Work::Erase(work, reply) => answer(reply, Ok(work.erased())),
            Work::Retract(work, reply) => answer(reply, Ok(work.counts())),
            Work::Rebuild(_) | Work::BeginErase(..) | Work::BeginRetract(..) => Ok(()),
        }
    }

    /// Ends work that what is stored keeps from its end: to try again would change nothing.
    async fn give_up(&mut self, work: Work, error: StoreError) -> Result<(), IntakeError> {
        {
            let (error, work) = (&error as &dyn Error, work.name());
            tracing::error!(error, work, "Work on the store cannot be done: a row of it is broken");
        }
        let audited = match &work {
            Work::Erase(work, _) => work.audit_id().zip(Some(work.erased().to_string())),
            Work::Retract(work, _) => work.audit_id().zip(Some(work.counts().to_string())),
            _ => None,
        };
        if let Some((id, so_far)) = audited {
            self.writer.end_audit(id, AuditOutcome::Failed, &so_far).await.or_else(|error| {
                tracing::warn!(error = &error as &dyn Error, id, "The audit lacks how it ended");
                if error.is_fatal() { Err(IntakeError::Fatal(error)) } else { Ok(()) }
            })?;
        }
        match work {
            Work::Rebuild(_) => {
                self.intake.end_rezoning();
                Ok(())
            }
            Work::Prune(_, reply) => answer(reply, Err(error)),
            Work::BeginErase(.., reply) | Work::Erase(_, reply) => answer(reply, Err(error)),
            Work::BeginRetract(.., reply) | Work::Retract(_, reply) => answer(reply, Err(error)),
        }
    }

    pub(super) async fn keep_up(
        &mut self,
        upkeep: Upkeep,
        now: Timestamp,
    ) -> Result<(), IntakeError> {
        if self.has_ended_work && upkeep.is_long() {
            // Whoever asked hears that we stop.
            return Ok(());
        }
        match upkeep {
            Upkeep::Prune { by_clock, reply } => {
                match self.begin_prune(now, by_clock).await {
                    Ok(work) => self.chores.add(Work::Prune(work, reply)),
                    Err(error) => return answer(reply, Err(error)),
                }
                Ok(())
            }
            Upkeep::Erase { giccid, caller, reply } => {
                self.begin(Chore::new(Work::BeginErase(giccid, caller, reply))).await
            }
            // Asked for twice, it goes on though the store has noted the first one's end.
            Upkeep::Lift { giccid, reply, .. } if self.chores.erases(&giccid) => {
                answer(reply, Ok(Lift::Pending))
            }
            Upkeep::Lift { giccid, caller, reply } => {
                let lifted = self.writer.lift_erasure(&giccid, &caller, now).await;
                self.intake.set_erased(self.writer.erased_numbers());
                answer(reply, lifted)
            }
            Upkeep::Retract { question, caller, reply } => {
                self.begin(Chore::new(Work::BeginRetract(question, caller, reply))).await
            }
            Upkeep::LiftRetraction { id, caller, reply } => {
                let lifted = self.writer.lift_retraction(id, &caller, now).await;
                self.intake.set_retracted(self.writer.retracted());
                answer(reply, lifted)
            }
            Upkeep::Scrub { number, pages, reply } => {
                answer(reply, self.writer.scrub(&number, &pages).await)
            }
            Upkeep::ScrubEnds { number, ends, reply } => {
                answer(reply, self.writer.scrub_ends(&number, &ends).await)
            }
            Upkeep::FileSearches { reply } => {
                if let Err(error) = self.writer.mend_list().await {
                    let error = &error as &dyn Error;
                    tracing::warn!(error, "The list of erased SIMs could not be written anew");
                }
                answer(reply, self.writer.file_searches().await)
            }
            Upkeep::CountSilent { count, reply } => {
                answer(reply, self.writer.keep_silent_count(count, now).await)
            }
            Upkeep::KeepRoomNotes { notes, reply } => {
                answer(reply, self.writer.keep_room_notes(&notes).await)
            }
            Upkeep::RememberBackups { made, reply } => {
                answer(reply, self.writer.remember_backups(&made).await)
            }
            Upkeep::Checkpoint { wait, reply } => answer(reply, self.writer.checkpoint(wait).await),
            Upkeep::EndFileSearch { id, reply } => {
                answer(reply, self.writer.end_file_search(id).await)
            }
            Upkeep::HoldCheckpoints { is_held, reply } => {
                answer(reply, self.writer.hold_checkpoints(is_held).await)
            }
        }
    }

    async fn begin_prune(&mut self, now: Timestamp, by_clock: bool) -> Result<Pruning, StoreError> {
        let retention = &self.intake.shared.options.keep.retention;
        if by_clock {
            return Ok(Pruning::by_clock(retention, now));
        }
        let confirmed = self.writer.retention_now(now).await?;
        if now.since(confirmed) > ClockEvidence::DIFFERENCE_MAX {
            tracing::info!(
                clock = %now,
                retention.from = %confirmed,
                "Retention counts from the newest authentic push, which is older than this clock"
            );
        }
        let mut pruning = Pruning::new(retention, confirmed);
        pruning.clock = now;
        Ok(pruning)
    }
}

/// What has begun.
enum Begun {
    Erase(Erasing),
    Retract(Retracting),
}
