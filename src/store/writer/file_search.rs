//! Files that are still to be searched for the number of an erased SIM.
//!
//! Where a page was cut in two, the database may have left a part of a row in place. So the files are
//! searched when all rows of a SIM are gone, which takes long and is done beside the writer. That it is
//! to be done is noted with the end of the rows, so that a kill in between costs nothing. Held by
//! `front::unfinished`.
use super::Writer;
use crate::{domain::Giccid, store::StoreError};

/// A search that is not done yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSearch {
    /// The row of the erasure among the changes.
    pub id: i64,
    /// The number to look for.
    pub giccid: Giccid,
}

/// How its row in `meta` begins.
const NAME: &str = "search_files:";

impl Writer {
    /// Notes that the files are to be searched for a number, inside the open transaction. The note must
    /// not be what the search finds.
    pub(super) async fn note_file_search(
        &mut self,
        id: i64,
        giccid: &str,
    ) -> Result<(), StoreError> {
        const NOTE: &str = "insert or replace into meta (name, value) values ($1 || $2, $3)";
        let hidden = hex::encode(self.erasure_secrets().hidden(id, giccid.as_bytes()));
        sqlx::query(NOTE).bind(NAME).bind(id).bind(hidden).execute(&mut self.connection).await?;
        Ok(())
    }

    /// Notes that a search has been done.
    pub async fn end_file_search(&mut self, id: i64) -> Result<(), StoreError> {
        const END: &str = "delete from meta where name = $1 || $2";
        self.refresh().await?;
        sqlx::query(END).bind(NAME).bind(id).execute(&mut self.connection).await?;
        Ok(())
    }

    /// Those that are still to be done.
    pub async fn file_searches(&mut self) -> Result<Vec<FileSearch>, StoreError> {
        const ALL: &str = "
            select cast(substr(name, length($1) + 1) as integer), value from meta
            where name like $1 || '%'";
        let rows: Vec<(i64, String)> =
            sqlx::query_as(ALL).bind(NAME).fetch_all(&mut self.connection).await?;
        let secrets = self.erasure_secrets();
        let shown = |(id, hidden): (i64, String)| {
            let number = secrets.hidden(id, &hex::decode(hidden).ok()?);
            let giccid = std::str::from_utf8(&number).ok()?.parse().ok()?;
            Some(FileSearch { id, giccid })
        };
        Ok(rows.into_iter().filter_map(shown).collect())
    }
}
