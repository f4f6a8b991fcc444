//! A whole list as a stream, or a page that is too much for one read. It holds one portion of rows at a
//! time, however long the list is; a read
//! that fails cuts the chunked body short, so that nobody takes a part for the whole. How many rows
//! there were stands in a trailer, and in a last line for who asks.
use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures_util::stream::try_unfold;
use http_body_util::StreamBody;
use hyper::body::Frame;
use tracing::Span;

use super::{
    error::ApiError,
    list::{Asked, List, RowsOf, older_than, rows_of},
};
use crate::{
    domain::{AuditAction, AuditNote, AuditOutcome, PageSize, Place, Walk, counted},
    http::paging::Key,
    store::Portion,
};

/// The trailer with the number of rows. It is sent to clients that say `TE: trailers`.
const ROWS: HeaderName = HeaderName::from_static("simdeck-rows");

/// All rows there are now, from the newest to the oldest.
pub(super) async fn stream<L: List>(list: Asked<L>) -> Result<Response, ApiError> {
    let mut export = Export::new(list, None);
    // What fails before the first byte can still be told with a status.
    let top = export.list.top().await?;
    let walk = Walk { top, place: Place::Newest, size: PageSize::LARGEST };
    let place = export.list.place_among_heavy().await?;
    let first = export.read(walk).await?;
    drop(place);
    let mut response = export.respond(first)?;
    announce_trailer(&mut response);
    Ok(response)
}

/// A page of which this much was read; the rest is read as it is sent.
pub(super) async fn page<L: List>(list: Asked<L>, first: RowsOf<L>) -> Result<Response, ApiError> {
    let Portion { rows, left } = first;
    let mut export = Export::new(list, Some(left.clone()));
    export.step = rows.last().map_or(Step::Tail, |row| next_of_page(L::id(row), &left));
    let first = export.write(rows).await?;
    export.respond(first)
}

/// The read after this row of a page of which these are left.
fn next_of_page<K: Key>(oldest: K, left: &[K]) -> Step<K> {
    let rows = u32::try_from(left.len()).unwrap_or(PageSize::MAX);
    let size = PageSize::within(rows, PageSize::MAX);
    size.map_or(Step::Tail, |size| Step::Read(older_than(oldest, size)))
}

/// Says at an answer's beginning that it ends with a [`trailer`].
pub(super) fn announce_trailer(response: &mut Response) {
    response.headers_mut().insert(header::TRAILER, HeaderValue::from_name(ROWS));
}

/// How many rows there were.
pub(super) fn trailer(rows: u64) -> Frame<Bytes> {
    Frame::trailers(HeaderMap::from_iter([(ROWS, HeaderValue::from(rows))]))
}

/// An export under way.
struct Export<L: List> {
    list: Asked<L>,
    step: Step<L::Key>,
    /// The rows that were left of a page after the first read; none for a whole list.
    page: Option<Vec<L::Key>>,
    /// How many rows were written.
    rows: u64,
    /// Whether it came to its end.
    is_whole: bool,
    /// The request's, which the body outlives.
    span: Span,
}

/// However a whole list ends, also with its reader, the audit says who took it.
impl<L: List> Drop for Export<L> {
    fn drop(&mut self) {
        if self.page.is_none() {
            self.note_in_audit();
        }
    }
}

/// What comes next.
enum Step<K> {
    /// More rows.
    Read(Walk<K>),
    /// What stands after the rows.
    Tail,
    /// The trailer.
    Trailer,
    /// Nothing.
    End,
}

impl<L: List> Export<L> {
    fn new(list: Asked<L>, page: Option<Vec<L::Key>>) -> Self {
        Self { list, step: Step::Tail, page, rows: 0, is_whole: false, span: Span::current() }
    }

    /// An answer that begins with these rows.
    fn respond(self, rows: Vec<u8>) -> Result<Response, ApiError> {
        let form = self.list.form;
        let mut first = form.head::<L>(&self.list.view)?;
        first.extend(rows);
        let frames = try_unfold((self, Some(first)), async |(mut export, ready)| {
            if let Some(bytes) = ready {
                return Ok(Some((Frame::data(Bytes::from(bytes)), (export, None))));
            }
            match export.next().await {
                Ok(Some(frame)) => Ok(Some((frame, (export, None)))),
                Ok(None) => Ok(None),
                Err(error) => {
                    export.span.in_scope(|| {
                        let error = &error as &dyn std::error::Error;
                        tracing::error!(error, "An export was cut short");
                    });
                    Err(error)
                }
            }
        });
        let mut response = Body::new(StreamBody::new(frames)).into_response();
        form.label::<L>(&mut response);
        Ok(response)
    }

    /// Writes into the audit who took how many rows away, and whether those were all.
    fn note_in_audit(&self) {
        let list = &self.list;
        let subject = L::path(&list.within);
        let note = AuditNote::by(&list.guest.caller, AuditAction::Export, subject);
        let outcome = if self.is_whole { AuditOutcome::Done } else { AuditOutcome::Failed };
        let rows = counted(self.rows, "row", "rows");
        let mut details = format!("{rows} as {}", list.form.format().as_str());
        // Without values: they may be what is erased some day.
        let filters = list.question.narrowed_by();
        if !filters.is_empty() {
            details += &format!(", filtered by {}", filters.join(", "));
        }
        list.state.intake.audit_beside(note.ended(outcome, details));
    }

    async fn next(&mut self) -> Result<Option<Frame<Bytes>>, ApiError> {
        match self.step {
            Step::Read(walk) => {
                // Somebody reads already: it waits its turn, however long, and each turn is short.
                let _place = self.list.turn_among_heavy().await?;
                Ok(Some(Frame::data(self.read(walk).await?.into())))
            }
            Step::Tail => {
                self.step = if self.page.is_some() { Step::End } else { Step::Trailer };
                let tail = self.list.form.tail::<L>(self.rows, &self.list.view)?;
                Ok(Some(Frame::data(tail.into())))
            }
            Step::Trailer => {
                self.is_whole = true;
                self.step = Step::End;
                Ok(Some(trailer(self.rows)))
            }
            Step::End => Ok(None),
        }
    }

    async fn read(&mut self, walk: Walk<L::Key>) -> Result<Vec<u8>, ApiError> {
        let Portion { mut rows, left } = self.list.read(&walk).await?;
        let oldest = rows.last().map(L::id);
        self.step = match (oldest, &self.page) {
            (None, _) => Step::Tail,
            (Some(oldest), Some(page)) => {
                // Where some went meanwhile, those behind the page do not move up: they are on the next.
                rows.retain(|row| page.contains(&L::id(row)));
                next_of_page(oldest, &left)
            }
            (Some(oldest), None) if !left.is_empty() || rows.len() == rows_of(walk.size) => {
                Step::Read(older_than(oldest, walk.size))
            }
            (Some(_), None) => Step::Tail,
        };
        self.write(rows).await
    }

    async fn write(&mut self, rows: Vec<L::Row>) -> Result<Vec<u8>, ApiError> {
        let form = self.list.form;
        let mut out = Vec::new();
        if self.rows > 0 && !rows.is_empty() {
            out.extend(form.between());
        }
        self.rows += rows.len() as u64;
        out.extend(form.rows_aside::<L>(rows, &self.list.view).await?.0);
        Ok(out)
    }
}
