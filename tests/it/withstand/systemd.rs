//! What systemd is told.
use std::{
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::process::{Signal, kill_process};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;
use tokio::{net::UnixDatagram, time::timeout};

use crate::server::{Simdeck, signed, usage};

const GUARD: Duration = Duration::from_secs(120);
/// A third of it is the time from one sign of life to the next.
const WATCHDOG_US: &str = "900000";
const SILENCE: Duration = Duration::from_millis(1_500);

/// systemd's end of the socket.
pub(super) struct Manager {
    socket: UnixDatagram,
    path: String,
    _folder: TempDir,
}

impl Manager {
    pub(super) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        Self { socket, path: path.to_str().unwrap().to_owned(), _folder: folder }
    }

    fn start(&self) -> Simdeck {
        Simdeck::start(&[("NOTIFY_SOCKET", &self.path), ("WATCHDOG_USEC", WATCHDOG_US)])
    }

    pub(super) fn start_in(&self, folder: Arc<TempDir>, settings: &[(&str, &str)]) -> Simdeck {
        let socket = [("NOTIFY_SOCKET", &*self.path)];
        Simdeck::start_in(folder, &[&socket, settings].concat())
    }

    /// All that it was told until a message that holds this.
    pub(super) async fn all_until(&self, wanted: &str) -> String {
        let mut all = String::new();
        while !all.contains(wanted) {
            all += &timeout(GUARD, self.next()).await.unwrap_or_else(|_| panic!("only {all}"));
        }
        all
    }

    async fn next(&self) -> String {
        let mut message = [0; 1024];
        let length = self.socket.recv(&mut message).await.unwrap();
        str::from_utf8(&message[..length]).unwrap().to_owned()
    }

    /// Waits for the next status that is not this one.
    async fn status_after(&self, before: &str) -> String {
        let heard = async {
            loop {
                let message = self.next().await;
                let status = message.strip_prefix("STATUS=").map(|it| it.trim_end().to_owned());
                if let Some(status) = status.filter(|status| status != before) {
                    return status;
                }
            }
        };
        timeout(GUARD, heard).await.unwrap_or_else(|_| panic!("nothing after {before}"))
    }

    /// Waits for a message that begins so; signs of life may come before it.
    async fn hears(&self, wanted: &str) -> String {
        let heard = async {
            loop {
                let message = self.next().await;
                if message.starts_with(wanted) {
                    return message;
                }
                assert!(is_said_at_any_time(&message), "{message} instead of {wanted}");
            }
        };
        timeout(GUARD, heard).await.unwrap_or_else(|_| panic!("never heard {wanted}"))
    }
}

/// Signs of life, and how it is.
fn is_said_at_any_time(message: &str) -> bool {
    message == "WATCHDOG=1\n" || message.starts_with("STATUS=")
}

#[tokio::test]
async fn systemd_hears_when_we_are_ready_reloading_alive_and_stopping() {
    let manager = Manager::new();
    let simdeck = manager.start();
    manager.hears("READY=1\n").await;
    manager.hears("WATCHDOG=1\n").await;
    kill_process(simdeck.pid(), Signal::HUP).unwrap();
    let reloading = manager.hears("RELOADING=1\nMONOTONIC_USEC=").await;
    assert!(reloading.trim_end().rsplit('=').next().unwrap().parse::<u64>().unwrap() > 0);
    manager.hears("READY=1\n").await;
    simdeck.signal_term();
    manager.hears("STOPPING=1\n").await;
    simdeck.ended();
}

#[tokio::test]
async fn a_writer_that_hangs_gives_no_sign_of_life() {
    let manager = Manager::new();
    let simdeck = manager.start();
    manager.hears("READY=1\n").await;
    let database = simdeck.folder().path().join("data/simdeck.db");
    let mut holder = lock(&database).await;
    let body = signed(&usage("8944501503181377993"));
    let push = async { simdeck.post("data-usage", body.clone()).await.status };
    let falls_silent = async {
        while let Ok(message) = timeout(SILENCE, manager.next()).await {
            assert!(is_said_at_any_time(&message), "{message}");
        }
        sqlx::query("rollback").execute(&mut holder).await.unwrap();
    };
    let (status, fell_silent) = tokio::join!(push, timeout(GUARD, falls_silent));
    fell_silent.expect("it says that it lives while it hangs");
    assert!([200, 503].contains(&status), "{status}");
    manager.hears("WATCHDOG=1\n").await;
    assert_eq!(simdeck.post("data-usage", body).await.status, 200);
    simdeck.end();
}

#[tokio::test]
async fn systemd_hears_whether_pushes_are_stored_and_what_is_wrong() {
    const LACKS_TIME: &str = r#""giccid":"8944501503181377993","data_usage":1"#;
    let manager = Manager::new();
    let simdeck = manager.start();
    manager.hears("READY=1\nSTATUS=Ready\n").await;
    assert_eq!(simdeck.push("data-usage", signed(LACKS_TIME)).await, (0, 0, 1));
    simdeck.get("/v1/status").await;
    assert_eq!(manager.status_after("Ready").await, "Ready; what is wrong: quarantining");
    // Also after keys were read again.
    kill_process(simdeck.pid(), Signal::HUP).unwrap();
    manager.hears("RELOADING=1\n").await;
    manager.hears("READY=1\n").await;
    let database = simdeck.folder().path().join("data/simdeck.db");
    let mut holder = lock(&database).await;
    let body = signed(&usage("8944501503181377993"));
    assert_eq!(simdeck.post("data-usage", body).await.status, 503);
    let told = manager.status_after("Ready; what is wrong: quarantining").await;
    assert!(told.starts_with("Not ready: the database does not take records"), "{told}");
    sqlx::query("rollback").execute(&mut holder).await.unwrap();
    let body = signed(&usage("8944501503181377994"));
    let began = Instant::now();
    while simdeck.post("data-usage", body.clone()).await.status != 200 {
        assert!(began.elapsed() < GUARD, "it does not store again");
    }
    let told = manager.status_after(&told).await;
    assert!(told.starts_with("Ready; what is wrong: ") && told.contains("quarantining"), "{told}");
    simdeck.signal_term();
    manager.hears("STOPPING=1\nSTATUS=Stopping").await;
    simdeck.ended();
}

/// Takes the lock that the writer needs.
async fn lock(database: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(database);
    let mut holder = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query("begin immediate").execute(&mut holder).await.unwrap();
    holder
}

#[test]
fn the_shipped_unit_is_one_that_systemd_understands() {
    let unit = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/simdeck.service");
    // The unit names where the program will be; here it is any program.
    let folder = TempDir::new().unwrap();
    let text = std::fs::read_to_string(unit).unwrap();
    let here = folder.path().join("simdeck.service");
    std::fs::write(&here, text.replace("/usr/local/bin/simdeck", "/bin/true")).unwrap();
    let verified = Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--recursive-errors=no"])
        .arg(&here)
        .output()
        .expect("systemd-analyze is there: apt-get install systemd, or run tests/all");
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert!(verified.status.success() && said.is_empty(), "{said}");
}
