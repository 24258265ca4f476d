//! The services of `docker-compose.yml` that can be measured.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// The project's own file, which is handed to the tool.
pub(super) const FILE: &str = include_str!("../../../docker-compose.yml");

/// A service of `docker-compose.yml` that can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Service {
    /// Redis.
    #[default]
    Redis,
    /// Valkey.
    Valkey,
}

impl Service {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Redis, Self::Valkey];

    /// Its name in the file, which is also its profile's.
    pub fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Valkey => "valkey",
        }
    }

    pub(super) fn image_variable(self) -> &'static str {
        match self {
            Self::Redis => "REDIS_IMAGE",
            Self::Valkey => "VALKEY_IMAGE",
        }
    }

    pub(super) fn port_variable(self) -> &'static str {
        match self {
            Self::Redis => "REDIS_PORT",
            Self::Valkey => "VALKEY_PORT",
        }
    }

    /// The image it runs: what `REDIS_IMAGE` or `VALKEY_IMAGE` says, otherwise the file's own pinned release.
    pub fn image(self) -> String {
        let variable = self.image_variable();
        std::env::var(variable).ok().filter(|image| !image.is_empty()).unwrap_or_else(|| {
            let default = FILE.split_once(&format!("${{{variable}:-")).and_then(|(_, rest)| rest.split_once('}'));
            default.map(|(image, _)| image.to_owned()).unwrap_or_default()
        })
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Service {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|service| service.name() == name)
            .ok_or_else(|| Error::usage(format!("no service `{name}` to run in Docker: expected redis or valkey")))
    }
}
