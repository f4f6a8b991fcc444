use std::time::Duration;

use sha2::{Digest, Sha256};

use super::{
    Submission, Writer,
    held_source::name_of,
    rings::{self, DroppedAs, FULL, SHARE},
    round::Round,
    run,
};
use crate::{
    domain::{HeldReason, NewHeld, Ring, SourceBlock, Timestamp},
    store::StoreError,
};

/// Dropped pushes are counted by hour for so long; nobody asks for more than a day.
const DROPPED_KEPT_FOR: Duration = Duration::from_secs(2 * 24 * 60 * 60);

impl Writer {
    pub(super) async fn try_keep_refused(
        &mut self,
        refused: &[NewHeld],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        run(&mut self.connection, "begin immediate").await?;
        for held in refused {
            let ring = held.ring.unwrap_or(Ring::Noise);
            let Some(left) = self.erased_sims.held(held) else {
                self.rings.count_dropped(ring, held.reason, 1, now);
                continue;
            };
            if !self.came_again(&left, &left.source_name(), None).await? {
                self.keep_in_ring(&left, ring, now).await?;
            }
        }
        self.write_dropped(now).await?;
        let mut round = Round::default();
        self.count_erased(&mut round)?;
        round.run(&mut self.connection).await?;
        run(&mut self.connection, "commit").await?;
        self.rings.dropped_is_counted();
        Ok(())
    }

    /// Whether quarantine has room for these parts of a push once what it releases is gone, if it
    /// goes: it stays as that of others that sent it. What lies there already needs none.
    pub(super) async fn has_room(&mut self, submission: &Submission) -> Result<bool, StoreError> {
        const FREED: &str =
            "select coalesce(sum(bytes), 0) from held where id = $1 and class = 'quarantined'";
        const THERE: &str = "
            select exists (select 1 from held
                where class = 'quarantined' and digest = $1 and id is not $2)";
        let quarantine = || submission.quarantine.iter().filter(|held| held.ring.is_none());
        if quarantine().next().is_none() {
            return Ok(true);
        }
        let gone = match submission.releases {
            Some(id) if self.goes_with(id, submission).await? => Some(id),
            _ => None,
        };
        let mut added = 0;
        for held in quarantine() {
            let is_there: bool = sqlx::query_scalar(THERE)
                .bind(&digest(held)[..])
                .bind(gone)
                .fetch_one(&mut self.connection)
                .await?;
            added += if is_there { 0 } else { held.body.len() as u64 };
        }
        if added == 0 {
            return Ok(true);
        }
        let freed: i64 =
            sqlx::query_scalar(FREED).bind(gone).fetch_one(&mut self.connection).await?;
        let kept = self.quarantine_bytes.saturating_sub(freed.unsigned_abs());
        Ok(kept + added <= self.limits.quarantine_bytes_max)
    }

    /// Puts parts of a push into quarantine inside the open transaction.
    pub(super) async fn quarantine_all(
        &mut self,
        submission: &Submission,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let released = submission.releases;
        for held in &submission.quarantine {
            if !self.came_again(held, &held.source_name(), released).await? {
                self.quarantine(held, now).await?;
            }
            for source in &submission.also_from {
                self.came_again(held, &name_of(*source), released).await?;
            }
        }
        Ok(())
    }

    async fn quarantine(&mut self, held: &NewHeld, now: Timestamp) -> Result<(), StoreError> {
        if let Some(ring) = held.ring {
            return self.keep_in_ring(held, ring, now).await;
        }
        self.insert_held(held, "", now).await?;
        self.quarantine_bytes += held.body.len() as u64;
        Ok(())
    }

    /// Deletes a held push; false if it is not there.
    pub(in crate::store) async fn delete_held(&mut self, id: i64) -> Result<bool, StoreError> {
        const DELETE: &str = "delete from held where id = $1 returning ring, source_block, bytes";
        let gone: Option<(String, String, i64)> =
            sqlx::query_as(DELETE).bind(id).fetch_optional(&mut self.connection).await?;
        let Some((ring, block, bytes)) = gone else { return Ok(false) };
        match rings::named(&ring) {
            Some(ring) => self.rings.of(ring).remove(&block, bytes.unsigned_abs()),
            None => {
                self.quarantine_bytes = self.quarantine_bytes.saturating_sub(bytes.unsigned_abs());
            }
        }
        Ok(true)
    }

    /// Notes that a body of so many bytes was cut to so many.
    pub(super) fn note_cut(&mut self, ring: &str, block: &str, before: u64, left: u64) {
        match rings::named(ring) {
            Some(ring) => {
                self.rings.of(ring).remove(block, before);
                self.rings.of(ring).add(block, left);
            }
            None => self.quarantine_bytes = self.quarantine_bytes.saturating_sub(before) + left,
        }
    }

    /// Raises the count of the very same push if it is held already. One that was tried again and stays,
    /// as that of another source, has the reason of now: its `datePush` may have been retracted.
    async fn came_again(
        &mut self,
        held: &NewHeld,
        source: &str,
        released: Option<i64>,
    ) -> Result<bool, StoreError> {
        const AGAIN: &str = "
            update held set count = count + 1,
                reason = iif(id = $3, $4, reason), field = iif(id = $3, $5, field)
            where class = $1 and digest = $2 returning id";
        let same: Option<i64> = sqlx::query_scalar(AGAIN)
            .bind(held.class().as_str())
            .bind(&digest(held)[..])
            .bind(released)
            .bind(held.reason.as_str())
            .bind(held.field.as_deref())
            .fetch_optional(&mut self.connection)
            .await?;
        let Some(id) = same else { return Ok(false) };
        self.note_held_source(id, source).await?;
        Ok(true)
    }

    async fn keep_in_ring(
        &mut self,
        held: &NewHeld,
        ring: Ring,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (block, bytes) = (block(held), held.body.len() as u64);
        if bytes > SHARE.bytes {
            self.rings.count_dropped(ring, held.reason, 1, now);
            return Ok(());
        }
        while self.rings.of(ring).used_by(&block).exceeds(SHARE, bytes) {
            self.drop_oldest(ring, &block, now).await?;
        }
        while self.rings.of(ring).all.exceeds(FULL, bytes) {
            let Some(largest) = self.rings.of(ring).largest() else { break };
            self.drop_oldest(ring, &largest, now).await?;
        }
        self.insert_held(held, ring.as_str(), now).await?;
        self.rings.of(ring).add(&block, bytes);
        Ok(())
    }

    async fn drop_oldest(
        &mut self,
        ring: Ring,
        block: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const OLDEST: &str = "
            delete from held where id = (
                select min(id) from held where ring = $1 and source_block = $2)
            returning bytes, count, reason";
        let oldest: Option<(i64, i64, String)> = sqlx::query_as(OLDEST)
            .bind(ring.as_str())
            .bind(block)
            .fetch_optional(&mut self.connection)
            .await?;
        let (bytes, count, reason) = oldest.unwrap_or_default();
        // As often as it came: each of those pushes was counted as held.
        let reason = reason.parse().unwrap_or(HeldReason::Unreadable);
        self.rings.count_dropped(ring, reason, count.unsigned_abs(), now);
        self.rings.of(ring).remove(block, bytes.unsigned_abs());
        Ok(())
    }

    async fn insert_held(
        &mut self,
        held: &NewHeld,
        ring: &'static str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const INSERT: &str = "
            insert into held (class, ring, reason, field, kind, source, source_block,
                received_ms, bytes, count, digest, body, signatures)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 1, $10, $11, $12)";
        sqlx::query(INSERT)
            .bind(held.class().as_str())
            .bind(ring)
            .bind(held.reason.as_str())
            .bind(held.field.as_deref())
            .bind(held.kind.as_str())
            .bind(held.source_name())
            .bind(block(held))
            .bind(now.unix_ms())
            .bind(i64::try_from(held.body.len()).unwrap_or(i64::MAX))
            .bind(&digest(held)[..])
            .bind(&*held.body)
            .bind(held.signatures.as_deref())
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    pub(super) async fn write_dropped(&mut self, now: Timestamp) -> Result<(), StoreError> {
        const COUNT: &str = "
            insert into ring_dropped (ring, pushes) values ($1, $2)
            on conflict (ring) do update set pushes = pushes + excluded.pushes";
        const COUNT_OF_HOUR: &str = "
            insert into dropped_push (hour_ms, ring, reason, pushes) values ($1, $2, $3, $4)
            on conflict do update set pushes = pushes + excluded.pushes";
        const FORGET: &str = "delete from dropped_push where hour_ms < $1";
        let dropped: Vec<_> = self.rings.dropped().collect();
        for (DroppedAs { hour_ms, ring, reason }, pushes) in dropped {
            let (ring, pushes) = (ring.as_str(), i64::try_from(pushes).unwrap_or(i64::MAX));
            sqlx::query(COUNT).bind(ring).bind(pushes).execute(&mut self.connection).await?;
            sqlx::query(COUNT_OF_HOUR)
                .bind(hour_ms)
                .bind(ring)
                .bind(reason.as_str())
                .bind(pushes)
                .execute(&mut self.connection)
                .await?;
            sqlx::query(FORGET)
                .bind(self.confirmed(now).minus(DROPPED_KEPT_FOR).unix_ms())
                .execute(&mut self.connection)
                .await?;
        }
        self.write_waiting().await
    }
}

/// Who counts as one source with whoever sent it.
fn block(held: &NewHeld) -> String {
    match held.source_name().is_empty() {
        true => String::new(),
        false => SourceBlock::from(held.source).to_string(),
    }
}

fn digest(held: &NewHeld) -> [u8; 32] {
    digest_of(held.kind.as_str(), &held.body, held.signatures.as_deref())
}

/// What makes two held pushes the very same: kind, body and signatures.
pub(super) fn digest_of(kind: &str, body: &[u8], signatures: Option<&[u8]>) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in [kind.as_bytes(), body, signatures.unwrap_or_default()] {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}
