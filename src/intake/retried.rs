//! What is tried again while the database does not take it.
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};

use super::AdminError;

/// After one second, then after twice as long each time, for ten minutes.
const PAUSES: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_secs(1))
    .with_max_delay(Duration::from_secs(60))
    .without_max_times()
    .with_total_delay(Some(Duration::from_secs(10 * 60)));

/// Does something, again and again while there is use in that.
pub(super) async fn retried<T, F: Future<Output = Result<T, AdminError>>>(
    doing: impl FnMut() -> F,
) -> Result<T, AdminError> {
    doing.retry(PAUSES).when(may_heal).await
}

/// What cannot heal ends the server; what the database refuses for what it is it refuses again.
fn may_heal(error: &AdminError) -> bool {
    match error {
        AdminError::Store(error) => !error.is_fatal() && !error.is_of_data(),
        AdminError::NotReady(_) => true,
        AdminError::Stopping | AdminError::Ended => false,
    }
}
