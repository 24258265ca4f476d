//! One socket of the event loop: requests not sent yet, a reply not yet complete, and the clients whose replies are
//! outstanding.

use std::collections::VecDeque;
use std::io::{ErrorKind, Result};

use mio::{Interest, Registry, Token};

use crate::target::Socket;

/// Room for one read. A read that does not fill it has emptied the socket.
const READ: usize = 64 * 1_024;

pub(super) struct Line {
    socket: Box<dyn Socket>,
    /// Requests that the system has not accepted yet.
    unsent: Vec<u8>,
    /// The beginning of an incomplete reply.
    rest: Vec<u8>,
    /// The clients that replies are for, in the order of their requests.
    pub(super) expects: VecDeque<u32>,
    /// Why the line is closed; `None` while it is open.
    pub(super) lost: Option<String>,
}

/// What one read brought.
pub(super) struct Received {
    /// How many bytes of the buffer are filled, including the beginning of an earlier reply.
    pub(super) filled: usize,
    /// Whether the socket is empty now.
    pub(super) is_all: bool,
}

impl Line {
    pub(super) fn watched(mut socket: Box<dyn Socket>, registry: &Registry, token: Token) -> Result<Self> {
        registry.register(&mut *socket, token, Interest::READABLE)?;
        Ok(Self { socket, unsent: Vec::new(), rest: Vec::new(), expects: VecDeque::new(), lost: None })
    }

    /// Sends `bytes` after what is left from before. What the system does not accept is kept, and the loop is notified
    /// when the socket is writable again.
    pub(super) fn send(&mut self, bytes: &[u8], registry: &Registry, token: Token) -> Result<()> {
        if self.lost.is_some() {
            return Ok(());
        }
        if bytes.is_empty() && self.unsent.is_empty() {
            // A socket that combines several (for a cluster) may hold unsent requests of its own.
            return self.socket.flush();
        }
        if self.unsent.is_empty() {
            let sent = self.push(bytes)?;
            if sent < bytes.len() {
                self.unsent.extend_from_slice(&bytes[sent..]);
                registry.reregister(&mut *self.socket, token, Interest::READABLE | Interest::WRITABLE)?;
            }
            return Ok(());
        }
        let mut unsent = std::mem::take(&mut self.unsent);
        unsent.extend_from_slice(bytes);
        let sent = self.push(&unsent)?;
        unsent.drain(..sent);
        if unsent.is_empty() {
            registry.reregister(&mut *self.socket, token, Interest::READABLE)?;
        }
        self.unsent = unsent;
        Ok(())
    }

    /// Writes as much of `bytes` as the system accepts, and returns how much that was.
    fn push(&mut self, bytes: &[u8]) -> Result<usize> {
        let mut sent = 0;
        while sent < bytes.len() {
            match self.socket.write(&bytes[sent..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(length) => sent += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(sent)
    }

    /// One read into `buffer`, after what was kept; `None` if nothing has arrived.
    pub(super) fn receive(&mut self, buffer: &mut Vec<u8>) -> Result<Option<Received>> {
        let kept = self.rest.len();
        if buffer.len() < kept + READ {
            buffer.resize(kept + READ, 0);
        }
        let room = buffer.len() - kept;
        let length = loop {
            match self.socket.read(&mut buffer[kept..]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(length) => break length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        };
        buffer[..kept].copy_from_slice(&self.rest);
        self.rest.clear();
        Ok(Some(Received { filled: kept + length, is_all: length < room }))
    }

    /// Keeps the beginning of a reply until the rest of it comes.
    pub(super) fn keep(&mut self, beginning: &[u8]) {
        self.rest.extend_from_slice(beginning);
    }

    /// Closes the line: nothing more is sent or received.
    pub(super) fn close(&mut self, why: &str, registry: &Registry) {
        // If the system has already forgotten the socket, so much the better.
        let _ = registry.deregister(&mut *self.socket);
        self.lost.get_or_insert_with(|| why.to_owned());
        self.expects.clear();
        self.unsent.clear();
        self.rest.clear();
    }
}
