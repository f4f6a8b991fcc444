//! Random databases of all page sizes, out of which rows are deleted without being overwritten.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
use std::path::Path;

use proptest::{prelude::*, strategy::ValueTree};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode},
};
use tempfile::TempDir;
use tokio::runtime;

use super::*;
use crate::{
    domain::Giccid,
    store::{
        Remains, Scrub,
        database_file::pages_that_hold,
        overflow::{Owned, owners_of},
        wipe,
    },
};

const GONE: &str = "89860012345678900001";
const LONGER: &str = "7898600123456789000017";

/// One change of a database: to which of its tables, of which row, and with how much text.
#[derive(Clone, Debug)]
struct Change {
    table: &'static str,
    key: u32,
    sort: Sort,
    length: usize,
}

#[derive(Clone, Copy, Debug)]
enum Sort {
    /// A row that will go.
    Marked,
    Plain,
    /// A row that stays, and whose number holds the one that goes.
    Longer,
    Delete,
}

fn change() -> impl Strategy<Value = Change> {
    let table = prop_oneof![Just("by_id"), Just("by_key")];
    let sort = prop_oneof![
        4 => Just(Sort::Marked),
        3 => Just(Sort::Plain),
        1 => Just(Sort::Longer),
        3 => Just(Sort::Delete),
    ];
    let length = prop_oneof![4 => 0..200_usize, 2 => 0..3_000_usize, 1 => 0..30_000_usize];
    (table, 0..60_u32, sort, length).prop_map(|(table, key, sort, length)| Change {
        table,
        key,
        sort,
        length,
    })
}

async fn connect(file: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(file).disable_statement_logging().connect().await.unwrap()
}

/// Makes a database in which nothing is overwritten that goes.
async fn make(file: &Path, page_size: u32, changes: &[Change]) -> SqliteConnection {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .page_size(page_size)
        .journal_mode(SqliteJournalMode::Wal)
        .pragma("secure_delete", "off")
        .disable_statement_logging();
    let mut raw = options.connect().await.unwrap();
    let tables = "
        create table by_id (key integer primary key, text text);
        create table by_key (key integer, text text, primary key (text, key)) without rowid;
        create index by_text on by_id (text)";
    sqlx::raw_sql(tables).execute(&mut raw).await.unwrap();
    // Some in one transaction: what is freed and taken in the same one keeps its bytes.
    for some in changes.chunks(7) {
        let mut together = raw.begin().await.unwrap();
        for Change { table, key, sort, length } in some {
            let delete = AssertSqlSafe(format!("delete from {table} where key = $1"));
            sqlx::query(delete).bind(key).execute(&mut *together).await.unwrap();
            let word = match sort {
                Sort::Marked => GONE,
                Sort::Plain => "something else",
                Sort::Longer => LONGER,
                Sort::Delete => continue,
            };
            let text: String = format!("{word} {key} ").chars().cycle().take(*length).collect();
            let insert = AssertSqlSafe(format!("insert into {table} values ($1, $2)"));
            sqlx::query(insert).bind(key).bind(text).execute(&mut *together).await.unwrap();
        }
        together.commit().await.unwrap();
    }
    for table in ["by_id", "by_key"] {
        // Also of what was cut off: its first letters are those of the number.
        let delete = format!("delete from {table} where text like '8%'");
        sqlx::raw_sql(AssertSqlSafe(delete)).execute(&mut raw).await.unwrap();
    }
    raw
}

/// All there is in it, as far as SQL tells.
async fn dump(raw: &mut SqliteConnection) -> Vec<(i64, String)> {
    const ALL: &str = "
        select key, text from by_id union all select key, text from by_key
        union all select key, text from by_id indexed by by_text where text > '' order by 1, 2";
    sqlx::query_as(ALL).fetch_all(raw).await.unwrap()
}

async fn assert_whole(raw: &mut SqliteConnection) {
    let told: String =
        sqlx::query_scalar("pragma integrity_check").fetch_one(&mut *raw).await.unwrap();
    assert_eq!(told, "ok");
}

async fn empty_log(raw: &mut SqliteConnection) {
    let told: (i64, i64, i64) =
        sqlx::query_as("pragma wal_checkpoint(truncate)").fetch_one(raw).await.unwrap();
    assert_eq!(told.0, 0);
}

/// The steps without a writer.
struct Raw<'c>(&'c mut SqliteConnection);

impl Scrub for Raw<'_> {
    type Error = StoreError;

    async fn checkpoint(&mut self) -> Result<bool, StoreError> {
        empty_log(self.0).await;
        Ok(true)
    }

    async fn pages(
        &mut self,
        number: &NumberBytes,
        pages: Vec<u32>,
    ) -> Result<Scrubbed, StoreError> {
        scrub(self.0, &pages, &|page| number.count_in(page)).await
    }

    async fn ends(
        &mut self,
        number: &NumberBytes,
        ends: Vec<OverflowEnd>,
    ) -> Result<usize, StoreError> {
        scrub_ends(self.0, &ends, &|page| number.count_in(page)).await
    }
}

/// Whether the file still had the number before, and no row did.
async fn nothing_is_left(page_size: u32, changes: &[Change]) -> bool {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("some.db");
    let mut raw = make(&file, page_size, changes).await;
    let before = dump(&mut raw).await;
    empty_log(&mut raw).await;
    let number = NumberBytes::of(GONE);
    let is_longer_there = before.iter().any(|(_, text)| text.contains(LONGER));
    let was_there = !pages_that_hold(&file, &number).await.unwrap().is_empty();
    let giccid: Giccid = GONE.parse().unwrap();
    let remains = wipe(&mut Raw(&mut raw), &file, &giccid).await.unwrap();
    assert_eq!(remains, Remains::None);
    assert_whole(&mut raw).await;
    assert_eq!(dump(&mut raw).await, before);
    empty_log(&mut raw).await;
    if !is_longer_there {
        assert_eq!(pages_that_hold(&file, &number).await.unwrap(), Default::default());
    }
    was_there && !is_longer_there
}

/// Overwrites all that is no row's, on all pages, so that an error in what is a row's cannot hide.
async fn everything_else_may_go(page_size: u32, changes: &[Change]) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("some.db");
    let mut raw = make(&file, page_size, changes).await;
    let before = dump(&mut raw).await;
    let pages: u32 = sqlx::query_scalar("pragma page_count").fetch_one(&mut raw).await.unwrap();
    let all: Vec<u32> = (1..=pages).collect();
    let count = |page: &[u8]| page.iter().filter(|byte| **byte != 0).count();
    let mut begun = raw.begin().await.unwrap();
    let done = scrub(&mut begun, &all, &count).await.unwrap();
    begun.commit().await.unwrap();
    empty_log(&mut raw).await;
    let Owned { ends, unknown } = owners_of(&file, &done.others).await.unwrap();
    assert_eq!(unknown, [] as [u32; 0]);
    let mut begun = raw.begin().await.unwrap();
    scrub_ends(&mut begun, &ends, &count).await.unwrap();
    begun.commit().await.unwrap();
    empty_log(&mut raw).await;
    raw.close().await.unwrap();
    let mut raw = connect(&file).await;
    assert_whole(&mut raw).await;
    assert_eq!(dump(&mut raw).await, before);
    // It still works.
    sqlx::raw_sql("update by_id set text = text || text; delete from by_key where key % 2")
        .execute(&mut raw)
        .await
        .unwrap();
    assert_whole(&mut raw).await;
    raw.close().await.unwrap();
}

fn run<T>(test: impl Future<Output = T>) -> T {
    runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 40, failure_persistence: None, ..Default::default() })]

    #[test]
    fn nothing_of_deleted_rows_is_left_and_all_others_are_as_they_were(
        power in 9..=16_u32, changes in prop::collection::vec(change(), 40..160)
    ) {
        run(nothing_is_left(1 << power, &changes));
    }

    #[test]
    fn whatever_is_no_part_of_a_row_may_be_overwritten(
        power in 9..=16_u32, changes in prop::collection::vec(change(), 40..160)
    ) {
        run(everything_else_may_go(1 << power, &changes));
    }
}

/// The search for rows reads the file alone. A snapshot would keep the log from being brought back for as
/// long as that takes.
#[test]
fn rows_are_searched_for_without_a_snapshot_that_would_hold_the_log() {
    run(async {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("some.db");
        let long = Change { table: "by_id", key: 1, sort: Sort::Plain, length: 30_000 };
        let mut raw = make(&file, 4096, &[long]).await;
        empty_log(&mut raw).await;
        raw.close().await.unwrap();
        let options = SqliteConnectOptions::new()
            .filename(&file)
            .pragma("locking_mode", "exclusive")
            .journal_mode(SqliteJournalMode::Wal);
        // From its first statement on nobody else can begin to read.
        let mut only = options.connect().await.unwrap();
        let pages: u32 =
            sqlx::query_scalar("pragma page_count").fetch_one(&mut only).await.unwrap();
        dump(&mut only).await;
        let all: Vec<u32> = (1..=pages).collect();
        let Owned { ends, unknown } = owners_of(&file, &all).await.unwrap();
        assert_eq!(ends.len(), 1, "{ends:?}");
        assert!(unknown.len() < all.len() - 2 * 6, "{unknown:?}");
        only.close().await.unwrap();
    });
}

#[test]
fn the_random_databases_still_have_bytes_of_deleted_rows() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let changes = prop::collection::vec(
        change().prop_filter("it stays", |it| !matches!(it.sort, Sort::Longer)),
        100..101,
    );
    for power in 9..=16 {
        let changes = changes.new_tree(&mut runner).unwrap().current();
        assert!(run(nothing_is_left(1 << power, &changes)), "pages of {} bytes", 1 << power);
    }
}
