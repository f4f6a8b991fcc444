//! SmartHub's protocol: which pushes there are, how one proves where it comes from, and how its
//! body becomes records.
//!
//! The facts are from SmartHub's documents; what they leave open, we take in every form that makes
//! sense and keep whole. The way through: [`Body::parse`] looks at the shape, [`Body::verify`] at
//! the signature of every element, and only the [`Authentic`] body that comes out of it can be
//! [read](Authentic::read).
mod body;
mod bounds;
pub mod date_push;
pub mod explain;
mod fields;
mod history;
mod identity;
mod json;
pub mod kind;
mod proof;
mod read;
mod record;
pub mod signature;

pub use body::{Authentic, Body, NotJson, Refusal};
pub use history::{HistoryRecord, HistoryRow, RowFault};
pub use proof::{Proved, Unproved, prove};
pub use read::{AgePolicy, IdentityRule, ReadRules, Reading, TooHeavy, Unread};
