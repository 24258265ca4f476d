//! A file as lines of bytes, without copying each.

use std::io::{self, Read};

/// How much is read at once; a line may be this long and no longer.
const CHUNK: usize = 1 << 20;

/// Reads `input` line by line.
pub(super) struct Lines<R> {
    input: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    ended: bool,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, buffer: vec![0; 2 * CHUNK], start: 0, end: 0, ended: false }
    }

    /// Up to `count` of the next bytes, without consuming them.
    pub(super) fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        while self.end - self.start < count && !self.ended {
            self.more()?;
        }
        Ok(&self.buffer[self.start..self.end.min(self.start + count)])
    }

    /// The next line without its end; `None` after the last.
    pub(super) fn next(&mut self) -> io::Result<Option<&[u8]>> {
        let mut from = self.start;
        loop {
            if let Some(length) = memchr::memchr(b'\n', &self.buffer[from..self.end]) {
                let line = self.start..from + length;
                self.start = line.end + 1;
                return Ok(Some(&self.buffer[line]));
            }
            if self.ended {
                let line = self.start..self.end;
                self.start = self.end;
                return Ok((!line.is_empty()).then(|| &self.buffer[line]));
            }
            if self.end - self.start > CHUNK {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a line of more than a megabyte"));
            }
            let read = self.end - self.start;
            self.more()?;
            from = self.start + read;
        }
    }

    fn more(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        match self.input.read(&mut self.buffer[self.end..]) {
            Ok(0) => self.ended = true,
            Ok(read) => self.end += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

impl<R: Read> Read for Lines<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.start == self.end && !self.ended {
            self.more()?;
        }
        let count = into.len().min(self.end - self.start);
        into[..count].copy_from_slice(&self.buffer[self.start..self.start + count]);
        self.start += count;
        Ok(count)
    }
}
