//! The parts of an erasure that look into texts: what is about the SIM goes, what is about others and
//! mentions it stays without the mention.
use std::borrow::Cow;

use sqlx::FromRow;

use super::{
    Writer,
    erase::Erasing,
    erased_sims::{cut_held, cut_payload},
    held::digest_of,
    run,
};
use crate::{
    domain::mention,
    store::{STEP_BODY_BYTES, StoreError},
};

/// Rows that are looked through in one step.
const LOOK_ROWS: i64 = 2_048;
/// The same for bodies that lie aside, which are large: fewer where they have more bytes than a step may
/// take.
const LOOK_BODIES: i64 = 64;

/// How to find what other SIMs' records say of a SIM in the fields that we do not know, and how to
/// change it. A backslash may hide a number.
#[derive(Debug)]
pub(super) struct ExtraOf {
    reach: &'static str,
    find: &'static str,
    change: &'static str,
}

pub(super) const USAGE_EXTRA: ExtraOf = ExtraOf {
    reach: "select max(id) from (select id from usage where id > $1 order by id limit $2)",
    find: "
        select id, extra from usage where id > $1 and id <= $2 and extra is not null
            and (instr(extra, $3) > 0 or instr(extra, '\') > 0)",
    change: "update usage set extra = $2 where id = $1",
};

pub(super) const SMS_EXTRA: ExtraOf = ExtraOf {
    reach: "select max(id) from (select id from sms where id > $1 order by id limit $2)",
    find: "
        select id, extra from sms where id > $1 and id <= $2 and extra is not null
            and (instr(extra, $3) > 0 or instr(extra, '\') > 0)",
    change: "update sms set extra = $2 where id = $1",
};

#[derive(FromRow)]
struct HeldRow {
    id: i64,
    class: String,
    ring: String,
    reason: String,
    kind: String,
    source_block: String,
    bytes: i64,
    count: i64,
    body: Vec<u8>,
    signatures: Option<Vec<u8>>,
}

impl Writer {
    /// Notifications that are of the SIM, those that mention it and no other, and those that name no
    /// SIM but an IMSI that only this one has.
    pub(super) async fn erase_notifications(
        &mut self,
        erasing: &mut Erasing,
    ) -> Result<bool, StoreError> {
        const REACH: &str = "
            select max(id) from (select id from notification where id > $1 order by id limit $2)";
        const OF_SIM: &str = "
            select id, kind, giccid, imsi, payload from notification
            where id > $1 and id <= $2
                and (giccid = $3 or instr(payload, $3) > 0 or instr(payload, '\') > 0
                    or (giccid is null and imsi in (select value from json_each($4))))";
        const CUT: &str = "update notification set payload = $2 where id = $1";
        let Some(reach) = self.reach(REACH, erasing.at_id, LOOK_ROWS).await? else {
            return Ok(true);
        };
        let rows: Vec<(i64, String, Option<String>, String, String)> = sqlx::query_as(OF_SIM)
            .bind(erasing.at_id)
            .bind(reach)
            .bind(&erasing.giccid)
            .bind(serde_json::to_string(&erasing.imsis)?)
            .fetch_all(&mut self.connection)
            .await?;
        let is_gone = |number: &str| number == erasing.giccid;
        let (mut gone, mut cut) = (Vec::new(), Vec::new());
        for (id, kind, giccid, imsi, payload) in rows {
            let has_number = mention::mentions(payload.as_bytes(), |_| true);
            let is_by_imsi = giccid.is_none() && !has_number && erasing.imsis.contains(&imsi);
            if is_by_imsi || giccid.as_deref().is_some_and(is_gone) {
                gone.push((id, kind));
            } else if mention::mentions(payload.as_bytes(), is_gone) {
                match cut_payload(&payload, giccid.is_some(), is_gone) {
                    Some(left) => cut.push((id, left)),
                    None => gone.push((id, kind)),
                }
            }
        }
        if !gone.is_empty() || !cut.is_empty() {
            run(&mut self.connection, "begin immediate").await?;
            self.remove_notifications(&gone).await?;
            for (id, payload) in &cut {
                sqlx::query(CUT).bind(id).bind(payload).execute(&mut self.connection).await?;
            }
            self.note_erasing(erasing, "notifications", gone.len()).await?;
            run(&mut self.connection, "commit").await?;
        }
        erasing.erased.notifications += gone.len() as u64;
        erasing.at_id = reach;
        Ok(false)
    }

    /// Bodies that lie aside: what is of other SIMs stays in them.
    pub(super) async fn erase_held(&mut self, erasing: &mut Erasing) -> Result<bool, StoreError> {
        const REACH: &str = "
            select max(id) from (
                select id, sum(bytes) over (order by id) - bytes as before from (
                    select id, bytes from held where id > $1 order by id limit $2))
            where before < $3";
        const OF_SIM: &str = "
            select id, class, ring, reason, kind, source_block, bytes, count, body, signatures from held
            where id > $1 and id <= $2 and (instr(body, cast($3 as blob)) > 0
                or instr(body, cast('\' as blob)) > 0)";
        let reach: Option<i64> = sqlx::query_scalar(REACH)
            .bind(erasing.at_id)
            .bind(LOOK_BODIES)
            .bind(STEP_BODY_BYTES)
            .fetch_one(&mut self.connection)
            .await?;
        let Some(reach) = reach else { return Ok(true) };
        let mut rows: Vec<HeldRow> = sqlx::query_as(OF_SIM)
            .bind(erasing.at_id)
            .bind(reach)
            .bind(&erasing.giccid)
            .fetch_all(&mut self.connection)
            .await?;
        let is_gone = |number: &str| number == erasing.giccid;
        rows.retain(|row| mention::mentions(&row.body, is_gone));
        run(&mut self.connection, "begin immediate").await?;
        for row in &rows {
            match cut_held(&row.body, row.signatures.as_deref(), is_gone) {
                Some((body, signatures)) => self.cut_held_row(row, body, signatures).await?,
                None => drop(self.delete_held(row.id).await?),
            }
        }
        self.note_erasing(erasing, "held", rows.len()).await?;
        run(&mut self.connection, "commit").await?;
        erasing.erased.held += rows.len() as u64;
        erasing.at_id = reach;
        Ok(false)
    }

    /// Puts what is left of a held body in its place, or adds it to the same one if that is held
    /// already. The digest goes too: the number could be guessed from it.
    async fn cut_held_row(
        &mut self,
        row: &HeldRow,
        body: Vec<u8>,
        signatures: Option<Vec<u8>>,
    ) -> Result<(), StoreError> {
        const AGAIN: &str = "update held set count = count + $2 where id = $1";
        const CUT: &str = "
            update held set body = $2, bytes = $3, signatures = $4, digest = $5 where id = $1";
        let digest = digest_of(&row.kind, &body, signatures.as_deref(), &row.reason);
        if let Some(same) = self.same_held(&row.class, &digest, row.id).await? {
            let again = sqlx::query(AGAIN).bind(same).bind(row.count);
            again.execute(&mut self.connection).await?;
            self.join_held_sources(row.id, same).await?;
            self.delete_held(row.id).await?;
            return Ok(());
        }
        let left = body.len() as u64;
        sqlx::query(CUT)
            .bind(row.id)
            .bind(body)
            .bind(i64::try_from(left).unwrap_or(i64::MAX))
            .bind(signatures)
            .bind(&digest.of_all[..])
            .execute(&mut self.connection)
            .await?;
        let before = row.bytes.unsigned_abs();
        self.note_cut(&row.ring, &row.source_block, before, left);
        Ok(())
    }

    /// What records of other SIMs say of this one in fields that we do not know.
    pub(super) async fn erase_from_extra(
        &mut self,
        erasing: &mut Erasing,
        of: &ExtraOf,
    ) -> Result<bool, StoreError> {
        let Some(reach) = self.reach(of.reach, erasing.at_id, LOOK_ROWS).await? else {
            return Ok(true);
        };
        let rows: Vec<(i64, String)> = sqlx::query_as(of.find)
            .bind(erasing.at_id)
            .bind(reach)
            .bind(&erasing.giccid)
            .fetch_all(&mut self.connection)
            .await?;
        let is_gone = |number: &str| number == erasing.giccid;
        let mentioning: Vec<_> =
            rows.iter().filter(|(_, extra)| mention::mentions(extra.as_bytes(), is_gone)).collect();
        if !mentioning.is_empty() {
            run(&mut self.connection, "begin immediate").await?;
            for (id, extra) in mentioning {
                let left = mention::without_in_record_of_other(extra.as_bytes(), is_gone);
                let left = left.as_deref().map(String::from_utf8_lossy).map(Cow::into_owned);
                sqlx::query(of.change).bind(id).bind(left).execute(&mut self.connection).await?;
            }
            run(&mut self.connection, "commit").await?;
        }
        erasing.at_id = reach;
        Ok(false)
    }

    /// The last of so many rows behind an id, or nothing where there is none.
    async fn reach(
        &mut self,
        statement: &'static str,
        after_id: i64,
        rows_max: i64,
    ) -> Result<Option<i64>, StoreError> {
        Ok(sqlx::query_scalar(statement)
            .bind(after_id)
            .bind(rows_max)
            .fetch_one(&mut self.connection)
            .await?)
    }
}
