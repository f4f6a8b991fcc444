//! Overwrites what is left of deleted rows in the pages of the database, a few pages at a time.
//!
//! SQLite overwrites what it deletes, but where it moves rows from page to page it leaves the old bytes in
//! the gaps. Writing the whole database anew would end that, and keep pushes waiting for as long; here
//! only the pages that hold something are written, through SQLite's own table of pages, so that a kill or
//! a full disk undoes a step like any other transaction. What a page is for is settled inside that
//! transaction. Held by `tests` beside this, and by `front::scrubbed`.
use std::collections::{BTreeMap, BTreeSet};

use sqlx::{AssertSqlSafe, SqliteConnection};

use super::{Writer, run};
use crate::store::{
    StoreError,
    number_bytes::NumberBytes,
    overflow::OverflowEnd,
    page::{Header, NEXT_PAGE, Overflow, TreePage, number_at},
};

/// SQLite has no longer rows.
const ROW_BYTES_MAX: u64 = 1_000_000_000;

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
    // What is no row's on a page with rows may go, even if the page is free.
    let mut left = Vec::new();
    for page in pages {
        let Some(before) = read(connection, *page).await? else {
            done.others.push(*page);
            continue;
        };
        let tree = TreePage::read(&before, *page, header.usable);
        let is_tree = tree.is_some();
        let mut after = before.clone();
        tree.into_iter().flat_map(|tree| tree.slack).for_each(|range| after[range].fill(0));
        let is_clean = is_tree && count(&after) == 0;
        done.written += usize::from(write(connection, *page, (&before, &after), count).await?);
        if !is_clean {
            left.push((*page, after, is_tree));
        }
    }
    if left.is_empty() {
        return Ok(done);
    }
    let free =
        free_among(connection, &header, left.iter().map(|(page, ..)| *page).collect()).await?;
    for (page, before, is_tree) in left {
        let mut after = before.clone();
        match free.get(&page) {
            Some(Free::Leaf) => after.fill(0),
            Some(Free::Trunk(end)) => after[*end..].fill(0),
            None if is_tree => continue,
            None => {
                done.others.push(page);
                continue;
            }
        }
        done.written += usize::from(write(connection, page, (&before, &after), count).await?);
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
        written += usize::from(write(connection, end.page, (&before, &after), count).await?);
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
    let Some(Overflow { first_page, bytes }) = overflow else { return Ok(None) };
    if bytes > ROW_BYTES_MAX {
        return Ok(None);
    }
    let of_page = (header.usable - NEXT_PAGE) as u64;
    let pages = bytes.div_ceil(of_page);
    let page = nth_of_row(connection, first_page, pages).await?;
    let left = bytes - of_page * (pages - 1);
    let used = NEXT_PAGE + usize::try_from(left).unwrap_or(header.page_size);
    Ok((page == Some(end.page) && used <= header.page_size).then_some(used))
}

/// The page of this number among the overflow pages of a row. In one statement: to ask for each page
/// would take many times as long.
async fn nth_of_row(
    connection: &mut SqliteConnection,
    first_page: u32,
    nth: u64,
) -> Result<Option<u32>, StoreError> {
    // SQLite reads no number from bytes, but finds a digit among all digits.
    let digits = (0..8).map(|at| {
        format!(
            "((instr('0123456789ABCDEF', substr(hex(substr(data, 1, 4)), {}, 1)) - 1) << {})",
            at + 1,
            28 - 4 * at
        )
    });
    let next = digits.collect::<Vec<_>>().join(" + ");
    let walk = format!(
        "with recursive row(nth, page) as (
            select 1, $1
            union all
            select nth + 1, {next} from row cross join sqlite_dbpage on pgno = page where nth < $2)
        select page from row where nth = $2"
    );
    let page: Option<i64> = sqlx::query_scalar(AssertSqlSafe(walk))
        .bind(first_page)
        .bind(i64::try_from(nth).unwrap_or(i64::MAX))
        .fetch_optional(connection)
        .await?;
    Ok(page.and_then(|page| u32::try_from(page).ok()))
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
    (before, after): (&[u8], &[u8]),
    count: &Count<'_>,
) -> Result<bool, StoreError> {
    const WRITE: &str = "update sqlite_dbpage set data = $2 where pgno = $1";
    if count(after) >= count(before) {
        return Ok(false);
    }
    sqlx::query(WRITE).bind(page).bind(after).execute(connection).await?;
    Ok(true)
}

#[cfg(test)]
#[path = "scrub_tests.rs"]
mod tests;
