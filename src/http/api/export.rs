//! A whole list as a stream. It holds one read of rows at a time, however long the list is; a read
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
    list::{Asked, List, older_than, rows_of},
};
use crate::domain::{PageSize, Place, Walk};

/// The trailer with the number of rows. It is sent to clients that say `TE: trailers`.
const ROWS: HeaderName = HeaderName::from_static("simdeck-rows");

/// All rows there are now, from the newest to the oldest.
pub(super) async fn stream<L: List>(list: Asked<L>) -> Result<Response, ApiError> {
    let form = list.form;
    let mut export = Export { list, step: Step::Tail, rows: 0, span: Span::current() };
    // What fails before the first byte can still be told with a status.
    let top = export.list.top().await?;
    let mut first = form.head::<L>(&export.list.view)?;
    let walk = Walk { top, place: Place::Newest, size: PageSize::LARGEST };
    let place = export.list.place_among_heavy().await?;
    first.extend(export.read(walk).await?);
    drop(place);
    let frames = try_unfold((export, Some(first)), async |(mut export, ready)| {
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
    announce_trailer(&mut response);
    form.label::<L>(&mut response);
    Ok(response)
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
    /// How many rows were written.
    rows: u64,
    /// The request's, which the body outlives.
    span: Span,
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
    async fn next(&mut self) -> Result<Option<Frame<Bytes>>, ApiError> {
        match self.step {
            Step::Read(walk) => {
                // Somebody reads already: it waits its turn, however long, and each turn is short.
                let _place = self.list.turn_among_heavy().await?;
                Ok(Some(Frame::data(self.read(walk).await?.into())))
            }
            Step::Tail => {
                self.step = Step::Trailer;
                let tail = self.list.form.tail::<L>(self.rows, &self.list.view)?;
                Ok(Some(Frame::data(tail.into())))
            }
            Step::Trailer => {
                self.step = Step::End;
                Ok(Some(trailer(self.rows)))
            }
            Step::End => Ok(None),
        }
    }

    async fn read(&mut self, walk: Walk<L::Key>) -> Result<Vec<u8>, ApiError> {
        let rows = self.list.read(&walk).await?;
        let oldest = rows.last().map(L::id).filter(|_| rows.len() == rows_of(walk.size));
        self.step = oldest.map_or(Step::Tail, |id| Step::Read(older_than(id, walk.size)));
        self.rows += rows.len() as u64;
        self.list.form.rows::<L>(&rows, &self.list.view)
    }
}
