use super::{
    TallyChange, Verdict, Writer,
    insert::{Row, settle},
    run,
};
use crate::{
    domain::{Record, Timestamp},
    store::StoreError,
};

impl Writer {
    /// Our own tests: enough of them to show that they arrived, apart from all records.
    pub(super) async fn insert_tests(
        &mut self,
        rows: &[Row<'_, Record>],
        ids: &mut impl Iterator<Item = i64>,
        verdicts: &mut [Verdict],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const INSERT: &str = "
            insert into test_record (id, received_ms, kind, own_ms, h, giccid)
            select row.value ->> 0, $2, row.value ->> 3, row.value ->> 1, row.value ->> 2,
                row.value ->> 4
            from json_each($1) as row where true
            on conflict do nothing";
        const THERE: &str = "
            select row.value ->> 0, 0 from json_each($1) as row
            join test_record as first on first.own_ms = row.value ->> 1
                and first.h = row.value ->> 2 and first.kind = row.value ->> 3
            where first.id <> row.value ->> 0";
        const KEEP: &str = "
            delete from test_record
            where id < (select id from test_record order by id desc limit 1 offset 9999)";
        if rows.is_empty() {
            return Ok(());
        }
        let inserts: Vec<_> = rows.iter().zip(ids).map(test_row).collect();
        let there = self.insert_rows(INSERT, THERE, &inserts, now).await?;
        let mut in_no_total = TallyChange::default();
        for (row, insert) in rows.iter().zip(&inserts) {
            settle(verdicts, row.submission, &mut in_no_total, row.new, there.get(&insert.0));
        }
        run(&mut self.connection, KEEP).await
    }
}

type TestRow<'a> = (i64, i64, i64, &'a str, Option<&'a str>);

fn test_row<'a>((row, id): (&Row<'a, Record>, i64)) -> TestRow<'a> {
    let (kind, own_ms, giccid) = match row.record {
        Record::Usage(usage) => ("data-usage", usage.start_ms, Some(usage.giccid.as_str())),
        Record::Sms(sms) => ("mo-sms", sms.event_ms, Some(sms.giccid.as_str())),
        Record::Notification(notification) => (
            notification.kind.as_str(),
            notification.event_ms.unwrap_or(row.new.date_push_s * 1000),
            notification.giccid.as_ref().map(|giccid| giccid.as_str()),
        ),
    };
    (id, own_ms, row.new.identity, kind, giccid)
}
