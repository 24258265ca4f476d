//! Which server is measured, and how it is reached.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use clap::{Args, ValueEnum};

use crate::command::signals::{InOrder, STOP, server_stays};
use crate::error::{Error, Result};
use crate::target::compose::Service;
use crate::target::{Layout, Placement, ServerSpec, Target, TlsFiles, may_be_far};

#[derive(Args)]
#[command(next_help_heading = "Server")]
pub(in crate::command) struct ServerArgs {
    /// A running server: redis://[user:password@]host:port[/db] or unix:///path.sock; redis-cluster://host:port,host:port;
    /// redis-sentinel://host:port,host:port/db?sentinelMasterId=NAME; each with rediss for TLS
    #[arg(long, global = true, env = "REDIS_URL", hide_env_values = true, value_name = "URL")]
    redis_url: Option<String>,
    /// A server binary to run as a private child process; several are measured in turn, within each round, and compared
    #[arg(long, global = true, value_name = "PATH,...", value_delimiter = ',', conflicts_with = "redis_url")]
    server_bin: Vec<PathBuf>,
    /// A server that Docker Compose starts and removes again: one of redis, valkey, sentinel, cluster
    #[arg(long, global = true, value_name = "SERVICE", num_args = 0..=1, default_missing_value = "redis", conflicts_with_all = ["redis_url", "server_bin"])]
    docker: Option<Service>,
    /// How to reach a private server
    #[arg(long, global = true, value_enum, default_value = "tcp")]
    transport: TransportArg,
    /// How private servers are arranged: single, tls, replicated, sentinel or cluster
    #[arg(long, global = true, value_name = "TOPOLOGY", default_value = "single")]
    topology: Layout,
    /// Primaries of a private cluster [default: 3]
    #[arg(long, global = true, value_name = "N")]
    shards: Option<u32>,
    /// Replicas of each private primary [default: 1 for replicated and sentinel, 0 for cluster]
    #[arg(long, global = true, value_name = "N")]
    replicas: Option<u32>,
    /// Certificates of the authorities to trust over TLS, in PEM [default: the system's]
    #[arg(long, global = true, value_name = "FILE")]
    cacert: Option<PathBuf>,
    /// Client certificate for TLS, in PEM
    #[arg(long, global = true, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// The private key of --cert, in PEM
    #[arg(long, global = true, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Accept any certificate over TLS: others may be able to read and change everything
    #[arg(long, global = true)]
    insecure: bool,
    /// Never fetch anything: no server, no client library
    #[arg(long, global = true)]
    offline: bool,
    /// Let strategies change settings of a running server for a while (they restore them)
    #[arg(long, global = true)]
    allow_config: bool,
    /// CPUs of server and clients: auto, none, or server=0,client=1 (several: 1+2+3)
    #[arg(long, global = true, value_name = "PLACEMENT", default_value = "auto")]
    pin: Placement,
}

#[derive(Clone, Copy, ValueEnum)]
enum TransportArg {
    Tcp,
    Unix,
}

impl ServerArgs {
    /// Whether a particular server was asked for, and not just any.
    pub(in crate::command) fn is_particular(&self) -> bool {
        self.redis_url.is_some() || !self.server_bin.is_empty()
    }

    /// Whether the server is one that outlives us.
    pub(in crate::command) fn is_running(&self) -> bool {
        self.redis_url.as_ref().is_some_and(|url| !url.is_empty())
    }

    /// Whether nothing may be fetched.
    pub(in crate::command) fn is_offline(&self) -> bool {
        self.offline
    }

    /// The server that was asked for. A signal ends at once whatever nobody has to clean up after; fetching one and waiting
    /// for containers end in order.
    pub(in crate::command) fn resolve(&self, say: &mut dyn FnMut(&str)) -> Result<Target> {
        if self.servers() > 1 {
            let named = self.servers();
            return Err(Error::usage(format!("--server-bin: one server is expected here, and {named} are named")));
        }
        self.resolved(self.spec(), say)
    }

    /// How many servers are to be measured.
    pub(in crate::command) fn servers(&self) -> usize {
        self.server_bin.len().max(1)
    }

    /// Every server that was asked for.
    pub(in crate::command) fn resolve_all(&self, say: &mut dyn FnMut(&str)) -> Result<Vec<Target>> {
        if self.servers() == 1 {
            return Ok(vec![self.resolve(say)?]);
        }
        let _looking = InOrder::begin();
        let servers = self.spec().resolve_each(&self.server_bin, &STOP, say)?;
        if STOP.load(Ordering::SeqCst) { Err(Error::interrupted()) } else { Ok(servers) }
    }

    /// The same, if there is one without fetching it.
    pub(in crate::command) fn resolve_offline(&self) -> Result<Target> {
        self.resolved(ServerSpec { offline: true, ..self.spec() }, &mut |_| ())
    }

    fn resolved(&self, spec: ServerSpec, say: &mut dyn FnMut(&str)) -> Result<Target> {
        let _looking = spec.url.is_none().then(InOrder::begin);
        let server = spec.resolve(&STOP, say)?;
        if self.is_running() {
            server_stays();
        }
        if STOP.load(Ordering::SeqCst) { Err(Error::interrupted()) } else { Ok(server) }
    }

    /// The program to start private servers from, for commands that break servers; a running server is refused.
    pub(in crate::command) fn binary(&self, say: &mut dyn FnMut(&str)) -> Result<PathBuf> {
        let wanted = self.spec();
        if wanted.url.is_some() || wanted.docker.is_some() {
            return Err(Error::usage(
                "faults can be injected only into private servers: leave out --redis-url (and REDIS_URL) and --docker",
            ));
        }
        wanted.find(say)
    }

    /// Whether a proxy can stand between clients and the servers that are to be started.
    pub(in crate::command) fn may_be_far(&self) -> bool {
        may_be_far(self.topology.topology, self.topology.tls)
    }

    /// Whether what is to be started is one server without TLS.
    pub(in crate::command) fn is_one_plain(&self) -> bool {
        self.spec().layout == Layout::default()
    }

    /// Whether anybody may pretend to be the server.
    pub(in crate::command) fn is_insecure(&self) -> bool {
        self.insecure
    }

    fn spec(&self) -> ServerSpec {
        ServerSpec {
            url: self.redis_url.clone().filter(|url| !url.is_empty()),
            binary: self.server_bin.first().cloned(),
            unix: matches!(self.transport, TransportArg::Unix),
            offline: self.offline,
            docker: self.docker,
            allow_config: self.allow_config,
            layout: Layout { shards: self.shards, replicas: self.replicas, ..self.topology },
            tls: TlsFiles {
                cacert: self.cacert.clone(),
                cert: self.cert.clone(),
                key: self.key.clone(),
                insecure: self.insecure,
            },
            placement: self.pin.clone(),
        }
    }
}
