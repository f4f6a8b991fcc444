//! What fails for each record, or for each push, does not fill the log.
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};

use crate::server::{Simdeck, signed, usage};

const PUSHES: usize = 100;
const LINES_MAX: usize = 60;
const REFUSED: &str = "The database refused what a push holds";

#[tokio::test]
async fn a_message_has_one_line_a_push_and_sixty_a_minute_and_the_rest_is_counted() {
    let simdeck = Simdeck::start(&[]);
    let database = simdeck.folder().path().join("data/simdeck.db");
    let mut other = SqliteConnectOptions::new().filename(database).connect().await.unwrap();
    let refuse = "
        create trigger refuse before insert on usage when new.data_usage = 666
        begin select raise(abort, 'constraint failed: not this one'); end";
    sqlx::query(refuse).execute(&mut other).await.unwrap();
    other.close().await.unwrap();
    for push in 0..PUSHES {
        let row = |nth: usize| {
            let giccid = 8_944_501_503_180_000_000 + 10 * push + nth;
            let volume = if nth == 0 { 1 } else { 666 };
            format!(r#"{{"giccid":"{giccid}","data_usage":{volume},"start_time":1725499848000}}"#)
        };
        let rows: Vec<_> = (0..4).map(row).collect();
        let body = signed(&format!(r#""rows":[{}]"#, rows.join(",")));
        assert_eq!(simdeck.push("data-usage", body).await, (1, 0, 3));
    }
    assert_eq!(simdeck.push("data-usage", signed(&usage("8944501503181377993"))).await, (1, 0, 0));
    let log = simdeck.end();
    let lines: Vec<_> = log.lines().filter(|line| line.contains(REFUSED)).collect();
    let told = format!("lines={}", PUSHES - LINES_MAX);
    let (last, written) = lines.split_last().unwrap();
    assert_eq!(written.len(), LINES_MAX, "{log}");
    assert!(written.iter().all(|line| line.contains("records=3")), "{log}");
    assert!(last.contains("were left out of the log") && last.contains(&told), "{last}");
}
