//! The sources of held pushes.
//!
//! A forger may send what SmartHub sends, too. What one of them sent is thrown away by its source, and
//! what the other one sent stays: acknowledged means stored. The row in `held` has one source, and
//! `held_source` has the others, 16 at most, and an empty source stands for those beyond. Nobody can
//! name it, so that such a push stays. A source that has filled its share of a ring loses its part of
//! a push and no other does. Held by `front::held_sources` and `rings`.
use std::net::IpAddr;

use super::{Submission, Writer, rings};
use crate::{domain::SourceBlock, store::StoreError};

/// So many sources are named beside the one in the row itself.
const SOURCES_MAX: i64 = 16;

/// How a source is named; one that is not known has an empty name.
pub(super) fn name_of(source: Option<IpAddr>) -> String {
    source.map(|source| source.to_string()).unwrap_or_default()
}

impl Writer {
    /// Notes that somebody sent a held push, too, and how often. The count of the whole is already in
    /// its row.
    pub(super) async fn note_held_source(
        &mut self,
        id: i64,
        source: &str,
        count: i64,
    ) -> Result<(), StoreError> {
        const NOTE: &str = "
            insert into held_source (held_id, source, count)
            select id, iif(
                exists (select 1 from held_source where held_id = $1 and source = $2)
                    or (select count(*) from held_source where held_id = $1) < $4,
                $2, ''), $3
            from held where id = $1 and source <> $2
            on conflict (held_id, source) do update set count = count + excluded.count";
        sqlx::query(NOTE)
            .bind(id)
            .bind(source)
            .bind(count)
            .bind(SOURCES_MAX)
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    /// Notes that whoever sent one held push sent another one, too.
    pub(super) async fn join_held_sources(&mut self, from: i64, to: i64) -> Result<(), StoreError> {
        for (source, count) in self.held_sources(from).await? {
            self.note_held_source(to, &source, count).await?;
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
        Ok(named.is_empty() || all.iter().all(|(source, _)| named.contains(source)))
    }

    /// The sources for which a submission takes a held push out; none if it is for whoever sent it.
    async fn released_names(
        &mut self,
        id: i64,
        submission: &Submission,
    ) -> Result<Vec<String>, StoreError> {
        let named: Vec<String> = submission.sources().map(name_of).collect();
        let is_of_nobody = named.iter().all(String::is_empty);
        if is_of_nobody && !self.held_sources(id).await?.iter().any(|(source, _)| source.is_empty())
        {
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
        if named.is_empty() {
            return self.delete_held(id).await;
        }
        let sources = self.held_sources(id).await?;
        let (gone, left): (Vec<_>, Vec<_>) =
            sources.into_iter().partition(|(source, _)| named.contains(source));
        if left.is_empty() {
            return self.delete_held(id).await;
        }
        self.take_off(id, &gone, &left).await?;
        Ok(false)
    }

    /// Takes the sources of one block off a held push, which is gone if nobody else sent it; gives how
    /// often they sent it.
    pub(super) async fn take_block_off(&mut self, id: i64, block: &str) -> Result<i64, StoreError> {
        let sources = self.held_sources(id).await?;
        let (gone, left): (Vec<_>, Vec<_>) =
            sources.into_iter().partition(|(source, _)| block_of(source) == block);
        let count = gone.iter().map(|(_, count)| count).sum();
        // A row that is counted in a share has a source of that share; one without would stay for ever.
        if left.is_empty() || gone.is_empty() {
            self.delete_held(id).await?;
        } else {
            self.take_off(id, &gone, &left).await?;
        }
        Ok(count)
    }

    /// All that sent a held push, in order, and how often.
    async fn held_sources(&mut self, id: i64) -> Result<Vec<(String, i64)>, StoreError> {
        const ALL: &str = "
            select source, max(1, count - (
                select coalesce(sum(count), 0) from held_source where held_id = $1)) as count
            from held where id = $1
            union all select source, count from held_source where held_id = $1
            order by source";
        Ok(sqlx::query_as(ALL).bind(id).fetch_all(&mut self.connection).await?)
    }

    /// Takes some of its sources off a held push, which stays as that of those that are left.
    async fn take_off(
        &mut self,
        id: i64,
        gone: &[(String, i64)],
        left: &[(String, i64)],
    ) -> Result<(), StoreError> {
        const TAKE_OFF: &str = "
            delete from held_source
            where held_id = $1 and source in (select value from json_each($2))";
        const COUNT: &str = "update held set count = max(1, count - $2) where id = $1";
        let count: i64 = gone.iter().map(|(_, count)| count).sum();
        let gone: Vec<&str> = gone.iter().map(|(source, _)| &**source).collect();
        sqlx::query(COUNT).bind(id).bind(count).execute(&mut self.connection).await?;
        // The empty one comes first and has no name to be shown by.
        let next = left.last().map(|(source, _)| &**source).unwrap_or_default();
        self.change_held_source(id, &gone, next).await?;
        sqlx::query(TAKE_OFF)
            .bind(id)
            .bind(serde_json::to_string(&gone)?)
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    /// Puts another source in the row itself where it has one of those that are taken off.
    async fn change_held_source(
        &mut self,
        id: i64,
        gone: &[&str],
        next: &str,
    ) -> Result<(), StoreError> {
        const FIRST: &str = "select source, ring, source_block, bytes from held where id = $1";
        const CHANGE: &str = "update held set source = $2, source_block = $3 where id = $1";
        const MOVED: &str = "delete from held_source where held_id = $1 and source = $2";
        let (first, ring, block, bytes): (String, String, String, i64) =
            sqlx::query_as(FIRST).bind(id).fetch_one(&mut self.connection).await?;
        if !gone.contains(&&*first) {
            return Ok(());
        }
        let next_block = block_of(next);
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

/// Who counts as one source with the one of this name. Those that nobody can name are one.
pub(super) fn block_of(source: &str) -> String {
    let address = source.parse::<IpAddr>().ok();
    address.map(|it| SourceBlock::from(it).to_string()).unwrap_or_default()
}
