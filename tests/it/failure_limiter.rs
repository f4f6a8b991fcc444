//! How many failed pushes one source may send.
use std::{net::IpAddr, num::NonZeroU32, time::Duration};

use governor::{Quota, clock::FakeRelativeClock};
use simdeck::http::failures::FailureLimiter;

const A_MINUTE: u32 = 20;

fn limiter(sources_max: usize) -> (FailureLimiter<FakeRelativeClock>, FakeRelativeClock) {
    let clock = FakeRelativeClock::default();
    let quota = Quota::per_minute(NonZeroU32::new(A_MINUTE).unwrap());
    (FailureLimiter::with_clock(quota, clock.clone(), sources_max), clock)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn a_source_may_fail_twenty_times_then_is_told_how_long_to_wait() {
    let (failures, clock) = limiter(100);
    for _ in 0..A_MINUTE {
        assert_eq!(failures.failed(ip("192.0.2.1")), Ok(()));
    }
    let wait = failures.failed(ip("192.0.2.1")).unwrap_err();
    assert_eq!(wait, Duration::from_secs(3));
    clock.advance(wait);
    assert_eq!(failures.failed(ip("192.0.2.1")), Ok(()));
    assert!(failures.failed(ip("192.0.2.1")).is_err());
}

#[test]
fn sources_are_counted_apart_and_a_64_together() {
    let (failures, _clock) = limiter(100);
    for host in 1..=A_MINUTE {
        assert_eq!(failures.failed(ip(&format!("2001:db8::{host}"))), Ok(()));
    }
    assert!(failures.failed(ip("2001:db8::ffff")).is_err());
    assert_eq!(failures.failed(ip("2001:db8:0:1::1")), Ok(()));
    assert_eq!(failures.failed(ip("192.0.2.1")), Ok(()));
}

#[test]
fn pruning_forgets_those_who_have_their_whole_share_again_and_no_others() {
    let (failures, clock) = limiter(100);
    for _ in 0..A_MINUTE {
        assert_eq!(failures.failed(ip("192.0.2.1")), Ok(()));
    }
    assert_eq!(failures.failed(ip("192.0.2.2")), Ok(()));
    clock.advance(Duration::from_secs(6));
    failures.prune();
    assert_eq!(failures.sources(), 1);
    let mut left = 0;
    while failures.failed(ip("192.0.2.1")).is_ok() {
        left += 1;
    }
    assert_eq!(left, 2, "pruning gave a source its share back");
    clock.advance(Duration::from_secs(120));
    failures.prune();
    assert_eq!(failures.sources(), 0);
}

#[test]
fn more_sources_than_there_is_room_for_share_one_count() {
    let (failures, clock) = limiter(10);
    for host in 0..10 {
        assert_eq!(failures.failed(ip(&format!("192.0.2.{host}"))), Ok(()));
    }
    let refused =
        (0..=255).filter(|host| failures.failed(ip(&format!("198.51.100.{host}"))).is_err());
    assert_eq!(refused.count(), 256 - 20);
    assert_eq!(failures.sources(), 11);
    clock.advance(Duration::from_secs(120));
    failures.prune();
    assert_eq!(failures.failed(ip("198.51.100.255")), Ok(()));
}
