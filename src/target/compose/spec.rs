//! What Docker Compose is asked to start, how its tool is called, and what its failures mean.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::target::compose::service::Service;
use crate::target::compose::tool::{QUESTION, finished, telling};
use crate::target::private::free_port;

/// The user's variables that could make the tool read another file or start more than we want.
const NOT_INHERITED: [&str; 4] = ["COMPOSE_FILE", "COMPOSE_PROJECT_NAME", "COMPOSE_PROFILES", "COMPOSE_ENV_FILES"];

/// What is to be brought up, and how.
#[derive(Debug, Clone)]
pub struct ComposeSpec {
    pub(super) service: Service,
    pub(super) port: Option<u16>,
    /// The ports of several servers, once they are chosen.
    pub(super) ports: Vec<u16>,
    path: Option<OsString>,
    pub(super) patience: Duration,
}

impl ComposeSpec {
    /// The service, on a free loopback port, with ten minutes to fetch its image.
    pub fn new(service: Service) -> Self {
        Self { service, port: None, ports: Vec::new(), path: None, patience: Duration::from_secs(600) }
    }

    /// On this loopback port instead of a free one. Services of several servers always get free ports.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Looks for the tools on this search path instead of `PATH`.
    #[must_use]
    pub fn path(mut self, path: impl Into<OsString>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// How long `up` may take, including fetching the image.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The words that begin every command.
    pub(super) fn tool(&self) -> Result<&'static [&'static str]> {
        const PLUGIN: &[&str] = &["docker", "compose"];
        const STANDALONE: &[&str] = &["docker-compose"];
        for tool in [PLUGIN, STANDALONE] {
            let mut command = self.command(tool);
            command.arg("version");
            if finished(command, QUESTION).is_ok_and(|output| output.status.success()) {
                return Ok(tool);
            }
        }
        Err(Error::server(
            "neither `docker compose` nor `docker-compose` runs here: install Docker with its Compose plugin, or give \
             --redis-url or --server-bin instead",
        ))
    }

    pub(super) fn command(&self, tool: &[&str]) -> Command {
        let mut command = Command::new(tool[0]);
        command.args(&tool[1..]);
        self.prepare(&mut command);
        command
    }

    pub(super) fn prepare(&self, command: &mut Command) {
        for name in NOT_INHERITED {
            command.env_remove(name);
        }
        if let Some(path) = &self.path {
            command.env("PATH", path);
        }
        // Port 0 lets the engine choose a free one, so that nobody can take it between our check and the engine's bind.
        let chosen = if self.ports.is_empty() { vec![self.port.unwrap_or(0)] } else { self.ports.clone() };
        for (variable, port) in self.service.port_variables().iter().zip(chosen) {
            command.env(variable, port.to_string());
        }
        command.env("HEALTH_INTERVAL", "1h");
        // A `.env` file in the current folder is not ours.
        command.current_dir("/").process_group(0);
    }

    /// One line that summarises what the tool printed when `up` failed.
    pub(super) fn refused(&self, said: &str) -> Error {
        let has = |needles: &[&str]| needles.iter().any(|needle| said.contains(needle));
        let line = telling(said);
        let (service, image, variable) = (self.service, self.service.image(), self.service.image_variable());
        if has(&["permission denied", "PermissionError"]) && has(&["docker.sock", "daemon", "server API version"]) {
            return Error::server(
                "the Docker daemon refuses this user: join the group `docker` (and log in again), or run as root",
            );
        }
        if has(&["Cannot connect to the Docker daemon", "Couldn't connect to Docker", "fetching server API version"]) {
            let place = std::env::var("DOCKER_HOST").map(|host| format!(" at {host}")).unwrap_or_default();
            return Error::server(format!(
                "no Docker daemon answers{place}: start it (`systemctl start docker`, or Docker Desktop), or leave out \
                 --docker"
            ));
        }
        let in_use = has(&["port is already allocated", "address already in use", "ports are not available"]);
        if let (true, Some(port)) = (in_use, self.port) {
            return taken(port);
        }
        let pull =
            ["Pulling", "pull access denied", "manifest", "No such image", "unable to get image", "failed to resolve"];
        if has(&pull) {
            return Error::server(format!(
                "the image {image} is not here and cannot be fetched ({line}): go online, or set {variable} to an image \
                 that `docker images` lists"
            ));
        }
        Error::server(format!("Docker Compose cannot start {service} ({image}): {line}"))
    }
}

/// `count` free ports, all different.
pub(super) fn free_ports(count: usize) -> Result<Vec<u16>> {
    let mut ports = Vec::with_capacity(count);
    while ports.len() < count {
        let port = free_port()?;
        if !ports.contains(&port) {
            ports.push(port);
        }
    }
    Ok(ports)
}

pub(super) fn taken(port: u16) -> Error {
    Error::server(format!(
        "port {port} on 127.0.0.1 is in use: stop what uses it, or leave out the port to get a free one"
    ))
}
