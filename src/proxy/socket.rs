//! The proxy's sockets: TCP or unix, non-blocking.

use std::fmt;
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{Shutdown, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use mio::event::Source;
use mio::{Interest, Registry, Token};
use socket2::{Domain, SockRef, Type};

/// The most connections that wait to be accepted.
const BACKLOG: i32 = 4_096;

/// An address to listen on or to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A host and port, resolved.
    Tcp(SocketAddr),
    /// A unix domain socket.
    Unix(PathBuf),
}

impl Address {
    /// `host:port` over TCP; if the name has several addresses, the first one.
    ///
    /// # Errors
    /// The name cannot be resolved.
    pub fn tcp(host: &str, port: u16) -> crate::error::Result<Self> {
        let found = (host, port).to_socket_addrs().map(|mut all| all.next());
        match found {
            Ok(Some(address)) => Ok(Self::Tcp(address)),
            Ok(None) => Err(crate::error::Error::server(format!("{host}:{port}: the host name has no address"))),
            Err(error) => Err(crate::error::Error::server(format!("{host}:{port}: {error}"))),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// A listening socket that can be closed and reopened without losing its port.
pub(super) struct Door {
    address: Address,
    /// Holds a TCP port and never listens: while nothing else listens there, connections are refused.
    _keeper: Option<socket2::Socket>,
    listener: Option<Listener>,
}

enum Listener {
    Tcp(mio::net::TcpListener),
    Unix(mio::net::UnixListener),
}

impl Door {
    /// Listens at `address`; port 0 is a free one.
    pub(super) fn open(address: &Address) -> Result<Self> {
        let Address::Tcp(wanted) = address else {
            return Ok(Self { listener: Some(listen(address)?), address: address.clone(), _keeper: None });
        };
        let keeper = bound(wanted)?;
        let address = Address::Tcp(keeper.local_addr()?.as_socket().unwrap_or(*wanted));
        Ok(Self { listener: Some(listen(&address)?), address, _keeper: Some(keeper) })
    }

    /// Its address.
    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    pub(super) fn is_open(&self) -> bool {
        self.listener.is_some()
    }

    pub(super) fn watch(&mut self, registry: &Registry, token: Token) -> Result<()> {
        match &mut self.listener {
            Some(Listener::Tcp(listener)) => listener.register(registry, token, Interest::READABLE),
            Some(Listener::Unix(listener)) => listener.register(registry, token, Interest::READABLE),
            None => Ok(()),
        }
    }

    /// Refuses connections from now on; those that were not accepted yet are reset.
    pub(super) fn close(&mut self) {
        self.listener = None;
    }

    /// Listens again.
    pub(super) fn reopen(&mut self) -> Result<()> {
        if self.listener.is_none() {
            self.listener = Some(listen(&self.address)?);
        }
        Ok(())
    }

    /// The next connection.
    pub(super) fn accept(&self) -> Result<Socket> {
        match &self.listener {
            Some(Listener::Tcp(listener)) => {
                let (socket, _) = listener.accept()?;
                socket.set_nodelay(true)?;
                Ok(Socket::Tcp(socket))
            }
            Some(Listener::Unix(listener)) => listener.accept().map(|(socket, _)| Socket::Unix(socket)),
            None => Err(ErrorKind::WouldBlock.into()),
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        if let Address::Unix(path) = &self.address {
            // It may have been removed already.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn bound(address: &SocketAddr) -> Result<socket2::Socket> {
    let socket = socket2::Socket::new(Domain::for_address(*address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    // Two of our sockets share the port: the keeper stays, the listener comes and goes.
    socket.set_reuse_port(true)?;
    socket.bind(&(*address).into())?;
    Ok(socket)
}

fn listen(address: &Address) -> Result<Listener> {
    match address {
        Address::Tcp(address) => {
            let socket = bound(address)?;
            socket.listen(BACKLOG)?;
            socket.set_nonblocking(true)?;
            Ok(Listener::Tcp(mio::net::TcpListener::from_std(socket.into())))
        }
        Address::Unix(path) => {
            // Remove a file that an earlier listener left behind, but not one that somebody listens on.
            if std::os::unix::net::UnixStream::connect(path).is_err_and(|e| e.kind() == ErrorKind::ConnectionRefused) {
                std::fs::remove_file(path)?;
            }
            Ok(Listener::Unix(mio::net::UnixListener::bind(path)?))
        }
    }
}

/// One end of a connection.
pub(super) enum Socket {
    Tcp(mio::net::TcpStream),
    Unix(mio::net::UnixStream),
}

impl Socket {
    /// Begins to connect: it can be written to once that has succeeded.
    pub(super) fn connect(address: &Address) -> Result<Self> {
        match address {
            Address::Tcp(address) => {
                let socket = mio::net::TcpStream::connect(*address)?;
                socket.set_nodelay(true)?;
                Ok(Self::Tcp(socket))
            }
            Address::Unix(path) => mio::net::UnixStream::connect(path).map(Self::Unix),
        }
    }

    /// Whether connecting has finished, perhaps with an error.
    pub(super) fn is_connected(&self) -> Result<bool> {
        let Self::Tcp(socket) = self else { return Ok(true) };
        if let Some(error) = socket.take_error()? {
            return Err(error);
        }
        match socket.peer_addr() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) fn watch(&mut self, registry: &Registry, token: Token) -> Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        match self {
            Self::Tcp(socket) => socket.register(registry, token, both),
            Self::Unix(socket) => socket.register(registry, token, both),
        }
    }

    /// Ends what we send.
    pub(super) fn finish(&self) {
        // It may be gone already.
        let _ = match self {
            Self::Tcp(socket) => socket.shutdown(Shutdown::Write),
            Self::Unix(socket) => socket.shutdown(Shutdown::Write),
        };
    }

    /// Ends it with a reset; a unix socket, which has none, is closed.
    pub(super) fn reset(self) {
        if let Self::Tcp(socket) = &self {
            // If this fails, the peer sees an ordinary end.
            let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
        }
    }

    /// One read, repeated if interrupted.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        uninterrupted(|| match self {
            Self::Tcp(socket) => socket.read(buffer),
            Self::Unix(socket) => socket.read(buffer),
        })
    }

    /// One write, repeated if interrupted.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let sent = uninterrupted(|| match self {
            Self::Tcp(socket) => socket.write(bytes),
            Self::Unix(socket) => socket.write(bytes),
        })?;
        if sent == 0 { Err(Error::from(ErrorKind::WriteZero)) } else { Ok(sent) }
    }
}

fn uninterrupted(mut act: impl FnMut() -> Result<usize>) -> Result<usize> {
    loop {
        match act() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
