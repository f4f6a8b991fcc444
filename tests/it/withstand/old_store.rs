//! A large store of an older version: its migration tells how far it is, and its memory does not grow with
//! the records. `SIMDECK_TEST_MIGRATED` says how many records; a million in CI.
use std::{fs, sync::Arc};

use sqlx::{AssertSqlSafe, Connection};
use tempfile::TempDir;

use super::{most_memory, say, systemd::Manager, trials};
use crate::disk::{Disk, Number, migration::made_by_version};

/// The last one before those that look at every record.
pub(crate) const OLD: &str = "0010";
const RECORDS: usize = 1_000_000;
const FEW: usize = 1_000;
/// So much more a migration may take than that of a small store: caches, and the index of the log.
const MORE_MAX: u64 = 24 << 20;
const MOST: u64 = 128 << 20;

/// What the older version kept of so many records, ten in a push.
pub(crate) fn rows(records: usize) -> String {
    format!(
        "insert into card values (1, '8944501503181377993', '3997731813051054498');
        insert into sim values (1, 1, '8944501503181377993', '', '');
        insert into series values (1, '', 'CN', '460', '01', '');
        with recursive nth(n) as (select 1 union all select n + 1 from nth where n < {records})
        insert into usage select n, 1725000000000 + n / 10 * 100, 1, 1, 1725000000000 + n * 10, 7,
            null, 1725000000 + (n / 10 * 7919) % {records}, n * 7919, null from nth;
        insert into sms select 1 + id, received_ms, 1, '', start_ms, '', '', date_push_s, h, null
            from usage where id % 10 = 0;
        insert into usage_quarter_hour
            select start_ms - start_ms % 900000, 1, sum(data_usage), count(*) from usage group by 1;
        update mark set complete_to = {records} + 1;
        update seq set last = {records} + 1;
        insert into tally values ('data-usage', {records}, 7 * {records}, 0, 0, 1725000000000, 0),
            ('mo-sms', (select count(*) from sms), 0, 0, 0, 1725000000000, 0);"
    )
}

/// The most memory that it took to bring a store of so many records up to date, and what was said.
async fn migrated(records: usize) -> (u64, String, String) {
    let folder = Arc::new(TempDir::new().unwrap());
    fs::create_dir(folder.path().join("data")).unwrap();
    let mut old = made_by_version(&folder.path().join("data/simdeck.db"), OLD).await;
    sqlx::raw_sql(AssertSqlSafe(rows(records))).execute(&mut old).await.unwrap();
    old.close().await.unwrap();

    let manager = Arc::new(Manager::new());
    let disk = Disk::new();
    let environment = disk.without_journal(&folder.path().join("data"));
    let environment: Vec<_> =
        environment.iter().map(|(name, value)| (*name, value.to_str().unwrap())).collect();
    // Who is not heard is not told any more.
    let hearing = Arc::clone(&manager);
    let hearing = tokio::spawn(async move {
        let mut told = hearing.all_until("STATUS=Migrating the database: ").await;
        // However fast the machine is, from here on it lasts until somebody has been told so.
        disk.set(Number::Hangs, 2);
        told += &hearing.all_until(" s so far").await;
        disk.set(Number::Hangs, 0);
        told + &hearing.all_until("READY=1").await
    });
    let simdeck = manager.start_in(Arc::clone(&folder), &environment);
    let most = most_memory(&simdeck);
    let told = hearing.await.unwrap();
    let status = simdeck.get("/v1/status").await;
    assert_eq!(status["pushes"]["data-usage"]["records"], records, "{status}");
    let left: Vec<String> = fs::read_dir(folder.path().join("data"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("etilqs") || name.contains("partial"))
        .collect();
    assert_eq!(left, [] as [&str; 0], "what was sorted lies there");
    (most, told, simdeck.end())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_store_of_an_older_version_says_how_far_its_migration_is_and_takes_no_more_memory()
{
    let (little, ..) = migrated(FEW).await;
    let records = trials("SIMDECK_TEST_MIGRATED", RECORDS);
    let (most, told, log) = migrated(records).await;
    say(&format!("{records} records: {} MiB, {FEW}: {} MiB", most >> 20, little >> 20));
    for line in log.lines().filter(|line| line.contains("igrat")) {
        say(line);
    }
    for said in ["no push is taken until it is done", " s so far", "Migrated the database"] {
        assert!(log.contains(said), "{said}: {log}");
    }
    for said in ["STATUS=Migrating the database: ", "EXTEND_TIMEOUT_USEC=", "WATCHDOG=1"] {
        assert!(told.contains(said), "{said}: {told}");
    }
    assert!(most < little + MORE_MAX && most < MOST, "{most} for {records}, {little} for {FEW}");
}
