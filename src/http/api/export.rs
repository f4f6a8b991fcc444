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
    list::{List, View, older_than, rows_of},
    params::Question,
    respond::Form,
};
use crate::{
    domain::{PageSize, Place, Walk},
    store::Store,
};

/// All rows there are now, from the newest to the oldest.
pub(super) async fn stream<L: List>(
    store: Store,
    question: Question,
    view: View,
    form: Form,
) -> Result<Response, ApiError> {
    let mut export = Export { store, question, view, form, next: None, span: Span::current() };
    // What fails before the first byte can still be told with a status.
    let top = L::top(&export.store).await?;
    let mut first = form.head::<L>(&export.view)?;
    first.extend(
        export.read::<L>(Walk { top, place: Place::Newest, size: PageSize::LARGEST }).await?,
    );
    let chunks = try_unfold((export, Some(first)), async |(mut export, ready)| {
        if let Some(bytes) = ready {
            return Ok(Some((Bytes::from(bytes), (export, None))));
        }
        let Some(walk) = export.next.take() else { return Ok(None) };
        match export.read::<L>(walk).await {
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
struct Export {
    store: Store,
    question: Question,
    view: View,
    form: Form,
    /// The read that comes next, if there is one.
    next: Option<Walk>,
    /// The request's, which the body outlives.
    span: Span,
}

impl Export {
    async fn read<L: List>(&mut self, walk: Walk) -> Result<Vec<u8>, ApiError> {
        let rows = L::rows(&self.store, &self.question, &walk).await?;
        let oldest = rows.last().map(L::id).filter(|_| rows.len() == rows_of(walk.size));
        self.next = oldest.map(|id| older_than(id, walk.size));
        self.form.rows::<L>(&rows, &self.view)
    }
}
