//! The one error of this crate: a line that says what failed, on what, and what to do.
//!
//! It is opaque on purpose: callers print it or compare its [`Error::is_interrupt`], and its inner kinds stay free to
//! change. Messages name the strategy, key, path or command; they never contain a password,
//! nor anything that a terminal would obey.

use std::fmt;
use std::path::Path;

use crate::plain::on_one_line;

/// Any error, as a strategy's updater reports it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// This crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What failed, on what, and what to do: one line.
#[derive(Debug)]
pub struct Error(Kind);

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
        Self(Kind::Usage(message.into()))
    }

    /// The server cannot be found, reached, started or asked.
    pub fn server(message: impl Into<String>) -> Self {
        Self(Kind::Server(message.into()))
    }

    /// A file cannot be read or written; names it.
    pub fn file(path: &Path, why: impl fmt::Display) -> Self {
        Self(Kind::File(format!("{}: {why}", path.display())))
    }

    /// The harness or a strategy broke its own rules (a panic, a thread that could not start).
    pub fn broken(message: impl Into<String>) -> Self {
        Self(Kind::Broken(message.into()))
    }

    /// The run was asked to stop (Ctrl-C, SIGTERM) before it was done.
    pub fn interrupted() -> Self {
        Self(Kind::Interrupted)
    }

    /// Whether the run ended because somebody asked it to.
    pub fn is_interrupt(&self) -> bool {
        matches!(self.0, Kind::Interrupted)
    }

    /// Whether the server is what failed: a run cannot go on without it.
    pub fn is_server(&self) -> bool {
        matches!(self.0, Kind::Server(_))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Usage(message) | Kind::Server(message) | Kind::File(message) | Kind::Broken(message) => {
                f.write_str(&on_one_line(message))
            }
            Kind::Interrupted => f.write_str("interrupted: every finished row is kept"),
        }
    }
}

impl std::error::Error for Error {}
