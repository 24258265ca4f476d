//! Sockets to a server's address, TCP or unix: blocking, or non-blocking for an event loop.

use std::io::{ErrorKind, Read, Result, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use mio::event::Source;
use redis::ConnectionAddr;

/// How long one connection may take to be made.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A socket that never blocks and can be watched by an event loop.
pub(crate) trait Socket: Read + Write + Source + Send {}
impl<T: Read + Write + Source + Send> Socket for T {}

/// A socket that blocks.
pub(super) trait Stream: Read + Write + Send {
    /// Limits how long a read may take.
    fn wait_at_most(&self, time: Duration) -> Result<()>;
    /// Limits how long a write may take.
    fn push_at_most(&self, time: Duration) -> Result<()>;
    fn unblocked(self: Box<Self>) -> Result<Box<dyn Socket>>;
}

impl Stream for TcpStream {
    fn wait_at_most(&self, time: Duration) -> Result<()> {
        self.set_read_timeout(Some(time))
    }

    fn push_at_most(&self, time: Duration) -> Result<()> {
        self.set_write_timeout(Some(time))
    }

    fn unblocked(self: Box<Self>) -> Result<Box<dyn Socket>> {
        self.set_nonblocking(true)?;
        Ok(Box::new(mio::net::TcpStream::from_std(*self)))
    }
}

impl Stream for UnixStream {
    fn wait_at_most(&self, time: Duration) -> Result<()> {
        self.set_read_timeout(Some(time))
    }

    fn push_at_most(&self, time: Duration) -> Result<()> {
        self.set_write_timeout(Some(time))
    }

    fn unblocked(self: Box<Self>) -> Result<Box<dyn Socket>> {
        self.set_nonblocking(true)?;
        Ok(Box::new(mio::net::UnixStream::from_std(*self)))
    }
}

/// The addresses that a host name resolves to; none for a unix socket.
pub(super) fn targets(address: &ConnectionAddr) -> Result<Vec<SocketAddr>> {
    match address {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
            Ok((host.as_str(), *port).to_socket_addrs()?.collect())
        }
        _ => Ok(Vec::new()),
    }
}

/// A socket to the unix socket of `address`, or to the first of `targets` that answers; with TCP_NODELAY.
pub(super) fn open(address: &ConnectionAddr, targets: &[SocketAddr]) -> Result<Box<dyn Stream>> {
    if let ConnectionAddr::Unix(path) = address {
        return Ok(Box::new(UnixStream::connect(path)?));
    }
    Ok(Box::new(tcp(targets)?))
}

/// A socket to the first of `targets` that answers; with TCP_NODELAY.
pub(super) fn tcp(targets: &[SocketAddr]) -> Result<TcpStream> {
    let mut failed = ErrorKind::AddrNotAvailable.into();
    for target in targets {
        match TcpStream::connect_timeout(target, CONNECT_TIMEOUT) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}
