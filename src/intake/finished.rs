//! Tasks that are finished even if whoever asked for them has gone.
use std::{panic::resume_unwind, time::Duration};

use tokio::task::JoinError;

/// What a task came to; none where the process ends first. A panic in the task goes on in whoever waits
/// for it, whose listener answers it with 500: a fault of ours is neither a stop nor a bad request. Held
/// by `tests/it/withstand/broken_reader.rs`.
pub(super) async fn finished<T>(task: impl Future<Output = Result<T, JoinError>>) -> Option<T> {
    match task.await {
        Ok(done) => Some(done),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(_) => None,
        },
    }
}

/// How long something took, as the log has it: to a tenth of a second.
pub(super) fn rounded_seconds(took: Duration) -> f64 {
    (took.as_secs_f64() * 10.0).round() / 10.0
}
