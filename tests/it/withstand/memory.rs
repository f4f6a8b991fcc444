//! Bodies from many addresses, made to cost memory, most of them without a key. Whoever sends true
//! pushes beside them must not feel it.
use std::{
    env,
    fmt::Write,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    runtime,
    task::{self, JoinSet, yield_now},
    time::{MissedTickBehavior, interval, timeout},
};

use super::{
    line::{Line, request},
    most_memory, say, trials,
};
use crate::server::{PUSH_KEY, Simdeck, now_s, signature, signed, usage};

const SOURCES: u8 = 16;
/// What is promised, whoever sends what.
const MEMORY_BYTES_MAX: u64 = 256 << 20;
const ANSWER_TIME_MAX: Duration = Duration::from_millis(250);
const BODY_BYTES: usize = 4 << 20;
/// How many connections of each source attack at once.
const ATTACKERS_A_SOURCE: usize = 6;
/// How long an attacker leaves a body that it does not end.
const PATIENCE: Duration = Duration::from_secs(3);

/// What an attacker sends: the head's path and length, and the bytes that follow.
struct Attack {
    /// By which SIMDECK_MEMORY_ATTACK names it.
    name: &'static str,
    path: &'static str,
    declared: usize,
    body: Arc<[u8]>,
    /// Where [`NUMBER`] stands in it, and the first of the numbers that take its place: there are
    /// some bodies of this sort and no more, so that what is stored of them does not fill the disk.
    numbers: Vec<usize>,
    first_number: i64,
    /// How many have reached the server.
    arrived: AtomicUsize,
}

impl Attack {
    fn new(name: &'static str, path: &'static str, body: Arc<[u8]>) -> Self {
        let text = str::from_utf8(&body).unwrap();
        Self {
            name,
            path,
            declared: body.len(),
            numbers: text.match_indices(NUMBER).map(|(place, _)| place).collect(),
            // Of the last hours, and each of a millisecond of its own.
            first_number: (now_s() - 7_200) * 1_000 % 10_000_000_000,
            arrived: AtomicUsize::new(0),
            body,
        }
    }

    /// The body of a round. It costs the sender a copy and no more: what it takes from the processor
    /// is missing where it is measured.
    fn body(&self, round: usize) -> Arc<[u8]> {
        if self.numbers.is_empty() {
            return Arc::clone(&self.body);
        }
        let number = self.first_number + i64::try_from(round % NUMBERS).unwrap();
        let (number, mut body) = (format!("{number:010}"), self.body.to_vec());
        for place in &self.numbers {
            body[*place..place + NUMBER.len()].copy_from_slice(number.as_bytes());
        }
        body.into()
    }
}

/// Stands in a body for a number; as long as any of them.
const NUMBER: &str = "0000000000";
const NUMBERS: usize = 16;

fn filled(begin: &str, with: &str, end: &str) -> Arc<[u8]> {
    let count = (BODY_BYTES - begin.len() - end.len()).checked_div(with.len()).unwrap_or_default();
    let mut body = String::with_capacity(BODY_BYTES);
    write!(body, "{begin}{}{end}", with.repeat(count)).unwrap();
    body.into_bytes().into()
}

/// Every sort that once cost memory or a place, and the authentic ones.
fn attacks() -> Vec<Attack> {
    let mut attacks = strangers();
    attacks.extend(costly_when_read());
    attacks.extend(authentic());
    attacks
}

/// Those for which nobody needs a key.
fn strangers() -> Vec<Attack> {
    let foreign = proof_by("other");
    let whole = Attack::new;
    let part = |name, declared, sent: usize| Attack {
        declared,
        ..whole(name, "/v1/data-usage", vec![b' '; sent].into())
    };
    vec![
        // Many parts in few bytes: bare, deep, as members, and behind a well-formed proof.
        whole("parts", "/v1/data-usage", filled("[0", ",0", "]")),
        whole("deep", "/v1/data-usage", filled("", "[", "")),
        whole("members", "/v1/data-usage", filled(r#"{"a":["#, "[],", "0]}")),
        whole("foreign", "/v1/data-usage", filled(&format!(r#"{{{foreign},"a":[0"#), ",0", "]}")),
        whole("elements", "/v1/sim-status", filled(&format!("[{{{foreign}}}"), ",{}", "]")),
        // Room that is declared and not used, or used half and kept.
        part("declared small", 65_536, 0),
        part("declared large", BODY_BYTES, 0),
        part("half small", 65_536, 65_000),
        part("half large", BODY_BYTES, BODY_BYTES / 2),
        // A body that nobody asked for.
        whole("unknown path", "/x", filled("", " ", "")),
    ]
}

/// Bodies of which reading makes a multiple: by a copy of what stands beside the records for each of
/// them, by records that are next to nothing, by parts that go to quarantine one by one.
fn costly_when_read() -> impl Iterator<Item = Attack> {
    let signed = |name, path, proof: &str, beside: usize, records: &str| {
        let beside = "x".repeat(beside);
        let body = format!(r#"{{{proof},"beside":"{beside}","records":[{records}]}}"#);
        Attack::new(name, path, body.into_bytes().into())
    };
    let (ours, foreign) = (proof_by(PUSH_KEY), proof_by("other"));
    let list = |count: usize, record: &dyn Fn(usize) -> String| {
        (0..count).map(record).collect::<Vec<_>>().join(",")
    };
    let usage = |count| {
        let record = |nth| {
            let start_time = format!("{}{NUMBER}", now_s() / 10_000_000);
            format!(r#"{{"giccid":"{}","data_usage":1,"start_time":{start_time}}}"#, giccid(nth))
        };
        list(count, &record)
    };
    let notifications = |count| list(count, &|nth| format!(r#"{{"n":{NUMBER},"i":{nth}}}"#));
    let empty = |count| list(count, &|_| "{}".to_owned());
    [
        signed("copies", "/v1/data-usage", &ours, 91_000, &usage(180)),
        signed("copies small", "/v1/data-usage", &ours, 48_000, &usage(160)),
        signed("copies notified", "/v1/sim-status", &ours, 4_000_000, &notifications(4)),
        signed("copies foreign", "/v1/data-usage", &foreign, 91_000, &usage(180)),
        signed("empty records", "/v1/sim-status", &ours, 0, &empty(1_390_000)),
        signed("unreadable", "/v1/data-usage", &ours, 0, &empty(100_000)),
    ]
    .into_iter()
}

/// Authentic bodies as large as can be, in the forms that take most at each step: many parts, long
/// lists of members to sort, texts that are escaped again on their way into the database, records
/// that are kept one by one, quarantine.
fn authentic() -> Vec<Attack> {
    let proof = proof_by(PUSH_KEY);
    let time = now_s() / 10_000_000;
    let record = format!(r#"{proof},"giccid":"{}","data_usage":1"#, giccid(0));
    let usage = format!(r#"{{{record},"start_time":{time}{NUMBER},"x":"#);
    let sms = format!(r#"{{{record},"event_time":{time}{NUMBER},"x":"#);
    let unread = format!(r#"{{{proof},"n":{NUMBER},"x":"#);
    let attack = |name, path, begin: &str, with: &str, end: &str| {
        Attack::new(name, path, filled(begin, with, end))
    };
    let (to_usage, to_sms, to_status) = ("/v1/data-usage", "/v1/mo-sms", "/v1/sim-status");
    let members = (0..BODY_BYTES / 12).map(|nth| format!(r#""{nth:x}":0"#)).collect::<Vec<_>>();
    vec![
        attack("objects", to_usage, &format!("{usage}["), "{},", "0]}"),
        attack("numbers", to_usage, &format!("{usage}["), "1,", "1]}"),
        attack("nested", to_usage, &format!(r#"{usage}{{"y":["#), "[[[]]],", "0]}}"),
        attack("members sorted", to_status, &format!("{usage}{{{}", members.join(",")), "", "}}"),
        attack("repeated names", to_usage, &format!("{usage}{{"), r#""":0,"#, r#""a":0}}"#),
        attack("texts notified", to_status, &format!("{usage}["), r#""","#, "0]}"),
        attack("numbers notified", to_status, &format!("{usage}["), "1,", "1]}"),
        attack("escapes", to_sms, &format!("{sms}\""), r"\u4e00", "\"}"),
        attack("escapes unread", to_usage, &format!("{unread}\""), r"\u4e00", "\"}"),
        attack("objects unread", to_sms, &format!("{unread}["), "{},", "0]}"),
    ]
}

fn giccid(nth: usize) -> String {
    format!("89445015031{nth:09}")
}

fn proof_by(key: &str) -> String {
    let now = now_s();
    format!(r#""datePush":{now},"signature":"{}""#, signature(key, now))
}

/// Sends one and waits for an answer; what becomes of it is of no interest.
async fn attack(source: u8, address: &str, attack: &Attack, round: usize) {
    let Ok(mut line) = Line::from(source, address).await else { return };
    let Attack { path, declared, arrived, .. } = attack;
    let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {declared}\r\n\r\n");
    let body = attack.body(round);
    let sending = async {
        line.send(head).await?;
        arrived.fetch_add(1, Ordering::Relaxed);
        line.send(body).await?;
        line.answer().await
    };
    drop(timeout(PATIENCE, sending).await);
}

/// How true pushes fared.
#[derive(Debug, Default)]
struct Fared {
    took: Vec<Duration>,
    lost: Vec<String>,
}

impl Fared {
    fn count(&self) -> usize {
        self.took.len() + self.lost.len()
    }

    fn p99(&self) -> Duration {
        let mut took = self.took.clone();
        took.sort_unstable();
        took.get(took.len() * 99 / 100).copied().unwrap_or(Duration::MAX)
    }

    /// What of the promise is broken. The time is only judged where the machine is ours alone.
    fn broken(&self, memory: u64, is_timed: bool) -> Vec<String> {
        let mut broken = Vec::new();
        if memory > MEMORY_BYTES_MAX {
            broken.push(format!("{} MiB", memory >> 20));
        }
        if self.count() == 0 || self.lost.len() * 1_000 > self.count() {
            broken.push(format!("{} of {} lost: {:?}", self.lost.len(), self.count(), self.lost));
        }
        if is_timed && self.p99() > ANSWER_TIME_MAX {
            broken.push(format!("99 of 100 answered within {:?}", self.p99()));
        }
        broken
    }
}

/// True pushes of one sort: how often, and how much text is in each.
#[derive(Clone, Copy)]
struct Sort {
    every: Duration,
    text_bytes: usize,
}

const SMALL: Sort = Sort { every: Duration::from_millis(20), text_bytes: 0 };
const LARGE: Sort = Sort { every: Duration::from_millis(200), text_bytes: 300_000 };

/// Pushes over one connection, as a proxy would.
async fn push_truly(address: &str, sort: Sort, began: Instant, lasting: Duration) -> Fared {
    let (mut fared, mut line) = (Fared::default(), None);
    let mut tick = interval(sort.every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let text = "x".repeat(sort.text_bytes);
    while began.elapsed() < lasting {
        tick.tick().await;
        let (usage, nth) = (usage("8944501503181377993"), fared.count());
        let members = format!(r#"{usage},"nth":{nth},"text":"{text}""#);
        let sent = Instant::now();
        let mut on = match line.take() {
            Some(line) => line,
            None => Line::to(address).await.unwrap(),
        };
        let answer = async {
            on.send(request("/v1/data-usage", &signed(&members))).await?;
            on.answer().await
        };
        match answer.await {
            Ok(answer) if answer.status == 200 => {
                fared.took.push(sent.elapsed());
                line = Some(on);
            }
            lost => fared.lost.push(format!("{lost:?}")),
        }
    }
    fared
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_made_to_cost_memory_cost_neither_that_nor_true_pushes() {
    withstand(attacks(), SMALL).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn authentic_bodies_of_any_form_cost_neither_memory_nor_true_pushes() {
    withstand(authentic(), SMALL).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_large_true_push_waits_for_the_bodies_of_strangers() {
    withstand(strangers(), LARGE).await;
}

async fn withstand(mut attacks: Vec<Attack>, sort: Sort) {
    // The whole promise is a minute of it on a machine of its own: SIMDECK_MEMORY_SECONDS=60. One
    // sort of body alone: SIMDECK_MEMORY_ATTACK=copies.
    let short = 8;
    let seconds = trials("SIMDECK_MEMORY_SECONDS", short);
    if let Ok(name) = env::var("SIMDECK_MEMORY_ATTACK") {
        attacks.retain(|attack| attack.name == name);
        if attacks.is_empty() {
            say(&format!("no attack here is called {name}"));
            return;
        }
    }
    let simdeck = Simdeck::start(&[]);
    let (began, lasting) = (Instant::now(), Duration::from_secs(seconds as u64));
    let (attacks, next) = (Arc::new(attacks), Arc::new(AtomicUsize::new(0)));
    let mut attackers = JoinSet::new();
    for nth in 0..usize::from(SOURCES) * ATTACKERS_A_SOURCE {
        let source = 2 + u8::try_from(nth % usize::from(SOURCES)).unwrap();
        let (attacks, next) = (Arc::clone(&attacks), Arc::clone(&next));
        let address = simdeck.public().to_owned();
        attackers.spawn(async move {
            while began.elapsed() < lasting {
                let nth = next.fetch_add(1, Ordering::Relaxed);
                let (round, nth) = (nth / attacks.len(), nth % attacks.len());
                attack(source, &address, &attacks[nth], round).await;
            }
        });
    }
    // On a thread of its own: behind the attackers it would be measured how they fare.
    let address = simdeck.public().to_owned();
    let pushing = task::spawn_blocking(move || {
        let alone = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        alone.block_on(push_truly(&address, sort, began, lasting))
    });
    let fared = pushing.await.unwrap();
    attackers.join_all().await;
    for Attack { name, arrived, .. } in &*attacks {
        assert_ne!(arrived.load(Ordering::Relaxed), 0, "{name}: none has reached the server");
    }
    let (memory, sent) = (most_memory(&simdeck), next.load(Ordering::Relaxed));
    let broken = fared.broken(memory, seconds > short);
    say(&format!(
        "{sent} trials, {} failures: {} MiB at most; {} true pushes, {} lost, 99 of 100 answered \
         within {:?}",
        broken.len(),
        memory >> 20,
        fared.count(),
        fared.lost.len(),
        fared.p99(),
    ));
    assert!(broken.is_empty(), "{broken:?}");
    let records = simdeck.get("/v1/status").await["pushes"]["data-usage"]["records"].clone();
    assert!(records.as_u64().unwrap() >= fared.took.len() as u64, "{records}");
    simdeck.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_pushes_of_one_source_at_once_wait_for_each_other() {
    let simdeck = Simdeck::start(&[]);
    let mut pushing = JoinSet::new();
    for nth in 0..4 {
        let address = simdeck.public().to_owned();
        let text = "x".repeat(BODY_BYTES - 1_000);
        let members = format!(r#"{},"nth":{nth},"text":"{text}""#, usage("8944501503181377993"));
        let request = request("/v1/data-usage", &signed(&members));
        pushing.spawn(async move {
            let mut line = Line::to(&address).await.unwrap();
            for piece in request.as_bytes().chunks(50_000) {
                line.send(piece).await?;
                // The others have their turn.
                yield_now().await;
            }
            line.answer().await
        });
    }
    for answer in pushing.join_all().await {
        assert_eq!(answer.unwrap().status, 200);
    }
    simdeck.end();
}

#[test]
fn a_promise_that_is_broken_is_seen() {
    let fared = |good: usize, lost: usize, took: Duration| Fared {
        took: vec![took; good],
        lost: vec![String::new(); lost],
    };
    let quick = Duration::from_millis(5);
    let broken = |fared: Fared, memory| fared.broken(memory, true).len();
    assert_eq!(broken(fared(1_000, 1, quick), MEMORY_BYTES_MAX), 0);
    assert_eq!(broken(fared(1_000, 1, quick), MEMORY_BYTES_MAX + 1), 1);
    assert_eq!(broken(fared(990, 2, quick), 0), 1);
    assert_eq!(broken(fared(0, 0, quick), 0), 2);
    assert_eq!(broken(fared(1_000, 0, ANSWER_TIME_MAX * 2), 0), 1);
}
