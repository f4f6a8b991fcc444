//! The addresses of what SmartHub pushed: records and their sums, the SIMs that they came of, and
//! what is new.
use serde_json::json;

use crate::{
    domain::Scope,
    http::api::{
        aggregate, aggregate_row, change_row, changes,
        doc::{Doc, Documented, Routes, Tag},
        import, list, notifications, params, pushes, search, sim_import, sim_label, sim_timeline,
        sims, sms, stream, test_push, usage,
    },
};

/// All of them.
pub(super) fn routes(routes: Routes) -> Routes {
    live(sims(sums(records(routes))))
}

fn records(routes: Routes) -> Routes {
    let one = |summary| Doc::new(Tag::Records, summary);
    routes
        .at(
            "/v1/data-usage",
            Documented::get(
                list::show::<usage::Usage>,
                Doc::new(Tag::Records, "List data usage").list::<usage::Usage>(
                    "One row a record, with SmartHub's names and types; unknown fields are in `extra`.",
                ),
            ),
        )
        .at(
            "/v1/data-usage/{id}",
            Documented::get(
                list::show_one::<usage::Usage>,
                one("Show a usage record").gives::<usage::UsageOut>(200, "The record."),
            ),
        )
        .at(
            "/v1/mo-sms",
            Documented::get(
                list::show::<sms::Sms>,
                Doc::new(Tag::Records, "List messages").list::<sms::Sms>(
                    "What SIMs sent. `text` is there once `SIMDECK_SMS_TEXT_FIELD` names its field.",
                ),
            ),
        )
        .at(
            "/v1/mo-sms/{id}",
            Documented::get(
                list::show_one::<sms::Sms>,
                one("Show a message").gives::<sms::SmsOut>(200, "The message."),
            ),
        )
        .at(
            "/v1/notifications",
            Documented::get(
                list::show::<notifications::Notifications>,
                Doc::new(Tag::Records, "List notifications").list::<notifications::Notifications>(
                    "Every other kind of push, with all that was pushed under `payload`.",
                ),
            ),
        )
        .at(
            "/v1/notifications/{id}",
            Documented::get(
                list::show_one::<notifications::Notifications>,
                one("Show a notification")
                    .gives::<notifications::NotificationOut>(200, "The notification."),
            ),
        )
        .at(
            "/v1/import",
            Documented::post(
                import::import,
                one("Read history in")
                    .about(import::ABOUT)
                    .needs(Scope::Admin)
                    .query(&params::IMPORT)
                    .takes_text("application/x-ndjson", None, import::EXAMPLE)
                    .gives::<import::HistoryOut>(200, "What became of the rows."),
            ),
        )
}

fn sums(routes: Routes) -> Routes {
    const SAYS: &str = "By own time, in the zone's local intervals. Test pushes are in no sum.";
    let doc = |summary| Doc::new(Tag::Records, summary).about(SAYS);
    routes
        .at(
            "/v1/data-usage/aggregate",
            Documented::get(
                aggregate::usage,
                doc("Add up data usage").sums::<aggregate_row::UsageSumOut>(&params::USAGE_SUMS),
            ),
        )
        .at(
            "/v1/mo-sms/aggregate",
            Documented::get(
                aggregate::sms,
                doc("Count messages").sums::<aggregate_row::SmsSumOut>(&params::SMS_SUMS),
            ),
        )
}

fn sims(routes: Routes) -> Routes {
    const NO_ZONE: &str = "There is no such time zone.";
    let doc = |summary| Doc::new(Tag::Sims, summary);
    routes
        .at(
            "/v1/sims",
            Documented::get(
                list::show::<sims::Sims>,
                doc("List SIMs").list::<sims::Sims>("One row a giccid, whatever its subscribers."),
            ),
        )
        .at(
            "/v1/sims/import",
            Documented::post(
                sim_import::import,
                doc("Name many SIMs")
                    .about(
                        "Columns: `giccid`, then `name` and `device_sn` as far as they are to be \
                         changed. An empty cell takes away. The other columns of an export of SIMs \
                         are passed over. Each line has to be ended, the last one too.",
                    )
                    .needs(Scope::Admin)
                    .query(&params::SIM_IMPORT)
                    .takes_text(
                        "text/csv",
                        Some(sim_import::TABLE_PATTERN),
                        "giccid,name\n8944501503181377993,Roof 7\n",
                    )
                    .gives::<sim_import::ImportOut>(200, "What became of the lines."),
            ),
        )
        .at(
            "/v1/sims/{giccid}",
            Documented::get(
                sims::show,
                doc("Show a SIM")
                    .query(&params::SIM)
                    .gives::<sims::OneSimOut>(200, "The SIM, with the router that it sits in.")
                    .problem(409, NO_ZONE),
            )
            .and_put(
                sim_label::put,
                doc("Name a SIM")
                    .needs(Scope::Admin)
                    .query(&params::SIM)
                    .takes::<sim_label::LabelIn>()
                    .gives::<sims::OneSimOut>(200, "The SIM as it is now.")
                    .problem(409, NO_ZONE),
            ),
        )
        .at(
            "/v1/sims/{giccid}/timeline",
            Documented::get(
                list::show::<sim_timeline::Timeline>,
                doc("List all that is stored of a SIM").list::<sim_timeline::Timeline>(
                    "Rows as in their own lists, each with its `kind`, what was stored last first.",
                ),
            ),
        )
        .at(
            "/v1/search",
            Documented::get(
                search::show,
                doc("Find a SIM, a router or a number")
                    .query(&params::SEARCH)
                    .gives_all::<search::HitOut>("What was found, the best first."),
            ),
        )
}

fn live(routes: Routes) -> Routes {
    let doc = |summary| Doc::new(Tag::Live, summary);
    routes
        .at(
            "/v1/changes",
            Documented::get(
                changes::show,
                doc("Follow what is stored")
                    .about(
                        "In order of commit. Who follows `Link`, rel `next`, has each row once. A \
                         row of kind `erased` names a SIM of which nothing is kept any more; one of kind \
                         `retracted` a `datePush` whose rows before it were taken out.",
                    )
                    .query(&params::CHANGES)
                    .follows::<change_row::ChangeOut<'static>>("Rows, the oldest first.")
                    .problem(
                        409,
                        "The cursor belongs to another question, or what comes after it was \
                         pruned before it was read.",
                    ),
            ),
        )
        .at(
            "/v1/stream",
            Documented::get(
                stream::show,
                doc("Watch what is stored")
                    .about(
                        "An event's `id` is the row's. `tick` counts rows that were not shown; \
                         `gap` says up to which id rows behind this place were pruned: \
                         `{\"removed_through\": 7}`.",
                    )
                    .query(&params::STREAM)
                    .header(
                        stream::LAST_EVENT_ID,
                        "Goes on behind this event: browsers send it when they come back.",
                        json!({"type": "integer", "format": "int64", "minimum": 0}),
                    )
                    .gives_text("text/event-stream", "Server-sent events, without end.")
                    .problem(409, "There is no event of this id yet."),
            ),
        )
        .at(
            "/v1/pushes",
            Documented::get(
                pushes::show,
                doc("List the last requests to the public listener")
                    .about("Since the start. A key of scope `admin` also gets what was sent.")
                    .query(&params::PUSHES)
                    .gives_all::<pushes::PushOut<'static>>("The newest first."),
            ),
        )
        .at(
            "/v1/test-push",
            Documented::post(
                test_push::push,
                doc("Push a test to the public listener")
                    .needs(Scope::Admin)
                    .gives::<test_push::TestPushOut>(200, "What it said, and how soon.")
                    .problem(409, "No public listener runs here.")
                    .problem(502, "The public listener did not answer."),
            ),
        )
}
