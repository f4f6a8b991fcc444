//! Bodies that are packed in a way that we did not ask for. What we did ask for, gzip, is unpacked
//! before it comes here.
use std::io::{self, Read};

use flate2::read::{DeflateDecoder, ZlibDecoder};

use super::error::RcmsError;

/// Unpacks a body as its `Content-Encoding` says, as long as no more than so many bytes come out.
pub(super) fn unpacked(
    body: Vec<u8>,
    encoding: &str,
    bytes_max: usize,
) -> Result<Vec<u8>, RcmsError> {
    match encoding.trim().to_ascii_lowercase().as_str() {
        _ if body.is_empty() => Ok(body),
        "" | "identity" => Ok(body),
        // By the standard it is zlib's form; some send the bare stream all the same.
        "deflate" if is_zlib(&body) => read(ZlibDecoder::new(&*body), bytes_max),
        "deflate" => read(DeflateDecoder::new(&*body), bytes_max),
        _ => Err(RcmsError::Unreadable("a body packed in a way that we do not ask for")),
    }
}

/// Whether it begins as RFC 1950 has it: the method is 8, and both bytes are a multiple of 31.
fn is_zlib(body: &[u8]) -> bool {
    let [first, second, ..] = *body else { return false };
    first & 0x0f == 8 && u16::from_be_bytes([first, second]).is_multiple_of(31)
}

fn read(packed: impl Read, bytes_max: usize) -> Result<Vec<u8>, RcmsError> {
    let mut body = Vec::new();
    let more_than_max = bytes_max as u64 + 1;
    let read: io::Result<usize> = packed.take(more_than_max).read_to_end(&mut body);
    match read {
        Ok(bytes) if bytes > bytes_max => Err(RcmsError::TooLarge(bytes_max)),
        Ok(_) => Ok(body),
        Err(_) => Err(RcmsError::Unreadable("a packed body that cannot be unpacked")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::ZlibEncoder};

    use super::*;

    #[test]
    fn no_more_comes_out_than_may() {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        assert!(encoder.write_all(&[b'x'; 1_000]).is_ok());
        let Ok(zlib) = encoder.finish() else { panic!("it cannot be packed") };
        // The bare stream stands between two bytes of head and four of a checksum.
        let bare = zlib[2..zlib.len() - 4].to_vec();
        for packed in [zlib, bare] {
            let out = |bytes_max| unpacked(packed.clone(), "Deflate", bytes_max);
            assert!(out(1_000).is_ok_and(|body| body == [b'x'; 1_000]));
            assert!(matches!(out(999), Err(RcmsError::TooLarge(999))));
        }
    }
}
