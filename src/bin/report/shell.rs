//! `report completions` and `report man`: made from the same description of the command line that parses it.

use clap::CommandFactory;
use redis_lost_updates::error::{Error, Result};

use crate::args::Cli;
use crate::output::print;

pub(crate) fn completions(shell: clap_complete::Shell) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "report", &mut script);
    print(&String::from_utf8_lossy(&script))
}

pub(crate) fn man() -> Result<()> {
    let mut page = Vec::new();
    let rendered = clap_mangen::Man::new(Cli::command()).render(&mut page);
    rendered.map_err(|e| Error::broken(format!("the man page cannot be made: {e}")))?;
    print(&String::from_utf8_lossy(&page))
}
