//! Corrections to the command line that clap derives: server options only for commands that connect to one, and the
//! possible values of options, for completions.

use std::ffi::OsString;

use clap::builder::PossibleValuesParser;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, Command, CommandFactory, FromArgMatches};

use super::args::Cli;

/// The commands that reach a server, beside `report` itself.
const WITH_SERVER: [&str; 6] = ["list", "explain", "demo", "clean", "lost-reply", "faults"];

fn is_of_server(arg: &Arg) -> bool {
    arg.get_help_heading() == Some("Server")
}

fn of_server(command: &Command) -> Vec<Arg> {
    command.get_arguments().filter(|arg| is_of_server(arg)).cloned().collect()
}

/// The command line as it is read: where the options of the server mean nothing, they are not shown.
fn read() -> Command {
    let command = Cli::command();
    let hidden: Vec<Arg> = of_server(&command).into_iter().map(|arg| arg.hide(true)).collect();
    let without = |command: &Command| !WITH_SERVER.contains(&command.get_name());
    let names: Vec<String> =
        command.get_subcommands().filter(|sub| without(sub)).map(|sub| sub.get_name().to_owned()).collect();
    names.iter().fold(command, |command, name| command.mut_subcommand(name, |sub| sub.args(hidden.clone())))
}

/// Reads the words of a command line.
pub(super) fn parse(words: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Cli, clap::Error> {
    let matches = read().try_get_matches_from(words)?;
    if let Some((name, given)) = matches.subcommand().filter(|(name, _)| !WITH_SERVER.contains(name)) {
        let is_given = |arg: &Arg| given.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine);
        if let Some(option) = of_server(&Cli::command()).iter().find(|arg| is_given(arg)).and_then(Arg::get_long) {
            let what = format!("unexpected argument '--{option}' found: {name} does not connect to a server");
            return Err(Cli::command().error(ErrorKind::UnknownArgument, what));
        }
    }
    Cli::from_arg_matches(&matches)
}

/// The command line as man pages and completions describe it, for strategies of these names.
pub(super) fn described(strategies: &[&'static str]) -> Command {
    let command = Cli::command();
    let server: Vec<Arg> =
        of_server(&command).into_iter().map(|arg| with_values(arg.global(false), strategies)).collect();
    let command = command.mut_args(|arg| {
        let is_global = is_of_server(&arg);
        let arg = with_values(arg, strategies);
        if is_global { arg.global(false) } else { arg }
    });
    let command = command.mut_subcommands(|sub| sub.mut_args(|arg| with_values(arg, strategies)));
    WITH_SERVER.iter().fold(command, |command, name| command.mut_subcommand(name, |sub| sub.args(server.clone())))
}

/// An option that takes its values out of a list, with that list.
fn with_values(arg: Arg, strategies: &[&'static str]) -> Arg {
    let values: Vec<&'static str> = match arg.get_id().as_str() {
        "strategies" => ["all", "exact", "lossy"].iter().chain(strategies).copied().collect(),
        "strategy" => strategies.to_vec(),
        id => listed(id).to_vec(),
    };
    if values.is_empty() { arg } else { arg.value_parser(PossibleValuesParser::new(values)) }
}

/// The values of the options that have a list of their own in their text.
fn listed(option: &str) -> &'static [&'static str] {
    match option {
        "driver" => &["threads", "events", "tasks"],
        "skew" => &["even", "zipf:1.0"],
        "docker" => &["redis", "valkey"],
        "pin" => &["auto", "none"],
        "topology" => &["single", "tls", "replicated", "sentinel", "cluster"],
        "ways" => &["fin", "rst", "silence", "dropped"],
        "settings" => &["default", "safe"],
        _ => &[],
    }
}
