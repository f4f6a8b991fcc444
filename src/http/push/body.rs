use std::{net::IpAddr, time::Duration};

use axum::{
    body::HttpBody,
    http::{HeaderMap, header},
};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::time::timeout;

use super::budget::{Budget, Reserved, SMALL_BYTES_MAX};

/// How long a body may take, from its head to its last byte.
const BODY_TIME_MAX: Duration = Duration::from_secs(10);

/// A whole body, and its room until it is dropped.
pub(super) struct WholeBody {
    pub(super) bytes: Bytes,
    _reserved: Reserved,
}

/// Why there is no whole body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    Encoded,
    TooLarge,
    TooSlow,
    Broken,
    NoRoom,
}

/// A request's body on its way in.
pub trait RequestBody: HttpBody<Data = Bytes, Error: Send> + Send + Unpin + 'static {}

impl<B: HttpBody<Data = Bytes, Error: Send> + Send + Unpin + 'static> RequestBody for B {}

/// Reads a body that declares no encoding, within its size, its time and the budget. A declared
/// size that is too large is refused before a byte is read.
pub(super) async fn read(
    headers: &HeaderMap,
    body: impl RequestBody,
    budget: &Budget,
    source: IpAddr,
    bytes_max: usize,
) -> Result<WholeBody, BodyError> {
    let encodings = headers.get_all(header::CONTENT_ENCODING);
    if encodings.iter().any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(BodyError::Encoded);
    }
    let declared = match headers.get(header::CONTENT_LENGTH) {
        None => None,
        Some(length) => {
            let length = length.to_str().ok().and_then(|length| length.parse::<usize>().ok());
            Some(length.ok_or(BodyError::TooLarge)?)
        }
    };
    if declared.is_some_and(|length| length > bytes_max) {
        return Err(BodyError::TooLarge);
    }
    let room = declared.unwrap_or(SMALL_BYTES_MAX.min(bytes_max));
    let reserved = budget.reserve(room, source).ok_or(BodyError::NoRoom)?;
    let reading = Reading { body, reserved, room, budget, source, bytes_max };
    timeout(BODY_TIME_MAX, reading.run()).await.map_err(|_| BodyError::TooSlow)?
}

struct Reading<'a, B> {
    body: B,
    reserved: Reserved,
    /// How many bytes are reserved.
    room: usize,
    budget: &'a Budget,
    source: IpAddr,
    bytes_max: usize,
}

impl<B: RequestBody> Reading<'_, B> {
    async fn run(mut self) -> Result<WholeBody, BodyError> {
        let first = self.chunk().await?.unwrap_or_default();
        self.grow(first.len())?;
        // Most bodies come in one piece, which then need not be copied.
        let Some(second) = self.chunk().await? else { return Ok(self.whole(first)) };
        let mut all = BytesMut::with_capacity(self.room.min(first.len() * 4));
        all.extend_from_slice(&first);
        let mut next = Some(second);
        while let Some(chunk) = next {
            self.grow(all.len() + chunk.len())?;
            all.extend_from_slice(&chunk);
            next = self.chunk().await?;
        }
        Ok(self.whole(all.freeze()))
    }

    /// The next piece of the body; none at its end.
    async fn chunk(&mut self) -> Result<Option<Bytes>, BodyError> {
        loop {
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(_)) => return Err(BodyError::Broken),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// Makes sure that so many bytes are allowed: a body that declares no size may turn out large.
    fn grow(&mut self, bytes: usize) -> Result<(), BodyError> {
        if bytes > self.bytes_max {
            return Err(BodyError::TooLarge);
        }
        if bytes > self.room {
            self.reserved =
                self.budget.reserve(self.bytes_max, self.source).ok_or(BodyError::NoRoom)?;
            self.room = self.bytes_max;
        }
        Ok(())
    }

    fn whole(self, bytes: Bytes) -> WholeBody {
        WholeBody { bytes, _reserved: self.reserved }
    }
}
