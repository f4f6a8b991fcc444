//! Nothing computes for long on a thread that answers requests: all pushes would wait for it.
//!
//! The server runs on one thread here, and a task on it notes how much processor time the thread used
//! from one of its turns to the next. That is what the longest stretch of work took, however busy the
//! machine is.
use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use reqwest::Client;
use simdeck::{http::ApiSettings, store::Store};
use tokio::{runtime, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    api_harness::{ADMIN_KEY, Api, SECOND},
    trials::{tell, trials},
};

const SIMS: usize = 2_000;
const RECORDS_A_PUSH: usize = 3_000;
/// How many pushes the store is filled with; the long run sets `SIMDECK_TEST_REQUEST_THREADS`.
const PUSHES: usize = 8;
/// Not optimised, the code takes some twenty times as long as the 5 ms that it may.
const WORK_MAX: Duration = Duration::from_millis(100);

/// A server with a thread of its own.
struct Watched {
    base: String,
    store: Store,
    longest_ns: Arc<AtomicU64>,
    stop: CancellationToken,
    server: thread::JoinHandle<()>,
}

/// How much processor time this thread has had.
fn used_ns() -> u64 {
    let used = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    used.split_whitespace().next().unwrap().parse().unwrap()
}

fn giccid(sim: usize) -> String {
    format!("8986001234567890{sim:04}")
}

/// Records of the last two weeks, and one of the year 2000.
async fn fill(api: &Api, pushes: usize) {
    const QUARTER_HOURS: usize = 14 * 96;
    for push in 0..pushes {
        let record = |nth: usize| {
            let (giccid, nth) = (giccid(nth % SIMS), push * RECORDS_A_PUSH + nth);
            let ago_ms = nth * 7 % QUARTER_HOURS * 900_000 + nth;
            let start_ms = SECOND * 1_000 - i64::try_from(ago_ms).unwrap();
            let (group, apn) = (nth % 30, nth % 7);
            format!(
                r#"{{"giccid":"{giccid}","data_usage":{nth},"start_time":{start_ms},"mcc":"460",
                    "mnc":"10","country_code":"CN","apn":"apn{apn}","sim_group":"group{group}"}}"#
            )
        };
        let records: Vec<String> = (0..RECORDS_A_PUSH).map(record).collect();
        api.push("data-usage", &format!(r#""cdrs":[{}]"#, records.join(","))).await;
    }
    let old = format!(r#""giccid":"{}","data_usage":1,"start_time":946684800000"#, giccid(0));
    api.push("data-usage", &old).await;
    for sim in 0..SIMS {
        if sim % 20 == 0 {
            let message = format!(r#""giccid":"{}","event_time":{SECOND}000"#, giccid(sim));
            api.push("mo-sms", &message).await;
        }
    }
}

impl Watched {
    fn start(pushes: usize) -> Self {
        let (longest_ns, stop) = (Arc::new(AtomicU64::new(0)), CancellationToken::new());
        let (ready, begun) = mpsc::channel();
        let (longest, stopped) = (Arc::clone(&longest_ns), stop.clone());
        let server = thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let api = Api::new(ApiSettings::default()).await;
                fill(&api, pushes).await;
                ready.send((api.base.clone(), api.store().clone())).unwrap();
                let mut before_ns = used_ns();
                while !stopped.is_cancelled() {
                    sleep(Duration::from_millis(1)).await;
                    let now_ns = used_ns();
                    longest.fetch_max(now_ns - before_ns, Ordering::Relaxed);
                    before_ns = now_ns;
                }
            });
        });
        let (base, store) = begun.recv().expect("a server with records");
        Self { base, store, longest_ns, stop, server }
    }

    /// What the longest stretch of work took that this question made.
    async fn longest(&self, client: &Client, method: &str, path: &str, body: &str) -> Duration {
        // As if it were the first one to be asked.
        self.store.forget_tails().await;
        sleep(Duration::from_millis(5)).await;
        self.longest_ns.store(0, Ordering::Relaxed);
        let url = format!("{}{path}", self.base);
        let request = match method {
            "POST" => client.post(url).body(body.to_owned()),
            _ => client.get(url),
        };
        let response = request.bearer_auth(ADMIN_KEY).send().await.unwrap();
        let status = response.status();
        let answer = response.bytes().await.unwrap();
        assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&answer));
        sleep(Duration::from_millis(5)).await;
        Duration::from_nanos(self.longest_ns.load(Ordering::Relaxed))
    }
}

#[tokio::test]
async fn no_question_computes_on_a_thread_that_answers_requests() {
    let watched = Watched::start(trials("SIMDECK_TEST_REQUEST_THREADS", PUSHES));
    let client = Client::new();
    let (one, erased) = (giccid(7), format!(r#"{{"giccid":"{}"}}"#, giccid(11)));
    let questions = [
        ("GET", "/v1/data-usage/aggregate?interval=15m&usual=true", ""),
        ("GET", "/v1/data-usage/aggregate?interval=1d&group_by=giccid&top=10", ""),
        (
            "GET",
            "/v1/data-usage/aggregate?interval=none&group_by=giccid&from=2024-09-01T00:00:00Z",
            "",
        ),
        ("GET", "/v1/data-usage/aggregate?interval=15m&group_by=sim_group,apn", ""),
        ("GET", "/v1/mo-sms/aggregate?interval=15m&usual=true", ""),
        ("GET", "/v1/data-usage?cursor=&size=1000", ""),
        ("GET", "/v1/data-usage?format=csv", ""),
        ("GET", "/v1/data-usage?format=ndjson", ""),
        ("GET", "/v1/changes?cursor=", ""),
        ("GET", "/v1/sims", ""),
        ("GET", "/v1/sims?size=100&sort=data_usage", ""),
        ("GET", "/v1/sims?q=77&sort=last_seen", ""),
        ("GET", "/v1/sims?silent_for=24h&tz=Asia/Shanghai", ""),
        ("GET", &format!("/v1/sims/{one}"), ""),
        ("GET", &format!("/v1/sims/{one}/timeline"), ""),
        ("GET", "/v1/summary", ""),
        ("GET", "/v1/summary?from=0", ""),
        ("GET", "/v1/attention", ""),
        ("GET", "/v1/status", ""),
        ("GET", "/v1/search?q=0077", ""),
        ("GET", "/v1/pushes", ""),
        ("GET", "/metrics", ""),
        ("POST", "/v1/erase", &erased),
    ];
    let mut longest = Vec::new();
    for (method, path, body) in questions {
        longest.push((watched.longest(&client, method, path, body).await, path.to_owned()));
    }
    watched.stop.cancel();
    watched.server.join().unwrap();
    longest.sort();
    for (took, path) in &longest {
        tell(&format!("{:>8.2} ms {path}", took.as_secs_f64() * 1_000.0));
    }
    let long: Vec<_> = longest.iter().filter(|(took, _)| *took > WORK_MAX).collect();
    assert!(long.is_empty(), "others wait meanwhile: {long:?}");
}
