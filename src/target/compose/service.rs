//! The services of `docker-compose.yml` that can be measured.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// The project's own file, which is passed to the tool.
pub(super) const FILE: &str = include_str!("../../../docker-compose.yml");

/// A service of `docker-compose.yml` that can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Service {
    /// Redis.
    #[default]
    Redis,
    /// Valkey.
    Valkey,
    /// A primary with a replica, and three Sentinels.
    Sentinel,
    /// A cluster of three primaries.
    Cluster,
}

impl Service {
    /// All services.
    pub const ALL: [Self; 4] = [Self::Redis, Self::Valkey, Self::Sentinel, Self::Cluster];

    /// Its name, which is also the name of its profile in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Valkey => "valkey",
            Self::Sentinel => "sentinel",
            Self::Cluster => "cluster",
        }
    }

    /// The service in the file that starts all others it needs.
    pub(super) fn last(self) -> &'static str {
        match self {
            Self::Cluster => "cluster-setup",
            _ => self.name(),
        }
    }

    /// The service in the file that publishes the ports.
    pub(super) fn door(self) -> &'static str {
        match self {
            Self::Sentinel => "primary",
            _ => self.name(),
        }
    }

    pub(super) fn image_variable(self) -> &'static str {
        match self {
            Self::Redis | Self::Sentinel | Self::Cluster => "REDIS_IMAGE",
            Self::Valkey => "VALKEY_IMAGE",
        }
    }

    /// The variables that name its ports. A single server has one, the published port. Each of several servers has its
    /// own, the same inside and outside the container, because it announces that port to the others.
    pub(super) fn port_variables(self) -> &'static [&'static str] {
        match self {
            Self::Redis => &["REDIS_PORT"],
            Self::Valkey => &["VALKEY_PORT"],
            Self::Sentinel => {
                &["PRIMARY_PORT", "REPLICA_PORT", "SENTINEL_PORT_1", "SENTINEL_PORT_2", "SENTINEL_PORT_3"]
            }
            Self::Cluster => &["CLUSTER_PORT_1", "CLUSTER_PORT_2", "CLUSTER_PORT_3"],
        }
    }

    /// Whether it is several servers.
    pub(super) fn is_several(self) -> bool {
        self.port_variables().len() > 1
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
        Self::ALL.into_iter().find(|service| service.name() == name).ok_or_else(|| {
            Error::usage(format!("no service `{name}` to run in Docker: expected redis, valkey, sentinel or cluster"))
        })
    }
}
