//! `report completions` and `report man`, generated from the description of the command line that also parses it; and
//! errors in a command line as a single line.

use std::path::Path;
use std::process::ExitCode;

use crate::error::{Error, Result};
use crate::strategy::Strategy;

use super::FAILED;
use super::grammar;
use super::output::{print, say};

fn names(known: &[&dyn Strategy]) -> Vec<&'static str> {
    known.iter().map(|strategy| strategy.info().name).collect()
}

pub(super) fn completions(shell: clap_complete::Shell, known: &[&dyn Strategy]) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut grammar::described(&names(known)), "report", &mut script);
    print(&String::from_utf8_lossy(&script))
}

/// The page of `report` or of one of its commands; or all of them into a folder.
pub(super) fn man(of: Option<&str>, out: Option<&Path>, known: &[&dyn Strategy]) -> Result<()> {
    let command = grammar::described(&names(known));
    if let Some(out) = out {
        let written = std::fs::create_dir_all(out).and_then(|()| clap_mangen::generate_to(command, out));
        written.map_err(|e| Error::file(out, e))?;
        return print(&format!("{}\n", out.display()));
    }
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let page = match of {
        None => Some(command.clone()),
        Some(name) => command.find_subcommand(name).filter(|sub| !sub.is_hide_set()).cloned(),
    };
    let page = page.ok_or_else(|| {
        let names = command.get_subcommands().filter(|sub| !sub.is_hide_set()).map(clap::Command::get_name);
        Error::usage(format!("no such command: expected {}", names.collect::<Vec<_>>().join(", ")))
    })?;
    let mut text = Vec::new();
    let rendered = clap_mangen::Man::new(page).render(&mut text);
    rendered.map_err(|e| Error::broken(format!("the man page cannot be generated: {e}")))?;
    print(&String::from_utf8_lossy(&text))
}

/// Prints what was asked for instead of a run (`--help`, `--version`), or says what is wrong: with the words that
/// `concealed` has in place of those that were typed, so that no password is repeated.
pub(super) fn explain(error: &clap::Error, concealed: &[String]) -> ExitCode {
    if !error.use_stderr() {
        // Nobody reads it: nothing is lost.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let wrong = match grammar::parse(concealed) {
        Err(error) => in_one_line(&error.render().to_string()),
        Ok(_) => "the command line cannot be read".to_owned(),
    };
    say(&format!("report: {wrong}; see report --help"));
    ExitCode::from(FAILED)
}

/// clap's paragraphs, but for the usage and where to read more.
fn in_one_line(text: &str) -> String {
    let paragraphs = text.split("\n\n").map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
    let said = paragraphs.filter(|part| !part.starts_with("Usage:") && !part.starts_with("For more information"));
    let said: Vec<String> = said
        .map(|part| part.trim_start_matches("error: ").trim_start_matches("tip: ").to_owned())
        .filter(|part| !part.is_empty())
        .collect();
    said.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(args: &[&str]) -> String {
        let argv = ["report"].iter().chain(args).copied();
        in_one_line(&grammar::parse(argv).err().unwrap().render().to_string())
    }

    #[test]
    fn what_is_wrong_with_a_command_line_fits_into_one() {
        assert_eq!(
            said(&["--thread", "4"]),
            "unexpected argument '--thread' found; a similar argument exists: '--threads'"
        );
        assert_eq!(said(&["--rounds", "x"]), "invalid value 'x' for '--rounds <N>': invalid digit found in string");
        assert_eq!(
            said(&["--transport", "tpc"]),
            "invalid value 'tpc' for '--transport <TRANSPORT>' [possible values: tcp, unix]"
        );
        assert_eq!(said(&["--full", "--quick"]), "the argument '--full' cannot be used with '--quick'");
        assert_eq!(
            said(&["predict", "--server-bin", "x"]),
            "unexpected argument '--server-bin' found: predict does not connect to a server"
        );
        assert_eq!(said(&["check"]), "the following required arguments were not provided: <FILES>...");
    }
}
