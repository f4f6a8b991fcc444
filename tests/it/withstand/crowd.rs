//! Far more pushes than the server can take.
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use super::{
    line::{Line, request},
    most_memory, say, trials,
};
use crate::server::{Simdeck, now_s, proof, signed, usage};

const RECORDS_A_PUSH: usize = 100;
const MEMORY_BYTES_MAX: u64 = 256 << 20;
const SOURCES: usize = 4;
const CONNECTIONS_A_SOURCE: usize = 250;
const TICK: Duration = Duration::from_millis(10);

/// Pushes of many records, each unlike all others, and how each was answered.
struct Crowd {
    address: String,
    next: AtomicUsize,
    answers: Mutex<BTreeMap<u16, usize>>,
}

impl Crowd {
    fn body(&self) -> String {
        let first = self.next.fetch_add(RECORDS_A_PUSH, Ordering::Relaxed);
        let records: Vec<String> = (first..first + RECORDS_A_PUSH)
            .map(|nth| {
                let start_ms = 1_713_888_842_473 + nth;
                format!(
                    r#"{{"giccid":"8944501503181377993","data_usage":1,"start_time":{start_ms}}}"#
                )
            })
            .collect();
        format!(r#"{{{},"cdrs":[{}]}}"#, proof(now_s()), records.join(","))
    }

    async fn push(&self, line: &mut Line) {
        line.send(request("/v1/data-usage", &self.body())).await.unwrap();
        let answer = line.answer().await.unwrap();
        if [429, 503].contains(&answer.status) {
            assert!(answer.head.contains("retry-after: "), "{}", answer.head);
        }
        *self.answers.lock().unwrap().entry(answer.status).or_default() += 1;
    }

    /// How many pushes a second it takes when nobody waits in vain.
    async fn capacity(self: &Arc<Self>, lasting: Duration) -> u64 {
        let began = Instant::now();
        let mut pushers = JoinSet::new();
        for _ in 0..16 {
            let crowd = Arc::clone(self);
            pushers.spawn(async move {
                let mut line = Line::to(&crowd.address).await.unwrap();
                while began.elapsed() < lasting {
                    crowd.push(&mut line).await;
                }
            });
        }
        pushers.join_all().await;
        (self.taken() / lasting.as_secs()).max(1)
    }

    /// How many pushes were acknowledged.
    fn taken(&self) -> u64 {
        self.answers.lock().unwrap()[&200] as u64
    }

    /// Offers so many a second, whether they are answered or not; gives how many were.
    async fn offer(self: &Arc<Self>, a_second: u64, lasting: Duration) -> u64 {
        let mut idle = Vec::new();
        for nth in 0..SOURCES * CONNECTIONS_A_SOURCE {
            let source = u8::try_from(2 + nth % SOURCES).unwrap();
            idle.push(Line::from(source, &self.address).await.unwrap());
        }
        let (places, idle) = (Arc::new(Semaphore::new(idle.len())), Arc::new(Mutex::new(idle)));
        let (began, mut offered, mut pushes) = (Instant::now(), 0, JoinSet::new());
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        while began.elapsed() < lasting {
            tick.tick().await;
            let due = a_second * u64::try_from(began.elapsed().as_millis()).unwrap() / 1_000;
            while offered < due {
                offered += 1;
                let place = Arc::clone(&places).acquire_owned().await.unwrap();
                let (crowd, idle) = (Arc::clone(self), Arc::clone(&idle));
                let mut line = idle.lock().unwrap().pop().unwrap();
                pushes.spawn(async move {
                    crowd.push(&mut line).await;
                    idle.lock().unwrap().push(line);
                    drop(place);
                });
            }
        }
        pushes.join_all().await;
        offered
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offered_five_times_what_it_takes_it_says_so_and_is_itself_again_at_once() {
    // The whole promise is a minute of it: SIMDECK_CROWD_SECONDS=60.
    let seconds = trials("SIMDECK_CROWD_SECONDS", 5);
    let simdeck = Simdeck::start(&[]);
    let crowd = Arc::new(Crowd {
        address: simdeck.public().to_owned(),
        next: AtomicUsize::new(0),
        answers: Mutex::default(),
    });
    let capacity = crowd.capacity(Duration::from_secs(2)).await;
    let lasting = Duration::from_secs(seconds as u64);
    let taken_before = crowd.taken();
    let offered = crowd.offer(capacity * 5, lasting).await;
    let taken = crowd.taken() - taken_before;
    // Those who are sent away cost something; they do not keep the others from being stored.
    let usual = capacity * lasting.as_secs();
    assert!(taken * 4 >= usual, "{taken} taken where {usual} usually are");
    let began = Instant::now();
    let answer = simdeck.post("data-usage", signed(&usage("8944501503181377994"))).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let answers = crowd.answers.lock().unwrap().clone();
    assert!(answers.keys().all(|status| [200, 429, 503].contains(status)), "{answers:?}");
    let memory = most_memory(&simdeck);
    assert!(memory <= MEMORY_BYTES_MAX, "{memory} bytes");
    // What was answered 200 is there; of the rest nobody knows.
    let records = simdeck.get("/v1/status").await["pushes"]["data-usage"]["records"].clone();
    let acknowledged = answers[&200] * RECORDS_A_PUSH + 1;
    assert!(records.as_u64().unwrap() >= acknowledged as u64, "{records}, not {acknowledged}");
    say(&format!(
        "{offered} trials, 0 failures: capacity {capacity} a second, {answers:?}, {} MiB",
        memory >> 20
    ));
    simdeck.end();
}
