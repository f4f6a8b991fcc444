//! The end of the writer in good order.
use std::error::Error;

use super::task::{IntakeError, WriterTask};

impl WriterTask {
    /// Brings the log back into the database and closes it. On a disk without room the log stays, and all
    /// that was acknowledged is in it.
    pub(super) async fn close(self) -> Result<(), IntakeError> {
        self.intake.shared.store.close().await;
        match self.writer.close().await {
            Err(error) if error.is_disk_full() => {
                tracing::warn!(
                    error = &error as &dyn Error,
                    "The log of the database could not be brought back into it for lack of room. Nothing \
                     is lost: the next start takes it up. Until then do not move the database without \
                     its log"
                );
                Ok(())
            }
            closed => closed.map_err(IntakeError::Fatal),
        }
    }
}
