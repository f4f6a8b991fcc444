//! What goes by age and by an erasure, and what copies of the database bring back.
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::tz::TimeZone;
use simdeck::{
    domain::{
        AggregateQuestion, Caller, ChangeFilter, Filter, GroupBy, HeldClass, HeldReason, Interval,
        LabelChange, NewHeld, PageSize, Place as At, Ring, Scope, ShortText, Timestamp, Walk,
    },
    store::{self, BackupError, OpenOptions, Opened, Pruned, Pruning, Retention, StoreError},
};
use sqlx::migrate::Migrator;

use super::{NOW, Place, commit, giccid, notification, push, repeated, sms, stored, usage};

const DAY_MS: i64 = 86_400_000;
const DAY: Duration = Duration::from_secs(86_400);
const NOW_MS: i64 = NOW.unix_ms();

fn caller() -> Caller {
    Caller { label: "tester".to_owned(), scope: Scope::Admin }
}

/// Takes away what is older than ten days.
async fn prune(opened: &mut Opened) -> Pruned {
    prune_at(opened, NOW).await
}

async fn prune_at(opened: &mut Opened, now: Timestamp) -> Pruned {
    let retention = Retention { records: 10 * DAY, messages: 10 * DAY, refused: 2 * DAY };
    let mut pruning = Pruning::new(&retention, now);
    while !pruning.is_done() {
        opened.writer.prune_some(&mut pruning).await.unwrap();
    }
    pruning.pruned()
}

async fn erase(opened: &mut Opened, sim: usize) -> store::Erased {
    let mut erasing = opened.writer.begin_erasure(&giccid(sim), &caller(), NOW).await.unwrap();
    while !erasing.is_done() {
        opened.writer.erase_some(&mut erasing).await.unwrap();
    }
    erasing.erased()
}

async fn close(opened: Opened) {
    opened.store.close().await;
    opened.writer.close().await.unwrap();
}

async fn changes(opened: &Opened) -> Vec<simdeck::domain::Change> {
    opened.store.changes(&ChangeFilter::default(), 0, 1_000).await.unwrap().rows
}

/// How many usage records there are, as the list shows and as it counts them.
async fn listed(opened: &Opened, filter: &Filter) -> (u64, u64) {
    let top = opened.store.top().await.unwrap();
    let size = PageSize::within(1_000, PageSize::MAX).unwrap();
    let walk = Walk { top, place: At::Newest, size };
    let rows = opened.store.usage(filter, &walk).await.unwrap().len();
    (rows as u64, opened.store.usage_count(filter, top).await.unwrap())
}

fn question(from_ms: Option<i64>, by_records: bool) -> AggregateQuestion {
    let group_by = match by_records {
        true => vec![GroupBy::Giccid, GroupBy::Apn],
        false => vec![GroupBy::Apn],
    };
    let filter = Filter { from_ms, ..Filter::default() };
    AggregateQuestion { filter, interval: Interval::Hour, zone: TimeZone::UTC, group_by, top: None }
}

async fn volume(opened: &Opened, question: &AggregateQuestion) -> Result<i64, StoreError> {
    let rows = opened.store.usage_aggregate(question).await?;
    Ok(rows.iter().map(|row| row.data_usage).sum())
}

fn quarantined(body: String) -> NewHeld {
    NewHeld {
        class: HeldClass::Quarantined,
        ring: Ring::Plausible,
        reason: HeldReason::FieldMissing,
        field: None,
        kind: "data-usage".parse().unwrap(),
        source: [192, 0, 2, 1].into(),
        body: body.into_bytes().into(),
        signatures: None,
    }
}

/// All files below a folder that hold this text.
fn files_with(folder: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else if fs::read(&path).unwrap().windows(text.len()).any(|it| it == text.as_bytes()) {
            found.push(path);
        }
    }
    found
}

#[tokio::test]
async fn what_is_too_old_goes_and_counts_and_sums_stay_right() {
    let place = Place::new();
    let mut opened = place.open().await;
    let old = NOW_MS - 11 * DAY_MS;
    let new = NOW_MS - 9 * DAY_MS;
    let records = vec![
        usage(1, old, 1),
        usage(2, new, 2),
        usage(1, old + 1, 4),
        sms(1, old),
        sms(1, new),
        notification(1, old),
        notification(2, new),
    ];
    commit(&mut opened, &[push(records)]).await;
    let before = volume(&opened, &question(None, false)).await.unwrap();
    assert_eq!(listed(&opened, &Filter::default()).await, (3, 3));

    let gone = Pruned { usage: 2, sms: 1, notifications: 1, ..Pruned::default() };
    assert_eq!(prune(&mut opened).await, gone);
    assert_eq!(prune(&mut opened).await, Pruned::default());

    for opened in [opened, place.open().await] {
        assert_eq!(listed(&opened, &Filter::default()).await, (1, 1));
        let of_sim = Filter { giccid: vec![giccid(1).to_string()], ..Filter::default() };
        assert_eq!(listed(&opened, &of_sim).await, (0, 0));
        let by_time = Filter { from_ms: Some(old - DAY_MS), ..Filter::default() };
        assert_eq!(listed(&opened, &by_time).await, (1, 1));
        assert_eq!(volume(&opened, &question(None, false)).await.unwrap(), before);
        assert_eq!(changes(&opened).await.len(), 3);
        let of_messages = AggregateQuestion { group_by: vec![], ..question(None, false) };
        let messages = opened.store.sms_aggregate(&of_messages).await.unwrap();
        assert_eq!(messages.iter().map(|row| row.records).sum::<i64>(), 2);
        close(opened).await;
    }
    assert_eq!(place.number("select count(*) from usage_key").await, 1);
    assert_eq!(place.number("select sum(records) from usage_block").await, 1);
    assert_eq!(place.number("select sum(records) from usage_block_series").await, 1);
}

#[tokio::test]
async fn an_old_record_goes_though_summaries_end_before_and_behind_it() {
    let mut place = Place::new();
    place.limits.tail_records_max = 9;
    place.limits.sums_tail_records_max = 5;
    let mut opened = place.open().await;
    for nth in 1..=12 {
        let age = if nth == 7 { 11 * DAY_MS } else { 0 };
        commit(&mut opened, &[push(vec![usage(1, NOW_MS - age - nth, nth)])]).await;
    }
    let ends = "select count(*) from usage_block where 7 between first_id and last_id
        and last_id > (select min(complete_to) from mark)";
    assert_eq!(place.number(ends).await, 1, "the test is of no use");
    assert_eq!(prune(&mut opened).await, Pruned { usage: 1, ..Pruned::default() });
    assert_eq!(listed(&opened, &Filter::default()).await, (11, 11));
}

#[tokio::test]
async fn a_sum_that_would_need_pruned_records_is_refused_with_the_date_from_which_there_is_one() {
    let place = Place::new();
    let mut opened = place.open().await;
    let (old, new) = (NOW_MS - 11 * DAY_MS, NOW_MS - 9 * DAY_MS);
    let records = vec![usage(1, old, 1), usage(2, new, 2), sms(1, old), sms(1, new)];
    commit(&mut opened, &[push(records)]).await;
    assert_eq!(volume(&opened, &question(None, true)).await.unwrap(), 3);
    prune(&mut opened).await;

    let kept_from = NOW_MS - 10 * DAY_MS;
    let refused = |from_ms| {
        let opened = &opened;
        async move {
            match volume(opened, &question(from_ms, true)).await {
                Err(StoreError::Pruned { what: "data-usage", from_ms }) => from_ms,
                other => panic!("{other:?}"),
            }
        }
    };
    assert_eq!(refused(None).await, kept_from);
    assert_eq!(refused(Some(kept_from - 1)).await, kept_from);
    assert_eq!(volume(&opened, &question(Some(kept_from), true)).await.unwrap(), 2);
    // A border within a quarter of an hour needs records, too; one between does not.
    assert!(volume(&opened, &question(Some(old - 1), false)).await.is_err());
    let even = old.div_euclid(900_000) * 900_000;
    assert_eq!(volume(&opened, &question(Some(even), false)).await.unwrap(), 3);
    let by_sim = AggregateQuestion { group_by: vec![GroupBy::Giccid], ..question(None, true) };
    assert!(matches!(
        opened.store.sms_aggregate(&by_sim).await,
        Err(StoreError::Pruned { what: "mo-sms", from_ms }) if from_ms == kept_from
    ));
}

#[tokio::test]
async fn a_record_older_than_what_is_kept_is_refused_since_nobody_knows_whether_it_was_there() {
    let place = Place::new();
    let mut opened = place.open().await;
    let old = NOW_MS - 11 * DAY_MS;
    let records = || vec![usage(1, old, 1), sms(1, old), notification(1, old)];
    commit(&mut opened, &[push(records())]).await;
    assert_eq!(commit(&mut opened, &[push(records())]).await, [repeated(3)]);
    prune(&mut opened).await;
    for record in records() {
        let refused = opened.writer.commit(&[push(vec![record])], NOW).await.unwrap_err();
        assert!(matches!(refused, StoreError::TooOld) && refused.is_of_data(), "{refused}");
    }
    let new = usage(1, NOW_MS - 10 * DAY_MS, 1);
    assert_eq!(commit(&mut opened, &[push(vec![new])]).await, [stored(1)]);
    assert_eq!(volume(&opened, &question(None, false)).await.unwrap(), 2);
}

#[tokio::test]
async fn who_follows_the_changes_is_told_what_it_missed_and_nobody_else_is() {
    let place = Place::new();
    let mut opened = place.open().await;
    let (old, new) = (NOW_MS - 11 * DAY_MS, NOW_MS);
    commit(&mut opened, &[push(vec![usage(1, old, 1), usage(1, old + 1, 2)])]).await;
    commit(&mut opened, &[push(vec![usage(1, new, 3)])]).await;
    let before = opened.store.generation().await.unwrap();
    prune(&mut opened).await;
    let after = opened.store.generation().await.unwrap();
    let store = &opened.store;
    for (at, since, missed) in
        [(0, before, true), (1, before, true), (2, before, false), (0, after, false)]
    {
        assert_eq!(store.has_missed(at, since).await.unwrap(), missed, "{at} since {since}");
    }
    // One more prune, further on: both are remembered, by as few rows as tell it.
    prune_at(&mut opened, NOW.plus(11 * DAY)).await;
    assert!(opened.store.has_missed(2, after).await.unwrap());
    assert_eq!(place.number("select count(*) from removed").await, 1);
}

#[tokio::test]
async fn what_lies_aside_goes_by_the_time_at_which_it_came() {
    let place = Place::new();
    let mut opened = place.open().await;
    let refused = |body: &str| NewHeld {
        class: HeldClass::Refused,
        reason: HeldReason::SignatureWrong,
        ..quarantined(body.to_owned())
    };
    for (age, body) in [(11, "old"), (9, "new")] {
        let came = NOW.minus(age * DAY);
        let aside = store::Submission {
            quarantine: vec![quarantined(body.to_owned())],
            ..store::Submission::default()
        };
        opened.writer.commit(&[aside], came).await.unwrap();
        opened.writer.keep_refused(&[refused(body)], came).await.unwrap();
    }
    opened.writer.keep_refused(&[refused("now")], NOW).await.unwrap();
    let gone = Pruned { quarantined: 1, refused: 2, ..Pruned::default() };
    assert_eq!(prune(&mut opened).await, gone);
    let tallies = opened.store.tallies().await.unwrap();
    assert_eq!((tallies.quarantine.pushes, tallies.quarantine.bytes), (1, 3));
    assert_eq!(tallies.rings.iter().map(|ring| ring.pushes).sum::<i64>(), 1);
}

/// A store in which three SIMs have left traces everywhere, over many days.
async fn traces(place: &Place) -> Opened {
    let mut opened = place.open().await;
    for day in 0..40 {
        let at = NOW_MS - day * DAY_MS;
        let mut records = Vec::new();
        for sim in 1..=60 {
            let nth = i64::try_from(sim).unwrap();
            records.extend([usage(sim, at - nth, 1 << (sim % 3)), sms(sim, at - nth)]);
            records.push(notification(sim, at - nth));
        }
        let both =
            format!(r#"{{"list":[{{"giccid":"{}"}},{{"giccid":"{}"}}]}}"#, giccid(1), giccid(2));
        let aside = store::Submission {
            records,
            quarantine: vec![quarantined(both), quarantined(format!("{day} {}", giccid(1)))],
            ..store::Submission::default()
        };
        opened.writer.commit(&[aside], NOW).await.unwrap();
    }
    let name = LabelChange {
        giccid: giccid(1),
        name: Some(ShortText::try_from("Roof").unwrap()),
        device_sn: None,
    };
    opened.writer.label_sims(&[name], &caller(), NOW).await.unwrap();
    opened
}

#[tokio::test]
async fn an_erased_sim_is_in_no_sum_no_list_and_no_file() {
    let place = Place::new();
    let mut opened = traces(&place).await;
    let all = volume(&opened, &question(None, false)).await.unwrap();
    // Questions leave tails in memory; they must not answer from there.
    assert_eq!(volume(&opened, &question(None, true)).await.unwrap(), all);
    let number = giccid(1).to_string();
    assert!(!files_with(place.folder.path(), &number).is_empty());

    let erased = erase(&mut opened, 1).await;
    assert_eq!((erased.usage, erased.sms, erased.notifications), (40, 40, 40));
    assert_eq!(erased.held, 41);
    let backwards: String = number.chars().rev().collect();
    for text in [&number, &backwards, &format!("46000{}", 1)[..].to_owned()] {
        // The subscriber's number is the beginning of others' here, so it is asked of the tables.
        if text.len() > 10 {
            assert_eq!(files_with(place.folder.path(), text), [] as [PathBuf; 0], "{text}");
        }
    }
    let left = all - 40 * 2;
    let of_messages = AggregateQuestion { group_by: vec![], ..question(None, false) };
    for opened in [opened, place.open().await] {
        assert_eq!(volume(&opened, &question(None, false)).await.unwrap(), left);
        assert_eq!(volume(&opened, &question(None, true)).await.unwrap(), left);
        let messages = opened.store.sms_aggregate(&of_messages).await.unwrap();
        assert_eq!(messages.iter().map(|row| row.records).sum::<i64>(), 59 * 40);
        assert_eq!(opened.store.search(&number).await.unwrap(), []);
        let of_sim = Filter { giccid: vec![number.clone()], ..Filter::default() };
        assert_eq!(listed(&opened, &of_sim).await, (0, 0));
        let count = opened.store.usage_count(&Filter::default(), erased.id).await.unwrap();
        assert_eq!(count, 59 * 40);
        let rows = opened.store.changes(&ChangeFilter::default(), erased.id - 1, 9).await.unwrap();
        let [simdeck::domain::Change::Erased(tombstone)] = &rows.rows[..] else {
            panic!("{rows:?}")
        };
        assert_eq!(tombstone.id, erased.id);
        close(opened).await;
    }
    for nothing in [
        "select count(*) from sim where imsi = '460001'",
        "select count(*) from usage_sim_day where sim_id not in (select id from sim)",
        "select count(*) from usage_card_month where card_id not in (select id from card)",
        "select count(*) from card_seen where card_id not in (select id from card)",
        "select count(*) from sim_label",
        "select count(*) from erased where pending is not null",
        "select 59 * 40 - sum(records) from usage_block",
    ] {
        assert_eq!(place.number(nothing).await, 0, "{nothing}");
    }
    // What was of another SIM in the same body is there still.
    assert_eq!(place.number("select count(*) from held").await, 1);
}

#[tokio::test]
async fn what_comes_of_an_erased_sim_is_not_kept_and_counted() {
    let place = Place::new();
    let mut opened = place.open().await;
    commit(&mut opened, &[push(vec![usage(1, NOW_MS, 1)])]).await;
    erase(&mut opened, 1).await;
    close(opened).await;
    let mut opened = place.open().await;
    let other =
        quarantined(format!(r#"[{{"giccid":"{}"}},{{"giccid":"{}"}}]"#, giccid(1), giccid(2)));
    let again = store::Submission {
        records: vec![
            usage(1, NOW_MS, 1),
            usage(2, NOW_MS, 2),
            sms(1, NOW_MS),
            notification(1, NOW_MS),
        ],
        quarantine: vec![quarantined(format!("[{}]", giccid(1))), other],
        ..store::Submission::default()
    };
    let told = opened.writer.commit(&[again], NOW).await.unwrap();
    let outcome = store::Outcome { stored: 1, duplicates: 0, quarantined: 1 };
    assert_eq!(told, [store::Verdict::Stored(outcome)]);
    let name = LabelChange {
        giccid: giccid(1),
        name: Some(ShortText::try_from("Roof").unwrap()),
        device_sn: None,
    };
    opened.writer.label_sims(&[name], &caller(), NOW).await.unwrap();
    assert_eq!(opened.store.erasures().await.unwrap(), (1, 5));
    close(opened).await;
    let number = giccid(1).to_string();
    assert_eq!(files_with(place.folder.path(), &number), [] as [PathBuf; 0]);
}

#[tokio::test]
async fn an_erasure_that_was_cut_short_is_finished_when_the_store_is_opened() {
    let place = Place::new();
    let mut opened = traces(&place).await;
    let mut erasing = opened.writer.begin_erasure(&giccid(1), &caller(), NOW).await.unwrap();
    for _ in 0..4 {
        opened.writer.erase_some(&mut erasing).await.unwrap();
    }
    close(opened).await;
    let opened = place.open().await;
    let of_sim = Filter { giccid: vec![giccid(1).to_string()], ..Filter::default() };
    assert_eq!(listed(&opened, &of_sim).await, (0, 0));
    close(opened).await;
    let number = giccid(1).to_string();
    assert_eq!(files_with(place.folder.path(), &number), [] as [PathBuf; 0]);
}

async fn back_up(place: &Place, keep: usize, now: Timestamp) -> Result<store::Backup, BackupError> {
    store::back_up(&place.database(), &place.folder.path().join("backups"), keep, now).await
}

fn options(place: &Place) -> OpenOptions {
    OpenOptions { database: place.database(), time_zone: TimeZone::UTC, limits: place.limits }
}

#[tokio::test]
async fn a_backup_is_whole_private_and_without_secrets_and_the_oldest_go() {
    let place = Place::new();
    let mut opened = traces(&place).await;
    let refused = |nth: usize| NewHeld {
        class: HeldClass::Refused,
        signatures: Some([7; 32].into()),
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
        assert_eq!(store::newest_backup(&place.folder.path().join("backups")), Some(now));
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
async fn no_backup_is_made_without_room_for_a_fifth_more_than_the_database() {
    let place = Place::new();
    let opened = place.open().await;
    // Sparse: it is as large as no disk is.
    let wal = place.folder.path().join("simdeck.db-wal");
    let file = fs::OpenOptions::new().append(true).open(wal).unwrap();
    let before = file.metadata().unwrap().len();
    file.set_len(8 << 40).unwrap();
    let refused = back_up(&place, 1, NOW).await.unwrap_err();
    file.set_len(before).unwrap();
    assert!(matches!(refused, BackupError::NoRoom { .. }), "{refused}");
    assert_eq!(fs::read_dir(place.folder.path().join("backups")).unwrap().count(), 0);
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
    let copy = place.folder.path().join("simdeck.db.before-7");

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
