//! A folder as a crash at some point could have left it.
//!
//! What was synced is there. Of what was written to a file since its last sync, any sector of 512
//! bytes may be there or not, whatever the order in which it was written. Names that were made,
//! removed or changed since the folder was last synced may be so or not, in their order: every file
//! system of ours has a journal of its own for them.
use std::{collections::BTreeMap, fs, ops::Range, path::Path};

use rand::{RngExt, rngs::StdRng};

use super::journal::{Event, Journal, Told};

const SECTOR: usize = 512;

/// The disk as a journal has left it so far.
pub(crate) struct CrashDisk<'a> {
    journal: &'a Journal,
    next: usize,
    files: Vec<FileState>,
    /// By name, what a crash leaves for sure; and what has changed since.
    safe_names: BTreeMap<String, usize>,
    names: BTreeMap<String, usize>,
    renamed: Vec<Naming>,
}

#[derive(Default)]
struct FileState {
    safe: Vec<u8>,
    pending: Vec<Change>,
}

enum Change {
    Write(u64, Range<usize>),
    Truncate(u64),
}

#[derive(Clone)]
enum Naming {
    Is(String, usize),
    Gone(String),
}

/// How a crash treats what was not synced.
#[derive(Clone, Copy, Debug)]
enum Mood {
    /// Nothing of it is there.
    Forgets,
    /// All of it is.
    Keeps,
    /// Each sector for itself.
    Tears(f64),
    /// Only what was written last.
    Reorders,
}

impl<'a> CrashDisk<'a> {
    pub(crate) fn new(journal: &'a Journal) -> Self {
        Self {
            journal,
            next: 0,
            files: Vec::new(),
            safe_names: BTreeMap::new(),
            names: BTreeMap::new(),
            renamed: Vec::new(),
        }
    }

    /// A file that was there, and safe, before anything was told.
    pub(crate) fn with(mut self, name: &str, content: Vec<u8>) -> Self {
        let file = self.files.len();
        self.files.push(FileState { safe: content, pending: Vec::new() });
        self.safe_names.insert(name.to_owned(), file);
        self.names.insert(name.to_owned(), file);
        self
    }

    /// Takes in all that was told up to a place in the journal.
    pub(crate) fn advance(&mut self, position: u64) {
        while let Some(event) = self.journal.events.get(self.next) {
            if event.end > position {
                return;
            }
            self.take(event);
            self.next += 1;
        }
    }

    fn take(&mut self, event: &Event) {
        let name = &event.name;
        match &event.told {
            Told::Create => {
                self.files.push(FileState::default());
                self.name(Naming::Is(name.clone(), self.files.len() - 1));
            }
            Told::Unlink => self.name(Naming::Gone(name.clone())),
            Told::Rename(to) => {
                let file = self.names[name];
                self.name(Naming::Gone(name.clone()));
                self.name(Naming::Is(to.clone(), file));
            }
            Told::Write(at, data) => self.change(name, Change::Write(*at, data.clone())),
            Told::Truncate(length) => self.change(name, Change::Truncate(*length)),
            Told::Sync => {
                let Some(file) = self.names.get(name) else { return };
                let file = &mut self.files[*file];
                for change in std::mem::take(&mut file.pending) {
                    apply(&mut file.safe, &change, self.journal, |_| true);
                }
            }
            Told::SyncFolder => {
                self.safe_names.clone_from(&self.names);
                self.renamed.clear();
            }
        }
    }

    fn name(&mut self, naming: Naming) {
        rename(&mut self.names, naming.clone());
        self.renamed.push(naming);
    }

    /// A file for sorting has lost its name since it was opened: after a crash nobody finds it.
    fn change(&mut self, name: &str, change: Change) {
        if let Some(file) = self.names.get(name) {
            self.files[*file].pending.push(change);
        }
    }

    /// Writes the folder as a crash right now could have left it.
    pub(crate) fn crash(&self, folder: &Path, rng: &mut StdRng) {
        let mood = match rng.random_range(0..6) {
            0 => Mood::Forgets,
            1 => Mood::Keeps,
            2 => Mood::Tears(0.5),
            3 => Mood::Tears(0.05),
            4 => Mood::Tears(0.95),
            _ => Mood::Reorders,
        };
        let mut names = self.safe_names.clone();
        let kept = match mood {
            Mood::Forgets => 0,
            Mood::Keeps => self.renamed.len(),
            Mood::Tears(_) | Mood::Reorders => rng.random_range(0..=self.renamed.len()),
        };
        for naming in &self.renamed[..kept] {
            rename(&mut names, naming.clone());
        }
        for (name, file) in names {
            fs::write(folder.join(name), self.after_crash(&self.files[file], mood, rng)).unwrap();
        }
    }

    fn after_crash(&self, file: &FileState, mood: Mood, rng: &mut StdRng) -> Vec<u8> {
        let mut content = file.safe.clone();
        let from = match mood {
            Mood::Forgets => file.pending.len(),
            Mood::Reorders => rng.random_range(0..=file.pending.len()),
            Mood::Keeps | Mood::Tears(_) => 0,
        };
        let share = if let Mood::Tears(share) = mood { share } else { 1.0 };
        for change in &file.pending[from..] {
            apply(&mut content, change, self.journal, |_| rng.random_bool(share));
        }
        content
    }
}

/// Changes a file as far as `is_kept` lets it, sector by sector.
fn apply(
    content: &mut Vec<u8>,
    change: &Change,
    journal: &Journal,
    mut is_kept: impl FnMut(usize) -> bool,
) {
    let place = |number: &u64| usize::try_from(*number).unwrap();
    match change {
        Change::Truncate(length) => {
            if is_kept(0) {
                content.resize(place(length), 0);
            }
        }
        Change::Write(at, data) => {
            let (at, data) = (place(at), journal.data(data));
            let mut done = 0;
            while done < data.len() {
                // A sector ends where the disk's does, not where the write began.
                let length = (SECTOR - (at + done) % SECTOR).min(data.len() - done);
                if is_kept(at + done) {
                    let end = at + done + length;
                    if content.len() < end {
                        content.resize(end, 0);
                    }
                    content[at + done..end].copy_from_slice(&data[done..done + length]);
                }
                done += length;
            }
        }
    }
}

fn rename(names: &mut BTreeMap<String, usize>, naming: Naming) {
    match naming {
        Naming::Is(name, file) => {
            names.insert(name, file);
        }
        Naming::Gone(name) => {
            names.remove(&name);
        }
    }
}
