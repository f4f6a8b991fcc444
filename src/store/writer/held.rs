use sha2::{Digest, Sha256};

use super::{
    Submission, Writer,
    rings::{self, FULL, SHARE},
    run,
};
use crate::{
    domain::{HeldClass, NewHeld, Ring, Timestamp},
    store::StoreError,
};

impl Writer {
    pub(super) async fn try_keep_refused(
        &mut self,
        refused: &[NewHeld],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        run(&mut self.connection, "begin immediate").await?;
        for held in refused {
            if !self.came_again(held).await? {
                self.keep_in_ring(held, now).await?;
            }
        }
        self.write_dropped().await?;
        run(&mut self.connection, "commit").await?;
        self.rings.of(Ring::Plausible).dropped = 0;
        self.rings.of(Ring::Noise).dropped = 0;
        Ok(())
    }

    /// Whether quarantine has room for all that a push brings there, with what it releases gone.
    /// What is held already takes no more.
    pub(super) async fn has_room(&mut self, submission: &Submission) -> Result<bool, StoreError> {
        const RELEASED: &str = "
            select coalesce(sum(bytes), 0) from held where id = $1 and class = 'quarantined'";
        const THERE: &str = "
            select exists (select 1 from held where class = 'quarantined' and digest = $1)";
        let max = self.limits.quarantine_bytes_max;
        let mut bytes: u64 = submission.quarantine.iter().map(bytes_of).sum();
        if bytes == 0 || self.quarantine_bytes + bytes <= max {
            return Ok(true);
        }
        for held in &submission.quarantine {
            let is_there: bool = sqlx::query_scalar(THERE)
                .bind(&digest(held)[..])
                .fetch_one(&mut self.connection)
                .await?;
            if is_there {
                bytes -= bytes_of(held);
            }
        }
        let released: i64 = sqlx::query_scalar(RELEASED)
            .bind(submission.releases)
            .fetch_one(&mut self.connection)
            .await?;
        let left = self.quarantine_bytes.saturating_sub(released.unsigned_abs());
        Ok(bytes == 0 || left + bytes <= max)
    }

    /// Puts parts of a push into quarantine inside the open transaction.
    pub(super) async fn quarantine(
        &mut self,
        quarantine: &[NewHeld],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        for held in quarantine {
            if !self.came_again(held).await? {
                self.insert_held(held, "", now).await?;
                self.quarantine_bytes += bytes_of(held);
            }
        }
        Ok(())
    }

    /// Deletes a held push; false if it is not there.
    pub(in crate::store) async fn delete_held(&mut self, id: i64) -> Result<bool, StoreError> {
        const DELETE: &str = "delete from held where id = $1 returning class, ring, source, bytes";
        let gone: Option<(String, String, String, i64)> =
            sqlx::query_as(DELETE).bind(id).fetch_optional(&mut self.connection).await?;
        let Some((class, ring, source, bytes)) = gone else { return Ok(false) };
        if class == HeldClass::Quarantined.as_str() {
            self.quarantine_bytes = self.quarantine_bytes.saturating_sub(bytes.unsigned_abs());
        } else {
            self.ring_named(&ring).remove(&source, bytes.unsigned_abs());
        }
        Ok(true)
    }

    /// Raises the count of the very same push if it is held already.
    async fn came_again(&mut self, held: &NewHeld) -> Result<bool, StoreError> {
        const AGAIN: &str = "update held set count = count + 1 where class = $1 and digest = $2";
        let done = sqlx::query(AGAIN)
            .bind(held.class.as_str())
            .bind(&digest(held)[..])
            .execute(&mut self.connection)
            .await?;
        Ok(done.rows_affected() > 0)
    }

    async fn keep_in_ring(&mut self, held: &NewHeld, now: Timestamp) -> Result<(), StoreError> {
        let (source, bytes) = (held.source.to_string(), held.body.len() as u64);
        if bytes > SHARE.bytes {
            self.rings.count_dropped(held.ring, 1);
            return Ok(());
        }
        while self.rings.of(held.ring).used_by(&source).exceeds(SHARE, bytes) {
            self.drop_oldest(held.ring, &source).await?;
        }
        while self.rings.of(held.ring).all.exceeds(FULL, bytes) {
            let Some(largest) = self.rings.of(held.ring).largest() else { break };
            self.drop_oldest(held.ring, &largest).await?;
        }
        self.insert_held(held, rings::name(held.ring), now).await?;
        self.rings.of(held.ring).add(&source, bytes);
        Ok(())
    }

    async fn drop_oldest(&mut self, ring: Ring, source: &str) -> Result<(), StoreError> {
        const OLDEST: &str = "
            delete from held where id = (
                select min(id) from held where ring = $1 and source = $2)
            returning bytes";
        let bytes: Option<i64> = sqlx::query_scalar(OLDEST)
            .bind(rings::name(ring))
            .bind(source)
            .fetch_optional(&mut self.connection)
            .await?;
        self.rings.count_dropped(ring, 1);
        self.rings.of(ring).remove(source, bytes.unwrap_or_default().unsigned_abs());
        Ok(())
    }

    async fn insert_held(
        &mut self,
        held: &NewHeld,
        ring: &'static str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const INSERT: &str = "
            insert into held (class, ring, reason, field, kind, source, received_ms, bytes, count,
                digest, body, signatures)
            values ($1, $2, $3, $4, $5, $6, $7, $8, 1, $9, $10, $11)";
        sqlx::query(INSERT)
            .bind(held.class.as_str())
            .bind(ring)
            .bind(held.reason.as_str())
            .bind(held.field.as_deref())
            .bind(held.kind.as_str())
            .bind(held.source.to_string())
            .bind(now.unix_ms())
            .bind(i64::try_from(held.body.len()).unwrap_or(i64::MAX))
            .bind(&digest(held)[..])
            .bind(&*held.body)
            .bind(held.signatures.as_deref())
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    async fn write_dropped(&mut self) -> Result<(), StoreError> {
        const COUNT: &str = "
            insert into ring_dropped (ring, pushes) values ($1, $2)
            on conflict (ring) do update set pushes = pushes + excluded.pushes";
        for ring in [Ring::Plausible, Ring::Noise] {
            let dropped = self.rings.of(ring).dropped;
            if dropped > 0 {
                sqlx::query(COUNT)
                    .bind(rings::name(ring))
                    .bind(i64::try_from(dropped).unwrap_or(i64::MAX))
                    .execute(&mut self.connection)
                    .await?;
            }
        }
        Ok(())
    }

    fn ring_named(&mut self, ring: &str) -> &mut rings::OneRing {
        let plausible = ring == rings::name(Ring::Plausible);
        self.rings.of(if plausible { Ring::Plausible } else { Ring::Noise })
    }
}

fn bytes_of(held: &NewHeld) -> u64 {
    held.body.len() as u64
}

/// What makes two held pushes the very same: kind, body and signatures.
fn digest(held: &NewHeld) -> [u8; 32] {
    let signatures = held.signatures.as_deref().unwrap_or_default();
    let mut digest = Sha256::new();
    for part in [held.kind.as_str().as_bytes(), &held.body, signatures] {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}
