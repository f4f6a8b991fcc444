//! Members that hold one of a few words, for [`schema_with`](utoipa::ToSchema).
use utoipa::openapi::schema::{
    AnyOfBuilder, KnownFormat, Object, ObjectBuilder, OneOfBuilder, Schema, SchemaFormat, Type,
};

use crate::{
    domain::{
        AuditAction, AuditOutcome, Change, ConditionKind, DeviceEventWord, DeviceState, HeldClass,
        HeldReason, PollFailureKind, Scope,
    },
    http::{
        api::attention::{AttentionKind, Severity},
        push::PushOutcome,
    },
};

/// `read` or `admin`.
pub(in crate::http::api) fn scope() -> Object {
    one_of(Scope::ALL.map(Scope::as_str))
}

/// What somebody did.
pub(in crate::http::api) fn audit_action() -> Object {
    one_of(AuditAction::ALL.map(AuditAction::as_str))
}

/// How it ended.
pub(in crate::http::api) fn audit_outcome() -> Object {
    one_of(AuditOutcome::ALL.map(AuditOutcome::as_str))
}

/// What can be wrong with how data comes in.
pub(in crate::http::api) fn condition() -> Object {
    one_of(ConditionKind::ALL.map(ConditionKind::as_str))
}

/// Whether a router can be reached.
pub(in crate::http::api) fn device_state() -> Object {
    one_of(DeviceState::ALL.map(DeviceState::as_str))
}

/// The same, where there may be none.
pub(in crate::http::api) fn device_state_or_null() -> Schema {
    or_null(one_of(DeviceState::ALL.map(DeviceState::as_str)))
}

/// What an entry of a history is.
pub(in crate::http::api) fn device_event() -> Object {
    one_of(DeviceEventWord::ALL.map(DeviceEventWord::as_str))
}

/// Refused, quarantined or stale.
pub(in crate::http::api) fn held_class() -> Object {
    one_of(HeldClass::ALL.map(HeldClass::as_str))
}

/// The kind of a row that tells of a retraction.
pub(in crate::http::api) fn retracted() -> Object {
    one_of([Change::RETRACTED])
}

/// A `datePush` as a row shows it, or its whole seconds since 1970.
pub(in crate::http::api) fn date_push() -> Schema {
    let date_time = SchemaFormat::KnownFormat(KnownFormat::DateTime);
    let text = ObjectBuilder::new().schema_type(Type::String).format(Some(date_time));
    let seconds = ObjectBuilder::new().schema_type(Type::Integer);
    let seconds = seconds.minimum(Some(1_000_000_000)).maximum(Some(9_999_999_999_i64));
    AnyOfBuilder::new().item(text.build()).item(seconds.build()).build().into()
}

/// An IPv4 or IPv6 address.
pub(in crate::http::api) fn ip_address() -> Schema {
    let text = |format: &str| {
        let format = SchemaFormat::Custom(format.to_owned());
        ObjectBuilder::new().schema_type(Type::String).format(Some(format)).build()
    };
    AnyOfBuilder::new().item(text("ipv4")).item(text("ipv6")).build().into()
}

/// Why a push lies aside.
pub(in crate::http::api) fn held_reason() -> Object {
    one_of(HeldReason::ALL.map(HeldReason::as_str))
}

/// How asking RCMS failed.
pub(in crate::http::api) fn poll_failure() -> Object {
    one_of(PollFailureKind::ALL.map(PollFailureKind::as_str))
}

/// How it goes with RCMS.
pub(in crate::http::api) fn rcms_state() -> Object {
    one_of(["off", "starting", "ok", "failing"])
}

/// How we are.
pub(in crate::http::api) fn health() -> Object {
    one_of(["alive", "ready"])
}

/// How a body that may be no text is written.
pub(in crate::http::api) fn body_encoding() -> Object {
    one_of(["utf-8", "base64"])
}

/// A text or null, in a member that may also be missing: only such a one is written with `anyOf`.
pub(in crate::http::api) fn text_or_null() -> Schema {
    let of = |schema_type| ObjectBuilder::new().schema_type(schema_type).build();
    AnyOfBuilder::new().item(of(Type::String)).item(of(Type::Null)).build().into()
}

/// A whole number or null, in a member that may also be missing.
pub(in crate::http::api) fn integer_or_null() -> Schema {
    let of = |schema_type| ObjectBuilder::new().schema_type(schema_type).build();
    AnyOfBuilder::new().item(of(Type::Integer)).item(of(Type::Null)).build().into()
}

/// What became of a request to the public listener.
pub(in crate::http::api) fn push_outcome() -> Object {
    one_of(PushOutcome::ALL.map(PushOutcome::as_str))
}

/// What a search finds.
pub(in crate::http::api) fn hit_type() -> Object {
    one_of(["sim", "device", "msisdn"])
}

/// What a text was found in.
pub(in crate::http::api) fn matched() -> Object {
    one_of(["giccid", "imsi", "from_msisdn", "to_msisdn", "sn", "name"])
}

/// What needs a person.
pub(in crate::http::api) fn attention_kind() -> Object {
    one_of(AttentionKind::ALL.map(AttentionKind::as_str))
}

/// How urgent that is.
pub(in crate::http::api) fn severity() -> Object {
    one_of(Severity::ALL.map(Severity::as_str))
}

/// What is wrong with a line of a table.
pub(in crate::http::api) fn line_code() -> Object {
    one_of(["missing_field", "invalid", "cell_count", "unclosed", "misquoted", "too_long"])
}

/// A name, or null.
pub(in crate::http::api) fn label_name() -> Schema {
    pattern_or_null("^[^\\x00-\\x1f\\x7f-\\x9f]{0,64}$")
}

/// A router's serial number, or null.
pub(in crate::http::api) fn label_sn() -> Schema {
    pattern_or_null("^[0-9A-Za-z][0-9A-Za-z-]{0,49}$")
}

fn pattern_or_null(pattern: &str) -> Schema {
    let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).build();
    let null = ObjectBuilder::new().schema_type(Type::Null).build();
    AnyOfBuilder::new().item(text).item(null).build().into()
}

fn one_of<const N: usize>(words: [&'static str; N]) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).build()
}

fn or_null(object: Object) -> Schema {
    let null = ObjectBuilder::new().schema_type(Type::Null).build();
    OneOfBuilder::new().item(object).item(null).build().into()
}
