//! The OpenAPI document, from the same table as the router: a route that is served is documented.
//!
//! - this file: [`Routes`], the table, and [`Documented`], what serves an address and what it does;
//! - [`operation`]: [`Doc`], what is told of one method of one address;
//! - [`tag`]: the chapters; [`path`]: what stands in an address where its pattern has `{…}`;
//! - [`problem`]: what refusals look like; [`whole`]: all that stands around the operations;
//! - [`page`]: `/docs` and `/openapi.json`.
use std::sync::Arc;

use axum::{
    Router,
    handler::Handler,
    routing::{MethodFilter, MethodRouter},
};

use super::InternalState;

mod operation;
pub(super) mod page;
mod path;
mod problem;
mod tag;
mod whole;
pub(super) mod words;

pub(super) use operation::Doc;
pub(super) use problem::point_to_docs;
pub(super) use tag::Tag;
pub use whole::DocumentSettings;

/// What serves an address, and what the document says of it.
pub(super) struct Documented {
    router: MethodRouter<InternalState>,
    docs: Vec<(&'static str, Doc)>,
}

/// One method of one address.
pub(super) struct Operation {
    path: &'static str,
    method: &'static str,
    doc: Doc,
}

/// Every address. There is no way to serve one without saying what it does.
#[derive(Default)]
pub(super) struct Routes {
    router: Router<InternalState>,
    operations: Vec<Operation>,
}

/// Where the page of documentation tells of an operation, by method and path.
#[derive(Clone, Debug)]
pub(super) struct Places(Arc<[((&'static str, &'static str), String)]>);

macro_rules! methods {
    ($($name:ident $filter:ident $also:ident: $what:literal),* $(,)?) => {
        impl Documented {
            $(
                #[doc = $what]
                pub(super) fn $name<H, T>(handler: H, doc: Doc) -> Self
                where
                    H: Handler<T, InternalState>,
                    T: 'static,
                {
                    let nothing = Self { router: MethodRouter::new(), docs: Vec::new() };
                    nothing.$also(handler, doc)
                }

                #[doc = concat!("Also ", $what)]
                pub(super) fn $also<H, T>(mut self, handler: H, doc: Doc) -> Self
                where
                    H: Handler<T, InternalState>,
                    T: 'static,
                {
                    self.router = self.router.on(MethodFilter::$filter, handler);
                    self.docs.push((stringify!($name), doc));
                    self
                }
            )*
        }
    };
}

methods! {
    get GET and_get: "answers GET, and HEAD as GET without a body",
    put PUT and_put: "answers PUT",
    post POST and_post: "answers POST",
    delete DELETE and_delete: "answers DELETE",
}

impl Routes {
    /// Adds an address. `{…}` in it is described in [`path`].
    pub(super) fn at(mut self, path: &'static str, documented: Documented) -> Self {
        self.router = self.router.route(path, documented.router);
        for (method, doc) in documented.docs {
            self.operations.push(Operation { path, method, doc });
        }
        self
    }

    /// What serves them, and where each is told of.
    pub(super) fn into_router(self) -> (Router<InternalState>, Places) {
        let places = self.operations.iter().map(|operation| {
            let link = format!("/docs/#/{}/{}", operation.doc.tag().name(), operation.id());
            ((operation.method, operation.path), link)
        });
        (self.router, Places(places.collect()))
    }
}

impl Places {
    fn of<'a>(&'a self, method: &str, path: Option<&str>) -> &'a str {
        let method = if method == "head" { "get" } else { method };
        let mut places = self.0.iter();
        let known = places.find(|(known, _)| known.0 == method && Some(known.1) == path);
        known.map_or("/docs/", |(_, place)| place)
    }
}

impl Operation {
    /// A name for generated clients: `GET /v1/data-usage/{id}` is `getDataUsageById`.
    fn id(&self) -> String {
        let words = self.path.split(['/', '-', '.']).filter(|word| !word.is_empty());
        let mut id = self.method.to_owned();
        for word in words.filter(|word| *word != "v1" || self.path == "/v1") {
            match word.strip_prefix('{').and_then(|word| word.strip_suffix('}')) {
                Some(name) => {
                    id.push_str("By");
                    push_capital(&mut id, name);
                }
                None => push_capital(&mut id, word),
            }
        }
        id
    }
}

fn push_capital(id: &mut String, word: &str) {
    let mut letters = word.chars();
    id.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
    id.extend(letters.filter(char::is_ascii_alphanumeric));
}
