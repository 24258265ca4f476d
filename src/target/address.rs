//! Parses the URL of a target: which nodes it names, how they are arranged, and how to connect to any of them.
//!
//! | URL | meaning |
//! |---|---|
//! | `redis://[user[:password]@]host[:port][/db]` | one server |
//! | `unix:///path/to.sock` | one server, by its socket |
//! | `redis-cluster://h:p,h:p` | nodes of a cluster, one of which is asked for the others |
//! | `redis-sentinel://h:p,h:p/db?sentinelMasterId=NAME` | Sentinels, which are asked for the primary (Lettuce's spelling; fred's `sentinelServiceName` works too) |
//! | `rediss://`, `rediss-cluster://`, `rediss-sentinel://` | the same over TLS |
//!
//! User, password and database are those of the data servers. Sentinels with their own credentials get `sentinelUsername`
//! and `sentinelPassword`.

use std::path::PathBuf;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisResult};

use crate::error::{Error, Result};

/// The files that TLS needs beside a URL, as redis-cli names them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificates of the authorities to trust, in PEM; if none are named, the system's.
    pub cacert: Option<PathBuf>,
    /// Our own certificate, in PEM, if the server requires one.
    pub cert: Option<PathBuf>,
    /// Its private key, in PEM.
    pub key: Option<PathBuf>,
    /// Accept any certificate.
    pub insecure: bool,
}

impl TlsFiles {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A target as its URL names it.
pub(super) enum Address {
    /// One server.
    One(ConnectionInfo),
    /// A cluster, by some of its nodes.
    Cluster(Vec<ConnectionInfo>),
    /// A primary, by the Sentinels that know it.
    Sentinel {
        /// How to connect to each Sentinel.
        sentinels: Vec<ConnectionInfo>,
        /// How to connect to the servers: everything but the address.
        servers: ConnectionInfo,
        /// What the Sentinels call it.
        name: String,
    },
}

const FORMS: &str = "redis://[user:password@]host:port/db, unix:///path.sock, redis-cluster://host:port,host:port, \
                     redis-sentinel://host:port,host:port/db?sentinelMasterId=NAME, or the same with rediss for TLS";

/// The ports to use if the URL names none.
const PORT: u16 = 6_379;
const SENTINEL_PORT: u16 = 26_379;

fn unreadable(why: &str) -> Error {
    Error::usage(format!("the server URL cannot be read: {why}; expected {FORMS}"))
}

impl Address {
    /// Reads a URL.
    ///
    /// # Errors
    /// The URL has none of the forms above, or there are TLS files and the URL is not for TLS. The message never
    /// contains the password.
    pub(super) fn read(url: &str, tls: &TlsFiles) -> Result<Self> {
        let (scheme, rest) = url.split_once(':').ok_or_else(|| unreadable("it has no scheme"))?;
        let is_tls = Self::is_tls(scheme);
        if !is_tls && !tls.is_empty() {
            return Err(Error::usage("--cacert, --cert, --key and --insecure are for TLS: give a rediss:// URL"));
        }
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let address = match scheme {
            "redis-cluster" | "rediss-cluster" => Self::Cluster(Several::read(rest)?.infos(is_tls, PORT)?),
            "redis-sentinel" | "rediss-sentinel" => Several::read(rest)?.sentinel(is_tls)?,
            _ => Self::One(url.into_connection_info().map_err(|_| unreadable("its scheme is unknown"))?),
        };
        Ok(address)
    }

    /// Whether it is reached over TLS.
    pub(super) fn is_tls(url: &str) -> bool {
        url.starts_with("rediss") || url.starts_with("valkeys")
    }

    /// The same, with every connection passed through `encrypted`.
    ///
    /// # Errors
    /// That of `encrypted`.
    pub(super) fn each(self, encrypted: impl Fn(&ConnectionInfo) -> Result<ConnectionInfo>) -> Result<Self> {
        let all = |infos: &[ConnectionInfo]| infos.iter().map(&encrypted).collect::<Result<_>>();
        Ok(match self {
            Self::One(info) => Self::One(encrypted(&info)?),
            Self::Cluster(nodes) => Self::Cluster(all(&nodes)?),
            Self::Sentinel { sentinels, servers, name } => {
                Self::Sentinel { sentinels: all(&sentinels)?, servers: encrypted(&servers)?, name }
            }
        })
    }
}

/// The parts of a URL that names several nodes.
struct Several<'a> {
    login: &'a str,
    hosts: Vec<&'a str>,
    db: &'a str,
    query: Vec<(&'a str, &'a str)>,
}

impl<'a> Several<'a> {
    fn read(rest: &'a str) -> Result<Self> {
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (nodes, db) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, hosts) = nodes.rsplit_once('@').unwrap_or(("", nodes));
        let hosts: Vec<&str> = hosts.split(',').map(str::trim).collect();
        if hosts.iter().any(|host| host.is_empty()) {
            return Err(unreadable("a host between its commas is empty"));
        }
        let query = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
        Ok(Self { login, hosts, db, query })
    }

    fn infos(&self, is_tls: bool, port: u16) -> Result<Vec<ConnectionInfo>> {
        self.hosts.iter().map(|host| self.info(host, self.login, self.db, is_tls, port)).collect()
    }

    fn info(&self, host: &str, login: &str, db: &str, is_tls: bool, port: u16) -> Result<ConnectionInfo> {
        let scheme = if is_tls { "rediss" } else { "redis" };
        let at = if login.is_empty() { "" } else { "@" };
        // The port follows the last bracket of an IPv6 address.
        let has_port = host.rsplit(']').next().is_some_and(|end| end.contains(':'));
        let port = if has_port { String::new() } else { format!(":{port}") };
        let url = format!("{scheme}://{login}{at}{host}{port}/{db}");
        url.into_connection_info().map_err(|_| unreadable(&format!("host {host}")))
    }

    fn sentinel(&self, is_tls: bool) -> Result<Address> {
        let value = |names: &[&str]| self.query.iter().find(|(name, _)| names.contains(name)).map(|(_, value)| *value);
        let name = value(&["sentinelMasterId", "sentinelServiceName"])
            .filter(|name| !name.is_empty())
            .ok_or_else(|| unreadable("it does not name the primary (?sentinelMasterId=NAME)"))?;
        let login = match (value(&["sentinelUsername"]), value(&["sentinelPassword"])) {
            (user, Some(password)) => format!("{}:{password}", user.unwrap_or_default()),
            (_, None) => String::new(),
        };
        let sentinel = |host: &&str| self.info(host, &login, "", is_tls, SENTINEL_PORT);
        Ok(Address::Sentinel {
            sentinels: self.hosts.iter().map(sentinel).collect::<Result<_>>()?,
            servers: self.info(self.hosts[0], self.login, self.db, is_tls, PORT)?,
            name: name.to_owned(),
        })
    }
}

/// The same connection settings, for another server.
pub(super) fn elsewhere(template: &ConnectionInfo, host: &str, port: u16) -> RedisResult<ConnectionInfo> {
    let host = host.to_owned();
    let address = match template.addr() {
        ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
            ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: tls_params.clone() }
        }
        _ => ConnectionAddr::Tcp(host, port),
    };
    let info = address.into_connection_info()?.set_redis_settings(template.redis_settings().clone());
    Ok(info.set_tcp_settings(template.tcp_settings().clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<Address> {
        Address::read(url, &TlsFiles::default())
    }

    #[test]
    fn several_nodes_are_read_with_their_login() {
        let Ok(Address::Cluster(nodes)) = read("redis-cluster://us:p%40ss@a:1,[::1]:2,c") else { panic!("a cluster") };
        let addresses: Vec<String> = nodes.iter().map(|node| node.addr().to_string()).collect();
        assert_eq!(addresses, ["a:1", "::1:2", "c:6379"]);
        assert_eq!(nodes[2].redis_settings().password(), Some("p@ss"));
    }

    #[test]
    fn sentinels_are_asked_for_a_name_and_need_not_have_the_servers_password() {
        for name in ["sentinelMasterId", "sentinelServiceName"] {
            let url = format!("redis-sentinel://:pw@a:1,b/2?{name}=ours&sentinelPassword=other");
            let Ok(Address::Sentinel { sentinels, servers, name }) = read(&url) else { panic!("sentinels") };
            assert_eq!((name.as_str(), servers.redis_settings().db()), ("ours", 2));
            assert_eq!(servers.redis_settings().password(), Some("pw"));
            assert_eq!(
                (sentinels[1].addr().to_string(), sentinels[1].redis_settings().db()),
                ("b:26379".to_owned(), 0)
            );
            assert_eq!(sentinels[0].redis_settings().password(), Some("other"));
        }
    }

    #[test]
    fn what_is_no_url_is_refused_without_its_password() {
        for url in
            ["", "redis-cluster://:secret@a,,b", "redis-sentinel://:secret@a:1/0", "http://:secret@a", "rediss-x://a"]
        {
            let error = read(url).err().unwrap_or_else(|| panic!("{url}")).to_string();
            assert!(error.contains("URL") && !error.contains("secret") && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn files_for_tls_without_tls_are_refused() {
        let files = TlsFiles { insecure: true, ..TlsFiles::default() };
        assert!(Address::read("redis://a", &files).is_err());
    }
}
