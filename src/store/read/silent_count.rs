//! How many SIMs were silent, as it was counted at the time.
use super::{READ_TIME_MAX, Store, packed};
use crate::{
    domain::{SilentCount, Span, Timestamp},
    store::StoreError,
};

impl Store {
    /// The last count in each of these spans, where there is one. A count stands at the end of what it
    /// is of, so that a span has the one at its end and not the one at its start.
    pub async fn silent_counts(
        &self,
        spans: &[Span],
    ) -> Result<Vec<Option<SilentCount>>, StoreError> {
        const LAST: &str = "
            select span.key, count.at_ms, count.sims
            from json_each($1) as span join silent_count as count on count.at_ms = (
                select max(at_ms) from silent_count
                where at_ms > span.value ->> 0 and at_ms <= span.value ->> 1)";
        let asked: Vec<_> = spans.iter().map(|span| (span.start_ms, span.end_ms)).collect();
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let query = sqlx::query(LAST).bind(serde_json::to_string(&asked)?);
        let rows: Vec<(usize, i64, u64)> = packed(query, 3, &mut reader).await?;
        let mut counts = vec![None; spans.len()];
        for (nth, at_ms, sims) in rows {
            if let Some(count) = counts.get_mut(nth) {
                *count = Some(SilentCount { at: Timestamp::from_unix_ms(at_ms), sims });
            }
        }
        Ok(counts)
    }
}
