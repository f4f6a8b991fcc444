use std::sync::Arc;

use jiff::tz::TimeZone;

use super::{Filter, Interval, Span};

/// By what records are summed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// The SIM.
    Giccid,
    /// The customer's label for a group of SIMs.
    SimGroup,
    /// The visited country.
    CountryCode,
    /// The visited network: its two parts with a hyphen between them, such as `460-10`.
    Network,
    /// The access point name.
    Apn,
}

/// Which sums are asked for.
#[derive(Clone, Debug)]
pub struct AggregateQuestion {
    /// Of which records.
    pub filter: Filter,
    /// By which time …
    pub interval: Interval,
    /// … of which zone.
    pub zone: TimeZone,
    /// By what else.
    pub group_by: Vec<GroupBy>,
    /// How many groups, those with the largest sums over the whole range; the rest are summed.
    pub top: Option<usize>,
}

/// The sum of one group of records in one interval. There is none without records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AggregateRow {
    /// The interval, also where the question cuts it. What is not cut into intervals is what was
    /// asked for; an end of [`Span::ALL`] is one that was left open.
    pub span: Span,
    /// A value for each part of the question's `group_by`, empty where it was not sent.
    pub group: Group,
    /// The sum of volumes; 0 for messages.
    pub data_usage: i64,
    /// How many records it is made of.
    pub records: i64,
}

/// Whose sum it is. Groups sort by their values, others last.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// That of one group.
    One(Arc<[String]>),
    /// That of all groups which are not among the largest.
    Others,
}
