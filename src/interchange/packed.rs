//! Compressed files: gzip and zstd, recognised by their first bytes.

use std::io::{self, Read};

/// The first bytes of `input`, and all of it.
pub(super) type Peeked<R> = io::Chain<io::Cursor<Vec<u8>>, R>;

/// Reads the first bytes of `input` without losing them.
pub(super) fn peek<R: Read>(mut input: R) -> io::Result<(Vec<u8>, Peeked<R>)> {
    let mut first = Vec::new();
    input.by_ref().take(4).read_to_end(&mut first)?;
    Ok((first.clone(), io::Cursor::new(first).chain(input)))
}

/// Unpacks `input` if it is compressed; the second value says whether it was.
#[cfg(feature = "cli")]
pub(super) fn unpacked<'a>(input: impl Read + 'a) -> io::Result<(Box<dyn Read + 'a>, bool)> {
    let (first, input) = peek(input)?;
    Ok(match first[..] {
        [0x1f, 0x8b, ..] => (Box::new(flate2::read::MultiGzDecoder::new(io::BufReader::new(input))), true),
        [0x28, 0xb5, 0x2f, 0xfd] => {
            let decoder = ruzstd::decoding::StreamingDecoder::new(input).map_err(io::Error::other)?;
            (Box::new(decoder), true)
        }
        _ => (Box::new(input), false),
    })
}

/// Without the feature `cli` there is nothing to unpack with.
#[cfg(not(feature = "cli"))]
pub(super) fn unpacked<'a>(input: impl Read + 'a) -> io::Result<(Box<dyn Read + 'a>, bool)> {
    let (first, input) = peek(input)?;
    match first[..] {
        [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd] => {
            Err(io::Error::other("it is compressed, which only the feature cli can read: unpack it first"))
        }
        _ => Ok((Box::new(input), false)),
    }
}
