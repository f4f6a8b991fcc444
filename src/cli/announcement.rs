//! Where a server says that it listens, and by what it proves itself: commands on this machine read it. On a
//! disk without room it is written once there is some, and until then the server does all else. Held by
//! `tests/it/disk/no_room.rs`.
use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::{Failure, instance::FILE};
use crate::{
    domain::Secret,
    store::{DataFolder, replace_secret},
};

/// How often it is tried again.
const AGAIN_EVERY: Duration = Duration::from_secs(1);

/// What stands in the file, or is to stand there.
pub(super) struct Announcement {
    /// What the server proves itself with.
    pub(super) secret: Secret,
    text: String,
    folder: PathBuf,
    is_written: bool,
}

impl Announcement {
    /// Notes in the data directory where the server listens.
    pub(super) fn make(
        folder: &DataFolder,
        listen: SocketAddr,
        is_https: bool,
    ) -> Result<Self, Failure> {
        let secret = hex::encode(rand::random::<[u8; 32]>());
        let scheme = if is_https { "https" } else { "http" };
        let text = format!("{scheme}://{} {secret}", super::settings::reached_at(listen));
        let folder = folder.path().to_owned();
        let path = folder.join(FILE);
        let is_written = match write(&folder, &text) {
            Ok(()) => true,
            Err(error) if is_for_room(&error) => {
                tracing::warn!(
                    %error,
                    "{} cannot be written before there is room: until then no command on this machine \
                     finds this server",
                    path.display()
                );
                false
            }
            Err(error) => {
                let sentence = format!("{} cannot be written", path.display());
                return Err(Failure::because(sentence)(error));
            }
        };
        Ok(Self { secret: secret.into(), text, folder, is_written })
    }

    /// Writes it once there is room, if there was none.
    pub(super) async fn write_later(self, stop: CancellationToken) {
        if !self.is_written {
            stop.run_until_cancelled(self.until_written()).await;
        }
    }

    async fn until_written(self) {
        let mut next = interval(AGAIN_EVERY);
        next.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            next.tick().await;
            let (folder, text) = (self.folder.clone(), self.text.clone());
            match spawn_blocking(move || write(&folder, &text)).await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => tracing::debug!(%error, "{FILE} still cannot be written"),
                Err(error) => tracing::debug!(%error, "{FILE} was not written"),
            }
        }
    }
}

/// What an earlier server said names nobody any more, and where a disk is full it gives its room.
fn write(folder: &Path, text: &str) -> io::Result<()> {
    match replace_secret(folder, FILE, text) {
        Err(error) if is_for_room(&error) => {
            // Where there is none, there is no room to be had by it.
            drop(fs::remove_file(folder.join(FILE)));
            replace_secret(folder, FILE, text).map(drop)
        }
        written => written.map(drop),
    }
}

fn is_for_room(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
