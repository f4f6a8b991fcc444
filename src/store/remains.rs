//! What is left of an erased SIM's number in the files of the database, and that it goes, beside pushes.
//!
//! The files are searched as files, and what is found is overwritten by the writer a few pages at a time.
//! What then is left lies in rows: of another SIM, whose number holds this one, or nobody erased it.
//! Held by `front::scrubbed` and `front::unfinished`.
//!
//! Whole numbers are searched for. Of a row that does not fit on its page the first digits of a number may
//! lie on that page and the others on the next: what such a row leaves behind is a part of a number, which
//! is not searched for, since digits without the rest name no SIM.
use std::path::Path;

use sqlx::Connection;

use super::{
    Scrubbed, StoreError, Writer,
    database_file::pages_that_hold,
    examine::{patient_reader, tables_that_mention},
    number_bytes::NumberBytes,
    open::BUSY_WAIT,
    overflow::{OverflowEnd, Owned, owners_of},
};
use crate::domain::Giccid;

/// Pages of one step: pushes wait meanwhile. In each step that finds free pages all of their list is read.
const STEP_PAGES: usize = 256;
/// Pages of long rows of one step: to get to the end of each, all of its row is passed through.
const STEP_ROW_PAGES: u32 = 4_096;
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
    let mut unknown_before = Vec::new();
    for _ in 0..ROUNDS_MAX {
        if !writer.checkpoint().await? {
            return Ok(unsure(
                "the database's log still has rows, since somebody reads the database as it was: another \
                 process, or a long question to this server",
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
        let Owned { ends, unknown } = owners_of(database, &others).await?;
        for some in in_steps(ends) {
            written += writer.ends(&number, some).await?;
        }
        if written > 0 {
            continue;
        }
        if let Some(page) = unknown.first() {
            if unknown == unknown_before {
                let why = format!("nobody can tell what page {page} of the database is for");
                return Ok(Remains::Unsure(why));
            }
            // Its row may have been written, or have gone, while the file was read.
            unknown_before = unknown;
            continue;
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

/// The ends of long rows, so many together that a step is short.
fn in_steps(ends: Vec<OverflowEnd>) -> Vec<Vec<OverflowEnd>> {
    let (mut steps, mut pages) = (Vec::<Vec<_>>::new(), 0);
    for end in ends {
        pages += end.pages;
        match steps.last_mut().filter(|_| pages <= STEP_ROW_PAGES) {
            Some(step) => step.push(end),
            None => {
                pages = end.pages;
                steps.push(vec![end]);
            }
        }
    }
    steps
}

async fn has_table_of_pages(database: &Path) -> Result<bool, StoreError> {
    const IS_THERE: &str = "
        select exists (select 1 from pragma_module_list where name = 'sqlite_dbpage')";
    let mut connection = patient_reader(database).await?;
    let is_there = sqlx::query_scalar(IS_THERE).fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(is_there)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_passes_through_a_few_thousand_pages_or_one_row() {
        let end = |pages| OverflowEnd { page: 3, owner: 2, cell: 0, pages };
        let lengths = [16_384, 1, 4_000, 95, 1, 4_096, 2];
        let steps = in_steps(lengths.map(end).to_vec());
        let pages: Vec<Vec<u32>> =
            steps.iter().map(|step| step.iter().map(|end| end.pages).collect()).collect();
        assert_eq!(pages, [vec![16_384], vec![1, 4_000, 95], vec![1], vec![4_096], vec![2]]);
    }
}
