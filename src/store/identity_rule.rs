//! By which rule records were told apart when they were stored. Under another one the same push is
//! another record, so that what is sent again would be stored twice without a word.
use sqlx::SqliteConnection;

use super::{StoreError, Writer};
use crate::domain::Timestamp;

/// The name in `meta` of the rule of the last start; and of the one before it, with the time of the
/// change.
const RULE: &str = "identity_rule";
const BEFORE: &str = "identity_rule_before";

/// A rule that was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleChange {
    /// The rule until then.
    pub before: String,
    /// When the first start with the new one was.
    pub at: Timestamp,
}

/// What a store knows of the rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownRule {
    /// The one of the last start.
    pub rule: Option<String>,
    /// The last change.
    pub changed: Option<RuleChange>,
}

impl Writer {
    /// Notes the rule of this start; gives the one of the last start if it is another and there are
    /// records that were stored by it.
    pub async fn note_identity_rule(
        &mut self,
        rule: &str,
        now: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        const NOTE: &str = "
            insert into meta (name, value) values ($1, $2)
            on conflict (name) do update set value = excluded.value";
        const HAS_RECORDS: &str = "select exists (select 1 from tally)";
        let before = known(&mut self.connection).await?.rule.filter(|before| before != rule);
        let has_records: bool =
            sqlx::query_scalar(HAS_RECORDS).fetch_one(&mut self.connection).await?;
        let before = before.filter(|_| has_records);
        let mut change =
            sqlx::Connection::begin_with(&mut self.connection, "begin immediate").await?;
        if let Some(before) = &before {
            let changed = format!("{before} {}", now.unix_ms());
            sqlx::query(NOTE).bind(BEFORE).bind(changed).execute(&mut *change).await?;
        }
        sqlx::query(NOTE).bind(RULE).bind(rule).execute(&mut *change).await?;
        change.commit().await?;
        Ok(before)
    }
}

/// What a database knows of it.
pub(super) async fn known(connection: &mut SqliteConnection) -> Result<KnownRule, StoreError> {
    const KNOWN: &str = "
        select (select value from meta where name = $1), (select value from meta where name = $2)";
    let (rule, changed): (Option<String>, Option<String>) =
        sqlx::query_as(KNOWN).bind(RULE).bind(BEFORE).fetch_one(connection).await?;
    let changed = changed.as_deref().and_then(|changed| {
        let (before, at_ms) = changed.split_once(' ')?;
        let at = Timestamp::from_unix_ms(at_ms.parse().ok()?);
        Some(RuleChange { before: before.to_owned(), at })
    });
    Ok(KnownRule { rule, changed })
}
