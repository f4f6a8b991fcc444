//! The n-th write or sync fails, once or from then on.
use std::{
    fs,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use rand::{SeedableRng, rngs::StdRng};

use super::{
    Disk, Number,
    crash::CrashDisk,
    journal::Journal,
    says_why,
    sender::{Answer, Sender},
};
use crate::{
    process::Process,
    program::{Program, ack_before_commit},
    trials::{tell, trials},
};

/// The n-th sync or write fails for every n up to this; the short run takes every 67th.
const NTH_MAX: usize = 200;
const EVERY: usize = 67;
/// Pushes that a trial may need until its fault comes; each brings at least one sync.
const PUSHES_MAX: usize = 260;
const WORKERS: usize = 3;

const EIO: i64 = 5;
const ENOSPC: i64 = 28;

/// One way to fail.
#[derive(Clone, Copy, Debug)]
struct Fault {
    of_syncs: bool,
    nth: i64,
    errno: i64,
    /// Whether all that come later fail too.
    lasts: bool,
    /// Counted from when it is ready, not from its start.
    when_ready: bool,
}

fn faults(every: usize) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (of_syncs, when_ready) in [(true, false), (false, false), (false, true)] {
        for errno in [EIO, ENOSPC] {
            for lasts in [false, true] {
                // Another n in each row of the short run.
                let first = 1 + faults.len() * 7 % every;
                for nth in (first..=NTH_MAX).step_by(every) {
                    let nth = i64::try_from(nth).unwrap();
                    faults.push(Fault { of_syncs, nth, errno, lasts, when_ready });
                }
            }
        }
    }
    faults
}

impl Fault {
    fn begin(self, disk: &Disk) {
        let (count, from, to) = if self.of_syncs {
            (Number::Syncs, Number::SyncFailsFrom, Number::SyncFailsTo)
        } else {
            (Number::Writes, Number::WriteFailsFrom, Number::WriteFailsTo)
        };
        let nth = disk.get(count) + self.nth;
        disk.set(Number::Errno, self.errno);
        disk.set(to, if self.lasts { i64::MAX } else { nth });
        disk.set(from, nth);
    }

    fn has_begun(self, disk: &Disk) -> bool {
        let (count, from) = if self.of_syncs {
            (Number::Syncs, Number::SyncFailsFrom)
        } else {
            (Number::Writes, Number::WriteFailsFrom)
        };
        disk.get(count) >= disk.get(from)
    }

    fn end(disk: &Disk) {
        disk.set(Number::SyncFailsFrom, 0);
        disk.set(Number::WriteFailsFrom, 0);
    }

    /// The answer is 503 or the server ends and says why, and all is well again soon. Gives how many
    /// acknowledged pushes were lost.
    async fn attempt(self, program: &mut Program) -> usize {
        program.afresh();
        let (disk, mut sender) = (Disk::new(), Sender::to(program));
        if !self.when_ready {
            self.begin(&disk);
        }
        let mut server = disk.spawn(program);
        if let Err(end) = server.comes_to("Ready") {
            says_why(&self, end);
        } else {
            if self.when_ready {
                self.begin(&disk);
            }
            let mut answer = Answer::Stored;
            for _ in 0..PUSHES_MAX {
                answer = sender.push();
                if answer != Answer::Stored || self.has_begun(&disk) && !self.lasts {
                    break;
                }
            }
            assert!(self.has_begun(&disk), "it never came to this");
            if self.goes_on(&disk, &mut sender, answer, &mut server) {
                server.end();
                return sender.lost(&program.database()).await;
            }
        }
        self.crash(program, &disk);
        let server = program.start();
        sender.must_recover();
        server.end();
        sender.lost(&program.database()).await
    }

    /// Whether the server heals by itself once the disk does. If not, it has ended by now.
    fn goes_on(
        self,
        disk: &Disk,
        sender: &mut Sender,
        mut answer: Answer,
        server: &mut Process,
    ) -> bool {
        // A checkpoint may fail without harm; then pushes go on being stored. A server that ends may
        // still answer a few with 503.
        if answer == Answer::Busy {
            answer = sender.push();
        }
        Self::end(disk);
        if answer != Answer::Gone {
            answer = sender.until_settled();
        }
        if answer == Answer::Stored {
            return true;
        }
        let Err(end) = server.comes_to("no line of the log says this") else { unreachable!() };
        says_why(&self, end);
        false
    }

    /// Leaves of the folder only what a crash at its end could.
    fn crash(self, program: &Program, disk: &Disk) {
        if disk.position() == 0 {
            return;
        }
        let journal = Journal::read(&disk.journal());
        let mut crashed = CrashDisk::new(&journal);
        crashed.advance(u64::MAX);
        fs::remove_dir_all(program.data()).unwrap();
        fs::create_dir(program.data()).unwrap();
        crashed.crash(&program.data(), &mut StdRng::seed_from_u64(self.nth.unsigned_abs()));
    }
}

/// Says which trial failed.
struct Named(Fault);

impl Drop for Named {
    fn drop(&mut self) {
        if thread::panicking() {
            tell(&format!("failed at {:?}", self.0));
        }
    }
}

#[test]
fn a_write_or_sync_that_fails_is_503_or_the_end_and_loses_nothing() {
    let faults = faults(trials("SIMDECK_TEST_FAULTS_EVERY", EVERY));
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                let mut program = Program::new();
                while let Some(fault) = faults.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let _named = Named(*fault);
                    assert_eq!(runtime.block_on(fault.attempt(&mut program)), 0, "are lost");
                }
            });
        }
    });
    let count = faults.len();
    tell(&format!("EIO and ENOSPC at the n-th write and sync: {count} trials, 0 failures"));
}

#[tokio::test]
async fn the_same_faults_find_what_is_lost_when_the_answer_comes_before_the_sync() {
    let mut early = Program::of(ack_before_commit());
    let mut lost = 0;
    // Where the crash after a fault keeps all that was written, there is nothing to find.
    for nth in 1..=8 {
        let fault = Fault { of_syncs: true, nth, errno: EIO, lasts: true, when_ready: true };
        lost += fault.attempt(&mut early).await;
    }
    assert!(lost > 0, "the faults are too weak to tell");
}

#[test]
fn a_database_that_cannot_be_written_ends_the_start_with_a_reason() {
    let (program, disk) = (Program::new(), Disk::new());
    program.start().end();
    disk.set(Number::ReadOnly, 1);
    let said = disk.spawn(&program).refused();
    assert!(said.contains("simdeck.db") && said.contains("Read-only file system"), "{said}");
}
