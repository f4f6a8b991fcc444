//! Every address of the internal listener, what serves it and what the OpenAPI document says of it.
//! The one place to add a route.
use super::{
    aggregate, change_row, changes, device_group, device_history, devices,
    doc::{Doc, Documented, Routes, Tag, page},
    fleet, health, held, index, keys, list, metrics, notifications, params, pushes,
    rcms::OFF,
    search, sim_label, sim_timeline, sims, sms, status, stream, test_nonces, test_push, usage,
};
use crate::domain::Scope;

/// All of them.
pub(super) fn routes() -> Routes {
    open(server(keys(held(devices(live(sims(sums(records(Routes::default())))))))))
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
}

fn sums(routes: Routes) -> Routes {
    const SAYS: &str = "By own time, in the zone's local intervals. Test pushes are in no sum.";
    let doc = |summary| Doc::new(Tag::Records, summary).about(SAYS);
    routes
        .at(
            "/v1/data-usage/aggregate",
            Documented::get(
                aggregate::usage,
                doc("Add up data usage").sums::<aggregate::UsageSumOut>(&params::USAGE_SUMS),
            ),
        )
        .at(
            "/v1/mo-sms/aggregate",
            Documented::get(
                aggregate::sms,
                doc("Count messages").sums::<aggregate::SmsSumOut>(&params::SMS_SUMS),
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
                sim_label::import,
                doc("Name many SIMs")
                    .about(
                        "Columns: `giccid`, then `name` and `device_sn` as far as they are to be \
                         changed. An empty cell takes away.",
                    )
                    .needs(Scope::Admin)
                    .takes_text("text/csv", "giccid,name\n8944501503181377993,Roof 7\n")
                    .gives::<sim_label::ImportOut>(200, "What became of the lines."),
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
                    .about("In order of commit. Who follows `Link`, rel `next`, has each row once.")
                    .query(&params::CHANGES)
                    .follows::<change_row::ChangeOut<'static>>("Rows, the oldest first.")
                    .problem(409, "The cursor belongs to another question."),
            ),
        )
        .at(
            "/v1/stream",
            Documented::get(
                stream::show,
                doc("Watch what is stored")
                    .about("An event's `id` is the row's; `Last-Event-ID` goes on behind it.")
                    .query(&params::STREAM)
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

fn devices(routes: Routes) -> Routes {
    let doc = |summary| Doc::new(Tag::Devices, summary);
    routes
        .at(
            "/v1/devices",
            Documented::get(
                list::show::<devices::Devices>,
                doc("List routers").list::<devices::Devices>(
                    "The routers that RCMS lists, the one that was first seen last first.",
                ),
            ),
        )
        .at(
            "/v1/devices/summary",
            Documented::get(
                fleet::show,
                doc("Show the fleet in figures")
                    .gives::<fleet::SummaryOut>(
                        200,
                        "RCMS's six figures, how old they are, and simdeck's own.",
                    )
                    .problem(409, OFF),
            ),
        )
        .at(
            "/v1/devices/{sn}",
            Documented::get(
                devices::show,
                doc("Show a router").gives::<devices::DeviceOut>(200, "The router."),
            ),
        )
        .at(
            "/v1/devices/{sn}/history",
            Documented::get(
                list::show::<device_history::DeviceHistory>,
                doc("List a router's history").list::<device_history::DeviceHistory>(
                    "When its state changed, and what it told RCMS about itself.",
                ),
            ),
        )
        .at(
            "/v1/devices/{sn}/group",
            Documented::put(
                device_group::put,
                doc("Move a router into another group")
                    .needs(Scope::Admin)
                    .takes::<device_group::GroupIn>()
                    .gives::<device_group::GroupOut>(200, "What RCMS was told, and took.")
                    .problem(409, OFF)
                    .problem(502, "RCMS did not answer as it should.")
                    .problem(504, "RCMS did not answer in time."),
            ),
        )
}

fn held(routes: Routes) -> Routes {
    let doc = |summary| Doc::new(Tag::Held, summary);
    routes
        .at(
            "/v1/held",
            Documented::get(
                list::show::<held::HeldPushes>,
                doc("List held pushes").list::<held::HeldPushes>(
                    "Pushes that were refused, or are authentic and unreadable; without bodies.",
                ),
            ),
        )
        .at(
            "/v1/held/{id}",
            Documented::get(
                held::show,
                doc("Show a held push")
                    .about("A key of scope `admin` also gets the body, with signatures masked.")
                    .gives::<held::WholeOut>(200, "The push."),
            )
            .and_delete(
                held::discard,
                doc("Discard a held push").needs(Scope::Admin).gives_nothing(204, "It is gone."),
            ),
        )
        .at(
            "/v1/held/{id}/retry",
            Documented::post(
                held::retry,
                doc("Read a held push again")
                    .about("With the keys and by the rules of now, whatever its age.")
                    .needs(Scope::Admin)
                    .query(&params::HELD_RETRY)
                    .gives::<held::RetriedOut>(200, "What became of it.")
                    .problem(409, "It is still refused: its key is not known, or it is no push."),
            ),
        )
}

fn keys(routes: Routes) -> Routes {
    let doc = |summary| Doc::new(Tag::Keys, summary);
    routes
        .at(
            "/v1/keys",
            Documented::get(
                keys::list,
                doc("List API keys")
                    .gives_all::<keys::KeyOut>("All there ever were, the newest first."),
            )
            .and_post(
                keys::create,
                doc("Make an API key")
                    .needs(Scope::Admin)
                    .takes::<keys::KeyIn>()
                    .gives::<keys::NewKeyOut>(201, "The key, shown this once.")
                    .problem(409, "Another live key has this label."),
            ),
        )
        .at(
            "/v1/keys/{id}",
            Documented::delete(
                keys::revoke,
                doc("Revoke an API key")
                    .needs(Scope::Admin)
                    .gives_nothing(204, "It opens nothing any more."),
            ),
        )
}

fn server(routes: Routes) -> Routes {
    let doc = |summary| Doc::new(Tag::Server, summary);
    routes
        .at(
            "/v1",
            Documented::get(
                index::show,
                doc("List the endpoints").gives::<index::IndexOut>(200, "Where each is."),
            ),
        )
        .at(
            "/v1/status",
            Documented::get(
                status::show,
                doc("Show how it goes")
                    .gives::<status::StatusOut>(200, "Queue, counts, rings, RCMS, keys."),
            ),
        )
        .at(
            "/v1/test-nonces",
            Documented::post(
                test_nonces::issue,
                doc("Make a mark for test pushes")
                    .about("As the header `Simdeck-Test` of a push it keeps that push out of every total.")
                    .needs(Scope::Admin)
                    .takes::<test_nonces::NonceIn>()
                    .gives::<test_nonces::NonceOut>(201, "The mark, and for how long it is good."),
            ),
        )
}

/// What needs no key: probes and scrapers have none, and the documentation holds nothing personal.
fn open(routes: Routes) -> Routes {
    let open = |summary| Doc::open(Tag::Server, summary);
    routes
        .at(
            "/healthz",
            Documented::get(
                health::alive,
                open("Say whether the process lives").gives::<health::StateOut>(200, "It does."),
            ),
        )
        .at(
            "/readyz",
            Documented::get(
                health::ready,
                open("Say whether a push would be stored")
                    .gives::<health::StateOut>(200, "It would.")
                    .problem(503, "It would not, and why."),
            ),
        )
        .at(
            "/metrics",
            Documented::get(
                metrics::show,
                open("Show figures for Prometheus")
                    .gives_text("text/plain", "In the text format, version 0.0.4."),
            ),
        )
        .at(
            "/openapi.json",
            Documented::get(
                page::document,
                open("Show this document").gives_object("OpenAPI 3.1."),
            ),
        )
        .at(
            "/docs",
            Documented::get(
                page::enter,
                open("Go to the page of documentation").gives_nothing(307, "To `/docs/`."),
            ),
        )
        .at(
            "/docs/",
            Documented::get(
                page::index,
                open("Show the page of documentation").gives_text("text/html", "Swagger UI."),
            ),
        )
        .at(
            "/docs/{file}",
            Documented::get(page::file, open("Show a file of that page").gives_file("The file.")),
        )
}
