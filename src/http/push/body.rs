use std::{net::IpAddr, time::Duration};

use axum::{
    body::HttpBody,
    http::{HeaderMap, HeaderValue, header},
};
use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout};

use super::budget::{Budget, NoRoom, Room, SMALL_BYTES_MAX};

/// How long a body may take, from its head to its last byte.
const BODY_TIME_MAX: Duration = Duration::from_secs(10);

/// A body up to this size is copied out of its connection's buffer, which may be larger.
const COPIED_BYTES_MAX: usize = 8 << 10;

/// A whole body, and its room until it is dropped.
pub(super) struct WholeBody {
    pub(super) bytes: Bytes,
    pub(super) room: Option<Room>,
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
    let is_none =
        |it: &HeaderValue| it.is_empty() || it.as_bytes().eq_ignore_ascii_case(b"identity");
    if !encodings.iter().all(is_none) {
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
    let reading = Reading { body, room: None, budget, source, declared, bytes_max };
    timeout(BODY_TIME_MAX, reading.run()).await.map_err(|_| BodyError::TooSlow)?
}

struct Reading<'a, B> {
    body: B,
    /// None as long as nothing is kept.
    room: Option<Room>,
    budget: &'a Budget,
    source: IpAddr,
    declared: Option<usize>,
    bytes_max: usize,
}

impl<B: RequestBody> Reading<'_, B> {
    async fn run(mut self) -> Result<WholeBody, BodyError> {
        // Most bodies come in one piece, and with their head: it need not be copied, and needs no
        // room beside its connection's.
        let first = match next_chunk(&mut self.body).now_or_never() {
            Some(chunk) => chunk?.unwrap_or_default(),
            None => self.wait_for_chunk().await?.unwrap_or_default(),
        };
        self.check_size(first.len())?;
        if self.body.is_end_stream() {
            return self.whole(first);
        }
        let Some(second) = self.wait_for_chunk().await? else { return self.whole(first) };
        let mut all = Vec::new();
        self.append(&mut all, &first).await?;
        drop(first);
        let mut next = Some(second);
        while let Some(chunk) = next {
            self.append(&mut all, &chunk).await?;
            drop(chunk);
            next = self.wait_for_chunk().await?;
        }
        self.whole(all.into())
    }

    /// The next piece of the body, unless others need the room first; none at its end.
    async fn wait_for_chunk(&mut self) -> Result<Option<Bytes>, BodyError> {
        let room = match &self.room {
            Some(room) => room,
            None => {
                self.room.insert(self.budget.enter(self.source, self.declared, Instant::now())?)
            }
        };
        tokio::select! {
            biased;
            chunk = next_chunk(&mut self.body) => chunk,
            NoRoom = room.ended() => Err(BodyError::NoRoom),
        }
    }

    /// A body that declares no size may turn out too large.
    fn check_size(&self, bytes: usize) -> Result<(), BodyError> {
        if bytes > self.bytes_max { Err(BodyError::TooLarge) } else { Ok(()) }
    }

    /// Copies a piece behind the others. Memory grows with what has come: declared is anything.
    async fn append(&mut self, all: &mut Vec<u8>, chunk: &[u8]) -> Result<(), BodyError> {
        let bytes = all.len() + chunk.len();
        self.check_size(bytes)?;
        if let Some(room) = &self.room {
            room.came(bytes, Instant::now());
        }
        if bytes > all.capacity() {
            let most = self.declared.unwrap_or(self.bytes_max).max(bytes);
            let capacity = (bytes * 2).min(most);
            // A large one has room for all of it before it goes on: of several that each wait for the
            // rest of theirs none would come to its end.
            let room_for = match self.declared {
                Some(declared) if capacity > SMALL_BYTES_MAX => declared.max(bytes),
                _ => capacity,
            };
            if let Some(room) = self.room.as_mut().filter(|room| room.bytes() < room_for) {
                room.grow(room_for).await?;
            }
            all.reserve_exact(capacity - all.len());
        }
        all.extend_from_slice(chunk);
        Ok(())
    }

    fn whole(mut self, bytes: Bytes) -> Result<WholeBody, BodyError> {
        if let Some(room) = &mut self.room {
            room.is_whole()?;
        }
        // It may wait in the queue for longer than its connection lasts, and would keep all of the
        // connection's buffer.
        let bytes = match bytes.len() {
            ..=COPIED_BYTES_MAX => Bytes::copy_from_slice(&bytes),
            _ => bytes,
        };
        Ok(WholeBody { bytes, room: self.room })
    }
}

/// The next piece of a body; none at its end.
async fn next_chunk(body: &mut impl RequestBody) -> Result<Option<Bytes>, BodyError> {
    loop {
        match body.frame().await {
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

impl From<NoRoom> for BodyError {
    fn from(NoRoom: NoRoom) -> Self {
        Self::NoRoom
    }
}
