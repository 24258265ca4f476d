//! What goes to stdout (the result) and what to stderr (everything else).

use std::io::{IsTerminal, Write};

use crate::error::{Error, Result};
use crate::plain;

/// Prints to stdout, without anything that a terminal would obey but colours where they are wanted; a reader that has
/// gone away (`report | head`) is no error worth a panic.
pub(super) fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let text = if coloured() { plain::coloured(text).into() } else { plain::plain(text) };
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::broken(format!("cannot print: {e}"))),
        _ => Ok(()),
    }
}

/// Says a line on stderr, without anything that a terminal would obey.
pub(super) fn say(line: &str) {
    eprintln!("{}", plain::plain(line));
}

/// Whether stdout wants colours. (<https://no-color.org>)
pub(super) fn coloured() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// How many columns stdout has: as COLUMNS states, as its terminal says, or 80.
pub(super) fn width() -> usize {
    let stated = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse::<usize>().ok());
    let seen = || comfy_table::Table::new().width().map(usize::from);
    stated.or_else(seen).unwrap_or(80).clamp(40, 100)
}

/// A document as JSON, with a line end.
pub(super) fn json(document: &impl serde::Serialize) -> Result<String> {
    let text = serde_json::to_string_pretty(document).map_err(|e| Error::broken(e.to_string()))?;
    Ok(text + "\n")
}

/// What a run says on stderr, kept so that its folder holds it too.
pub(super) struct Said {
    lines: Vec<String>,
    quiet: bool,
}

impl Said {
    /// Nothing yet; `quiet` keeps all but warnings off the screen.
    pub(super) fn new(quiet: bool) -> Self {
        Self { lines: Vec::new(), quiet }
    }

    /// Says what is going on.
    pub(super) fn note(&mut self, line: &str) {
        if !self.quiet {
            say(&format!("report: {line}"));
        }
        self.lines.push(plain::plain(line).into_owned());
    }

    /// Says what nobody may miss.
    pub(super) fn warn(&mut self, line: &str) {
        say(&format!("report: {line}"));
        self.lines.push(plain::plain(line).into_owned());
    }

    /// All of it as text, a line each.
    pub(super) fn text(&self) -> String {
        self.lines.iter().map(|line| format!("{line}\n")).collect()
    }
}
