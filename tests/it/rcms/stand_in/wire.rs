//! Ways to send an answer, the right one and the others.
use std::{io, time::Duration};

use flate2::{Compress, Compression, Crc, FlushCompress};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{Busy, answer::Answer};

const BEFORE: &[u8] = br#"{"msg":"Success","code":0,"data":""#;
const AFTER: &[u8] = br#""}"#;
const PIECE_BYTES: usize = 1 << 16;
/// What one unit of the bomb unpacks to.
const UNIT_BYTES: usize = 1 << 20;

pub(super) enum Way {
    Whole,
    Trickle(Duration),
    Truncated,
    Huge { bytes: u64, chunked: bool },
    GzipBomb(u64),
    Reset,
    Silence,
}

/// Whether the connection can be used for another request.
pub(super) async fn send(
    stream: &mut TcpStream,
    mut answer: Answer,
    way: Way,
    busy: Busy,
) -> io::Result<bool> {
    let length = answer.body.len();
    match way {
        Way::Whole => {
            let text = [answer.head(length), answer.body].concat();
            drop(busy);
            stream.write_all(&text).await?;
        }
        Way::Trickle(pause) => trickle(stream, &answer, pause, busy).await?,
        Way::Truncated => {
            let text = [answer.head(length).as_slice(), &answer.body[..length / 2]].concat();
            drop(busy);
            stream.write_all(&text).await?;
            return Ok(false);
        }
        Way::Huge { bytes, chunked } => huge(stream, &answer, bytes, chunked, busy).await?,
        Way::GzipBomb(bytes) => {
            answer.headers.push(("Content-Encoding".into(), "gzip".into()));
            stream.write_all(&answer.head_with(chunks())).await?;
            bomb(stream, bytes, busy).await?;
        }
        Way::Reset => {
            drop(busy);
            stream.set_zero_linger()?;
            return Ok(false);
        }
        Way::Silence => {
            let mut unheard = [0; 1024];
            while stream.read(&mut unheard).await? > 0 {}
            return Ok(false);
        }
    }
    Ok(true)
}

async fn trickle(
    stream: &mut TcpStream,
    answer: &Answer,
    pause: Duration,
    busy: Busy,
) -> io::Result<()> {
    let Some((last, first)) = answer.body.split_last() else {
        drop(busy);
        return stream.write_all(&answer.head(0)).await;
    };
    stream.write_all(&answer.head(answer.body.len())).await?;
    for byte in first {
        tokio::time::sleep(pause).await;
        stream.write_all(&[*byte]).await?;
    }
    tokio::time::sleep(pause).await;
    drop(busy);
    stream.write_all(&[*last]).await
}

async fn huge(
    stream: &mut TcpStream,
    answer: &Answer,
    bytes: u64,
    chunked: bool,
    busy: Busy,
) -> io::Result<()> {
    let length = if chunked { chunks() } else { ("Content-Length", bytes.to_string()) };
    stream.write_all(&answer.head_with(length)).await?;
    let filling = vec![b'x'; PIECE_BYTES];
    write(stream, BEFORE, chunked).await?;
    let mut left = bytes.saturating_sub((BEFORE.len() + AFTER.len()) as u64);
    while left > 0 {
        let size = filling.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        write(stream, &filling[..size], chunked).await?;
        left -= size as u64;
    }
    drop(busy);
    write(stream, AFTER, chunked).await?;
    if chunked { stream.write_all(b"0\r\n\r\n").await } else { Ok(()) }
}

/// One gzip member whose middle is the same few bytes again and again: after a full flush the
/// compressor remembers nothing, so a unit can follow itself.
async fn bomb(stream: &mut TcpStream, bytes: u64, busy: Busy) -> io::Result<()> {
    let plain_unit = vec![b'x'; UNIT_BYTES];
    let mut crc_of_unit = Crc::new();
    crc_of_unit.update(&plain_unit);
    let unit = deflate(&plain_unit, FlushCompress::Full);

    let mut crc = Crc::new();
    crc.update(BEFORE);
    write(stream, b"\x1f\x8b\x08\0\0\0\0\0\0\xff", true).await?;
    write(stream, &deflate(BEFORE, FlushCompress::Full), true).await?;
    for _ in 0..bytes / UNIT_BYTES as u64 {
        crc.combine(&crc_of_unit);
        write(stream, &unit, true).await?;
    }
    crc.update(AFTER);
    drop(busy);
    write(stream, &deflate(AFTER, FlushCompress::Finish), true).await?;
    let end = [crc.sum().to_le_bytes(), crc.amount().to_le_bytes()].concat();
    write(stream, &end, true).await?;
    stream.write_all(b"0\r\n\r\n").await
}

fn deflate(plain: &[u8], flush: FlushCompress) -> Vec<u8> {
    let mut compressed = Vec::with_capacity(UNIT_BYTES);
    Compress::new(Compression::best(), false).compress_vec(plain, &mut compressed, flush).unwrap();
    compressed
}

fn chunks() -> (&'static str, String) {
    ("Transfer-Encoding", "chunked".into())
}

async fn write(stream: &mut TcpStream, piece: &[u8], chunked: bool) -> io::Result<()> {
    if chunked {
        let framed = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
        return stream.write_all(&framed).await;
    }
    stream.write_all(piece).await
}
