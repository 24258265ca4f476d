//! The environment of a run, and how to reproduce it.

use super::view::View;
use crate::record::Machine;
use crate::report::words;

/// Facts of one kind: a heading and (what, value).
pub(super) struct Group {
    pub(super) title: &'static str,
    pub(super) facts: Vec<(String, String)>,
}

const HOST: [&str; 8] = ["host", "kernel", "arch", "cpu", "cores", "cpus_of_clients", "placement", "load_before"];
const BUILD: [&str; 6] = ["version", "commit", "rustc", "crates", "profile", "opt_level"];
/// Said elsewhere on the page, word for word.
const ELSEWHERE: [&str; 6] = ["strategy.", "round_trips.", "batch.", "role.", "warning", "command"];

/// Every fact that is not said elsewhere on the page.
pub(super) fn groups(machine: &Machine) -> Vec<Group> {
    let mut groups =
        ["The server", "The machine", "The build", "The plan"].map(|title| Group { title, facts: Vec::new() });
    for fact in &machine.0 {
        let name = fact.fact.as_str();
        if ELSEWHERE.iter().any(|prefix| name.starts_with(prefix)) {
            continue;
        }
        let group = match name {
            _ if name.starts_with("server") || name == "transport" => 0,
            _ if name.starts_with("rtt") || name.starts_with("proxy") => 0,
            _ if HOST.contains(&name) => 1,
            _ if BUILD.contains(&name) => 2,
            _ => 3,
        };
        // A profile called debug is as fast as any if it is optimised.
        let is_optimised = name == "profile" && matches!(machine.get("opt_level"), Some("2" | "3"));
        let value = if is_optimised { format!("{}, optimised", fact.value) } else { fact.value.clone() };
        groups[group].facts.push((name.replace('_', " "), value));
    }
    groups.into_iter().filter(|group| !group.facts.is_empty()).collect()
}

/// What stands in place of server and machine where other programs measured.
const IMPORTED: &str = "Histories recorded by other programs, judged by report check";

/// Whether other programs measured: only their folders have this fact.
pub(super) fn is_imported(machine: &Machine) -> bool {
    machine.get("source").is_some()
}

/// The run in two sentences.
pub(super) fn in_words(view: &View) -> String {
    let machine = &view.run.machine;
    if is_imported(machine) {
        return format!("{IMPORTED}. The files do not say on which server or machine.");
    }
    let get = |fact: &str| machine.get(fact).filter(|value| !value.is_empty()).unwrap_or("unknown");
    let version = match (machine.get("server_version"), machine.get("server_redis_version")) {
        (Some(own), Some(redis)) if own != redis => format!("{own} (compatible with Redis {redis})"),
        (own, _) => own.unwrap_or("of unknown version").to_owned(),
    };
    let several = machine.get("servers").map(|products| products.replace(", ", " and "));
    let whose = match (machine.get("server_is_private"), &several) {
        (_, Some(_)) => "private servers started for the run and measured in turn",
        (Some("yes"), None) => "a private server started for the run",
        (_, None) => "a server that was already running",
    };
    let product = several.unwrap_or_else(|| format!("{} {version}", get("server")));
    let placed = match machine.get("placement") {
        Some("none") | None => "no CPUs assigned".to_owned(),
        Some(placement) => on_which(placement),
    };
    let most = view.threads.last().map_or_else(String::new, |&t| view.racers(t));
    let size = match (machine.get("trial_ms"), machine.get("updates_per_thread")) {
        (Some(ms), _) => match machine.get("trial_ms_at_most_threads") {
            Some(longer) => format!("trials of about {ms} ms ({longer} ms at {most})"),
            None => format!("trials of about {ms} ms"),
        },
        (_, Some(updates)) => {
            format!("trials of {updates} update{} per {}", if updates == "1" { "" } else { "s" }, view.racer())
        }
        _ => "trials".to_owned(),
    };
    let pace = match words::offered(view.summary) {
        None => "in a closed loop: each client waits for a reply before it sends the next request".to_owned(),
        Some(offered) => {
            format!("in an open loop: {} updates per second in total, on a fixed schedule", words::count(offered))
        }
    };
    let until = match (machine.get("until"), machine.get("until_outcome")) {
        (Some(until), Some(outcome)) => format!(" Target precision {until}: {outcome}."),
        (Some(until), None) => format!(" Target precision {until}: interrupted."),
        (None, _) => String::new(),
    };
    let distance = words::distance(machine).map_or_else(String::new, |said| format!(" {said}"));
    format!(
        "{product}, {whose}, reached over {} by {}; {} ({}, {}), {placed}. {} judged {size} in {}, each in shuffled order, with up to {most}, {pace}.{until}{distance}",
        view.transports().join(" and "),
        driven(view),
        get("cpu"),
        get("kernel"),
        get("arch"),
        view.summary.trials,
        words::counted(view.summary.rounds as usize, "round")
    )
}

/// What was measured on what, in a few words for the top of the page.
pub(super) fn in_brief(view: &View) -> String {
    if is_imported(&view.run.machine) {
        return IMPORTED.to_owned();
    }
    let get = |fact: &str| view.run.machine.get(fact).filter(|value| !value.is_empty());
    let one = || {
        let version = get("server_version").unwrap_or("of unknown version");
        format!("{} {version}", get("server").unwrap_or("a server"))
    };
    let product = get("servers").map_or_else(one, |products| products.replace(", ", " and "));
    let mut said = vec![format!("Measured on {product} over {}", view.transports().join(" and "))];
    if view.racer() != "thread" {
        said.push(driven(view).to_owned());
    }
    said.extend(get("cpu").map(|cpu| match get("cores") {
        Some(cores) => format!("{cpu}, {cores} CPUs"),
        None => cpu.to_owned(),
    }));
    said.extend(words::round_trips(&view.run.machine));
    said.extend(get("placement").filter(|&placement| placement != "none").map(on_which));
    said.join("; ")
}

/// `server=1,client=0` in words.
fn on_which(placement: &str) -> String {
    let cpus = |side: &str| placement.split(',').find_map(|part| part.strip_prefix(side)?.strip_prefix('='));
    let named = |cpus: &str| match cpus.split_once('+') {
        None => format!("CPU {cpus}"),
        Some(_) => format!("CPUs {}", cpus.replace('+', ", ")),
    };
    match (cpus("server"), cpus("client")) {
        (Some("unknown") | None, Some(client)) => format!("all clients on {}, the server elsewhere", named(client)),
        (Some(server), Some(client)) => format!("the server on {}, all clients on {}", named(server), named(client)),
        _ => format!("CPUs assigned ({placement})"),
    }
}

/// What this harness adds to every latency, as measured before the run.
pub(super) fn overhead(machine: &Machine) -> Option<String> {
    let recording = machine.get("recording_ns_per_update")?;
    let clock =
        machine.get("clock_ns_per_read").map_or_else(String::new, |ns| format!(", of which {ns} ns read the clock"));
    Some(format!("Measuring adds {recording} ns to every update{clock}."))
}

/// What drove the clients.
fn driven(view: &View) -> &'static str {
    match view.has_mixed_drivers() {
        true => "clients of several drivers",
        false => view.summary.driver().info().about,
    }
}

/// How to do it again: (what it is for, the line to type).
pub(super) fn recipe(machine: &Machine) -> Vec<(String, String)> {
    let mut steps = Vec::new();
    if let Some(commit) = machine.get("commit").filter(|commit| !commit.is_empty()) {
        steps.push(("The same source".to_owned(), format!("git checkout {commit}")));
    }
    if let Some(command) = machine.get("command") {
        steps.push(("The command".to_owned(), command.to_owned()));
        let (program, args) = command.split_at(command.find(' ').unwrap_or(command.len()));
        let args = without_option(args, "--out");
        let seed = machine.get("seed").filter(|_| !args.contains("--seed"));
        let seed = seed.map_or_else(String::new, |seed| format!(" --seed {seed}"));
        let release = if machine.get("profile") == Some("release") { " --release" } else { "" };
        let mut line = match program {
            "report" => format!("cargo run{release} --bin report --{args}{seed}"),
            // Somebody's own program around this library.
            _ => format!("{program}{args}{seed}"),
        };
        if let Some(trimmed) = line.strip_suffix(" --") {
            line = trimmed.to_owned();
        }
        steps.push(("The same races in the same order".to_owned(), line));
    }
    steps.push((
        "This page, from the CSV files next to it".to_owned(),
        "cargo run --bin report -- render DIR".to_owned(),
    ));
    steps
}

/// `args` without an option and its value: where the results went is nobody else's path.
fn without_option(args: &str, option: &str) -> String {
    let mut kept = String::new();
    let mut words = args.split_whitespace();
    while let Some(word) = words.next() {
        if word == option {
            words.next();
        } else if !word.starts_with(&format!("{option}=")) {
            kept += &format!(" {word}");
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipe_repeats_the_seed_and_leaves_out_where_the_results_went() {
        let mut machine = Machine::default();
        machine.add("command", "report --out /tmp/x --quick");
        machine.add("seed", "7");
        let recipe = recipe(&machine);
        assert_eq!(recipe[1].1, "cargo run --bin report -- --quick --seed 7");
        assert_eq!(without_option(" --out=a --json", "--out"), " --json");
    }
}
