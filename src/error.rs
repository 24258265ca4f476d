//! The error type of this crate: one line that says what failed, on what, and what to do.
//!
//! It is opaque on purpose: callers print it or test [`Error::is_interrupt`], so that the kinds inside can change. Messages
//! name the strategy, key, path or command. They never contain a password or control characters.

use std::fmt;
use std::path::Path;

use crate::plain::on_one_line;

/// Any error, as a strategy's updater reports it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// This crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What failed, on what, and what to do: one line. What caused it is its [source](std::error::Error::source).
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    cause: Option<BoxError>,
}

#[derive(Debug)]
enum Kind {
    Usage(String),
    Server(String),
    File(String),
    Broken(String),
    Interrupted,
}

impl Error {
    /// Something asked for is not allowed; the message says what is.
    pub fn usage(message: impl Into<String>) -> Self {
        Kind::Usage(message.into()).into()
    }

    /// The server cannot be found, reached, started or asked.
    pub fn server(message: impl Into<String>) -> Self {
        Kind::Server(message.into()).into()
    }

    /// A file cannot be read or written; names it. An error given as the reason is kept as the cause.
    ///
    /// ```
    /// use std::error::Error as _;
    /// use redis_lost_updates::error::Error;
    /// let denied = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
    /// let error = Error::file("a.csv".as_ref(), denied);
    /// assert_eq!(error.to_string(), "a.csv: permission denied");
    /// assert!(error.source().unwrap().is::<std::io::Error>());
    /// ```
    pub fn file(path: &Path, why: impl Into<BoxError>) -> Self {
        let why = why.into();
        Self::from(Kind::File(format!("{}: {why}", path.display()))).because(why)
    }

    /// The same error, with what caused it.
    #[must_use]
    pub fn because(self, cause: impl Into<BoxError>) -> Self {
        Self { cause: Some(cause.into()), ..self }
    }

    /// The harness or a strategy broke its own rules (a panic, a thread that could not start).
    pub fn broken(message: impl Into<String>) -> Self {
        Kind::Broken(message.into()).into()
    }

    /// The run was asked to stop (Ctrl-C, SIGTERM) before it was done.
    pub fn interrupted() -> Self {
        Kind::Interrupted.into()
    }

    /// Whether the run ended because somebody asked it to.
    pub fn is_interrupt(&self) -> bool {
        matches!(self.kind, Kind::Interrupted)
    }

    /// Whether the server is what failed: a run cannot go on without it.
    pub fn is_server(&self) -> bool {
        matches!(self.kind, Kind::Server(_))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Usage(message) | Kind::Server(message) | Kind::File(message) | Kind::Broken(message) => {
                f.write_str(&on_one_line(message))
            }
            Kind::Interrupted => f.write_str("interrupted: every finished row is kept"),
        }
    }
}

impl From<Kind> for Error {
    fn from(kind: Kind) -> Self {
        Self { kind, cause: None }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let cause: &(dyn std::error::Error + 'static) = self.cause.as_deref()?;
        Some(cause)
    }
}
