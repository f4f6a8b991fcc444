//! Whose a copy is, and which copies a store remembers to have made. Several servers may have one backup
//! folder: only the copies of our own store are ours to count, to report and to remove. A store is known by
//! its epoch; the one that a restore has replaced was ours, too. Held by `tests/it/disk/shared_folder.rs`.
use std::{
    collections::HashMap,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf, absolute},
    sync::{Mutex, PoisonError},
    thread,
};

use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tokio::runtime;

use super::{StoreError, backup::folder_of, open::for_reading};

/// The store's epochs before those that it has, as far as copies in its folder may have them.
const EARLIER: &str = "earlier_epochs";
/// The copy that was made last, and one that was not in its folder any more when that one was made.
const NEWEST: &str = "newest_backup";
const LOST: &str = "lost_backup";
/// So many restores are remembered.
const EARLIER_MAX: usize = 50;
/// What is judged again costs little.
const JUDGED_MAX: usize = 1_000;

/// Whose a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    Ours,
    OfAnother,
    /// It cannot be read: it is told of, and stays.
    Unknown,
}

/// A file as it was when it was read.
type Identity = (u64, u64, u64, i64, i64);

/// By what a store knows its copies.
#[derive(Debug, Default)]
pub struct CopyOwner {
    /// None where the store cannot be asked: then all copies may be its own.
    epochs: Option<Vec<String>>,
    judged: Mutex<HashMap<Identity, Whose>>,
}

/// The copies that a store remembers to have made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RememberedBackups {
    newest: Option<PathBuf>,
    lost: Option<PathBuf>,
}

/// By what a store knows its copies, and which it remembers.
pub type KnownCopies = (CopyOwner, RememberedBackups);

/// Asks a database what it knows of its copies.
pub async fn known_copies(database: &Path) -> Result<KnownCopies, StoreError> {
    let mut connection = for_reading(database).connect().await?;
    let known = copies_known_to(&mut connection).await;
    connection.close().await?;
    Ok(known?)
}

/// The same, of a database that is open.
pub(super) async fn copies_known_to(
    connection: &mut SqliteConnection,
) -> Result<KnownCopies, sqlx::Error> {
    let epochs = epochs_in(connection).await?;
    let remembered = RememberedBackups {
        newest: fact(connection, NEWEST).await?.map(PathBuf::from),
        lost: fact(connection, LOST).await?.map(PathBuf::from),
    };
    Ok((CopyOwner::of(epochs), remembered))
}

async fn fact(
    connection: &mut SqliteConnection,
    name: &str,
) -> Result<Option<String>, sqlx::Error> {
    const FACT: &str = "select value from meta where name = $1";
    sqlx::query_scalar(FACT).bind(name).fetch_optional(connection).await
}

/// The epoch of a store and those before, the newest first.
pub(super) async fn epochs_in(
    connection: &mut SqliteConnection,
) -> Result<Vec<String>, sqlx::Error> {
    let earlier = fact(connection, EARLIER).await?.unwrap_or_default();
    let own = fact(connection, "epoch").await?;
    Ok(own.into_iter().chain(earlier.split_whitespace().map(str::to_owned)).collect())
}

/// Gives a copy that is to become the database the epochs of the one that it replaces, whose copies it
/// looks after from then on: in an empty place there is none, and the store that the copy was made of may
/// still be at work elsewhere. Where the old one is gone or cannot be read it was most likely that of the
/// copy.
pub(super) async fn carry_epochs(
    (database, had_one): (&Path, bool),
    partial: &mut SqliteConnection,
    of_copy: Vec<String>,
) -> Result<(), StoreError> {
    const FORGET: &str = "delete from meta where name in ($1, $2, $3)";
    const KEEP: &str = "insert into meta (name, value) values ($1, $2)";
    let old = async {
        let mut old = for_reading(database).connect().await?;
        let epochs = epochs_in(&mut old).await?;
        old.close().await?;
        Ok::<_, StoreError>(epochs)
    };
    let mut epochs = match had_one {
        true => old.await.unwrap_or(of_copy),
        false => Vec::new(),
    };
    epochs.truncate(EARLIER_MAX);
    sqlx::query(FORGET).bind(EARLIER).bind(NEWEST).bind(LOST).execute(&mut *partial).await?;
    if !epochs.is_empty() {
        sqlx::query(KEEP).bind(EARLIER).bind(epochs.join(" ")).execute(partial).await?;
    }
    Ok(())
}

impl CopyOwner {
    pub(super) fn of(epochs: Vec<String>) -> Self {
        Self { epochs: Some(epochs), judged: Mutex::default() }
    }

    /// The store in this database; where it cannot be asked, every copy counts as one of its own.
    pub async fn of_store(database: &Path) -> Self {
        known_copies(database).await.map(|(owner, _)| owner).unwrap_or_default()
    }

    /// By which its unfinished copies are told from those of others.
    pub(super) fn tag(&self) -> &str {
        self.epochs.iter().flatten().next().map_or("0", String::as_str)
    }

    /// Whether an unfinished copy with this tag is ours.
    pub(super) fn has_tag(&self, tag: &str) -> bool {
        self.epochs.as_ref().is_none_or(|epochs| epochs.iter().any(|epoch| epoch == tag))
    }

    /// Looks into a copy, if it was not looked into before.
    pub(super) fn whose(&self, copy: &Path) -> Whose {
        let Some(epochs) = &self.epochs else { return Whose::Ours };
        let Ok(about) = fs::metadata(copy).and_then(only_a_file) else { return Whose::Unknown };
        let identity = (about.dev(), about.ino(), about.len(), about.mtime(), about.mtime_nsec());
        let judged = || self.judged.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = judged().get(&identity) {
            return *known;
        }
        // It may hang, and others ask meanwhile.
        let Some(epoch) = epoch_of(copy) else { return Whose::Unknown };
        let whose = if epochs.contains(&epoch) { Whose::Ours } else { Whose::OfAnother };
        let mut judged = judged();
        if judged.len() >= JUDGED_MAX {
            judged.clear();
        }
        judged.insert(identity, whose);
        whose
    }
}

/// Whoever opens a pipe waits.
fn only_a_file(about: fs::Metadata) -> io::Result<fs::Metadata> {
    if about.is_file() { Ok(about) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

/// The epoch in a copy. Read on a thread of its own, since those who ask may be on any.
fn epoch_of(copy: &Path) -> Option<String> {
    let copy = copy.to_owned();
    let reading = move || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().ok()?;
        runtime.block_on(async {
            let mut copy = for_reading(&copy).immutable(true).connect().await.ok()?;
            let epoch = fact(&mut copy, "epoch").await;
            copy.close().await.ok()?;
            epoch.ok()?
        })
    };
    thread::Builder::new().name("simdeck-copy".to_owned()).spawn(reading).ok()?.join().ok()?
}

impl RememberedBackups {
    /// What there is to remember once a copy was made.
    pub fn after(made: &Path, lost: Option<PathBuf>) -> Self {
        Self { newest: Some(absolute(made).unwrap_or_else(|_| made.to_owned())), lost }
    }

    /// What is kept of it, by name.
    pub(super) fn facts(&self) -> [(&'static str, Option<String>); 2] {
        let text = |path: &Option<PathBuf>| path.as_ref().map(|it| it.to_string_lossy().into());
        [(NEWEST, text(&self.newest)), (LOST, text(&self.lost))]
    }

    /// The copy that was made last in this folder and is not there any more, though nobody but people
    /// takes that one away. Once as many were made since as are kept, it would have gone by itself.
    pub fn lost_in(&self, folder: &Path, there: usize, keep: usize) -> Option<&Path> {
        let folder = absolute(folder).ok()?;
        let is_lost = |path: &&PathBuf| {
            folder_of(path) == folder
                && fs::symlink_metadata(path)
                    .is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        };
        let earlier = self.lost.as_ref().filter(|_| there < keep.max(1));
        earlier.filter(is_lost).or(self.newest.as_ref().filter(is_lost)).map(PathBuf::as_path)
    }
}
