//! Stands in for TLS in a build without it: a [`Trust`] cannot be created.

use std::net::TcpStream;

use redis::ConnectionInfo;

use crate::error::{BoxError, Error, Result};
use crate::target::address::TlsFiles;
use crate::target::stream::Stream;

/// The authorities to trust. It has no values.
pub(super) enum Trust {}

impl Trust {
    pub(super) fn read(_files: &TlsFiles) -> Result<Self> {
        Err(Error::usage("rediss:// (TLS) needs a build with the feature `topologies`"))
    }

    pub(super) fn encrypted(&self, _info: &ConnectionInfo) -> Result<ConnectionInfo> {
        match *self {}
    }

    pub(super) fn over(&self, _stream: TcpStream, _host: &str) -> Result<Box<dyn Stream>, BoxError> {
        match *self {}
    }
}
