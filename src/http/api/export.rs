//! A whole list as a stream. It holds one read of rows at a time, however long the list is; a read
//! that fails cuts the chunked body short, so that nobody takes a part for the whole.
use axum::{
    body::{Body, Bytes},
    response::{IntoResponse, Response},
};
use futures_util::stream::try_unfold;
use tracing::Span;

use super::{
    error::ApiError,
    list::{Asked, List, older_than, rows_of},
};
use crate::domain::{PageSize, Place, Walk};

/// All rows there are now, from the newest to the oldest.
pub(super) async fn stream<L: List>(list: Asked<L>) -> Result<Response, ApiError> {
    let form = list.form;
    let mut export = Export { list, next: None, span: Span::current() };
    // What fails before the first byte can still be told with a status.
    let top = export.list.top().await?;
    let mut first = form.head::<L>(&export.list.view)?;
    first.extend(export.read(Walk { top, place: Place::Newest, size: PageSize::LARGEST }).await?);
    let chunks = try_unfold((export, Some(first)), async |(mut export, ready)| {
        if let Some(bytes) = ready {
            return Ok(Some((Bytes::from(bytes), (export, None))));
        }
        let Some(walk) = export.next.take() else { return Ok(None) };
        match export.read(walk).await {
            Ok(bytes) => Ok(Some((Bytes::from(bytes), (export, None)))),
            Err(error) => {
                export.span.in_scope(|| {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(error, "An export was cut short");
                });
                Err(error)
            }
        }
    });
    let mut response = Body::from_stream(chunks).into_response();
    form.label::<L>(&mut response);
    Ok(response)
}

/// An export under way.
struct Export<L: List> {
    list: Asked<L>,
    /// The read that comes next, if there is one.
    next: Option<Walk<L::Key>>,
    /// The request's, which the body outlives.
    span: Span,
}

impl<L: List> Export<L> {
    async fn read(&mut self, walk: Walk<L::Key>) -> Result<Vec<u8>, ApiError> {
        let rows = self.list.rows(&walk).await?;
        let oldest = rows.last().map(L::id).filter(|_| rows.len() == rows_of(walk.size));
        self.next = oldest.map(|id| older_than(id, walk.size));
        self.list.form.rows::<L>(&rows, &self.list.view)
    }
}
