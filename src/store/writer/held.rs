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
    domain::{HeldClass, HeldReason, NewHeld, Ring, SourceBlock, Timestamp},
    store::StoreError,
};

/// Dropped pushes are counted by hour for so long; nobody asks for more than a day.
const DROPPED_KEPT_FOR: Duration = Duration::from_secs(2 * 24 * 60 * 60);

/// How many pushes make room for one at most, in the share of its source.
const DROPS_MAX: usize = 16;

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
            let digest = digest(&left);
            if !self.came_again(&digest, Some(ring), &left.source_name()).await? {
                self.keep_in_ring(&left, &digest, ring, now).await?;
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
        let fits = |kept: u64, added: u64| kept + added <= self.limits.quarantine_bytes_max;
        let quarantine = submission.quarantine.iter().filter(|held| self.ring_of(held).is_none());
        let most: u64 = quarantine.map(|held| held.body.len() as u64).sum();
        // Most often nothing has to be looked up.
        if most == 0 || fits(self.quarantine_bytes, most) {
            return Ok(true);
        }
        let gone = match submission.releases {
            Some(id) if self.goes_with(id, submission).await? => Some(id),
            _ => None,
        };
        let mut added = 0;
        for held in &submission.quarantine {
            if self.ring_of(held).is_some() {
                continue;
            }
            let class = HeldClass::Quarantined.as_str();
            let same = self.same_held(class, &digest(held), gone.unwrap_or_default()).await?;
            added += if same.is_some() { 0 } else { held.body.len() as u64 };
        }
        if added == 0 {
            return Ok(true);
        }
        let freed: i64 =
            sqlx::query_scalar(FREED).bind(gone).fetch_one(&mut self.connection).await?;
        let kept = self.quarantine_bytes.saturating_sub(freed.unsigned_abs());
        Ok(kept + added <= self.limits.quarantine_bytes_max)
    }

    /// The ring that a push goes to. What is authentic is acknowledged, so that it goes to none where it
    /// would be dropped at once; nor does what cannot repeat anything that was accepted, for which a
    /// ring is: else all that comes new while our clock is days ahead would push itself out.
    fn ring_of(&self, held: &NewHeld) -> Option<Ring> {
        let is_safe = held.body.len() as u64 > SHARE.bytes
            || held.pushed_at.is_some_and(|date| self.signed_clock.is_unseen(date));
        held.ring.filter(|ring| *ring != Ring::Stale || !is_safe)
    }

    /// Puts parts of a push into quarantine inside the open transaction.
    pub(super) async fn quarantine_all(
        &mut self,
        submission: &Submission,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        for held in &submission.quarantine {
            let (ring, digest) = (self.ring_of(held), digest(held));
            if !self.came_again(&digest, ring, &held.source_name()).await? {
                self.quarantine(held, &digest, ring, now).await?;
                if submission.releases.is_none() && !submission.is_test {
                    self.note_came(held.kind.as_str(), now).await?;
                }
            }
            for source in &submission.also_from {
                self.came_again(&digest, ring, &name_of(*source)).await?;
            }
        }
        Ok(())
    }

    /// Notes that a kind has come, though nothing of it was stored: SmartHub still pushes it.
    async fn note_came(&mut self, kind: &str, now: Timestamp) -> Result<(), StoreError> {
        const CAME: &str = "update tally set last_received_ms = $2 where kind = $1";
        sqlx::query(CAME).bind(kind).bind(now.unix_ms()).execute(&mut self.connection).await?;
        Ok(())
    }

    async fn quarantine(
        &mut self,
        held: &NewHeld,
        digest: &HeldDigest,
        ring: Option<Ring>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if let Some(ring) = ring {
            return self.keep_in_ring(held, digest, ring, now).await;
        }
        self.insert_held(held, digest, None, now).await?;
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

    /// Raises the count of the very same push if it is held already for the same reason.
    async fn came_again(
        &mut self,
        digest: &HeldDigest,
        ring: Option<Ring>,
        source: &str,
    ) -> Result<bool, StoreError> {
        const AGAIN: &str = "update held set count = count + 1 where id = $1";
        let class = HeldClass::of_ring(ring).as_str();
        let same = self.same_held(class, digest, 0).await?;
        let Some(id) = same else { return Ok(false) };
        sqlx::query(AGAIN).bind(id).execute(&mut self.connection).await?;
        self.note_held_source(id, source, 1).await?;
        Ok(true)
    }

    /// The held push that is the very same as one of this class and digest, and is not that one.
    pub(super) async fn same_held(
        &mut self,
        class: &str,
        digest: &HeldDigest,
        not_id: i64,
    ) -> Result<Option<i64>, StoreError> {
        // Two look-ups in one index: what an earlier version held has a digest without its reason.
        const SAME: &str = "
            select id from held where class = $1 and digest = $2 and id <> $5
            union all
            select id from held where class = $1 and digest = $3 and reason = $4 and id <> $5
            limit 1";
        Ok(sqlx::query_scalar(SAME)
            .bind(class)
            .bind(&digest.of_all[..])
            .bind(&digest.without_reason[..])
            .bind(&digest.reason)
            .bind(not_id)
            .fetch_optional(&mut self.connection)
            .await?)
    }

    async fn keep_in_ring(
        &mut self,
        held: &NewHeld,
        digest: &HeldDigest,
        ring: Ring,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (block, bytes) = (block(held), held.body.len() as u64);
        if bytes > SHARE.bytes {
            self.rings.count_dropped(ring, held.reason, 1, now);
            return Ok(());
        }
        // What others sent, too, may have come into its share without a limit: what is too much of it
        // goes little by little, for pushes wait for this.
        for _ in 0..DROPS_MAX {
            if !self.rings.of(ring).used_by(&block).exceeds(SHARE, bytes) {
                break;
            }
            self.drop_oldest(ring, &block, now).await?;
        }
        while self.rings.of(ring).all.exceeds(FULL, bytes) {
            let Some(largest) = self.rings.of(ring).largest() else { break };
            self.drop_oldest(ring, &largest, now).await?;
        }
        self.insert_held(held, digest, Some(ring), now).await?;
        self.rings.of(ring).add(&block, bytes);
        Ok(())
    }

    /// Makes room in a ring: the oldest push of a source goes, or is no longer that of this source where
    /// another one sent it, too.
    async fn drop_oldest(
        &mut self,
        ring: Ring,
        block: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const OLDEST: &str = "
            select id, reason, count,
                exists (select 1 from held_source where held_id = held.id)
            from held where ring = $1 and source_block = $2 order by id limit 1";
        let oldest: Option<(i64, String, i64, bool)> = sqlx::query_as(OLDEST)
            .bind(ring.as_str())
            .bind(block)
            .fetch_optional(&mut self.connection)
            .await?;
        let Some((id, reason, count, has_others)) = oldest else {
            // Whatever memory says: it is not there.
            self.rings.of(ring).remove(block, 0);
            return Ok(());
        };
        let count = if has_others {
            self.take_block_off(id, block).await?
        } else {
            self.delete_held(id).await?;
            count
        };
        // As often as it came: each of those pushes was counted as held.
        let reason = reason.parse().unwrap_or(HeldReason::Unreadable);
        self.rings.count_dropped(ring, reason, count.unsigned_abs(), now);
        Ok(())
    }

    async fn insert_held(
        &mut self,
        held: &NewHeld,
        digest: &HeldDigest,
        ring: Option<Ring>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const INSERT: &str = "
            insert into held (class, ring, reason, field, kind, source, source_block,
                received_ms, bytes, count, digest, body, signatures)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 1, $10, $11, $12)";
        sqlx::query(INSERT)
            .bind(HeldClass::of_ring(ring).as_str())
            .bind(ring.map_or("", Ring::as_str))
            .bind(held.reason.as_str())
            .bind(held.field.as_deref())
            .bind(held.kind.as_str())
            .bind(held.source_name())
            .bind(block(held))
            .bind(now.unix_ms())
            .bind(i64::try_from(held.body.len()).unwrap_or(i64::MAX))
            .bind(&digest.of_all[..])
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

fn digest(held: &NewHeld) -> HeldDigest {
    let signatures = held.signatures.as_deref();
    digest_of(held.kind.as_str(), &held.body, signatures, held.reason.as_str())
}

/// What makes two held pushes the very same.
pub(super) struct HeldDigest {
    /// Kind, body, signatures and reason. What somebody decides of those with one reason is not of what
    /// another sender's push is held for.
    pub(super) of_all: [u8; 32],
    /// As earlier versions had it.
    without_reason: [u8; 32],
    reason: String,
}

pub(super) fn digest_of(
    kind: &str,
    body: &[u8],
    signatures: Option<&[u8]>,
    reason: &str,
) -> HeldDigest {
    let mut digest = Sha256::new();
    let mut add = |part: &[u8]| -> [u8; 32] {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
        digest.clone().finalize().into()
    };
    add(kind.as_bytes());
    add(body);
    let without_reason = add(signatures.unwrap_or_default());
    HeldDigest { of_all: add(reason.as_bytes()), without_reason, reason: reason.to_owned() }
}
