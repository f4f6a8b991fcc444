//! The addresses of what takes a SIM, or what was pushed under one second, out of the store.
use crate::{
    domain::Scope,
    http::api::{
        doc::{Doc, Documented, Routes, Tag},
        erasures, retract,
    },
};

/// All of them.
pub(super) fn routes(routes: Routes) -> Routes {
    erasures(retractions(routes))
}

fn erasures(routes: Routes) -> Routes {
    let doc = |summary| Doc::new(Tag::Server, summary).needs(Scope::Admin);
    routes
        .at(
            "/v1/erase",
            Documented::post(
                erasures::erase,
                doc("Take a SIM out of everything")
                    .about(
                        "For good: what still comes of it is acknowledged and not kept, and no \
                         backup brings it back. Its kept records are taken out of all sums; what \
                         pruned records have added to sums that name no SIM stays. A number of \
                         which nothing is known is 404 unless `force` is true.",
                    )
                    .takes::<erasures::EraseIn>()
                    .gives::<erasures::ErasedOut>(200, "How much was taken away.")
                    .problem(404, "Nothing is known of this SIM."),
            ),
        )
        .at(
            "/v1/erasures",
            Documented::get(
                erasures::list,
                doc("List erased SIMs")
                    .gives_all::<erasures::ErasureOut>("All there ever were, the last one first."),
            ),
        )
        .at(
            "/v1/erasures/{giccid}",
            Documented::get(
                erasures::show,
                doc("See what an erasure would take away")
                    .about("Nothing is changed.")
                    .gives::<erasures::TracesOut>(200, "What there is of the SIM."),
            )
            .and_delete(
                erasures::lift,
                doc("Keep again what comes of an erased SIM")
                    .about("From now on. What was erased stays so, also after a restore.")
                    .gives_nothing(204, "What comes of it from now on is kept.")
                    .problem(409, "It is still being erased."),
            ),
        )
}

fn retractions(routes: Routes) -> Routes {
    let doc = |summary| Doc::new(Tag::Server, summary).needs(Scope::Admin);
    routes
        .at(
            "/v1/retract",
            Documented::post(
                retract::retract,
                doc("Take out what was pushed under one `datePush`")
                    .about(
                        "Records that somebody attached to a captured signature leave lists and \
                         sums, and `/v1/changes` tells of it. What still comes under that second \
                         (from that source, where one is named) is held as `date_retracted`; the \
                         same record under another `datePush` is stored. A record that another \
                         push has brought, too, stays as that one's, with a new `id`. A `datePush` \
                         under which nothing came is 404 unless `force` is true.",
                    )
                    .takes::<retract::RetractIn>()
                    .gives::<retract::RetractionOut>(200, "How much was taken out.")
                    .problem(
                        404,
                        "Nothing came under this `datePush`, or it was retracted already.",
                    ),
            ),
        )
        .at(
            "/v1/retractions",
            Documented::get(
                retract::list,
                doc("List retractions")
                    .gives_all::<retract::RetractedOut>("All there ever were, the last one first."),
            ),
        )
        .at(
            "/v1/retractions/{id}",
            Documented::delete(
                retract::lift,
                doc("Keep again what comes under a retracted `datePush`")
                    .about(
                        "From now on, and for every retraction of the same `datePush` and source. \
                         What was taken out stays out.",
                    )
                    .gives_nothing(204, "What comes under it from now on is kept.")
                    .problem(409, "It still goes on."),
            ),
        )
}
