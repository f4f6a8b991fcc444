//! Pushes that lie aside, or do not come.
use std::time::Duration;

use super::{
    Asked, AttentionKind, Item, Severity,
    wording::{number, span},
};
use crate::{
    domain::{Condition, ConditionKind, HeldClass, HeldReason, HeldTally, PushPause, Timestamp},
    http::{api::error::ApiError, query_string::append},
};

/// Refused pushes are told of for so long after they came.
const REFUSED_TOLD_FOR: Duration = Duration::from_secs(24 * 60 * 60);

impl Asked<'_> {
    pub(super) async fn pushes(&self) -> Result<Vec<Item>, ApiError> {
        let store = &self.state.store;
        let held = store.held_by_reason(self.now.minus(REFUSED_TOLD_FOR)).await?;
        let mut items: Vec<Item> = held.iter().map(|tally| self.held(tally)).collect();
        let dropped = store.authentic_dropped(self.now.minus(REFUSED_TOLD_FOR)).await?;
        items.extend(dropped.map(|(count, since)| self.dropped(count, since)));
        let pause = store.usage_pause(self.now).await?;
        items.extend(pause.filter(|pause| pause.is_overdue(self.now)).map(|it| self.overdue(it)));
        let conditions = self.state.live.watch.last();
        items
            .extend(conditions.iter().filter(|it| keeps_out(it.kind)).map(|it| self.not_taken(it)));
        Ok(items)
    }

    /// A condition by which pushes are not taken in. It is told as the last look found it, which was
    /// a few seconds ago.
    fn not_taken(&self, condition: &Condition) -> Item {
        let Condition { kind, since, says, todo, .. } = condition;
        let url = self.base.url("/v1/status");
        let sentence = format!("{says} {todo}");
        let mut item = Item::new(severity_of(*kind), AttentionKind::PushesNotTaken, url, sentence)
            .since(*since);
        item.out.reason = Some(kind.as_str());
        item
    }

    fn held(&self, tally: &HeldTally) -> Item {
        let (class, reason) = (tally.class, tally.reason);
        let count = tally.pushes.unsigned_abs();
        let it = if count == 1 { "it" } else { "them" };
        let (kind, severity, sentence) = match class {
            HeldClass::Quarantined => {
                let sentence = format!(
                    "{} in quarantine and in no total, for {}. Look at {it}, then retry or discard \
                     {it}.",
                    number(
                        count,
                        "part of an authentic push lies",
                        "parts of authentic pushes lie"
                    ),
                    tally.fault(),
                );
                (AttentionKind::PushesQuarantined, Severity::Warning, sentence)
            }
            HeldClass::Stale => {
                (AttentionKind::PushesStale, Severity::Warning, stale(count, reason))
            }
            HeldClass::Refused => {
                let sentence = format!(
                    "{} refused in the last 24 hours, for {}. {}",
                    number(count, "push was", "pushes were"),
                    reason.fault(),
                    reason.advice(),
                );
                (AttentionKind::PushesRefused, severity(reason), sentence)
            }
        };
        let mut query = String::new();
        append(&mut query, "class", class.as_str());
        append(&mut query, "reason", reason.as_str());
        let url = self.base.url(&format!("/v1/held?{query}"));
        let mut item = Item::new(severity, kind, url, sentence).since(tally.since).count(count);
        item.out.reason = Some(reason.as_str());
        item
    }

    /// Authentic pushes that are kept nowhere, because too many came that are too old.
    fn dropped(&self, count: u64, since: Timestamp) -> Item {
        let sentence = format!(
            "{} dropped in the last 24 hours, because too many came whose `datePush` is too old. \
             Set this server's clock right or raise SIMDECK_PUSH_MAX_AGE, then retry those that are \
             left, so that no more are dropped.",
            number(count, "authentic push was", "authentic pushes were"),
        );
        let url = self.base.url("/v1/held?class=stale&reason=date_old");
        let kind = AttentionKind::PushesDropped;
        let mut item = Item::new(Severity::Critical, kind, url, sentence).since(since).count(count);
        item.out.reason = Some(HeldReason::DateOld.as_str());
        item
    }

    fn overdue(&self, pause: PushPause) -> Item {
        let lasts = self.now.since(pause.since);
        let usual = match pause.usual.is_zero() {
            true => "no quarter of an hour of a day is usually without usage".to_owned(),
            false => {
                format!("the longest pause of a day is usually {}", span(pause.usual))
            }
        };
        let sentence = format!(
            "No data usage push has come for {}, since {}; {usual}. Check that this server can be \
             reached from outside, and that SmartHub still has its address.",
            span(lasts),
            self.wording.at(pause.since).trim_start_matches("at "),
        );
        let url = self.base.url("/v1/status");
        let kind = AttentionKind::PushesOverdue;
        let mut item = Item::new(Severity::Critical, kind, url, sentence).since(pause.since);
        item.out.pause_s = Some(lasts.as_secs());
        item.out.usual_pause_s = Some(pause.usual.as_secs());
        item
    }
}

/// Whether pushes are lost by a condition, or have to be sent again. What lies aside or does not come is
/// told by itself.
fn keeps_out(kind: ConditionKind) -> bool {
    match kind {
        ConditionKind::AddressUnknown
        | ConditionKind::PushesRejected
        | ConditionKind::NotAcknowledged
        | ConditionKind::NoRoom
        | ConditionKind::DiskLow
        | ConditionKind::DatabaseMoved
        | ConditionKind::ConnectionsFull => true,
        ConditionKind::Silent
        | ConditionKind::RefusedRun
        | ConditionKind::Quarantining
        | ConditionKind::KindMisspelt
        | ConditionKind::SlowAcknowledgement
        | ConditionKind::ProxyNotTrusted
        | ConditionKind::RcmsFailing
        | ConditionKind::RcmsListShort
        | ConditionKind::RcmsSlow
        | ConditionKind::RcmsClock
        | ConditionKind::RcmsUnread
        | ConditionKind::RcmsNoSamples
        | ConditionKind::FolderLow
        | ConditionKind::ClockWrong
        | ConditionKind::BackupFailing
        | ConditionKind::ErasedInFiles => false,
    }
}

/// As in the rules for Prometheus: by these nothing at all is stored.
fn severity_of(kind: ConditionKind) -> Severity {
    match kind {
        ConditionKind::NotAcknowledged | ConditionKind::DiskLow | ConditionKind::DatabaseMoved => {
            Severity::Critical
        }
        _ => Severity::Warning,
    }
}

fn stale(count: u64, reason: HeldReason) -> String {
    let it = if count == 1 { "it" } else { "them" };
    if reason == HeldReason::DateRetracted {
        return format!(
            "{} under a `datePush` that was retracted, and in no total: somebody may be sending a \
             captured signature again. Look at {it}; discard {it}, or retry those of which you are \
             sure.",
            number(count, "push, or a part of one, is held", "pushes, or parts of them, are held"),
        );
    }
    format!(
        "{} held and in no total, for {}. Look at {it}, then retry or discard {it}: the oldest are \
         dropped when too many come.",
        number(count, "part of an authentic push is", "parts of authentic pushes are"),
        reason.fault(),
    )
}

/// A wrong key or a wrong clock costs true pushes.
fn severity(reason: HeldReason) -> Severity {
    match reason {
        HeldReason::SignatureWrong | HeldReason::DateOld | HeldReason::DateAhead => {
            Severity::Critical
        }
        _ => Severity::Notice,
    }
}
