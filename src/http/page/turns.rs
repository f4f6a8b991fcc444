//! A page of a list, and turning to the others: where the API's `Link` header leads, this page leads too.
use super::{Source, Visitor, ask::Answer, call::Call, filters::Filters, format::Format};
use crate::http::query_string::{decode, parts};

/// What a page shows of a list.
#[derive(Debug)]
pub(super) struct Rows<R> {
    pub(super) rows: Vec<R>,
    pub(super) pages: Pages,
    pub(super) source: Source,
}

impl<R> Rows<R> {
    /// What the API answered to this call, each row as the page has it.
    pub(super) fn of<T>(
        visitor: &Visitor,
        filters: &Filters,
        call: &Call,
        answer: Answer<Vec<T>>,
        row: impl FnMut(T) -> R,
    ) -> Self {
        let pages = Pages::of(&answer, &filters.here, &visitor.format());
        let rows = answer.body.into_iter().map(row).collect();
        // Who takes the whole list along begins at its beginning.
        let call = PLACE.into_iter().fold(call.clone(), Call::without);
        Self { rows, pages, source: visitor.source(&call) }
    }
}

/// The way to the rows before and after these.
#[derive(Debug)]
pub(super) struct Pages {
    pub(super) previous: Option<String>,
    pub(super) next: Option<String>,
    /// How many rows of how many.
    pub(super) told: String,
}

/// What a page keeps in its address of where a walk stands, under the API's names.
pub(super) const PLACE: [&str; 3] = ["page", "size", "at"];

impl Pages {
    /// Around these rows, on the page at this address.
    pub(super) fn of<T>(answer: &Answer<Vec<T>>, here: &Call, format: &Format) -> Self {
        let links = answer.header("link").unwrap_or_default();
        let turn = |rel: &str| {
            let query = link(links, rel)?.split_once('?')?.1.to_owned();
            let given: Vec<_> = parts(&query).collect();
            let take = |here: Call, name| {
                let value = given.iter().find(|(it, _)| *it == name).map(|(_, value)| *value);
                here.without(name).with_some(name, value.and_then(|value| decode(value).ok()))
            };
            Some(PLACE.into_iter().fold(here.clone(), take).uri())
        };
        let rows = u64::try_from(answer.body.len()).unwrap_or_default();
        let total = answer.total().unwrap_or(rows);
        let of_total = format.words.common.of_total;
        let told = of_total(&format.number(rows), &format.number(total));
        Self { previous: turn("prev"), next: turn("next"), told }
    }

    /// Whether there is anything to turn to.
    pub(super) fn is_any(&self) -> bool {
        self.previous.is_some() || self.next.is_some()
    }
}

/// The address behind a `rel` of a `Link` header of ours. They hold neither `,` nor `>`.
fn link<'l>(links: &'l str, rel: &str) -> Option<&'l str> {
    links.split(", ").find_map(|link| {
        let (url, found) = link.strip_prefix('<')?.split_once(">; rel=")?;
        (found.trim_matches('"') == rel).then_some(url)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_found_by_its_rel() {
        let links = "<http://a/v1?page=0>; rel=\"first\", <http://a/v1?page=2&at=01>; rel=\"next\"";
        assert_eq!(link(links, "next"), Some("http://a/v1?page=2&at=01"));
        assert_eq!(link(links, "prev"), None);
    }
}
