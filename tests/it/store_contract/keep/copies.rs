//! What copies of the database have, and bring back.
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    sync::Arc,
    time::Duration,
};

use simdeck::{
    domain::{Filter, NewHeld, Ring, Scope, Timestamp},
    store::{self, BackupError, CopyOwner, OpenOptions},
};
use sqlx::migrate::Migrator;

use super::{
    super::{NOW, Place, commit, giccid, push, usage},
    NOW_MS, caller, close, erase, files_with, listed, plan, quarantined, question, traces, volume,
};

async fn back_up(place: &Place, keep: usize, now: Timestamp) -> Result<store::Backup, BackupError> {
    let plan = store::BackupPlan { keep, ..plan(place) };
    store::back_up(&plan, &Arc::default(), now).await
}

fn options(place: &Place) -> OpenOptions {
    OpenOptions { database: place.database(), time_zone: None, limits: place.limits }
}

#[tokio::test]
async fn a_backup_is_whole_private_and_without_secrets_and_the_oldest_go() {
    let place = Place::new();
    let mut opened = traces(&place).await;
    let refused = |nth: usize| NewHeld {
        ring: Some(Ring::Noise),
        signatures: Some([7; 32].into()),
        pushed_at: None,
        ..quarantined(format!("canary-refused {nth}").repeat(1 + nth))
    };
    let refused: Vec<_> = (0..200).map(refused).collect();
    opened.writer.keep_refused(&refused, NOW).await.unwrap();
    let digest = [42; 32];
    opened.writer.create_key("grafana", Scope::Read, digest, &caller(), NOW).await.unwrap();
    let mut made = Vec::new();
    for minute in 0..3 {
        let now = NOW.plus(Duration::from_secs(60 * minute));
        made.push(back_up(&place, 2, now).await.unwrap());
        let folder = place.folder.path().join("backups");
        let newest = store::newest_backup(&folder, now, &CopyOwner::default()).unwrap().unwrap();
        assert_eq!((&newest.path, newest.at), (&made.last().unwrap().path, now));
    }
    let there = made.iter().map(|backup| backup.path.exists()).collect::<Vec<_>>();
    assert_eq!(there, [false, true, true]);
    let backup = made.last().unwrap();
    assert_eq!(backup.records, 3 * 60 * 40);
    assert_eq!(backup.last_id, opened.store.top().await.unwrap());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&backup.path), 0o600);
    assert_eq!(mode(&place.folder.path().join("backups")), 0o700);
    let bytes = fs::read(&backup.path).unwrap();
    for secret in [&b"canary-refused"[..], &[42; 32], &[7; 32]] {
        assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{secret:?}");
    }
    assert_eq!(fs::read_dir(place.folder.path().join("backups")).unwrap().count(), 2);
}

#[tokio::test]
async fn no_backup_is_made_that_would_take_what_pushes_need() {
    let place = Place::new();
    let opened = place.open().await;
    let folder = place.folder.path().to_owned();
    let (pushes_need, reserve_bytes) = (vec![folder.clone()], 8 << 40);
    let plan = store::BackupPlan { pushes_need, reserve_bytes, ..plan(&place) };
    let refused = store::back_up(&plan, &Arc::default(), NOW).await.unwrap_err();
    assert!(matches!(refused, BackupError::NoRoom { .. }), "{refused}");
    // As much for the log, which an earlier copy had to be given up for.
    let plan = store::BackupPlan { reserve_bytes: 0, log_bytes: 8 << 40, ..plan };
    let refused = store::back_up(&plan, &Arc::default(), NOW).await.unwrap_err();
    assert!(matches!(refused, BackupError::NoRoom { .. }), "{refused}");
    assert_eq!(fs::read_dir(folder.join("backups")).unwrap().count(), 0);
    close(opened).await;
}

#[tokio::test]
async fn a_restore_brings_back_what_was_there_but_no_erased_sim_and_no_old_cursor() {
    let place = Place::new();
    let mut opened = traces(&place).await;
    opened.writer.create_key("grafana", Scope::Read, [42; 32], &caller(), NOW).await.unwrap();
    let backup = back_up(&place, 7, NOW).await.unwrap();
    erase(&mut opened, 1).await;
    commit(&mut opened, &[push(vec![usage(3, NOW_MS + 1, 1)])]).await;
    let epoch = opened.store.epoch();
    close(opened).await;

    let told = store::restore(&backup.path, &options(&place), true).await.unwrap();
    assert_eq!((told.records, told.backed_up_at), (3 * 60 * 40, Some(NOW)));
    assert_eq!(told.api_keys, ["grafana"]);
    assert!(told.replaced.is_some_and(|path| path.exists()));
    let opened = place.open().await;
    assert_ne!(opened.store.epoch(), epoch);
    assert_eq!(listed(&opened, &Filter::default()).await.1, 59 * 40);
    assert_eq!(
        volume(&opened, &question(None, false)).await.unwrap(),
        volume(&opened, &question(None, true)).await.unwrap()
    );
    assert!(opened.store.api_keys().await.unwrap().iter().all(|key| key.revoked_at.is_some()));
    close(opened).await;
    let number = giccid(1).to_string();
    let only_the_backup = [backup.path.clone()];
    assert_eq!(files_with(place.folder.path(), &number), only_the_backup);
}

#[tokio::test]
async fn a_second_restore_keeps_what_the_first_one_has_replaced() {
    let place = Place::new();
    let opened = traces(&place).await;
    let backup = back_up(&place, 7, NOW).await.unwrap();
    close(opened).await;
    let mut replaced = Vec::new();
    for _ in 0..3 {
        let was = fs::metadata(place.database()).unwrap().ino();
        let told = store::restore(&backup.path, &options(&place), false).await.unwrap();
        replaced.push((told.replaced.unwrap(), was));
    }
    for (path, was) in &replaced {
        assert_eq!(fs::metadata(path).unwrap().ino(), *was, "{}", path.display());
    }
    let last = replaced[2].0.with_extension("replaced-3-wal");
    fs::write(&last, "a log").unwrap();
    store::forget_copies(&place.database(), Timestamp::from_unix_ms(i64::MAX)).unwrap();
    assert!(replaced.iter().all(|(path, _)| !path.exists()) && !last.exists());
    assert!(place.database().exists());
}

#[tokio::test]
async fn a_file_that_is_no_whole_backup_is_not_restored_and_what_was_there_stays() {
    let place = Place::new();
    let opened = traces(&place).await;
    let backup = back_up(&place, 7, NOW).await.unwrap();
    close(opened).await;
    let whole = fs::read(&backup.path).unwrap();
    let mut torn = whole.clone();
    let middle = torn.len() / 2;
    torn[middle..middle + 64 * 1024].fill(0xA5);
    for broken in [&b"no database"[..], &[], &torn, &whole[..whole.len() / 2]] {
        fs::write(&backup.path, broken).unwrap();
        assert!(store::restore(&backup.path, &options(&place), true).await.is_err());
    }
    let opened = place.open().await;
    assert_eq!(listed(&opened, &Filter::default()).await.1, 60 * 40);
    close(opened).await;
}

#[tokio::test]
async fn a_copy_is_kept_before_a_migration_and_an_erasure_takes_it_away() {
    let place = Place::new();
    let migrations = tempfile::TempDir::new().unwrap();
    for entry in fs::read_dir("migrations/sqlite").unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.as_str() < "0006" {
            fs::copy(&path, migrations.path().join(name)).unwrap();
        }
    }
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(place.database())
        .create_if_missing(true);
    let mut old =
        <sqlx::SqliteConnection as sqlx::Connection>::connect_with(&options).await.unwrap();
    Migrator::new(migrations.path()).await.unwrap().run(&mut old).await.unwrap();
    sqlx::Connection::close(old).await.unwrap();
    let copy = place.folder.path().join(format!("simdeck.db.before-{}", newest_migration()));

    let opened = place.open().await;
    assert!(copy.exists());
    close(opened).await;
    let made = fs::metadata(&copy).unwrap().modified().unwrap();
    close(place.open().await).await;
    assert_eq!(fs::metadata(&copy).unwrap().modified().unwrap(), made);
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    let now = Timestamp::from_unix_ms(i64::MAX);
    store::forget_copies(&place.database(), now.minus(Duration::MAX)).unwrap();
    assert!(copy.exists());
    store::forget_copies(&place.database(), now).unwrap();
    assert!(!copy.exists());
    assert!(place.database().exists());
    // A store that is new has nothing to lose.
    let fresh = Place::new();
    close(fresh.open().await).await;
    let names: Vec<_> = fs::read_dir(fresh.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(names.iter().all(|name| !name.contains("before")), "{names:?}");
}

/// The number of the newest migration.
fn newest_migration() -> u32 {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let number = |name: std::ffi::OsString| name.to_str()?.split_once('_')?.0.parse().ok();
    names.filter_map(number).max().unwrap()
}
