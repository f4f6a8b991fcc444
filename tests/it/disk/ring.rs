//! A disk without room while a ring is full: what is told of the ring is what is in it.
use std::net::Ipv4Addr;

use super::{Disk, Number};
use crate::program::{Line, Program, now_s, proof};

/// How many pushes of one source a ring holds.
const SHARE: u64 = 2_500;
const ENOSPC: i64 = 28;
const TRIES: u64 = 5;
const SOURCE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

#[tokio::test]
async fn what_a_full_disk_keeps_out_of_a_full_ring_drops_nothing_out_of_it() {
    let (program, disk) = (Program::new(), Disk::new());
    let server = disk.start(&program);
    // Older than the ten years that a push may be old here.
    let old_s = now_s() - 4_000 * 86_400;
    let push = |records: std::ops::Range<u64>| {
        let element = |nth: u64| format!(r#"{{{},"nth":{nth}}}"#, proof(old_s));
        let body = format!("[{}]", records.map(element).collect::<Vec<_>>().join(","));
        // One that the server hung up on is no use any more.
        let mut line = Line::to(program.public).unwrap();
        line.push("data-usage", SOURCE, body.as_bytes()).unwrap().status
    };
    let dropped = || program.ask("/v1/status")["held"]["stale"]["dropped"].as_u64().unwrap();
    assert_eq!(push(0..SHARE), 200);
    assert_eq!(dropped(), 0);

    disk.set(Number::Errno, ENOSPC);
    for _ in 0..TRIES {
        disk.set(Number::WriteFailsTo, i64::MAX);
        disk.set(Number::WriteFailsFrom, disk.get(Number::Writes) + 1);
        assert_eq!(push(SHARE..SHARE + 10), 503);
        disk.set(Number::WriteFailsFrom, 0);
    }
    assert_eq!(push(SHARE..SHARE + 10), 200);
    assert_eq!(dropped(), 10);
    let stale = program.ask("/v1/status")["held"]["stale"]["pushes"].clone();
    assert_eq!(stale, SHARE);
    server.end();
}
