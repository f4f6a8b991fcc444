use super::{Failure, settings::Settings};
use crate::domain::Secret;

/// A server of our own for one command, on an address that nobody else knows.
pub(super) struct Offline {
    /// Where it listens.
    pub(super) base_url: String,
    /// A key that it accepts.
    pub(super) key: Secret,
}

/// Opens the store under the instance lock and serves the internal API for one command.
pub(super) async fn open_offline(settings: &Settings) -> Result<Offline, Failure> {
    Err(Failure::new(format!(
        "no server answers at {}: start it with `simdeck serve`",
        settings.internal_url()
    )))
}
