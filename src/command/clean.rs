//! `report clean`: removes what runs left on a server, and says what became of it.

use crate::error::{Error, Result};
use crate::target::Cleaned;

use super::args::Cli;
use super::output::print;
use super::signals::{InOrder, STOP};

pub(super) fn clean(cli: &Cli) -> Result<()> {
    if !cli.server.is_running() {
        return Err(Error::usage("clean: name the server with --redis-url (a private one leaves nothing behind)"));
    }
    let server = cli.server.resolve(&mut |_| ())?;
    let _looking = InOrder::begin();
    let cleaned = server.clean(&STOP)?;
    print(&said(&server.address(), &cleaned))
}

fn said(address: &str, cleaned: &Cleaned) -> String {
    let plural = |count: u64, one: &str, more: &str| format!("{count} {}", if count == 1 { one } else { more });
    let mut done = Vec::new();
    if cleaned.keys > 0 {
        done.push(format!("removed {}", plural(cleaned.keys, "key", "keys")));
    }
    if cleaned.libraries > 0 {
        done.push(format!("removed {}", plural(cleaned.libraries, "function library", "function libraries")));
    }
    done.extend(cleaned.settings.iter().map(|setting| format!("restored {setting}")));
    let done = if done.is_empty() { "no leftovers from earlier runs".to_owned() } else { done.join(", ") };
    let going = cleaned.going.iter().map(|(run, left)| {
        format!(
            "{address}: {run}* belongs to a run that is still going, and is left alone ({} s)\n",
            left.as_secs() + 1
        )
    });
    format!("{address}: {done}\n{}", going.collect::<String>())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_was_done_and_what_was_left_alone_is_said() {
        assert_eq!(said("a:1", &Cleaned::default()), "a:1: no leftovers from earlier runs\n");
        let cleaned = Cleaned {
            keys: 1,
            libraries: 2,
            settings: vec!["maxmemory 0".to_owned()],
            going: [("lost-updates:0:".to_owned(), Duration::from_millis(1_500))].into(),
        };
        assert_eq!(
            said("a:1", &cleaned),
            "a:1: removed 1 key, removed 2 function libraries, restored maxmemory 0\n\
             a:1: lost-updates:0:* belongs to a run that is still going, and is left alone (2 s)\n"
        );
    }
}
