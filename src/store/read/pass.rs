use super::{READ_TIME_MAX, Store};
use crate::{
    domain::{KeyDigest, PassDigest, PassKind, Timestamp},
    store::{StoreError, error::of_read},
};

impl Store {
    /// The key that a live session stands for.
    pub async fn session(
        &self,
        digest: &PassDigest,
        now: Timestamp,
    ) -> Result<Option<KeyDigest>, StoreError> {
        const FIND: &str = "
            select key_digest from pass where digest = $1 and kind = $2 and ends_ms > $3";
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let key: Option<Vec<u8>> = sqlx::query_scalar(FIND)
            .bind(&digest[..])
            .bind(PassKind::Session.as_str())
            .bind(now.unix_ms())
            .fetch_optional(&mut *reader)
            .await
            .map_err(of_read)?;
        Ok(key.and_then(|key| key.try_into().ok()))
    }
}
