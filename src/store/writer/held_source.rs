//! The sources of held pushes.
//!
//! A forger may send what SmartHub sends, too. What one of them sent is thrown away by its source, and
//! what the other one sent stays: acknowledged means stored. The row in `held` has one source, and
//! `held_source` has the others, 16 at most: a trigger sees to that, and an empty source stands for
//! those beyond. Nobody can name it, so that such a push stays. Held by `front::held_sources`.
use std::net::IpAddr;

use super::{Submission, Writer, rings};
use crate::{domain::SourceBlock, store::StoreError};

/// How a source is named; one that is not known has an empty name.
pub(super) fn name_of(source: Option<IpAddr>) -> String {
    source.map(|source| source.to_string()).unwrap_or_default()
}

impl Writer {
    /// Notes that somebody sent a held push, too.
    pub(super) async fn note_held_source(
        &mut self,
        id: i64,
        source: &str,
    ) -> Result<(), StoreError> {
        const NOTE: &str = "
            insert or ignore into held_source (held_id, source)
            select id, $2 from held where id = $1 and source <> $2";
        sqlx::query(NOTE).bind(id).bind(source).execute(&mut self.connection).await?;
        Ok(())
    }

    /// Notes that whoever sent one held push sent another one, too.
    pub(super) async fn join_held_sources(&mut self, from: i64, to: i64) -> Result<(), StoreError> {
        for source in self.held_sources(from).await? {
            self.note_held_source(to, &source).await?;
        }
        Ok(())
    }

    /// Deletes a held push that was read for these sources. It stays as that of the others that sent
    /// it.
    pub(super) async fn release_held(
        &mut self,
        id: i64,
        submission: &Submission,
    ) -> Result<(), StoreError> {
        let named = self.released_names(id, submission).await?;
        self.delete_held_of(id, &named).await?;
        Ok(())
    }

    /// Whether a held push would be gone after that.
    pub(super) async fn goes_with(
        &mut self,
        id: i64,
        submission: &Submission,
    ) -> Result<bool, StoreError> {
        let named = self.released_names(id, submission).await?;
        let all = self.held_sources(id).await?;
        Ok(named.is_empty() || all.iter().all(|source| named.contains(source)))
    }

    /// The sources for which a submission takes a held push out; none if it is for whoever sent it.
    async fn released_names(
        &mut self,
        id: i64,
        submission: &Submission,
    ) -> Result<Vec<String>, StoreError> {
        let named: Vec<String> = submission.sources().map(name_of).collect();
        let is_of_nobody = named.iter().all(String::is_empty);
        if is_of_nobody && !self.held_sources(id).await?.contains(&String::new()) {
            return Ok(Vec::new());
        }
        Ok(named)
    }

    /// Deletes a held push if nobody but these sources sent it, or without any, whoever did. Otherwise
    /// it stays as that of the others. Whether it is gone now.
    pub(in crate::store) async fn delete_held_of(
        &mut self,
        id: i64,
        named: &[String],
    ) -> Result<bool, StoreError> {
        const TAKE_OFF: &str = "
            delete from held_source
            where held_id = $1 and source in (select value from json_each($2))";
        let mut left = self.held_sources(id).await?;
        left.retain(|source| !named.contains(source));
        if named.is_empty() || left.is_empty() {
            return self.delete_held(id).await;
        }
        // The empty one comes first and has no name to be shown by.
        let next = left.last().map(String::as_str).unwrap_or_default();
        self.change_held_source(id, named, next).await?;
        sqlx::query(TAKE_OFF)
            .bind(id)
            .bind(serde_json::to_string(named)?)
            .execute(&mut self.connection)
            .await?;
        Ok(false)
    }

    /// All that sent a held push, in order.
    async fn held_sources(&mut self, id: i64) -> Result<Vec<String>, StoreError> {
        const ALL: &str = "
            select source from held where id = $1
            union select source from held_source where held_id = $1 order by source";
        Ok(sqlx::query_scalar(ALL).bind(id).fetch_all(&mut self.connection).await?)
    }

    /// Puts another source in the row itself where it has one of those that are taken off.
    async fn change_held_source(
        &mut self,
        id: i64,
        named: &[String],
        next: &str,
    ) -> Result<(), StoreError> {
        const FIRST: &str = "select source, ring, source_block, bytes from held where id = $1";
        const CHANGE: &str = "update held set source = $2, source_block = $3 where id = $1";
        const MOVED: &str = "delete from held_source where held_id = $1 and source = $2";
        let (first, ring, block, bytes): (String, String, String, i64) =
            sqlx::query_as(FIRST).bind(id).fetch_one(&mut self.connection).await?;
        if !named.contains(&first) {
            return Ok(());
        }
        let address = next.parse::<IpAddr>().ok();
        let next_block = address.map(|it| SourceBlock::from(it).to_string()).unwrap_or_default();
        sqlx::query(CHANGE)
            .bind(id)
            .bind(next)
            .bind(&next_block)
            .execute(&mut self.connection)
            .await?;
        sqlx::query(MOVED).bind(id).bind(next).execute(&mut self.connection).await?;
        if let Some(ring) = rings::named(&ring) {
            let ring = self.rings.of(ring);
            ring.remove(&block, bytes.unsigned_abs());
            ring.add(&next_block, bytes.unsigned_abs());
        }
        Ok(())
    }
}
