//! What people protect a counter with: a way to update it, with settings of the server.

use crate::error::{Error, Result};
use crate::strategy::{self, Strategy};

/// A strategy and settings of the server.
#[derive(Debug, Clone, Copy)]
pub struct Protection {
    /// Its name: the strategy's, plus what is added to it.
    pub name: &'static str,
    /// What kind it is.
    pub family: &'static str,
    /// The strategy.
    pub strategy: &'static str,
    /// Settings of every server, by name and value.
    pub settings: &'static [(&'static str, &'static str)],
    /// Whether it needs a replica.
    pub needs_replica: bool,
    /// What it is, in a sentence.
    pub about: &'static str,
}

const fn plain(name: &'static str, family: &'static str, about: &'static str) -> Protection {
    Protection { name, family, strategy: name, settings: &[], needs_replica: false, about }
}

/// The value of `save`: a snapshot once a second, if anything has changed.
const EVERY_SECOND: &str = "1 1";

/// Every protection, in the order of the table.
pub static PROTECTIONS: &[Protection] = &[
    plain("incr", "none", "INCR, as it comes."),
    plain("get-set", "none", "GET, add one, SET, with nothing in between."),
    plain("watch", "none", "WATCH, MULTI, SET, EXEC."),
    plain("lock", "none", "A lock by SET NX PX around GET and SET."),
    plain("incr-retry", "retry", "INCR, sent again when no reply comes."),
    plain("idempotent-lua", "retry", "INCR in a script that remembers each update by its id."),
    plain("fenced-lock", "fencing", "A lock whose number the write checks."),
    Protection {
        needs_replica: true,
        ..plain("incr-wait", "durability", "INCR, then WAIT 1: acknowledged once a replica has it.")
    },
    Protection {
        needs_replica: true,
        ..plain("incr-wait-ignored", "durability", "INCR, then WAIT 1 whose answer nobody reads: a mistake.")
    },
    Protection {
        name: "incr+min-replicas",
        strategy: "incr",
        settings: &[("min-replicas-to-write", "1"), ("min-replicas-max-lag", "2")],
        needs_replica: true,
        ..plain("", "durability", "INCR on a server that refuses writes when it has heard of no replica for 2 s.")
    },
    Protection {
        name: "incr+rdb",
        strategy: "incr",
        settings: &[("save", EVERY_SECOND)],
        ..plain("", "durability", "INCR on a server that writes a snapshot every second.")
    },
    Protection {
        name: "incr+aof-everysec",
        strategy: "incr",
        settings: &[("appendonly", "yes"), ("appendfsync", "everysec")],
        ..plain("", "durability", "INCR on a server that logs every write, and has the disk catch up every second.")
    },
    Protection {
        settings: &[("appendonly", "yes"), ("appendfsync", "everysec")],
        ..plain("incr-waitaof", "durability", "INCR, then WAITAOF: acknowledged once the server has it on its disk.")
    },
    Protection {
        name: "incr+aof-always",
        strategy: "incr",
        settings: &[("appendonly", "yes"), ("appendfsync", "always")],
        ..plain("", "durability", "INCR on a server that logs every write to disk before it answers.")
    },
];

impl Protection {
    /// The strategy itself.
    ///
    /// # Errors
    /// No strategy has this name; a test checks that this cannot happen.
    pub fn strategy(&self) -> Result<&'static dyn Strategy> {
        Ok(strategy::find(&[self.strategy])?[0])
    }

    /// Its settings as a row has them: `appendonly=yes appendfsync=always`.
    pub fn settings(&self) -> String {
        let words: Vec<String> = self.settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
        words.join(" ")
    }

    /// The protections with these names; `all` stands for all.
    ///
    /// # Errors
    /// An unknown name: the message lists the known ones.
    pub fn find(names: &[impl AsRef<str>]) -> Result<Vec<&'static Self>> {
        let mut found: Vec<&'static Self> = Vec::new();
        for name in names {
            let name = name.as_ref();
            let fits = |protection: &&Self| name == "all" || protection.name == name;
            let before = found.len();
            found.extend(PROTECTIONS.iter().filter(fits));
            if found.len() == before {
                let names: Vec<&str> = PROTECTIONS.iter().map(|protection| protection.name).collect();
                return Err(Error::usage(format!("no protection '{name}': all, or {}", names.join(", "))));
            }
        }
        let mut names: Vec<&str> = found.iter().map(|protection| protection.name).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(Error::usage(format!("protection '{}' is named twice", pair[0]))),
            None => Ok(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_protection_has_a_strategy_and_a_name_of_its_own() {
        for protection in PROTECTIONS {
            assert_eq!(protection.strategy().unwrap().info().name, protection.strategy);
            assert!(protection.name.starts_with(protection.strategy) && protection.about.ends_with('.'));
        }
        assert_eq!(Protection::find(&["all"]).unwrap().len(), PROTECTIONS.len());
        assert!(Protection::find(&["incr", "incr"]).unwrap_err().to_string().contains("named twice"));
        assert!(Protection::find(&["hope"]).unwrap_err().to_string().contains("no protection 'hope': all, or incr"));
    }
}
