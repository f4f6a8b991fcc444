//! Readers that follow what is stored while it is written and the server is killed.
use std::{
    collections::BTreeSet,
    env,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use serde_json::Value;

use crate::{
    kill::{attack, start_times},
    program::{Line, Program},
};

/// Follows until there is nothing more after the last push; gives id and own time of each row, in
/// the order in which it had them. `size` and `wait` make each reader another kind of reader.
fn follow(program: &Program, query: &str, is_over: &AtomicBool) -> Vec<(i64, i64)> {
    let mut seen = Vec::new();
    let mut next = format!("/v1/changes?{query}");
    let mut line = None;
    loop {
        let was_over = is_over.load(Ordering::SeqCst);
        // While the server is away, or when it dies in the middle of an answer, the place stays.
        let Ok(mut open) = line.take().map_or_else(|| Line::to(program.internal), Ok) else {
            thread::yield_now();
            continue;
        };
        let Ok(answer) = open.get(&next) else { continue };
        line = Some(open);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let rows: Vec<Value> = serde_json::from_slice(&answer.body).unwrap();
        if rows.is_empty() && was_over {
            return seen;
        }
        let number = |row: &Value, name: &str| row[name].as_i64().unwrap();
        seen.extend(rows.iter().map(|row| (number(row, "id"), number(row, "start_time"))));
        let link = answer.link.strip_prefix("<http://localhost").unwrap();
        next = link.split_once('>').unwrap().0.to_owned();
    }
}

#[test]
fn three_readers_have_each_record_once_and_in_order_though_the_server_is_killed_twice() {
    // The whole promise is about 200,000 records: SIMDECK_CHANGES=200000.
    let records = env::var("SIMDECK_CHANGES").map_or(20_000, |count| count.parse().unwrap());
    let pushes = records / 9 * 10;
    let program = Program::new();
    let is_over = AtomicBool::new(false);
    let (server, followed) = thread::scope(|scope| {
        let readers = ["size=1000&wait=2", "size=37", "size=100&wait=0.05&kind=data-usage"]
            .map(|query| scope.spawn(|| follow(&program, query, &is_over)));
        let server = attack(&program, pushes, vec![pushes / 3, pushes / 3 * 2]);
        is_over.store(true, Ordering::SeqCst);
        (server, readers.map(|reader| reader.join().unwrap()))
    });
    server.end();
    let wanted: BTreeSet<i64> = start_times(pushes).collect();
    for seen in &followed {
        assert!(seen.is_sorted_by(|a, b| a.0 < b.0), "out of order, or twice");
        let records: BTreeSet<i64> = seen.iter().map(|(_, start_time)| *start_time).collect();
        assert_eq!(records.len(), seen.len(), "a record came twice");
        assert!(records == wanted, "{} records, not {}", records.len(), wanted.len());
    }
    assert!(followed[0] == followed[1] && followed[1] == followed[2], "not the same order");
}
