//! What changes when SIMDECK_PUSH_IDENTITY does: records that are stored already are other records under
//! the new rule, so that what is sent again is stored, and added, a second time.
use std::error::Error;

use super::settings::{Settings, Words};
use crate::{
    domain::{Clock, SystemClock, Timestamp},
    store::{KnownRule, RuleChange, Writer},
};

/// Notes the rule of this start, and warns if it is another one. A command may be run without the
/// settings of the server, so that it says nothing of that.
pub(super) async fn note(writer: &mut Writer, settings: &Settings, is_server: bool) {
    if !is_server {
        return;
    }
    let rule = settings.push.identity.as_word();
    match writer.note_identity_rule(rule, SystemClock.now()).await {
        Ok(None) => (),
        Ok(Some(before)) => tracing::warn!("{} {}", changed(rule, &before), todo(&before)),
        // A full disk must not keep the server from starting; the next start notes it.
        Err(error) => tracing::warn!(
            error = &error as &dyn Error,
            "SIMDECK_PUSH_IDENTITY cannot be noted in the store"
        ),
    }
}

/// What a database says of these settings: a sentence, and what to do. Nothing where no push from
/// before a change can come again in time.
pub(super) fn finding(
    settings: &Settings,
    known: &KnownRule,
    now: Timestamp,
) -> Option<(String, String)> {
    let rule = settings.push.identity.as_word();
    if let Some(last) = known.rule.as_deref().filter(|last| *last != rule) {
        return Some((changed(rule, last), todo(last)));
    }
    let RuleChange { before, at } = known.changed.as_ref()?;
    let is_recent = now.since(*at) <= settings.push.max_age;
    (is_recent && before != rule).then(|| (changed(rule, before), todo(before)))
}

fn changed(rule: &str, before: &str) -> String {
    format!(
        "SIMDECK_PUSH_IDENTITY is `{rule}`, and what is stored was stored under `{before}`: a push \
         from before the change that is sent, retried or imported again is stored a second time."
    )
}

fn todo(before: &str) -> String {
    format!(
        "Set it back to `{before}`, unless you mean it; then compare the sums of the days around the \
         change with SmartHub's, and take out what is there twice with `simdeck retract`."
    )
}
