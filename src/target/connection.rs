//! A connection to one server, with a limit for every reply as a whole.
//!
//! It sends what the redis crate packs and reads replies with the redis crate's parser, as that crate's own connection
//! does. But that one applies its limit to every *read*, so a server that sends one byte per second can keep a client
//! waiting forever. Here the whole reply must arrive in time once it has begun. A reply that arrives in one piece, as
//! nearly all do, needs no extra system call.
//!
//! Over TLS it is the redis crate's own connection, whose limit applies to every read.

use std::io::{ErrorKind, Read, Result, Write};
use std::time::{Duration, Instant};

use redis::{Client, ConnectionAddr, ConnectionLike, Parser, RedisConnectionInfo, RedisError, RedisResult, Value};

use crate::target::RESPONSE_TIMEOUT;
use crate::target::stream::{CONNECT_TIMEOUT, Stream, open, targets};

/// A connection to one server.
pub(crate) struct Connection(Kind);

// The large variant is the one measured most; a box would add a pointer indirection to it.
#[allow(clippy::large_enum_variant)]
enum Kind {
    Plain(Plain),
    Tls(redis::Connection),
}

impl Connection {
    /// Opens a connection, logged in and on the URL's database. A reply may take [`RESPONSE_TIMEOUT`] to begin and as
    /// long again to be complete.
    ///
    /// # Errors
    /// Nothing answers there, or it refuses us.
    pub(crate) fn open(client: &Client) -> RedisResult<Self> {
        Self::open_within(client, RESPONSE_TIMEOUT)
    }

    /// The same with another limit for replies. It also limits connecting, if it is shorter than the usual limit for
    /// that.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub(crate) fn open_within(client: &Client, limit: Duration) -> RedisResult<Self> {
        let info = client.get_connection_info();
        if matches!(info.addr(), ConnectionAddr::Tcp(..) | ConnectionAddr::Unix(_)) {
            return Plain::open(info.addr(), info.redis_settings(), limit).map(|plain| Self(Kind::Plain(plain)));
        }
        let connection = client.get_connection_with_timeout(CONNECT_TIMEOUT.min(limit))?;
        connection.set_read_timeout(Some(limit))?;
        connection.set_write_timeout(Some(limit))?;
        Ok(Self(Kind::Tls(connection)))
    }

    /// Sends a packed command, or several, whose replies [`Connection::recv_response`] then reads one by one.
    ///
    /// # Errors
    /// The connection is gone.
    pub(crate) fn send_packed_command(&mut self, packed: &[u8]) -> RedisResult<()> {
        match &mut self.0 {
            Kind::Plain(plain) => plain.send(packed),
            Kind::Tls(connection) => connection.send_packed_command(packed),
        }
    }

    /// The next reply.
    ///
    /// # Errors
    /// The connection is gone, or the reply does not come in time or is malformed.
    pub(crate) fn recv_response(&mut self) -> RedisResult<Value> {
        match &mut self.0 {
            Kind::Plain(plain) => plain.receive(),
            Kind::Tls(connection) => connection.recv_response(),
        }
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command(&mut self, cmd: &[u8]) -> RedisResult<Value> {
        match &mut self.0 {
            Kind::Plain(plain) => {
                plain.send(cmd)?;
                plain.receive()
            }
            Kind::Tls(connection) => connection.req_packed_command(cmd),
        }
    }

    fn req_packed_commands(&mut self, cmd: &[u8], offset: usize, count: usize) -> RedisResult<Vec<Value>> {
        match &mut self.0 {
            Kind::Plain(plain) => plain.ask_all(cmd, offset, count),
            Kind::Tls(connection) => connection.req_packed_commands(cmd, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match &self.0 {
            Kind::Plain(plain) => plain.db,
            Kind::Tls(connection) => connection.get_db(),
        }
    }

    fn check_connection(&mut self) -> bool {
        redis::cmd("PING").query::<String>(self).is_ok()
    }

    fn is_open(&self) -> bool {
        match &self.0 {
            Kind::Plain(plain) => plain.is_open,
            Kind::Tls(connection) => connection.is_open(),
        }
    }
}

/// A connection that is not encrypted.
struct Plain {
    stream: Box<dyn Stream>,
    parser: Parser,
    limit: Duration,
    db: i64,
    /// False once the server has closed the connection, or once it is unknown where the next reply begins.
    is_open: bool,
    /// Replies that timed out and may still arrive. They must not be taken for the reply to a later command.
    late: usize,
}

impl Plain {
    fn open(address: &ConnectionAddr, settings: &RedisConnectionInfo, limit: Duration) -> RedisResult<Self> {
        let stream = open(address, &targets(address)?)?;
        let (parser, db) = (Parser::new(), settings.db());
        let mut plain = Self { stream, parser, limit, db, is_open: true, late: 0 };
        plain.limit_to(CONNECT_TIMEOUT.min(limit))?;
        match plain.greet(settings, settings.username()) {
            // Servers before 6.0 have no users.
            Err(error) if error.to_string().contains("wrong number of arguments for 'auth'") => {
                plain.greet(settings, None)
            }
            greeted => greeted,
        }?;
        plain.limit_to(limit)?;
        Ok(plain)
    }

    fn limit_to(&mut self, limit: Duration) -> Result<()> {
        self.limit = limit;
        self.stream.wait_at_most(limit)?;
        self.stream.push_at_most(limit)
    }

    /// Logs in, selects the database, and names this client to servers that support it.
    fn greet(&mut self, settings: &RedisConnectionInfo, user: Option<&str>) -> RedisResult<()> {
        let mut hello = redis::pipe();
        if let Some(password) = settings.password() {
            hello.cmd("AUTH").arg(user).arg(password);
        }
        if settings.db() != 0 {
            hello.cmd("SELECT").arg(settings.db());
        }
        let demanded = hello.len();
        hello.cmd("CLIENT").arg("SETINFO").arg("LIB-NAME").arg(env!("CARGO_PKG_NAME"));
        hello.cmd("CLIENT").arg("SETINFO").arg("LIB-VER").arg(env!("CARGO_PKG_VERSION"));
        let replies = self.ask_all(&hello.get_packed_pipeline(), 0, hello.len())?;
        replies.into_iter().take(demanded).try_for_each(|reply| reply.extract_error().map(drop))
    }

    fn send(&mut self, packed: &[u8]) -> RedisResult<()> {
        if !self.is_open {
            return Err(std::io::Error::from(ErrorKind::BrokenPipe).into());
        }
        self.stream.write_all(packed).map_err(|error| {
            let error = RedisError::from(error);
            self.is_open &= !error.is_unrecoverable_error();
            error
        })
    }

    fn receive(&mut self) -> RedisResult<Value> {
        loop {
            let value = self.receive_any()?;
            if self.late == 0 {
                return Ok(value);
            }
            self.late -= 1;
        }
    }

    fn receive_any(&mut self) -> RedisResult<Value> {
        if !self.is_open {
            return Err(std::io::Error::from(ErrorKind::BrokenPipe).into());
        }
        let mut incoming = Incoming { stream: &mut *self.stream, limit: self.limit, pieces: 0, begun: None };
        let reply = self.parser.parse_value(&mut incoming);
        let is_cut = incoming.begun.is_some();
        if is_cut {
            self.stream.wait_at_most(self.limit)?;
        }
        reply.inspect_err(|error| match error.is_timeout() && !is_cut {
            true => self.late += 1,
            false => self.is_open = false,
        })
    }

    /// Like the redis crate's own connection, except that once a reply times out, the replies after it are not waited
    /// for.
    fn ask_all(&mut self, packed: &[u8], offset: usize, count: usize) -> RedisResult<Vec<Value>> {
        self.send(packed)?;
        let (mut replies, mut refused) = (Vec::with_capacity(count), None);
        for at in 0..offset + count {
            let reply = self.receive().inspect_err(|_| self.late += offset + count - 1 - at)?;
            match reply {
                // The error of a command that could not be queued. EXEC itself says only that nothing was done.
                Value::ServerError(error) if at < offset => refused = refused.or(Some(error)),
                _ if at < offset => {}
                reply => replies.push(reply),
            }
        }
        refused.map_or(Ok(replies), |error| Err(error.into()))
    }
}

/// One incoming reply: a read of its first piece, and if the reply is not complete, more reads within `limit`.
struct Incoming<'a> {
    stream: &'a mut dyn Stream,
    limit: Duration,
    pieces: usize,
    /// When the first piece had arrived, if more are needed.
    begun: Option<Instant>,
}

impl Read for Incoming<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if self.pieces > 0 {
            let begun = *self.begun.get_or_insert_with(Instant::now);
            let left = self.limit.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            self.stream.wait_at_most(left)?;
        }
        self.pieces += 1;
        self.stream.read(buffer)
    }
}
