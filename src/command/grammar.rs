//! Corrections to the command line that clap derives: options of the server only for commands that use them, and the
//! possible values of options, for completions.

use std::ffi::OsString;

use clap::builder::{PossibleValuesParser, Resettable};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, Command, CommandFactory, FromArgMatches, Id};

use super::args::Cli;

/// What a command does with the options of the server.
enum Uses {
    All,
    /// Only these, because of what is said.
    Only(&'static [&'static str], &'static str),
}

fn uses(command: &str) -> Uses {
    match command {
        "list" | "explain" | "demo" | "lost-reply" => Uses::All,
        "clean" => Uses::Only(&["redis_url", "cacert", "cert", "key", "insecure"], "needs the URL of a running server"),
        "faults" => Uses::Only(&["server_bin", "offline"], "starts the private servers that each fault needs"),
        _ => Uses::Only(&[], "does not connect to a server"),
    }
}

impl Uses {
    fn is_used(&self, arg: &Arg) -> bool {
        match self {
            Self::All => true,
            Self::Only(these, _) => these.contains(&arg.get_id().as_str()),
        }
    }
}

fn is_of_server(arg: &Arg) -> bool {
    arg.get_help_heading() == Some("Server")
}

fn of_server(command: &Command) -> Vec<Arg> {
    command.get_arguments().filter(|arg| is_of_server(arg)).cloned().collect()
}

/// The command line as it is read: where an option of the server means nothing, it is not shown.
fn read() -> Command {
    let command = Cli::command();
    let server = of_server(&command);
    command.mut_subcommands(|sub| {
        let uses = uses(sub.get_name());
        sub.args(server.iter().filter(|arg| !uses.is_used(arg)).map(|arg| arg.clone().hide(true)))
    })
}

/// Reads the words of a command line.
pub(super) fn parse(words: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Cli, clap::Error> {
    let matches = read().try_get_matches_from(words)?;
    if let Some((name, given)) = matches.subcommand()
        && let uses @ Uses::Only(_, why) = uses(name)
    {
        let is_given = |arg: &Arg| given.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine);
        let is_superfluous = |arg: &&Arg| is_given(arg) && !uses.is_used(arg);
        if let Some(option) = of_server(&Cli::command()).iter().find(is_superfluous).and_then(Arg::get_long) {
            let what = format!("unexpected argument '--{option}' found: {name} {why}");
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
    command.mut_subcommands(|sub| {
        let uses = uses(sub.get_name());
        // Completions for zsh list what an option conflicts with, which may be an option that this command lacks.
        let alone = |arg: &Arg| match uses {
            Uses::All => arg.clone(),
            Uses::Only(..) => arg.clone().conflicts_with(Resettable::<Id>::Reset),
        };
        sub.mut_args(|arg| with_values(arg, strategies)).args(server.iter().filter(|arg| uses.is_used(arg)).map(alone))
    })
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
        "docker" => &["redis", "valkey", "sentinel", "cluster"],
        "pin" => &["auto", "none"],
        "topology" => &["single", "tls", "replicated", "sentinel", "cluster"],
        "ways" => &["fin", "rst", "silence", "dropped"],
        "settings" => &["default", "safe"],
        _ => &[],
    }
}
