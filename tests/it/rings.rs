//! The rings of refused pushes, filled further than a sender over HTTP could fill them in a test.
use std::net::IpAddr;

use simdeck::{
    domain::{Held, HeldFilter, HeldReason, NewHeld, PageSize, Place, Ring, Timestamp, Walk},
    store::{self, Limits, OpenOptions, Store, Submission, Writer},
};
use tempfile::TempDir;

const NOW: Timestamp = Timestamp::from_unix_ms(1_725_499_848_000);

struct Ground {
    store: Store,
    writer: Writer,
    sent: u32,
    _folder: TempDir,
}

impl Ground {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let options = OpenOptions {
            database: folder.path().join("simdeck.db"),
            time_zone: None,
            limits: Limits::of_quarantine(1 << 20),
        };
        let opened = store::open(&options).await.unwrap();
        Self { store: opened.store, writer: opened.writer, sent: 0, _folder: folder }
    }

    /// Refused pushes of this size, each unlike all others.
    async fn refuse(&mut self, ring: Ring, source: &str, pushes: u32, bytes: usize) {
        let source: IpAddr = source.parse().unwrap();
        self.refuse_from(ring, (0..pushes).map(|_| source), bytes).await;
    }

    async fn refuse_from(
        &mut self,
        ring: Ring,
        sources: impl Iterator<Item = IpAddr>,
        bytes: usize,
    ) {
        let mut refused = Vec::new();
        for source in sources {
            self.sent += 1;
            let mut body = vec![b' '; bytes];
            body[..4].copy_from_slice(&self.sent.to_le_bytes());
            refused.push(NewHeld {
                ring: Some(ring),
                reason: HeldReason::SignatureWrong,
                field: None,
                kind: "data-usage".parse().unwrap(),
                source,
                body: body.into(),
                signatures: None,
                pushed_at: None,
            });
        }
        self.writer.keep_refused(&refused, NOW).await.unwrap();
    }

    /// Pushes held and pushes dropped.
    async fn of(&self, ring: &str) -> (i64, i64) {
        let rings = self.store.tallies().await.unwrap().rings;
        let ring = rings.into_iter().find(|tally| tally.ring == ring).unwrap();
        (ring.pushes, ring.dropped)
    }

    async fn oldest(&self) -> Held {
        let walk = Walk { top: i64::MAX, place: Place::Oldest, size: PageSize::ONE };
        self.store.held(&HeldFilter::default(), &walk).await.unwrap().remove(0)
    }
}

#[tokio::test]
async fn a_flood_from_one_source_leaves_what_others_sent() {
    let mut ground = Ground::new().await;
    ground.refuse(Ring::Plausible, "203.0.113.1", 1, 16).await;
    ground.refuse(Ring::Plausible, "198.51.100.1", 2_600, 16).await;
    assert_eq!(ground.of("plausible").await, (1 + 2_500, 100), "a quarter of the rows");
    assert_eq!(ground.oldest().await.source, "203.0.113.1");
    ground.refuse(Ring::Plausible, "198.51.100.2", 20, 1 << 20).await;
    assert_eq!(ground.of("plausible").await, (2_501 + 16, 104), "a quarter of the bytes");
    ground.refuse(Ring::Plausible, "198.51.100.3", 1, (16 << 20) + 1).await;
    assert_eq!(ground.of("plausible").await, (2_517, 105), "larger than any share");
    assert_eq!(ground.oldest().await.source, "203.0.113.1");
}

#[tokio::test]
async fn noise_and_plausible_pushes_do_not_push_each_other_out() {
    let mut ground = Ground::new().await;
    ground.refuse(Ring::Plausible, "203.0.113.1", 1, 16).await;
    for source in ["198.51.100.1", "198.51.100.2", "198.51.100.3", "198.51.100.4", "198.51.100.5"] {
        ground.refuse(Ring::Noise, source, 2_500, 16).await;
    }
    assert_eq!(ground.of("noise").await, (10_000, 2_500));
    assert_eq!(ground.of("plausible").await, (1, 0));
}

#[tokio::test]
async fn what_is_authentic_but_stale_has_a_ring_of_its_own_beside_quarantine() {
    let mut ground = Ground::new().await;
    let held = |source: [u8; 4], nth: u32, ring, reason| NewHeld {
        ring,
        reason,
        field: None,
        kind: "data-usage".parse().unwrap(),
        source: source.into(),
        body: nth.to_le_bytes().into(),
        signatures: None,
        pushed_at: None,
    };
    let stale = |source, nth| held(source, nth, Some(Ring::Stale), HeldReason::DateOld);
    let unread = held([203, 0, 113, 1], 0, None, HeldReason::FieldMissing);
    let flood = (0..2_600).map(|nth| stale([198, 51, 100, 1], 10 + nth));
    let quarantine = [unread, stale([203, 0, 113, 1], 1)].into_iter().chain(flood).collect();
    let batch = [Submission { quarantine, ..Submission::default() }];
    ground.writer.commit(&batch, NOW).await.unwrap();
    let tallies = ground.store.tallies().await.unwrap();
    assert_eq!((tallies.stale.pushes, tallies.stale.dropped), (1 + 2_500, 100));
    assert_eq!(tallies.stale.bytes, 4 * 2_501);
    assert_eq!((tallies.quarantine.pushes, tallies.quarantine.bytes), (1, 4));
    assert_eq!(ground.oldest().await.reason, HeldReason::FieldMissing);
}

#[tokio::test]
async fn the_addresses_of_one_ipv6_network_are_one_source() {
    let mut ground = Ground::new().await;
    ground.refuse(Ring::Plausible, "203.0.113.1", 3, 16).await;
    let network = (0..2_600).map(|host| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, host]));
    ground.refuse_from(Ring::Plausible, network, 16).await;
    assert_eq!(ground.of("plausible").await, (3 + 2_500, 100));
    assert_eq!(ground.oldest().await.source, "203.0.113.1");
}
