use std::{
    collections::BTreeSet,
    net::Ipv4Addr,
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    kill::read,
    program::{Line, Program, now_s, proof},
};

/// A server that cannot store says so within this time.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(7);
/// Once the cause is gone, pushes are taken again within this time.
const RECOVERY_TIME_MAX: Duration = Duration::from_secs(10);
const FIRST_MS: i64 = 1_713_888_842_473;

/// Sends one record after another, and remembers which were acknowledged.
pub(crate) struct Sender {
    port: u16,
    line: Option<Line>,
    next: i64,
    pub(crate) acknowledged: BTreeSet<i64>,
}

/// What became of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Stored,
    Busy,
    /// No answer: the connection broke.
    Gone,
}

impl Sender {
    pub(crate) fn to(program: &Program) -> Self {
        Self { port: program.public, line: None, next: 0, acknowledged: BTreeSet::new() }
    }

    /// Pushes the next record, which nothing that is refused holds up.
    pub(crate) fn push(&mut self) -> Answer {
        let start_ms = FIRST_MS + self.next * 977;
        self.next += 1;
        let began = Instant::now();
        let answer = self.try_push(start_ms);
        assert!(began.elapsed() < ANSWER_TIME_MAX, "{answer:?} took {:?}", began.elapsed());
        if answer == Answer::Stored {
            self.acknowledged.insert(start_ms);
        }
        answer
    }

    /// Knows that its connection has ended with the server.
    pub(crate) fn hang_up(&mut self) {
        self.line = None;
    }

    /// Pushes until it is told that nothing more can be stored.
    pub(crate) fn until_busy(&mut self) {
        for _ in 0..10_000 {
            match self.push() {
                Answer::Stored => (),
                Answer::Busy => return,
                Answer::Gone => panic!("the server has ended"),
            }
        }
        panic!("the disk is never full");
    }

    /// Pushes until one is stored.
    pub(crate) fn must_recover(&mut self) {
        assert_eq!(self.until_settled(), Answer::Stored, "it does not take pushes again");
    }

    /// Pushes until some are stored in a row, or nobody is there to answer.
    pub(crate) fn until_settled(&mut self) -> Answer {
        let (began, mut stored) = (Instant::now(), 0);
        while stored < 3 {
            match self.push() {
                Answer::Stored => stored += 1,
                Answer::Busy => stored = 0,
                Answer::Gone => return Answer::Gone,
            }
            assert!(began.elapsed() < RECOVERY_TIME_MAX, "it does not take pushes again");
        }
        Answer::Stored
    }

    fn try_push(&mut self, start_ms: i64) -> Answer {
        let proof = proof(now_s());
        let body = format!(
            r#"{{{proof},"giccid":"89860012345678{:06}","data_usage":1,"start_time":{start_ms}}}"#,
            self.next % 1_009
        );
        let line = self.line.take().map_or_else(|| Line::to(self.port), Ok);
        let Ok(mut line) = line else { return Answer::Gone };
        match line.push("data-usage", Ipv4Addr::LOCALHOST, body.as_bytes()) {
            Ok(answer) => {
                self.line = (!answer.closes).then_some(line);
                match answer.status {
                    200 => Answer::Stored,
                    503 => Answer::Busy,
                    other => panic!("{other}: {}", answer.text()),
                }
            }
            Err(_) => Answer::Gone,
        }
    }

    /// How many of those that were acknowledged are not in the table. Nothing may be there twice.
    pub(crate) async fn lost(&self, database: &Path) -> usize {
        let mut database = read(database).await;
        let intact: String =
            sqlx::query_scalar("pragma integrity_check").fetch_one(&mut database).await.unwrap();
        assert_eq!(intact, "ok");
        let rows: Vec<i64> = sqlx::query_scalar("select start_ms from usage")
            .fetch_all(&mut database)
            .await
            .unwrap();
        let stored: BTreeSet<_> = rows.iter().copied().collect();
        assert_eq!(stored.len(), rows.len(), "a record was stored twice");
        self.acknowledged.difference(&stored).count()
    }
}
