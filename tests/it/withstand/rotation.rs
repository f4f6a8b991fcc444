//! Push keys, path tokens and the certificate are renewed under load, over and over.
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use rustix::process::{Signal, kill_process};
use tokio::{sync::watch, task::JoinSet};
use tokio_rustls::TlsConnector;

use super::{
    certificate::{Files, Pair},
    line::{Line, connector},
    say, trials,
};
use crate::server::{Simdeck, UNSET, now_s, signature};

const SENDERS: usize = 4;
/// Then a sender opens another connection, so that there are handshakes all the time.
const PUSHES_A_CONNECTION: usize = 5;

/// What senders go by.
#[derive(Clone)]
struct Round {
    nth: usize,
    /// Trusts the certificate of this round, that of the one before, and that of the next: who
    /// has just begun to connect may be shown that one.
    by: TlsConnector,
}

impl Round {
    fn new(nth: usize, pairs: &[Pair]) -> Self {
        let near = &pairs[nth.saturating_sub(1)..=nth + 1];
        let trusted: Vec<_> = near.iter().map(|pair| pair.der.clone()).collect();
        Self { nth, by: connector(&trusted) }
    }
}

fn key(nth: usize) -> String {
    format!("push-key-number-{nth}")
}

fn token(nth: usize) -> String {
    format!("path-token-number-{nth}")
}

struct Senders {
    address: String,
    round: watch::Sender<Round>,
    /// The last round of which each has had an answer.
    reached: [AtomicUsize; SENDERS],
    pushes: AtomicUsize,
    handshakes: AtomicUsize,
    failures: Mutex<Vec<String>>,
    over: AtomicBool,
}

impl Senders {
    async fn send(&self, own: usize) {
        while !self.over.load(Ordering::Relaxed) {
            let by = self.round.borrow().by.clone();
            let mut line = match Line::encrypted(&self.address, &by).await {
                Ok(line) => line,
                Err(error) => return self.fail(&format!("a handshake failed: {error}")),
            };
            self.handshakes.fetch_add(1, Ordering::Relaxed);
            for _ in 0..PUSHES_A_CONNECTION {
                let nth = self.round.borrow().nth;
                let push = self.pushes.fetch_add(1, Ordering::Relaxed);
                let (now, start_ms) = (now_s(), 1_713_888_842_473 + push);
                let body = format!(
                    r#"{{"datePush":{now},"signature":"{}","giccid":"8944501503181377993",
                    "data_usage":1,"start_time":{start_ms}}}"#,
                    signature(&key(nth), now)
                );
                match line.push(&format!("/{}/v1/data-usage", token(nth)), &body).await {
                    Ok(answer) if answer.status == 200 => {
                        self.reached[own].store(nth, Ordering::SeqCst);
                    }
                    other => return self.fail(&format!("in round {nth}: {other:?}")),
                }
            }
        }
    }

    fn fail(&self, how: &str) {
        self.failures.lock().unwrap().push(how.to_owned());
    }

    /// Waits until nobody uses what was before this round.
    async fn have_reached(&self, nth: usize) {
        let is_behind = |reached: &AtomicUsize| reached.load(Ordering::SeqCst) < nth;
        while self.reached.iter().any(is_behind) {
            let failures = self.failures.lock().unwrap().clone();
            assert!(failures.is_empty(), "{failures:?}");
            tokio::task::yield_now().await;
        }
    }
}

/// At once, as whoever keeps secrets does it.
fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, text).unwrap();
    fs::rename(beside, path).unwrap();
}

struct Keeper {
    files: Files,
    keys: PathBuf,
    tokens: PathBuf,
}

impl Keeper {
    fn new(first: &Pair) -> Self {
        let files = Files::of(first);
        let (keys, tokens) = (files.0.path().join("keys"), files.0.path().join("tokens"));
        let keeper = Self { files, keys, tokens };
        keeper.write_secrets(&[0]);
        keeper
    }

    fn write_secrets(&self, rounds: &[usize]) {
        let lines =
            |of: fn(usize) -> String| rounds.iter().map(|nth| of(*nth) + "\n").collect::<String>();
        replace(&self.keys, &lines(key));
        replace(&self.tokens, &lines(token));
    }

    fn start(&self) -> Simdeck {
        let [certificate, private] = self.files.settings();
        Simdeck::start(&[
            ("SIMDECK_PUSH_KEY", UNSET),
            ("SIMDECK_PUSH_KEY_FILE", self.keys.to_str().unwrap()),
            ("SIMDECK_PUBLIC_PATH_TOKEN_FILE", self.tokens.to_str().unwrap()),
            (certificate.0, &certificate.1),
            (private.0, &private.1),
        ])
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renewed_under_load_no_authentic_push_is_refused_and_no_handshake_fails() {
    // The whole promise is a hundred times: SIMDECK_ROTATIONS=100.
    let rotations = trials("SIMDECK_ROTATIONS", 6);
    let pairs: Vec<Pair> = (0..rotations + 2).map(|_| Pair::new()).collect();
    let keeper = Keeper::new(&pairs[0]);
    let mut simdeck = keeper.start();
    let senders = Arc::new(Senders {
        address: simdeck.public().to_owned(),
        round: watch::Sender::new(Round::new(0, &pairs)),
        reached: Default::default(),
        pushes: AtomicUsize::new(0),
        handshakes: AtomicUsize::new(0),
        failures: Mutex::default(),
        over: AtomicBool::new(false),
    });
    let mut tasks = JoinSet::new();
    for own in 0..SENDERS {
        let senders = Arc::clone(&senders);
        tasks.spawn(async move { senders.send(own).await });
    }
    for nth in 1..=rotations {
        keeper.write_secrets(&[nth - 1, nth]);
        keeper.files.write(&pairs[nth]);
        if nth % 2 == 0 {
            kill_process(simdeck.pid(), Signal::HUP).unwrap();
            simdeck.wait_for("as asked");
        } else {
            simdeck.wait_for("Renewed the push keys");
            simdeck.wait_for("Read the certificate again");
        }
        senders.round.send_replace(Round::new(nth, &pairs));
        senders.have_reached(nth).await;
    }
    senders.over.store(true, Ordering::Relaxed);
    tasks.join_all().await;
    assert_eq!(*senders.failures.lock().unwrap(), Vec::<String>::new());
    // What was live in the first round is so no more.
    let old = senders.round.borrow().by.clone();
    let mut line = Line::encrypted(simdeck.public(), &old).await.unwrap();
    let answer = line.push(&format!("/{}/v1/data-usage", token(0)), "{}").await.unwrap();
    assert_eq!(answer.status, 404);
    let (pushes, handshakes) = (&senders.pushes, &senders.handshakes);
    say(&format!("{rotations} trials, 0 failures: {pushes:?} pushes, {handshakes:?} handshakes"));
    simdeck.end();
}

#[tokio::test]
async fn a_key_file_that_cannot_be_used_keeps_the_keys_in_force_and_says_so() {
    let keeper = Keeper::new(&Pair::new());
    let (keys, tokens) = (keeper.keys.to_str().unwrap(), keeper.tokens.to_str().unwrap());
    let mut simdeck = Simdeck::start(&[
        ("SIMDECK_PUSH_KEY", UNSET),
        ("SIMDECK_PUSH_KEY_FILE", keys),
        ("SIMDECK_PUBLIC_PATH_TOKEN_FILE", tokens),
    ]);
    let status = async |simdeck: &Simdeck, nth: usize, token: String| {
        let now = now_s();
        let body = format!(r#"{{"datePush":{now},"signature":"{}"}}"#, signature(&key(nth), now));
        let path = format!("/{token}/v1/sim-status");
        simdeck.ask_public(reqwest::Method::POST, &path, body.into_bytes(), &[]).await.status
    };
    assert_eq!(status(&simdeck, 0, token(0)).await, 200);
    for (path, text, said) in [
        (&keeper.keys, "", "empty"),
        (&keeper.keys, "a\n\nb\n", "empty entry"),
        (&keeper.tokens, "short\n", "16 to 128 characters"),
    ] {
        keeper.write_secrets(&[1]);
        replace(path, text);
        kill_process(simdeck.pid(), Signal::HUP).unwrap();
        simdeck.wait_for(said);
        assert_eq!(status(&simdeck, 0, token(0)).await, 200, "{said}");
        assert_eq!(status(&simdeck, 1, token(0)).await, 401, "{said}");
    }
    fs::remove_file(&keeper.keys).unwrap();
    simdeck.wait_for("Kept the push keys");
    assert_eq!(status(&simdeck, 0, token(0)).await, 200);
    keeper.write_secrets(&[1]);
    simdeck.wait_for("Renewed the push keys");
    assert_eq!(status(&simdeck, 1, token(1)).await, 200);
    assert_eq!(status(&simdeck, 0, token(1)).await, 401);
    assert_eq!(status(&simdeck, 1, token(0)).await, 404);
    // The test push goes by what is live now.
    let tested = simdeck.ask(reqwest::Method::POST, "/v1/test-push").await;
    assert_eq!(tested.1["status"], 200, "{}", tested.1);
    let log = simdeck.end();
    for secret in [key(0), key(1), token(0), token(1)] {
        assert!(!log.contains(&secret), "{secret} is in the log:\n{log}");
    }
}

#[tokio::test]
async fn of_a_changed_settings_file_keys_are_renewed_and_the_rest_is_told() {
    let folder = Arc::new(tempfile::TempDir::new().unwrap());
    let file = folder.path().join("simdeck.toml");
    let write = |key: &str, size: &str| {
        let text = format!("[public]\nmax_body = \"{size}\"\n[push]\nkey = [\"{key}\"]\n");
        replace(&file, &text);
    };
    write("key-one", "4MiB");
    let mut simdeck = Simdeck::start_in(Arc::clone(&folder), &[("SIMDECK_PUSH_KEY", UNSET)]);
    write("key-two", "8MiB");
    simdeck.wait_for("takes effect at the next start");
    simdeck.wait_for("Renewed the push keys");
    let now = now_s();
    for (key, status) in [("key-one", 401), ("key-two", 200)] {
        let body = format!(r#"{{"datePush":{now},"signature":"{}"}}"#, signature(key, now));
        assert_eq!(simdeck.post("sim-status", body).await.status, status, "{key}");
    }
    let log = simdeck.end();
    assert!(log.contains("public.max_body"), "{log}");
}
