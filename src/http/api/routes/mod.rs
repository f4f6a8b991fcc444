//! Every address of the internal listener, what serves it and what the OpenAPI document says of it.
//! The one place to add a route: [`pushed`] has those about what SmartHub pushed, [`removals`]
//! those that take something out of the store, this file the others.
use super::{
    attention, audit, device_group, device_history, devices,
    doc::{Doc, Documented, Routes, Tag, page},
    fleet, health, held, held_many, index, keep, keys, list, metrics, params,
    rcms::OFF,
    sign_in_links, status, summary, test_nonces,
};
use crate::domain::Scope;

mod pushed;
mod removals;

/// All of them.
pub(super) fn routes() -> Routes {
    let records = pushed::routes(Routes::default());
    let people = sign_in_links(keys(held(devices(records))));
    open(server(removals::routes(upkeep(people))))
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
            )
            .and_delete(
                devices::forget,
                doc("Forget a router")
                    .about("Its history goes with it. What people say of the SIMs in it stays.")
                    .needs(Scope::Admin)
                    .gives_nothing(204, "It is gone.")
                    .problem(409, devices::LISTED),
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
        .at(
            "/v1/held/discard",
            Documented::post(
                held_many::discard,
                doc("Discard all held pushes that a filter names")
                    .about(
                        "At least one filter is needed. By `source`, only what these sent goes: a \
                         push that others sent too stays as theirs, and is not counted as discarded.",
                    )
                    .needs(Scope::Admin)
                    .query(&params::HELD_DISCARD_MANY)
                    .gives::<held_many::DiscardedManyOut>(200, "How many."),
            ),
        )
        .at(
            "/v1/held/retry",
            Documented::post(
                held_many::retry,
                doc("Read all held pushes again that a filter names")
                    .about(
                        "At least one filter is needed. Each as if it were retried by itself. What \
                         was retracted stays out unless `reason=date_retracted` names it.",
                    )
                    .needs(Scope::Admin)
                    .query(&params::HELD_RETRY_MANY)
                    .gives::<held_many::RetriedManyOut>(200, "What became of them."),
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

fn sign_in_links(routes: Routes) -> Routes {
    let audit = Documented::get(
        list::show::<audit::Audit>,
        Doc::new(Tag::Keys, "List who did what")
            .about(
                "All that changed something or took a whole list away, and who came in or did not. \
                 What is only looked at is not recorded. Rows are kept as \
                 `SIMDECK_RETENTION_AUDIT` says.",
            )
            .needs(Scope::Admin)
            .list::<audit::Audit>("The newest first."),
    );
    routes.at("/v1/audit", audit).at(
        "/v1/sign-in-links",
        Documented::post(
            sign_in_links::make,
            Doc::new(Tag::Keys, "Make a sign-in link")
                .about("It opens the page once, within 15 minutes, with what this key may do.")
                .needs(Scope::Admin)
                .gives::<sign_in_links::LinkOut>(201, "The link, shown this once."),
        ),
    )
}

fn upkeep(routes: Routes) -> Routes {
    let doc = |summary| Doc::new(Tag::Server, summary).needs(Scope::Admin);
    routes
        .at(
            "/v1/prune",
            Documented::post(
                keep::prune,
                doc("Take away what is too old")
                    .about(
                        "By own time, as `SIMDECK_RETENTION_…` says; it is also done every hour. \
                         Age counts from the newest time that the server's clock and an authentic \
                         push agree on, so that a wrong clock deletes nothing. Sums of what goes \
                         stay. A question that only the records could answer is then refused with \
                         the date from which on it can be answered.",
                    )
                    .query(&params::PRUNE)
                    .problem(409, "By a clock that authentic pushes say is wrong.")
                    .gives::<keep::PrunedOut>(200, "How much was taken away."),
            ),
        )
        .at(
            "/v1/backup",
            Documented::post(
                keep::back_up,
                doc("Copy the database")
                    .about("Without refused pushes, signatures and keys, checked, and whole.")
                    .gives::<keep::BackupOut>(200, "Where it is.")
                    .problem(409, "One is being made already, or its folder cannot be used.")
                    .problem(
                        507,
                        "It would take room that pushes need: `detail` says how much is lacking, and \
                         which other copies lie there.",
                    ),
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
            "/v1/summary",
            Documented::get(
                summary::show,
                doc("Show the six figures of the page")
                    .about("By own time. Each sum stands beside that of a span as long before it.")
                    .query(&params::SUMMARY)
                    .gives::<summary::FiguresOut>(200, "The figures.")
                    .problem(409, "It would need records that were pruned: `detail` says from when on there are all."),
            ),
        )
        .at(
            "/v1/attention",
            Documented::get(
                attention::show,
                doc("Show what needs a person")
                    .about(
                        "In sentences. What is usual is the median of the last 14 complete days, \
                         in the store's zone, of which 7 have to be known; where they are not, \
                         nothing is out of the ordinary.",
                    )
                    .gives_all::<attention::AttentionOut>("The most urgent first."),
            ),
        )
        .at(
            "/v1/status",
            Documented::get(
                status::show,
                doc("Show how it goes")
                    .gives::<status::StatusOut>(200, "Queue, counts, rings, RCMS, what is wrong, keys."),
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
