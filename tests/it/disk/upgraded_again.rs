//! A store that is upgraded, taken back to an older version and upgraded again.
use std::{fs, path::Path};

use sqlx::{AssertSqlSafe, Connection};

use super::migration::made_by_version;
use crate::{kill::read, program::Program};

/// The store as an older version has left it, with a note by which it is told from another one.
async fn put_old_store(program: &Program, note: &str) {
    for ending in ["", "-wal", "-shm"] {
        let path = program.data().join(format!("simdeck.db{ending}"));
        assert!(ending.is_empty() || !path.exists(), "{} is left of a good end", path.display());
        drop(fs::remove_file(path));
    }
    let mut old = made_by_version(&program.database(), "0006").await;
    let sql = format!("insert into meta values ('note', '{note}')");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut old).await.unwrap();
    old.close().await.unwrap();
}

/// The note in the copy that was kept before the migration, of which there is one.
async fn note_in_copy(data: &Path) -> String {
    let names = fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path());
    let kept: Vec<_> = names.filter(|path| path.to_string_lossy().contains(".before-")).collect();
    let [copy] = &kept[..] else { panic!("one copy: {kept:?}") };
    let note = sqlx::query_scalar("select value from meta where name = 'note'");
    note.fetch_one(&mut read(copy).await).await.unwrap()
}

#[tokio::test]
async fn a_second_upgrade_keeps_a_copy_of_the_store_as_it_is_then() {
    let program = Program::new();
    fs::create_dir(program.data()).unwrap();
    for note in ["first", "second"] {
        put_old_store(&program, note).await;
        program.start().end();
        assert_eq!(note_in_copy(&program.data()).await, note);
    }
}
