use sqlx::{QueryBuilder, Sqlite};

use crate::{
    domain::Filter,
    store::card::{IMSI_DIGITS_MAX, reversed},
};

/// The columns of a table by which records are filtered.
pub(super) struct Columns {
    /// The table.
    pub(super) table: &'static str,
    /// The record's own time.
    pub(super) own_ms: &'static str,
    /// When we received it.
    pub(super) received_ms: &'static str,
    /// The other fields.
    pub(super) fields: &'static [Field],
    /// The unknown fields, searched for words.
    pub(super) words_in: Option<&'static str>,
}

/// A SQL expression, and what the filter asks of it.
pub(super) type Field = (&'static str, fn(&Filter) -> &Vec<String>);

/// Adds ` and …` for every part of the filter that is set.
pub(super) fn narrow(sql: &mut QueryBuilder<Sqlite>, columns: &Columns, filter: &Filter) {
    narrow_fields(sql, columns.fields, filter);
    narrow_pushes(sql, columns.table, filter);
    let times = [
        (columns.own_ms, ">=", filter.from_ms),
        (columns.own_ms, "<", filter.to_ms),
        (columns.received_ms, ">=", filter.received_from_ms),
        (columns.received_ms, "<", filter.received_to_ms),
    ];
    for (column, comparison, ms) in times {
        if let Some(ms) = ms {
            sql.push(format_args!(" and {column} {comparison} ")).push_bind(ms);
        }
    }
    if let (Some(column), false) = (columns.words_in, filter.q.is_empty()) {
        let mut separator = " and (";
        for word in &filter.q {
            sql.push(format_args!("{separator}instr({column}, "))
                .push_bind(word.clone())
                .push(") > 0");
            separator = " or ";
        }
        sql.push(")");
    }
}

/// Adds ` and …` for the pushes that a filter names: their records are found by ranges of ids.
fn narrow_pushes(sql: &mut QueryBuilder<Sqlite>, table: &'static str, filter: &Filter) {
    let records = format_args!(
        "cross join {table} as pushed on pushed.id between push.id and push.id + push.ids - 1
            and pushed.date_push_s = push.date_push_s"
    )
    .to_string();
    if !filter.date_push_s.is_empty() {
        sql.push(format_args!(" and {table}.id in (select pushed.id from push {records}"))
            .push(" where push.date_push_s in ");
        push_numbers(sql, &filter.date_push_s);
        sql.push(")");
    }
    if !filter.push_id.is_empty() {
        // The key begins with the date, which the first record left of a push tells.
        sql.push(format_args!(
            " and {table}.id in (
                select pushed.id from {table} as first
                cross join push on push.date_push_s = first.date_push_s {records}
                where (push.id, first.id) in (
                    select asked.value,
                        (select min(id) from {table} where id >= asked.value)
                    from json_each("
        ))
        .push_bind(serde_json::json!(filter.push_id).to_string())
        .push(") as asked))");
    }
}

/// Adds ` and …` for every one of these fields that the filter asks about.
pub(super) fn narrow_fields(sql: &mut QueryBuilder<Sqlite>, fields: &[Field], filter: &Filter) {
    for (column, asked) in fields {
        let values = asked(filter);
        if !values.is_empty() {
            sql.push(format_args!(" and {column} in "));
            push_list(sql, values);
        }
    }
}

/// Whether a filter names SIMs.
pub(super) fn is_of_sims(filter: &Filter) -> bool {
    !filter.giccid.is_empty() || !filter.imsi.is_empty()
}

/// `select id from sim …`: the SIMs that a filter names, found by their indexes, which have the last
/// digits first.
pub(super) fn push_sims(sql: &mut QueryBuilder<Sqlite>, filter: &Filter) {
    sql.push("select id from sim where true");
    if !filter.giccid.is_empty() {
        sql.push(" and card_id in (select id from card where giccid_reversed in ");
        push_list(sql, &all_reversed(&filter.giccid, usize::MAX));
        sql.push(")");
    }
    if !filter.imsi.is_empty() {
        sql.push(" and imsi_reversed in ");
        push_list(sql, &all_reversed(&filter.imsi, IMSI_DIGITS_MAX));
        sql.push(" and imsi in ");
        push_list(sql, &filter.imsi);
    }
}

fn all_reversed(texts: &[String], most: usize) -> Vec<String> {
    texts.iter().map(|text| reversed(text, most)).collect()
}

/// `($1, $2, …)`
fn push_numbers(sql: &mut QueryBuilder<Sqlite>, numbers: &[i64]) {
    let mut list = sql.push("(").separated(", ");
    for number in numbers {
        list.push_bind(*number);
    }
    sql.push(")");
}

/// `($1, $2, …)`
pub(super) fn push_list(sql: &mut QueryBuilder<Sqlite>, values: &[String]) {
    let mut list = sql.push("(").separated(", ");
    for value in values {
        list.push_bind(value.clone());
    }
    sql.push(")");
}
