//! Keeps records: SQLite inside, one writer, many readers. The only module that says sqlx.
//!
//! [`open()`] gives two handles. The [`Writer`] owns the one connection that writes; whoever holds it
//! commits batches with [`Writer::commit`] and may count on it that a batch is on disk when the
//! call returns, or not there at all. A [`Store`] reads and can be cloned freely.
//!
//! What the poller of RCMS learns goes through the same writer, with [`Writer::keep_poll`]. Changes
//! of devices share the one sequence of ids with the records. Whether a device's state still holds
//! depends on the moment of asking, so readers say it; the writer only notes when it ended.
//!
//! Records are unique by their own time, SIM and digest. Sums are kept in rollups that are complete
//! up to a mark; readers add what came after it in the same read transaction, so that at every
//! commit they equal the sums of the records.
//!
//! What goes (by age with [`Writer::prune_some`], a whole SIM with [`Writer::erase_some`]) goes in
//! short steps, and only from what all summaries have: a tail, ours or a reader's, never holds what
//! is gone. Sums outlive records; what only gone records could tell is [`StoreError::Pruned`].
//! [`back_up`] copies the database beside the writer, [`restore()`] puts a copy in its place. The
//! list of erased SIMs lies beside the database, so that no copy brings them back.
mod admin;
mod backup;
mod card;
mod copies;
mod copy_owner;
mod copy_room;
mod database_file;
mod days;
mod disk;
mod erasures;
mod error;
mod examine;
mod folder;
mod foreign_names;
mod identity_rule;
mod integrity;
mod kept_copies;
mod leftovers;
mod lock;
mod made_files;
mod migrate;
mod missing;
mod number_bytes;
mod open;
mod open_error;
mod open_files;
mod other_program;
mod overflow;
mod page;
mod passes;
mod permits;
mod pieces;
mod push;
mod quota;
mod read;
mod remains;
mod restore;
mod rollup;
mod unfinished;
mod writer;

pub use backup::{Backup, BackupError, BackupPlan, back_up, checkpoint_beside, list_beside_copies};
pub use copies::{
    NewestBackup, backups_of_others, lost_backup, newest_backup, remove_parts_of_backups,
};
pub use copy_owner::{CopyOwner, KnownCopies, RememberedBackups, known_copies};
pub use copy_room::CopyWatch;
pub use database_file::{database_bytes, database_folder};
pub use disk::{Disk, disk_of, free_bytes};
pub use error::{StoreError, unless_too_slow};
pub use examine::{Examination, bytes_free_inside, count_mentions, examine, opens};
pub use folder::{DataFolder, FolderError, is_taken, kept_secret, replace_secret};
pub use identity_rule::{KnownRule, RuleChange};
pub use kept_copies::{OwnCopies, forget_copies, own_copies};
pub use made_files::{make_file, make_folder};
pub use migrate::Progress;
pub use missing::{MissingDatabase, missing_database};
pub use number_bytes::NumberBytes;
pub use open::{OpenOptions, Opened, open, open_to_serve, rebuild};
pub use open_error::OpenError;
pub use open_files::{Fate, FileMoved, OpenFiles};
pub use overflow::OverflowEnd;
pub use permits::KeyedPermits;
pub use read::{
    ErasedCounts, ErasedEntry, Heavy, KindTally, Missed, Portion, QuarantineTally, RingTally, Room,
    RoomNote, SimMoment, SimQuestion, Store, Tallies,
    rollup::{Dimension, DimensionHour, QuarterHour, SimDay},
};
pub use remains::{Remains, Scrub, wipe};
pub use restore::{RestoreError, Restored, restore, restore_telling};
pub use unfinished::Unfinished;
pub use writer::{
    Erased, ErasedNumbers, Erasing, FileSearch, Forgetting, Lift, Limits, Outcome, Pruned, Pruning,
    Rebuilding, RefusedCounts, Retention, RetractedCounts, Retracting, Scrubbed, Submission,
    Verdict, Writer,
};

/// How many bytes of held bodies one step takes away or looks through, and the one that goes over it:
/// each may be as large as a push, and pushes wait meanwhile.
const STEP_BODY_BYTES: i64 = 4 << 20;
