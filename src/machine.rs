//! The facts of a run: server, machine, build, plan. A run that cannot be identified is not measured.

use crate::driver;
use crate::error::Result;
use crate::pace::Pace;
use crate::race;
use crate::record::{Machine, WarningKind};
use crate::strategy::{Info, Strategy};
use crate::target::{CpuSet, Target};
use crate::workload::{DriverKind, Plan, Size};

impl Machine {
    /// Everything a reader must know to believe a figure: the servers and their settings, this machine, this build, the
    /// plan.
    ///
    /// # Errors
    /// A server does not say what it is.
    pub fn gather(servers: &[Target], plan: &Plan, strategies: &[&dyn Strategy]) -> Result<Self> {
        let mut machine = Self::default();
        machine.add("format", "1");
        machine.add_servers(servers)?;
        machine.add_host();
        machine.add_build();
        machine.add("clock_ns_per_read", format!("{:.0}", race::clock_cost_ns()));
        machine.add("recording_ns_per_update", format!("{:.0}", driver::threads::recording_cost_ns()?));
        machine.add_plan(plan, strategies);
        Ok(machine)
    }

    /// The first server and how all of them are reached; of the others what tells them from the first.
    fn add_servers(&mut self, targets: &[Target]) -> Result<()> {
        // A server over several round trips is one server.
        let mut servers: Vec<&Target> = Vec::new();
        for target in targets {
            if servers.iter().all(|known| known.prefix() != target.prefix()) {
                servers.push(target);
            }
        }
        if servers.len() > 1 {
            let products: Vec<&str> = servers.iter().map(|server| server.product()).collect();
            self.add("servers", products.join(", "));
        }
        for (number, server) in (1..).zip(&servers) {
            // The first one is called as it is where there is no other.
            let prefix = if number == 1 { "server".to_owned() } else { format!("server{number}") };
            let facts = server.facts()?;
            self.add(&prefix, facts.name);
            self.add(&format!("{prefix}_version"), facts.version);
            self.add(&format!("{prefix}_redis_version"), facts.redis_version);
            self.add(&format!("{prefix}_address"), server.address());
            for (name, value) in facts.settings {
                self.add(&format!("{prefix}.{name}"), value);
            }
            facts.warnings.into_iter().for_each(|(kind, sentence)| self.warn(kind, sentence));
        }
        servers.first().into_iter().for_each(|server| self.add_way(server));
        self.add_distances(targets);
        Ok(())
    }

    /// How the servers are reached, which is the same for all.
    fn add_way(&mut self, server: &Target) {
        self.add("server_is_private", if server.is_private() { "yes" } else { "no" });
        self.add("server_is_composed", if server.is_composed() { "yes" } else { "no" });
        self.add("transport", server.transport().to_string());
        self.add("topology", server.topology().to_string());
        self.add("shards", server.shards().to_string());
        self.add("replicas", server.replicas().to_string());
        self.add("tls", if server.is_tls() { "yes" } else { "no" });
        self.add("placement", server.placement());
    }

    /// How far away the clients are, and what the proxy costs that makes them so: one fact each, with a value for every
    /// round trip.
    fn add_distances(&mut self, targets: &[Target]) {
        let us = |ns: u64| format!("{:.1}", ns as f64 / 1e3);
        let mut asked: Vec<String> = Vec::new();
        let mut seen: Vec<String> = Vec::new();
        for target in targets {
            let rtt_us = target.rtt_us().unwrap_or(0).to_string();
            if !asked.contains(&rtt_us) {
                asked.push(rtt_us);
                seen.push(target.distance().map_or_else(|| "0".to_owned(), |distance| us(distance.seen_ns)));
            }
        }
        let mut distances = targets.iter().filter_map(Target::distance);
        let Some(first) = distances.next() else { return };
        let cost = first.cost;
        self.add("rtt_us", asked.join(","));
        self.add("rtt_seen_us", seen.join(","));
        self.add("proxy_cpus", first.cpus.as_ref().map_or("not assigned".to_owned(), ToString::to_string));
        self.add("proxy_added_p50_us", us(cost.added_p50_ns));
        self.add("proxy_added_p99_us", us(cost.added_p99_ns));
        self.add("proxy_commands_per_s", cost.proxied_per_s.to_string());
        self.add("proxy_commands_per_s_without", cost.direct_per_s.to_string());
        self.add("proxy_share", format!("{:.2}", cost.share()));
        for distance in std::iter::once(first).chain(distances) {
            let (asked_ns, seen_ns) = (distance.round_trip.as_nanos() as f64, distance.seen_ns as f64);
            if (seen_ns - asked_ns).abs() > asked_ns * 0.1 {
                self.warn(
                    WarningKind::RoundTrip,
                    format!(
                        "the emulated round trip was {} us before the run instead of the requested {} us",
                        us(distance.seen_ns),
                        distance.round_trip.as_micros()
                    ),
                );
            }
        }
        if cost.is_the_limit() {
            let (through, past) = (cost.proxied_per_s, cost.direct_per_s);
            self.warn(
                WarningKind::ProxyLimit,
                format!(
                    "the proxy limits {} clients that wait for each reply to {through} commands/s ({past} without it): \
                     rates near that limit are the proxy's",
                    crate::proxy::cost::CONNECTIONS
                ),
            );
        }
    }

    fn add_host(&mut self) {
        let system = rustix::system::uname();
        self.add("host", system.nodename().to_string_lossy());
        self.add("kernel", format!("{} {}", system.sysname().to_string_lossy(), system.release().to_string_lossy()));
        self.add("arch", std::env::consts::ARCH);
        self.add("cpu", Self::cpu_model());
        self.add("cores", cores().to_string());
        self.add("cpus_of_clients", CpuSet::allowed().to_string());
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().unwrap_or_default().to_owned();
        let busy = load.parse::<f64>().unwrap_or(0.0) > 0.5;
        self.add("load_before", load.clone());
        if busy {
            self.warn(
                WarningKind::BusyMachine,
                format!("the machine was busy before the run (load {load}): figures may be low and vary a lot"),
            );
        }
    }

    fn add_build(&mut self) {
        self.add("version", env!("CARGO_PKG_VERSION"));
        self.add("commit", env!("BUILD_COMMIT"));
        self.add("rustc", env!("BUILD_RUSTC"));
        self.add("crates", env!("BUILD_CRATES"));
        self.add("profile", env!("BUILD_PROFILE"));
        self.add("opt_level", env!("BUILD_OPT_LEVEL"));
        if ["0", "1"].contains(&env!("BUILD_OPT_LEVEL")) {
            self.warn(
                WarningKind::Unoptimised,
                "this build is not optimised: its throughput says little about an optimised one",
            );
        }
    }

    fn add_plan(&mut self, plan: &Plan, strategies: &[&dyn Strategy]) {
        let list = |numbers: &[usize]| numbers.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
        self.add("driver", plan.driver.to_string());
        self.add("seed", plan.seed.to_string());
        self.add("rounds", plan.rounds.to_string());
        self.add("threads", list(&plan.threads));
        self.add("keys", list(&plan.keys));
        self.add("skew", plan.skew.to_string());
        if strategies.iter().any(|strategy| strategy.pools().is_some()) && plan.driver == DriverKind::Threads {
            self.add("pool_size", plan.pool_size.map_or("one for each client".to_owned(), |size| size.to_string()));
        }
        match plan.pace {
            Pace::Closed => self.add("loop", "closed"),
            Pace::Rate(per_s) => {
                self.add("loop", "open");
                self.add("offered_per_s", per_s.to_string());
            }
        }
        match plan.size {
            Size::Updates(updates) => self.add("updates_per_thread", updates.to_string()),
            Size::Duration(duration) => {
                self.add("trial_ms", duration.as_millis().to_string());
                if let Some(Size::Duration(most)) = plan.threads.iter().max().map(|&most| plan.size_at(most))
                    && most > duration
                {
                    self.add("trial_ms_at_most_threads", most.as_millis().to_string());
                }
            }
        }
        for strategy in strategies {
            let Info { name, about, round_trips, batch, role, .. } = strategy.info();
            self.add(&format!("strategy.{name}"), *about);
            self.add(&format!("round_trips.{name}"), *round_trips);
            self.add(&format!("batch.{name}"), batch.to_string());
            self.add(&format!("role.{name}"), role.to_string());
            let parameters =
                driver::of(plan.driver).map_or_else(|_| strategy.parameters(), |driver| driver.parameters(*strategy));
            if !parameters.is_empty() {
                self.add(&format!("parameters.{name}"), parameters);
            }
        }
    }

    /// What this machine's CPU calls itself, or `unknown`.
    pub fn cpu_model() -> String {
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = info.lines().find_map(|line| line.strip_prefix("model name")).and_then(|rest| rest.split_once(':'));
        if let Some((_, model)) = model {
            return model.trim().to_owned();
        }
        let sysctl = std::process::Command::new("sysctl").args(["-n", "machdep.cpu.brand_string"]).output();
        let brand = sysctl.ok().map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned());
        brand.filter(|brand| !brand.is_empty()).unwrap_or_else(|| "unknown".to_owned())
    }
}

/// CPUs of the machine; the threads of this process may be kept on fewer by now.
fn cores() -> usize {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    match info.lines().filter(|line| line.starts_with("processor")).count() {
        0 => std::thread::available_parallelism().map_or(0, usize::from),
        cores => cores,
    }
}
