//! To which rows the overflow pages of a database belong: the pages with the rest of rows that do not fit
//! on one page.
//!
//! The file is read as a file, page by page. A question to SQLite would read all of it in one snapshot, and
//! for as long as that lasts the log could not be brought back into the database. So what is found here
//! may have changed meanwhile: the writer looks at it once more before it overwrites anything, and what is
//! not found is searched for again. Held by `writer::scrub_tests`.
use std::{collections::BTreeSet, fs::File, io, os::unix::fs::FileExt, path::Path};

use super::{
    StoreError,
    database_file::{on_search_thread, opened},
    page::{Header, NEXT_PAGE, Overflow, TreePage, number_at},
};

/// How much of the file is read at once; a multiple of every page size.
const LOOK_BYTES: usize = 1 << 20;

/// The last page of a row that is longer than a page, and where the row begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverflowEnd {
    pub(super) page: u32,
    pub(super) owner: u32,
    pub(super) cell: usize,
    /// How many overflow pages the row has.
    pub(super) pages: u32,
}

/// Of some pages, what is known of the rows that they belong to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Owned {
    /// The last pages of rows, unless they are full.
    pub(super) ends: Vec<OverflowEnd>,
    /// Pages that belong to no row.
    pub(super) unknown: Vec<u32>,
}

/// Looks for the rows that these pages belong to.
pub(super) async fn owners_of(database: &Path, pages: &[u32]) -> Result<Owned, StoreError> {
    if pages.is_empty() {
        return Ok(Owned::default());
    }
    let (database, wanted) = (database.to_owned(), pages.iter().copied().collect());
    on_search_thread(move || match opened(&database)? {
        Some(file) => Search::new(&file, wanted)?.run(),
        None => Err(io::ErrorKind::NotFound.into()),
    })
    .await
}

struct Search<'f> {
    file: &'f File,
    header: Header,
    pages: u32,
    wanted: BTreeSet<u32>,
    free: Bits,
    /// So many pages of rows are passed through at most. No two rows share one, so that this is enough
    /// unless what is read is changing.
    steps_left: u64,
    owned: Owned,
    known: BTreeSet<u32>,
}

impl<'f> Search<'f> {
    fn new(file: &'f File, wanted: BTreeSet<u32>) -> io::Result<Self> {
        let mut first = [0; 100];
        file.read_exact_at(&mut first, 0)?;
        let header = Header::read(&first).ok_or(io::ErrorKind::InvalidData)?;
        let pages = file.metadata()?.len() / header.page_size as u64;
        let pages = u32::try_from(pages).unwrap_or(u32::MAX);
        let mut search = Self {
            file,
            header,
            pages,
            wanted,
            free: Bits::new(pages),
            steps_left: 2 * u64::from(pages),
            owned: Owned::default(),
            known: BTreeSet::new(),
        };
        search.find_free()?;
        Ok(search)
    }

    /// A free page may look like one with rows that it had once.
    fn find_free(&mut self) -> io::Result<()> {
        let (mut trunk, mut left) = (self.header.first_trunk, self.header.free_pages);
        let mut bytes = vec![0; self.header.page_size];
        while (1..=self.pages).contains(&trunk) && left > 0 {
            self.file.read_exact_at(&mut bytes, self.place(trunk))?;
            self.free.set(trunk);
            let count = number_at(&bytes, NEXT_PAGE).unwrap_or_default() as usize;
            let leaves = (0..count).map_while(|nth| number_at(&bytes, NEXT_PAGE + 4 + 4 * nth));
            leaves.for_each(|leaf| self.free.set(leaf));
            left = left.saturating_sub(u32::try_from(count + 1).unwrap_or(u32::MAX));
            trunk = number_at(&bytes, 0).unwrap_or_default();
        }
        Ok(())
    }

    fn run(mut self) -> io::Result<Owned> {
        let size = self.header.page_size;
        let mut window = vec![0; LOOK_BYTES];
        let mut first = 1;
        while first <= self.pages {
            let pages = (self.pages - first + 1).min(u32::try_from(LOOK_BYTES / size).unwrap_or(1));
            let read = &mut window[..pages as usize * size];
            self.file.read_exact_at(read, self.place(first))?;
            for (number, page) in (first..).zip(window.chunks_exact(size).take(pages as usize)) {
                if self.free.has(number) {
                    continue;
                }
                let Some(tree) = TreePage::read(page, number, self.header.usable) else { continue };
                for (cell, overflow) in tree.overflows.into_iter().enumerate() {
                    if let Some(overflow) = overflow {
                        self.follow(number, cell, overflow)?;
                    }
                }
            }
            first += pages;
        }
        let Self { known, wanted, mut owned, .. } = self;
        owned.unknown = wanted.difference(&known).copied().collect();
        Ok(owned)
    }

    /// Passes through the pages of a row.
    fn follow(&mut self, owner: u32, cell: usize, overflow: Overflow) -> io::Result<()> {
        let of_page = (self.header.usable - NEXT_PAGE) as u64;
        let Overflow { first_page: mut page, bytes: mut left } = overflow;
        let mut pages = 1;
        while (2..=self.pages).contains(&page) && !self.free.has(page) && self.steps_left > 0 {
            self.steps_left -= 1;
            if self.wanted.contains(&page) {
                self.known.insert(page);
                if left < of_page {
                    self.owned.ends.push(OverflowEnd { page, owner, cell, pages });
                }
            }
            if left <= of_page {
                break;
            }
            let mut next = [0; NEXT_PAGE];
            self.file.read_exact_at(&mut next, self.place(page))?;
            page = u32::from_be_bytes(next);
            left -= of_page;
            pages += 1;
        }
        Ok(())
    }

    fn place(&self, page: u32) -> u64 {
        u64::from(page - 1) * self.header.page_size as u64
    }
}

/// One bit for each page.
struct Bits(Vec<u64>);

impl Bits {
    fn new(pages: u32) -> Self {
        Self(vec![0; pages as usize / 64 + 1])
    }

    fn set(&mut self, page: u32) {
        if let Some(bits) = self.0.get_mut(page as usize / 64) {
            *bits |= 1 << (page % 64);
        }
    }

    fn has(&self, page: u32) -> bool {
        self.0.get(page as usize / 64).is_some_and(|bits| bits >> (page % 64) & 1 == 1)
    }
}
