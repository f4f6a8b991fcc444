//! What is left of an erased SIM's number in the files of the database, and that it goes, beside pushes.
//!
//! The files are searched as files, and what is found is overwritten by the writer a few pages at a time.
//! What then is left lies in rows: of another SIM, whose number holds this one, or nobody erased it.
//! Held by `front::scrubbed` and `front::unfinished`.
use std::{collections::BTreeSet, path::Path};

use sqlx::Connection;

use super::{
    Scrubbed, StoreError, Writer,
    database_file::pages_that_hold,
    error::of_read,
    examine::{patient_reader, tables_that_mention},
    number_bytes::NumberBytes,
    open::BUSY_WAIT,
};
use crate::domain::Giccid;

/// Pages of one step: pushes wait meanwhile.
const STEP_PAGES: usize = 32;
/// Ends of long rows of one step: to get to each, all of its row is passed through.
const STEP_ENDS: usize = 4;
/// So many times the files are searched: what is written meanwhile may move what is left.
const ROUNDS_MAX: usize = 5;

/// What is left of a number in the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remains {
    /// Nothing.
    None,
    /// Rows of some tables still have it.
    InRows,
    /// Something may be; why it could not be taken away, or nobody can tell.
    Unsure(String),
}

/// The last page of a row that is longer than a page, and where the row begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverflowEnd {
    pub(super) page: u32,
    pub(super) owner: u32,
    pub(super) cell: usize,
}

/// Has the writer take the steps.
pub trait Scrub: Send {
    /// Why a step was not taken.
    type Error: From<StoreError> + Send;

    /// Brings the log back into the database and empties it; false where readers keep it from that.
    fn checkpoint(&mut self) -> impl Future<Output = Result<bool, Self::Error>> + Send;

    /// [`Writer::scrub`].
    fn pages(
        &mut self,
        number: &NumberBytes,
        pages: Vec<u32>,
    ) -> impl Future<Output = Result<Scrubbed, Self::Error>> + Send;

    /// [`Writer::scrub_ends`].
    fn ends(
        &mut self,
        number: &NumberBytes,
        ends: Vec<OverflowEnd>,
    ) -> impl Future<Output = Result<usize, Self::Error>> + Send;
}

/// Where nobody else works on the store.
impl Scrub for Writer {
    type Error = StoreError;

    async fn checkpoint(&mut self) -> Result<bool, StoreError> {
        Self::checkpoint(self, BUSY_WAIT).await
    }

    async fn pages(
        &mut self,
        number: &NumberBytes,
        pages: Vec<u32>,
    ) -> Result<Scrubbed, StoreError> {
        self.scrub(number, &pages).await
    }

    async fn ends(
        &mut self,
        number: &NumberBytes,
        ends: Vec<OverflowEnd>,
    ) -> Result<usize, StoreError> {
        self.scrub_ends(number, &ends).await
    }
}

/// Overwrites what is left of a number in the files, and says what then is.
pub async fn wipe<S: Scrub>(
    writer: &mut S,
    database: &Path,
    giccid: &Giccid,
) -> Result<Remains, S::Error> {
    let number = NumberBytes::of(giccid.as_str());
    for _ in 0..ROUNDS_MAX {
        if !writer.checkpoint().await? {
            return Ok(unsure(
                "another process reads the database, so that its log still has rows",
            ));
        }
        let pages: Vec<u32> = pages_that_hold(database, &number).await?.into_iter().collect();
        if pages.is_empty() {
            return Ok(Remains::None);
        }
        if !has_table_of_pages(database).await? {
            return Ok(unsure("this SQLite was built without its table of pages"));
        }
        let (mut written, mut others) = (0, Vec::new());
        for some in pages.chunks(STEP_PAGES) {
            let mut done = writer.pages(&number, some.to_vec()).await?;
            written += done.written;
            others.append(&mut done.others);
        }
        let (ends, unknown) = ends_among(database, &others).await?;
        for some in ends.chunks(STEP_ENDS) {
            written += writer.ends(&number, some.to_vec()).await?;
        }
        if written > 0 {
            continue;
        }
        if let Some(page) = unknown.first() {
            return Ok(unsure(&format!("nobody can tell what page {page} of the database is for")));
        }
        let tables = tables_that_mention(database, giccid.as_str()).await?;
        if tables.is_empty() {
            return Ok(Remains::None);
        }
        tracing::warn!(?tables, "An erased SIM is still mentioned");
        return Ok(Remains::InRows);
    }
    Ok(unsure("what was left moved each time that it was overwritten"))
}

fn unsure(why: &str) -> Remains {
    Remains::Unsure(why.to_owned())
}

async fn has_table_of_pages(database: &Path) -> Result<bool, StoreError> {
    const IS_THERE: &str = "
        select exists (select 1 from pragma_module_list where name = 'sqlite_dbpage')";
    let mut connection = patient_reader(database).await?;
    let is_there = sqlx::query_scalar(IS_THERE).fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(is_there)
}

/// Of pages that hold the rest of a long row: the last ones of theirs that are not full. And those that
/// hold no row's rest.
pub(super) async fn ends_among(
    database: &Path,
    pages: &[u32],
) -> Result<(Vec<OverflowEnd>, Vec<u32>), StoreError> {
    // The path of such a page ends with the number of its row on the page that the rest of the path
    // leads to, in hexadecimal digits, and its own number in the row.
    const THEIRS: &str = "
        with overflow as materialized (
            select pageno as page, unused, name,
                substr(path, 1, instr(path, '+') - 1) as cell_path
            from dbstat where pagetype = 'overflow'
                and pageno in (select value from json_each($1))
        ), row as materialized (
            select page, unused, name, rtrim(cell_path, '0123456789abcdef') as path, cell_path
            from overflow
        )
        select row.page, row.unused, owner.pageno, substr(cell_path, length(row.path) + 1)
        from dbstat as owner cross join row on owner.name = row.name and owner.path = row.path";
    if pages.is_empty() {
        return Ok(Default::default());
    }
    let mut connection = patient_reader(database).await?;
    let rows: Vec<(u32, i64, u32, String)> = sqlx::query_as(THEIRS)
        .bind(serde_json::to_string(pages)?)
        .fetch_all(&mut connection)
        .await
        .map_err(of_read)?;
    connection.close().await?;
    let known: BTreeSet<u32> = rows.iter().map(|(page, ..)| *page).collect();
    let unknown = pages.iter().copied().filter(|page| !known.contains(page)).collect();
    let ends = rows.iter().filter(|(_, unused, ..)| *unused > 0);
    let ends = ends.filter_map(|(page, _, owner, cell)| {
        let cell = usize::from_str_radix(cell, 16).ok()?;
        Some(OverflowEnd { page: *page, owner: *owner, cell })
    });
    Ok((ends.collect(), unknown))
}
