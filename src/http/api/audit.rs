//! `/v1/audit`: who changed what, or took it away; for admins.
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    cells::Cells,
    doc::words,
    error::ApiError,
    list::{List, View},
    params::{self, Question, Route},
};
use crate::{
    domain::{AuditRow, Scope, Walk},
    store::{Portion, Store, StoreError},
};

/// The list.
pub(super) struct Audit;

/// What somebody did.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "id": 12, "at": "2024-09-05T01:30:48.000Z", "who": "grafana", "source": "192.0.2.1",
    "action": "export", "subject": "data-usage", "outcome": "done",
    "details": "1500 rows as csv, filtered by sim_group", "count": 1,
})))]
pub(super) struct AuditOut<'a> {
    id: i64,
    /// When; of several that are counted in one row, the first.
    #[schema(format = DateTime)]
    at: String,
    /// The label of the API key, `admin` for the admin key, `simdeck` for the server itself, `command
    /// line` for a command that works on the files, `list of erased SIMs` for an erasure that only this
    /// list knew when the store was opened; null where nobody is known.
    who: Option<&'a str>,
    /// The address that it came from, if it came from one.
    source: Option<&'a str>,
    #[schema(schema_with = words::audit_action)]
    action: &'a str,
    /// On what. In place of the number of an erased SIM stands its `giccid_hmac`.
    subject: &'a str,
    #[schema(schema_with = words::audit_outcome)]
    outcome: &'a str,
    /// Counts and names.
    details: &'a str,
    /// How often: failed sign-ins of a source and minute, and sign-ins of a key and hour, are one row.
    count: i64,
}

impl List for Audit {
    const ROUTE: &'static Route = &params::AUDIT;
    const SCOPE: Scope = Scope::Admin;
    type Within = ();
    type Row = AuditRow;
    type Key = i64;
    type Out<'a> = AuditOut<'a>;

    async fn top(store: &Store) -> Result<i64, StoreError> {
        store.audit_top().await
    }

    async fn rows(
        store: &Store,
        _: &(),
        ask: &Question,
        walk: &Walk,
    ) -> Result<Portion<AuditRow>, StoreError> {
        Ok(store.audit(&ask.audit, walk).await?.into())
    }

    async fn count(store: &Store, _: &(), ask: &Question, top: i64) -> Result<u64, StoreError> {
        store.audit_count(&ask.audit, top).await
    }

    fn id(row: &AuditRow) -> i64 {
        row.id
    }

    fn out<'a>(row: &'a AuditRow, _: &'a View) -> Result<AuditOut<'a>, ApiError> {
        let some = |text: &'a str| Some(text).filter(|text| !text.is_empty());
        Ok(AuditOut {
            id: row.id,
            at: row.at.to_string(),
            who: some(&row.who),
            source: some(&row.source),
            action: &row.action,
            subject: &row.subject,
            outcome: &row.outcome,
            details: &row.details,
            count: row.count,
        })
    }

    fn columns(_: &View) -> Vec<&'static str> {
        vec!["id", "at", "who", "source", "action", "subject", "outcome", "details", "count"]
    }

    fn cells(row: &AuditRow, _: &View, cells: &mut Cells) -> Result<(), ApiError> {
        cells.integer(row.id);
        cells.text(&row.at.to_string());
        for text in [&row.who, &row.source, &row.action, &row.subject, &row.outcome, &row.details] {
            cells.text(text);
        }
        cells.integer(row.count);
        Ok(())
    }
}
