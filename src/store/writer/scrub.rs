//! Overwrites what is left of deleted rows in the pages of the database, a few pages at a time.
//!
//! SQLite overwrites what it deletes, but where it moves rows from page to page it leaves the old bytes in
//! the gaps. Writing the whole database anew would end that, and keep pushes waiting for as long; here
//! only the pages that hold something are written, through SQLite's own table of pages, so that a kill or
//! a full disk undoes a step like any other transaction. What a page is for is settled inside that
//! transaction. Held by `tests` beside this, and by `front::scrubbed`.
use std::collections::{BTreeMap, BTreeSet};

use sqlx::SqliteConnection;

use super::{Writer, run};
use crate::store::{
    StoreError,
    number_bytes::NumberBytes,
    page::{Header, NEXT_PAGE, Overflow, TreePage, number_at},
    remains::OverflowEnd,
};

/// What became of a few pages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// Pages that were written.
    pub written: usize,
    /// Pages that are neither free nor have rows' beginnings: they hold the rest of a long row, or are
    /// of a sort that is not known.
    pub others: Vec<u32>,
}

impl Writer {
    /// Overwrites what is left of a number in a few pages, wherever no row has it.
    pub async fn scrub(
        &mut self,
        number: &NumberBytes,
        pages: &[u32],
    ) -> Result<Scrubbed, StoreError> {
        self.refresh().await?;
        run(&mut self.connection, "begin immediate").await?;
        let done = match scrub(&mut self.connection, pages, &|page| number.count_in(page)).await {
            Ok(done) => run(&mut self.connection, "commit").await.map(|()| done),
            Err(error) => Err(error),
        };
        self.undo_unless(done).await
    }

    /// The same behind the ends of long rows; gives how many pages were written.
    pub async fn scrub_ends(
        &mut self,
        number: &NumberBytes,
        ends: &[OverflowEnd],
    ) -> Result<usize, StoreError> {
        self.refresh().await?;
        run(&mut self.connection, "begin immediate").await?;
        let done = match scrub_ends(&mut self.connection, ends, &|page| number.count_in(page)).await
        {
            Ok(done) => run(&mut self.connection, "commit").await.map(|()| done),
            Err(error) => Err(error),
        };
        self.undo_unless(done).await
    }
}

/// How much there is in a page of what is looked for.
type Count<'c> = dyn Fn(&[u8]) -> usize + Sync + 'c;

/// What a page that is free has of its own.
enum Free {
    /// Nothing.
    Leaf,
    /// A list of free pages that ends here.
    Trunk(usize),
}

async fn scrub(
    connection: &mut SqliteConnection,
    pages: &[u32],
    count: &Count<'_>,
) -> Result<Scrubbed, StoreError> {
    let mut done = Scrubbed::default();
    let Some(header) = header(connection).await? else {
        return Ok(Scrubbed { written: 0, others: pages.to_vec() });
    };
    let free = free_among(connection, &header, pages.iter().copied().collect()).await?;
    for page in pages {
        let Some(before) = read(connection, *page).await? else {
            done.others.push(*page);
            continue;
        };
        let mut after = before.clone();
        match (free.get(page), TreePage::read(&before, *page, header.usable)) {
            (Some(Free::Leaf), _) => after.fill(0),
            (Some(Free::Trunk(end)), _) => after[*end..].fill(0),
            (None, Some(tree)) => tree.slack.into_iter().for_each(|range| after[range].fill(0)),
            (None, None) => done.others.push(*page),
        }
        done.written += usize::from(write(connection, *page, (&before, after), count).await?);
    }
    Ok(done)
}

async fn scrub_ends(
    connection: &mut SqliteConnection,
    ends: &[OverflowEnd],
    count: &Count<'_>,
) -> Result<usize, StoreError> {
    let mut written = 0;
    let Some(header) = header(connection).await? else { return Ok(0) };
    for end in ends {
        let Some(used) = used_of(connection, &header, end).await? else { continue };
        let Some(before) = read(connection, end.page).await? else { continue };
        let mut after = before.clone();
        after[used..].fill(0);
        written += usize::from(write(connection, end.page, (&before, after), count).await?);
    }
    Ok(written)
}

/// Where the row ends that a page is the last of; none where it is not, by now.
async fn used_of(
    connection: &mut SqliteConnection,
    header: &Header,
    end: &OverflowEnd,
) -> Result<Option<usize>, StoreError> {
    let Some(owner) = read(connection, end.owner).await? else { return Ok(None) };
    let overflow = TreePage::read(&owner, end.owner, header.usable)
        .and_then(|tree| tree.overflows.get(end.cell).copied().flatten());
    let Some(Overflow { first_page: mut page, bytes: mut left }) = overflow else {
        return Ok(None);
    };
    let of_page = (header.usable - NEXT_PAGE) as u64;
    while left > of_page {
        let Some(bytes) = read(connection, page).await? else { return Ok(None) };
        page = number_at(&bytes, 0).unwrap_or_default();
        left -= of_page;
    }
    let used = NEXT_PAGE + usize::try_from(left).unwrap_or(header.page_size);
    Ok((page == end.page && used <= header.page_size).then_some(used))
}

/// Which of these pages are free, by the list of all that are.
async fn free_among(
    connection: &mut SqliteConnection,
    header: &Header,
    pages: BTreeSet<u32>,
) -> Result<BTreeMap<u32, Free>, StoreError> {
    let mut free = BTreeMap::new();
    let (mut trunk, mut left) = (header.first_trunk, header.free_pages);
    // As long as the header says at most, should the list have no end.
    while trunk != 0 && left > 0 && free.len() < pages.len() {
        let Some(bytes) = read(connection, trunk).await? else { break };
        let count = number_at(&bytes, NEXT_PAGE).unwrap_or_default() as usize;
        let entries = NEXT_PAGE + 4;
        let end = (entries + 4 * count).min(bytes.len());
        let leaves = (0..count).map_while(|nth| number_at(&bytes, entries + 4 * nth));
        free.extend(leaves.filter(|leaf| pages.contains(leaf)).map(|leaf| (leaf, Free::Leaf)));
        if pages.contains(&trunk) {
            free.insert(trunk, Free::Trunk(end));
        }
        left = left.saturating_sub(u32::try_from(count + 1).unwrap_or(u32::MAX));
        trunk = number_at(&bytes, 0).unwrap_or_default();
    }
    Ok(free)
}

/// What the first page says; none where pages cannot be told apart by their bytes.
async fn header(connection: &mut SqliteConnection) -> Result<Option<Header>, StoreError> {
    /// From this page on the number of a next page may begin like a page with rows.
    const TOO_MANY: i64 = 2 << 24;
    let pages: i64 = sqlx::query_scalar("pragma page_count").fetch_one(&mut *connection).await?;
    let header = read(connection, 1).await?.as_deref().and_then(Header::read);
    Ok(header.filter(|header| !header.has_pointer_maps && pages < TOO_MANY))
}

async fn read(connection: &mut SqliteConnection, page: u32) -> Result<Option<Vec<u8>>, StoreError> {
    const READ: &str = "select data from sqlite_dbpage where pgno = $1";
    Ok(sqlx::query_scalar(READ).bind(page).fetch_optional(connection).await?)
}

/// Writes a page if less is there then of what is looked for.
async fn write(
    connection: &mut SqliteConnection,
    page: u32,
    (before, after): (&[u8], Vec<u8>),
    count: &Count<'_>,
) -> Result<bool, StoreError> {
    const WRITE: &str = "update sqlite_dbpage set data = $2 where pgno = $1";
    if count(&after) >= count(before) {
        return Ok(false);
    }
    sqlx::query(WRITE).bind(page).bind(after).execute(connection).await?;
    Ok(true)
}

#[cfg(test)]
#[path = "scrub_tests.rs"]
mod tests;
