//! The one way a push gets in: verify, read, queue, commit, reply.
//!
//! [`Intake::accept`] runs in the request's task up to the queue and then waits. The records belong
//! to the writer task from there on: a client that goes away takes nothing back, and no transaction
//! ever lives in a request's future. Everything else that writes (retries, keys, refused pushes,
//! polls of RCMS) goes through the same task, so that there is one writer.
mod accept;
mod admin;
mod answers;
mod audit;
mod backup_state;
mod backups;
mod bisect;
mod chore_queue;
mod chores;
mod closing;
mod devices;
mod disk;
mod erase;
mod figures;
mod file_search;
mod finished;
mod folders;
mod growth;
mod held_many;
mod history;
mod keep;
mod kept_from;
mod kinds;
mod large;
mod listed_copies;
mod moved;
mod nonces;
mod own_copies;
mod prune;
mod queue;
mod refused;
mod refused_turns;
mod retract;
mod retried;
mod retry;
mod rezone;
mod sent_away;
mod silent_counts;
mod task;
mod trouble;
mod unfinished;

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

pub use accept::{AcceptError, Accepted, Push, Refused};
pub use admin::AdminError;
pub use audit::Audited;
pub use backup_state::BackupState;
pub use backups::KeepError;
pub use disk::{DiskState, eats_reserve};
pub use erase::{Erasure, Traces};
pub use figures::CommitFigures;
pub use folders::{Folder, FolderRoom};
pub use growth::Lasts;
pub use held_many::{DiscardCutShort, RetriedMany};
pub use history::Kept;
pub use keep::KeepOptions;
pub use large::Turn;
pub use queue::QueueDepth;
pub use retry::RetryError;
pub use rezone::Rezoning;
pub use task::{IntakeError, IntakeTasks};

use self::{
    admin::Command, backups::Backups, chore_queue::Chores, figures::Commits,
    file_search::LeftInFiles, folders::BackupDisk, growth::Growth, kept_from::KeptFromNow,
    kinds::Kinds, large::LargeBodies, moved::MovedFile, nonces::Nonces, queue::Queue,
    refused::Waiting, rezone::RezoningNow, sent_away::SentAway, trouble::Trouble,
};
use crate::{
    domain::{ApiKey, Clock, Retracted, Timestamp},
    smarthub::{
        AgePolicy, IdentityRule,
        explain::{Finding, explain},
        signature::Verifier,
    },
    store::{ErasedNumbers, OpenFiles, Opened, Store, StoreError},
};

/// What the intake has to know.
pub struct IntakeOptions {
    /// Checks signatures, until [`Intake::set_verifier`] brings another.
    pub verifier: Verifier,
    /// How old `datePush` may be.
    pub age: AgePolicy,
    /// What makes two records the same.
    pub identity: IdentityRule,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// The data directory.
    pub data_dir: PathBuf,
    /// Bytes to leave free on the disk of the database.
    pub disk_reserve_bytes: u64,
    /// For how long what is kept, and where copies of it lie.
    pub keep: KeepOptions,
    /// When a push is acknowledged.
    pub acknowledge: Acknowledge,
}

/// When a push is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Acknowledge {
    /// When it is on disk.
    #[default]
    AfterCommit,
    /// When it is in memory. It loses what it promised: the control that shows that our attack on
    /// durability can tell. No setting leads here.
    BeforeCommit,
}

/// Takes pushes in. Clones are cheap and share one writer.
#[derive(Clone)]
pub struct Intake {
    shared: Arc<Shared>,
}

struct Shared {
    options: IntakeOptions,
    /// With the keys that are live now.
    verifier: RwLock<Arc<Verifier>>,
    store: Store,
    files: OpenFiles,
    moved_file: MovedFile,
    queue: Queue,
    waiting: Waiting,
    commands: mpsc::Sender<Command>,
    kinds: Kinds,
    large: LargeBodies,
    nonces: Nonces,
    sent_away: SentAway,
    commits: Commits,
    kept_from: KeptFromNow,
    growth: Growth,
    backups: Backups,
    lacked_room: watch::Sender<u64>,
    backup_disk: BackupDisk,
    /// Long work ends, and no other begins; pushes are taken on.
    work_ends: CancellationToken,
    left_in_files: LeftInFiles,
    rezoning: RezoningNow,
    keys: RwLock<Vec<ApiKey>>,
    /// No text that names one of these is shown. The writer says which they are.
    erased: RwLock<Arc<ErasedNumbers>>,
    /// What still comes under these is set aside. The writer says what they are.
    retracted: RwLock<Arc<Retracted>>,
    /// The newest id on disk.
    newest: watch::Sender<i64>,
    /// Why nothing can be stored now; empty while all is well.
    trouble: RwLock<Option<Trouble>>,
}

/// Whether pushes can be stored now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// They can.
    Ready,
    /// They cannot, and why, in a sentence.
    NotReady(&'static str),
}

impl Intake {
    /// Makes an intake over an open store, and the tasks that somebody has to run for it.
    pub async fn new(
        opened: Opened,
        options: IntakeOptions,
        stop: CancellationToken,
    ) -> Result<(Self, IntakeTasks), StoreError> {
        let Opened { store, writer, next_zone, unfinished, files, copies, .. } = opened;
        let rezoning = RezoningNow::to(next_zone.as_ref());
        let (works, followed) = unfinished::take_up(unfinished);
        let chores = Chores::new(works.into_iter().chain(next_zone.map(rezone::work)));
        let (queue, jobs) = Queue::new();
        let (waiting, refused) = Waiting::new();
        let (commands, asked) = mpsc::channel(64);
        let tallies = store.tallies().await?;
        let keys = store.api_keys().await?;
        let verifier = RwLock::new(Arc::new(options.verifier.clone()));
        let shared = Arc::new(Shared {
            options,
            verifier,
            store,
            files,
            moved_file: MovedFile::default(),
            queue,
            waiting,
            commands,
            kinds: Kinds::new(tallies.kinds.into_iter().map(|(kind, ..)| kind)),
            large: LargeBodies::default(),
            nonces: Nonces::default(),
            sent_away: SentAway::default(),
            commits: Commits::default(),
            kept_from: KeptFromNow::new(writer.kept_from()),
            growth: Growth::default(),
            backups: Backups::of(copies),
            lacked_room: watch::Sender::default(),
            backup_disk: BackupDisk::default(),
            work_ends: CancellationToken::new(),
            left_in_files: LeftInFiles::default(),
            rezoning,
            keys: RwLock::new(keys),
            erased: RwLock::new(writer.erased_numbers()),
            retracted: RwLock::new(writer.retracted()),
            newest: watch::Sender::new(writer.last_id().unwrap_or_default()),
            trouble: RwLock::new(None),
        });
        let intake = Self { shared };
        let tasks = IntakeTasks {
            intake: intake.clone(),
            writer,
            chores,
            followed,
            jobs,
            asked,
            refused,
            stop,
        };
        Ok((intake, tasks))
    }

    /// Has the long work on the store end at its next step, while pushes are taken on.
    pub fn end_work(&self) {
        self.shared.work_ends.cancel();
    }

    /// Whether pushes can be stored now.
    pub fn health(&self) -> Health {
        match self.trouble() {
            None => Health::Ready,
            Some(trouble) => Health::NotReady(trouble.sentence()),
        }
    }

    /// From now on the keys of this verifier are live, and no others. A push that is being checked
    /// is still checked with those that were.
    pub fn set_verifier(&self, verifier: Verifier) {
        *self.shared.verifier.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(verifier);
    }

    fn verifier(&self) -> Arc<Verifier> {
        Arc::clone(&self.shared.verifier.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What was retracted. A push that is read by this is looked at once more when it is committed.
    fn retracted(&self) -> Arc<Retracted> {
        Arc::clone(&self.shared.retracted.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn set_retracted(&self, retracted: Arc<Retracted>) {
        *self.shared.retracted.write().unwrap_or_else(PoisonError::into_inner) = retracted;
    }

    /// What waits to be committed.
    pub fn queue_depth(&self) -> QueueDepth {
        self.shared.queue.depth()
    }

    /// How long commits took, and how many records they held.
    pub fn commits(&self) -> CommitFigures {
        self.shared.commits.read()
    }

    /// Records that were stored in a second, over the last ten.
    pub fn received_per_s(&self) -> f64 {
        self.shared.commits.received_per_s()
    }

    /// Why the disk is too full to store anything, in a sentence, if it is.
    pub fn disk_trouble(&self) -> Option<&'static str> {
        self.trouble().filter(|trouble| *trouble == Trouble::DiskReserve).map(Trouble::sentence)
    }

    /// What would make the refused body of a push valid, in sentences. It takes a few hundred hashes
    /// for each key.
    pub fn explain(&self, body: &[u8]) -> Vec<Finding> {
        explain(body, &self.verifier())
    }

    /// A word that marks so many pushes as our own tests, for 15 minutes.
    pub fn issue_test_nonce(&self, pushes: u32) -> (String, Timestamp) {
        self.shared.nonces.issue(pushes, self.now())
    }

    /// Tells the newest id that is on disk, each time that there is a newer one. Who watches costs
    /// the writer nothing.
    pub fn newest(&self) -> watch::Receiver<i64> {
        self.shared.newest.subscribe()
    }

    /// The store, for reading.
    pub fn store(&self) -> &Store {
        &self.shared.store
    }

    /// Whether there is no use in trying. A database that failed is tried again by each push: that
    /// is how it is noticed that it works again.
    fn refuses_all(&self) -> bool {
        matches!(
            self.trouble(),
            Some(Trouble::DiskReserve | Trouble::FilesMoved | Trouble::Stopping)
        )
    }

    fn now(&self) -> Timestamp {
        self.shared.options.clock.now()
    }

    fn note_disk(&self, is_low: bool) {
        self.change_trouble(|before| Trouble::after_look(before, is_low));
    }

    fn note_failing(&self, is_failing: bool) {
        self.change_trouble(|before| Trouble::after_commit(before, is_failing));
    }

    fn trouble(&self) -> Option<Trouble> {
        *self.shared.trouble.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what keeps us from storing, or that nothing does. The writer and the watch over the
    /// disk both do; neither may undo what the other notes meanwhile.
    fn change_trouble(&self, change: impl FnOnce(Option<Trouble>) -> Option<Trouble>) {
        let mut current = self.shared.trouble.write().unwrap_or_else(PoisonError::into_inner);
        let trouble = change(*current);
        if *current != trouble {
            match trouble {
                None => tracing::info!("Pushes can be stored again"),
                Some(Trouble::Stopping | Trouble::FilesMoved) => (),
                Some(trouble) => tracing::error!(?trouble, "Pushes cannot be stored"),
            }
            *current = trouble;
        }
    }
}

/// How long a push waits for its commit.
const COMMIT_TIME_MAX: Duration = Duration::from_secs(5);

/// The same, while the database is known to fail.
const TRY_TIME_MAX: Duration = Duration::from_secs(1);
