//! The list of erased SIMs beside the database, and beside copies of databases.
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use sha2::{Digest, Sha256};
use simdeck::{
    domain::Filter,
    store::{self, Lift, OpenError, OpenOptions, RestoreError, Verdict},
};

use super::{
    super::{NOW, Place, commit, giccid, push, usage},
    NOW_MS, caller, close, erase, files_with, listed, plan,
};

/// Where the list of a database lies.
fn list(place: &Place) -> PathBuf {
    place.database().with_extension("db.erased")
}

/// What an earlier version wrote of a SIM, beside a number, in 12 digits' worth of guesses.
fn plain_hash(sim: usize) -> String {
    hex::encode(Sha256::digest(giccid(sim).as_str()))
}

fn options(place: &Place) -> OpenOptions {
    OpenOptions { database: place.database(), time_zone: None, limits: place.limits }
}

fn backups(place: &Place) -> PathBuf {
    place.folder.path().join("backups")
}

async fn back_up(place: &Place) -> PathBuf {
    store::back_up(&plan(place), &Arc::default(), NOW).await.unwrap().path
}

/// A store with a record of each of these SIMs.
async fn store_with(sims: &[usize]) -> (Place, store::Opened) {
    let place = Place::new();
    let mut opened = place.open().await;
    let records = sims.iter().map(|sim| usage(*sim, NOW_MS, 1)).collect();
    commit(&mut opened, &[push(records)]).await;
    (place, opened)
}

/// How many records are stored, and how many are left out because their SIM is erased, when one of
/// each of these SIMs comes.
async fn come(place: &Place, sims: &[usize]) -> (u64, u64) {
    let mut opened = place.open().await;
    let records = sims.iter().map(|sim| usage(*sim, NOW_MS + 7, 1)).collect();
    let verdicts = commit(&mut opened, &[push(records)]).await;
    close(opened).await;
    let [Verdict::Stored(outcome)] = verdicts[..] else { panic!("{verdicts:?}") };
    (outcome.stored, outcome.erased)
}

/// The files in a folder whose bytes hold a text, but databases, which hold the secret as well.
fn lists_with(folder: &Path, text: &str) -> Vec<PathBuf> {
    let is_list = |path: &PathBuf| {
        !path.to_string_lossy().contains(".db-") && {
            let bytes = fs::read(path).unwrap();
            !bytes.starts_with(b"SQLite format 3")
        }
    };
    files_with(folder, text).into_iter().filter(is_list).collect()
}

#[tokio::test]
async fn no_list_tells_a_number_or_its_hash_and_an_older_list_is_written_anew_once() {
    let (place, mut opened) = store_with(&[1, 2]).await;
    erase(&mut opened, 1).await;
    back_up(&place).await;
    close(opened).await;
    // As an earlier version left them: SIM 2 was erased when the server died, SIM 3 never seen, SIM 4
    // lifted.
    let older = format!(
        "\n{} {NOW_MS}\n\n{} {NOW_MS}\n\n{} {NOW_MS} {NOW_MS}\n",
        plain_hash(2),
        plain_hash(3),
        plain_hash(4)
    );
    for path in [list(&place), backups(&place).join("simdeck.erased")] {
        let bytes = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{bytes}{older}")).unwrap();
    }
    assert_eq!(come(&place, &[1, 2, 3, 4]).await, (1, 3));
    back_up(&place).await;
    for sim in 1..=4 {
        for text in [giccid(sim).as_str(), &plain_hash(sim)] {
            assert_eq!(lists_with(place.folder.path(), text), [] as [PathBuf; 0], "{sim} {text}");
        }
    }
    let written = fs::read_to_string(list(&place)).unwrap();
    assert_eq!(come(&place, &[1, 2, 3, 4]).await, (0, 3));
    assert_eq!(fs::read_to_string(list(&place)).unwrap(), written, "it was written once more");
}

#[tokio::test]
async fn a_backup_in_an_empty_folder_honours_what_was_erased_after_it() {
    let (old, mut opened) = store_with(&[1, 2]).await;
    let backup = back_up(&old).await;
    commit(&mut opened, &[push(vec![usage(3, NOW_MS, 1)])]).await;
    for sim in [1, 3] {
        erase(&mut opened, sim).await;
    }
    // The list goes along with the next copy.
    back_up(&old).await;
    close(opened).await;

    let new = Place::new();
    store::restore(&backup, &options(&new), true).await.unwrap();
    let opened = new.open().await;
    assert_eq!(listed(&opened, &Filter::default()).await, (1, 1));
    for sim in [1, 3] {
        assert!(opened.store.erasure_of(&giccid(sim)).await.unwrap().is_some(), "{sim}");
    }
    assert_eq!(opened.store.erasure_of(&giccid(2)).await.unwrap(), None);
    let of_three = opened.store.erasure_of(&giccid(3)).await.unwrap().unwrap();
    assert_eq!(of_three.giccid_hmac, Some(opened.store.keyed_giccid(&giccid(3))));
    close(opened).await;
    for _ in 0..2 {
        assert_eq!(come(&new, &[1, 3]).await, (0, 2));
    }

    // The copy is older than SIM 3: only the list names it, until somebody tells its number.
    let mut opened = new.open().await;
    assert_eq!(opened.store.erasures().await.unwrap(), (2, 4));
    let lift = opened.writer.lift_erasure(&giccid(3), &caller(), NOW).await.unwrap();
    assert_eq!(lift, Lift::Done);
    close(opened).await;
    for erased in [1, 2] {
        assert_eq!(come(&new, &[1, 3]).await.1, erased);
        let mut opened = new.open().await;
        erase(&mut opened, 3).await;
        assert_eq!(opened.store.erased_list().await.unwrap().len(), 2);
        close(opened).await;
    }
    assert_eq!(come(&new, &[1, 3]).await, (0, 2));
}

#[tokio::test]
async fn a_restored_copy_of_another_store_understands_the_list_that_it_finds() {
    let (other, opened) = store_with(&[1, 2, 3]).await;
    let backup = back_up(&other).await;
    close(opened).await;
    let (place, mut opened) = store_with(&[1, 4]).await;
    for sim in [1, 4] {
        erase(&mut opened, sim).await;
    }
    close(opened).await;
    store::restore(&backup, &options(&place), true).await.unwrap();
    let opened = place.open().await;
    assert_eq!(listed(&opened, &Filter::default()).await, (2, 2));
    close(opened).await;
    assert_eq!(come(&place, &[1, 2, 4]).await, (1, 2));
    // So does every later copy of it, in an empty folder, too.
    let backup = back_up(&place).await;
    let empty = Place::new();
    store::restore(&backup, &options(&empty), true).await.unwrap();
    assert_eq!(come(&empty, &[1, 2, 4]).await, (0, 2));
}

#[tokio::test]
async fn a_list_by_the_secret_of_a_store_that_is_lost_is_refused_with_what_to_do() {
    let (elsewhere, mut opened) = store_with(&[1]).await;
    erase(&mut opened, 1).await;
    let backup = back_up(&elsewhere).await;
    close(opened).await;
    let place = Place::new();
    fs::copy(list(&elsewhere), list(&place)).unwrap();
    let refused = store::open(&options(&place)).await.unwrap_err();
    assert!(matches!(refused, OpenError::ForeignErasures { sims: 1, .. }), "{refused}");
    let told = refused.to_string();
    assert!(told.contains(".erased names 1 erased") && told.contains("restore a backup"), "{told}");

    let (other, opened) = store_with(&[1]).await;
    let of_other = back_up(&other).await;
    close(opened).await;
    let refused = store::restore(&of_other, &options(&place), true).await;
    let is_foreign =
        matches!(refused, Err(RestoreError::Open(OpenError::ForeignErasures { sims: 1, .. })));
    assert!(is_foreign, "{refused:?}");
    // Neither may it leave behind what keeps the store that is there from starting.
    let (used, opened) = store_with(&[2]).await;
    close(opened).await;
    fs::copy(list(&elsewhere), backups(&other).join("simdeck.erased")).unwrap();
    let refused = store::restore(&of_other, &options(&used), true).await;
    assert!(matches!(refused, Err(RestoreError::Open(OpenError::ForeignErasures { .. }))));
    assert_eq!(come(&used, &[2]).await, (1, 0));
    // A backup of the store that the list is of is what it says.
    store::restore(&backup, &options(&place), true).await.unwrap();
    assert_eq!(come(&place, &[1]).await, (0, 1));
}

#[tokio::test]
async fn a_restore_that_fails_at_its_end_leaves_the_store_that_is_there_able_to_start() {
    let (elsewhere, mut opened) = store_with(&[1]).await;
    erase(&mut opened, 1).await;
    let backup = back_up(&elsewhere).await;
    close(opened).await;
    let (place, opened) = store_with(&[2]).await;
    close(opened).await;
    // What the last step but one takes away is a folder, and no copy.
    let in_the_way = place.database().with_extension("db.restoring.before-3");
    fs::create_dir(&in_the_way).unwrap();
    store::restore(&backup, &options(&place), true).await.unwrap_err();
    assert_eq!(come(&place, &[2]).await.0, 1);
    fs::remove_dir(&in_the_way).unwrap();
    store::restore(&backup, &options(&place), true).await.unwrap();
    assert_eq!(come(&place, &[1]).await, (0, 1));
}
