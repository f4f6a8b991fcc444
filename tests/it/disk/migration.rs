//! A store of an older version whose disk dies while a newer one brings its schema up to date.
use std::{
    collections::BTreeMap,
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use rand::{SeedableRng, rngs::StdRng};
use sqlx::{
    AssertSqlSafe, Connection, SqliteConnection,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteJournalMode},
};
use tempfile::TempDir;

use super::{
    Disk, Number,
    crash::CrashDisk,
    journal::Journal,
    lost_writes::{body, record},
    says_why,
};
use crate::{
    kill::{read, rolled_up, sum},
    program::{Line, Program, now_s, proof},
    trials::{tell, trials},
};

/// At how many points the disk dies; the long run sets `SIMDECK_TEST_MIGRATIONS`.
const POINTS: usize = 40;
const WORKERS: usize = 3;
const EIO: i64 = 5;

const USAGE: usize = 900;
const SMS: usize = 200;
const NOTIFICATIONS: i64 = 20;

/// The last number of the migrations that the older version knows.
const OLD: &str = "0001";

/// What the older version, whose summaries were a few hundred records behind, kept of what this one
/// was sent.
const OLD_ROWS: &str = "
    delete from mark;
    delete from seq;
    insert into meta select * from new.meta;
    insert into seq select * from new.seq;
    insert into mark values ('keys', 500), ('sums', 700), ('sims', 600);
    insert into tally select kind, records, data_usage, repeats, repeats_redated, last_received_ms
        from new.tally;
    insert into sim select id, giccid, imsi from new.sim;
    insert into series select * from new.series;
    insert into usage select * from new.usage;
    insert into sms select * from new.sms;
    insert into notification select * from new.notification;
    insert into usage_key select start_ms / 86400000, sim_id, start_ms, h, id
        from usage where id <= 500;
    insert into usage_quarter_hour
        select start_ms - start_ms % 900000, series_id, sum(data_usage), count(*)
        from usage where id <= 700 group by 1, 2;
    insert into usage_hour
        select dimension.value, start_ms - start_ms % 3600000,
            iif(dimension.value = 'network', mcc || '-' || mnc, ''), sum(data_usage), count(*)
        from usage join series on series.id = series_id
        cross join json_each('[\"sim_group\",\"country_code\",\"network\",\"apn\"]') as dimension
        where usage.id <= 700 group by 1, 2, 3;
    insert into usage_sim_day select start_ms / 86400000, sim_id, sum(data_usage), count(*)
        from usage where id <= 600 group by 1, 2;
    insert into sim_seen select sim_id, min(ms), max(ms) from (
        select id, sim_id, start_ms as ms from usage
        union all select id, sim_id, event_ms from sms) where id <= 600 group by 1;";

/// A store before its migration, and what has to come of it.
struct Old {
    folder: TempDir,
    schema: Schema,
    new_schema: Schema,
    new_rows: Rows,
    /// How much the disk is told until the migrated store is ready.
    writes: i64,
    syncs: i64,
}

/// Which migrations a database has seen, and everything that they made.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Schema {
    versions: Vec<i64>,
    made: Vec<(String, Option<String>)>,
}

/// The rows of each table.
type Rows = BTreeMap<String, Vec<String>>;

/// When the disk dies.
#[derive(Clone, Copy, Debug)]
struct Point {
    of_syncs: bool,
    nth: i64,
    seed: u64,
}

fn push_all(program: &Program) {
    let mut line = Line::to(program.public).unwrap();
    let proof = proof(now_s());
    let mut push = |kind: &str, body: String, stored: u64| {
        let answer = line.push(kind, Ipv4Addr::LOCALHOST, body.as_bytes()).unwrap();
        assert_eq!(answer.count("stored"), stored, "{}", answer.text());
    };
    push("data-usage", body(&proof, &(0..USAGE)), USAGE as u64);
    let messages: Vec<_> = (0..SMS)
        .map(|nth| {
            let (event_ms, sim) = (record(nth).0, nth % 70);
            format!(r#"{{"giccid":"89860012345678{sim:06}","event_time":{event_ms}}}"#)
        })
        .collect();
    push("mo-sms", format!(r#"{{{proof},"messages":[{}]}}"#, messages.join(",")), SMS as u64);
    for nth in 0..NOTIFICATIONS {
        let body = format!(r#"{{{proof},"giccid":"89860012345678{nth:06}","status":"ACTIVE"}}"#);
        push("sim-status", body, 1);
    }
}

async fn connect(database: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(database);
    let options = options.create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
    SqliteConnection::connect_with(&options).await.unwrap()
}

/// Makes a database with the migrations up to this number.
pub(crate) async fn made_by_version(database: &Path, last: &str) -> SqliteConnection {
    let migrations = TempDir::new().unwrap();
    for entry in fs::read_dir("migrations/sqlite").unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name[..last.len()] <= *last {
            fs::copy(&path, migrations.path().join(name)).unwrap();
        }
    }
    let mut old = connect(database).await;
    Migrator::new(migrations.path()).await.unwrap().run(&mut old).await.unwrap();
    old
}

/// Makes the file that an older version would have made of all that.
async fn write_old(database: &Path, new: &Path) {
    let mut old = made_by_version(database, OLD).await;
    let new = new.to_str().unwrap();
    sqlx::query("attach database $1 as new").bind(new).execute(&mut old).await.unwrap();
    sqlx::raw_sql(OLD_ROWS).execute(&mut old).await.unwrap();
    old.close().await.unwrap();
}

async fn schema(database: &Path) -> Schema {
    const MADE: &str = "select name, sql from sqlite_schema order by name";
    let mut connection = read(database).await;
    let intact: String =
        sqlx::query_scalar("pragma integrity_check").fetch_one(&mut connection).await.unwrap();
    assert_eq!(intact, "ok");
    let versions = sqlx::query_scalar("select version from _sqlx_migrations order by version");
    let versions = versions.fetch_all(&mut connection).await.unwrap();
    Schema { versions, made: sqlx::query_as(MADE).fetch_all(&mut connection).await.unwrap() }
}

async fn rows(database: &Path) -> Rows {
    // But when it was migrated and started, with which settings, how many SIMs were silent since, and who
    // sent what the older version kept, which did not note that.
    const TABLES: &str = "
        select m.name, group_concat('quote(\"' || c.name || '\")', ' || '','' || ')
        from sqlite_schema m join pragma_table_info(m.name) c
        where m.type = 'table' and m.name not in ('_sqlx_migrations', 'audit', 'silent_count')
            and (m.name, c.name) <> ('push', 'source') group by 1";
    let mut connection = read(database).await;
    let tables: Vec<(String, String)> =
        sqlx::query_as(TABLES).fetch_all(&mut connection).await.unwrap();
    let mut rows = Rows::new();
    for (table, columns) in tables {
        let all = format!("select {columns} from \"{table}\" order by 1");
        let all = sqlx::query_scalar(AssertSqlSafe(all)).fetch_all(&mut connection).await;
        let mut all: Vec<String> = all.unwrap();
        all.retain(|row| table != "meta" || !row.contains("'settings'"));
        rows.insert(table, all);
    }
    rows
}

impl Old {
    async fn new() -> Self {
        let (folder, mut program) = (TempDir::new().unwrap(), Program::new());
        let server = program.start();
        push_all(&program);
        server.end();
        let database = folder.path().join("simdeck.db");
        write_old(&database, &program.database()).await;

        // Nothing befalls this one.
        program.afresh();
        put(&database, &program);
        let disk = Disk::new();
        let server = disk.start(&program);
        let (writes, syncs) = (disk.get(Number::Writes), disk.get(Number::Syncs));
        server.end();
        let (schema, new_schema) = (schema(&database).await, schema(&program.database()).await);
        assert!(schema.versions.len() < new_schema.versions.len());
        let new_rows = rows(&program.database()).await;
        let wanted = sum((0..USAGE).map(|nth| (record(nth).1, 1)));
        for rollup in rolled_up(&program.database()).await {
            assert_eq!(rollup, wanted);
        }
        must_know_all(&program);
        Self { folder, schema, new_schema, new_rows, writes, syncs }
    }

    /// Writes all along the way, and by turns each of the few syncs, the one behind the last, and one
    /// that never comes: the process is killed when all is done. A busy machine syncs once more.
    fn points(&self, count: usize) -> Vec<Point> {
        let point = |nth: usize| {
            let (half, seed) = (i64::try_from(nth / 2).unwrap(), nth as u64);
            match nth % 2 {
                0 => Point {
                    of_syncs: false,
                    nth: 1 + self.writes * nth as i64 / count as i64,
                    seed,
                },
                _ => {
                    let nth = 1 + half % (self.syncs + 2);
                    let nth = if nth > self.syncs + 1 { i64::MAX } else { nth };
                    Point { of_syncs: true, nth, seed }
                }
            }
        };
        (0..count).map(point).collect()
    }

    /// The schema is the old or the new one after the disk has died, and then it is the new one and
    /// everything is there.
    async fn attempt(&self, program: &mut Program, point: Point) -> bool {
        program.afresh();
        put(&self.database(), program);
        point.die(program, &self.database());
        let is_new = self.must_be_old_or_new(program).await;

        let server = program.start();
        let status = &program.ask("/v1/status")["pushes"];
        let of = |kind: &str| status[kind]["records"].as_i64();
        assert_eq!(of("data-usage"), Some(USAGE as i64), "{point:?}");
        assert_eq!(of("mo-sms"), Some(SMS as i64), "{point:?}");
        assert_eq!(of("sim-status"), Some(NOTIFICATIONS), "{point:?}");
        server.end();
        assert_eq!(schema(&program.database()).await, self.new_schema, "{point:?}");
        let rows = rows(&program.database()).await;
        for (table, wanted) in &self.new_rows {
            assert!(rows[table] == *wanted, "{point:?}: {table} is not what it should be");
        }
        is_new
    }

    /// Looks at a copy, so that it is simdeck that meets what the disk has left.
    async fn must_be_old_or_new(&self, program: &Program) -> bool {
        let look = TempDir::new().unwrap();
        for entry in fs::read_dir(program.data()).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), look.path().join(entry.file_name())).unwrap();
        }
        let found = schema(&look.path().join("simdeck.db")).await;
        let newest = self.new_schema.versions.last().unwrap();
        let kept = look.path().join(format!("simdeck.db.before-{newest}"));
        let is_new = found == self.new_schema;
        if !is_new {
            assert_eq!(found.versions, self.schema.versions, "between old and new");
            assert_eq!(found, self.schema);
        }
        // Who wants to go back to the older version needs it.
        if is_new || kept.exists() {
            assert_eq!(schema(&kept).await, self.schema, "the copy is not the old store");
            assert!(rows(&kept).await == rows(&self.database()).await, "the copy lacks rows");
        }
        is_new
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join("simdeck.db")
    }
}

impl Point {
    /// Lets a simdeck migrate until its disk dies; leaves what a crash at that moment would.
    fn die(self, program: &Program, old: &Path) {
        let (disk, from, to) = match self.of_syncs {
            true => (Disk::new(), Number::SyncFailsFrom, Number::SyncFailsTo),
            false => (Disk::new(), Number::WriteFailsFrom, Number::WriteFailsTo),
        };
        disk.set(Number::Errno, EIO);
        disk.set(to, i64::MAX);
        disk.set(from, self.nth);
        let mut server = disk.spawn(program);
        if let Err(end) = server.comes_to("Ready") {
            says_why(&self, end);
        }
        drop(server);
        if disk.position() == 0 {
            return;
        }
        let journal = Journal::read(&disk.journal());
        let mut crashed = CrashDisk::new(&journal).with("simdeck.db", fs::read(old).unwrap());
        crashed.advance(u64::MAX);
        fs::remove_dir_all(program.data()).unwrap();
        fs::create_dir(program.data()).unwrap();
        crashed.crash(&program.data(), &mut StdRng::seed_from_u64(self.seed));
    }
}

/// Puts the old database where a simdeck will look for its own.
fn put(database: &Path, program: &Program) {
    fs::create_dir(program.data()).unwrap();
    fs::copy(database, program.database()).unwrap();
}

/// What was stored by the older version is still known: sent again, it changes nothing.
fn must_know_all(program: &Program) {
    let server = program.start();
    let body = body(&proof(now_s()), &(0..USAGE));
    let mut line = Line::to(program.public).unwrap();
    let answer = line.push("data-usage", Ipv4Addr::LOCALHOST, body.as_bytes()).unwrap();
    assert_eq!(answer.count("duplicates"), USAGE as u64, "{}", answer.text());
    server.end();
}

#[tokio::test]
async fn a_migration_whose_disk_dies_leaves_the_old_schema_or_the_new_and_every_record() {
    let old = Old::new().await;
    let points = old.points(trials("SIMDECK_TEST_MIGRATIONS", POINTS));
    let (next, new) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                let mut program = Program::new();
                while let Some(point) = points.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let is_new = runtime.block_on(old.attempt(&mut program, *point));
                    new.fetch_add(usize::from(is_new), Ordering::Relaxed);
                }
            });
        }
    });
    let (count, new) = (points.len(), new.into_inner());
    assert!((1..count).contains(&new), "{new} of {count} were new: the points are not spread");
    tell(&format!("migration killed: {count} trials, 0 failures"));
}
