//! `FCALL`: the script as a library that the server keeps, replicates and persists.
//!
//! Does what `lua-incr` does at the same cost. The code is loaded once by whoever deploys it, not by every client, and
//! survives a restart. Needs Redis 7.0 or any Valkey. The library is named after our prefix and a random number for this
//! crew, and is removed with it; other libraries on the server are not touched.

use std::sync::Arc;

use crate::error::{BoxError, Result};
use crate::strategy::toolkit::{ask, own_connections, told_or_refused};
use crate::strategy::{Info, Need, Strategy};
use crate::target::{Connection, Session, Target};
use crate::update::{Update, Updater};

const INFO: Info = Info {
    counted_by: &["incr"],
    commands: &["function", "fcall", "incr"],
    needs: &[Need { what: "functions", missing: no_functions }],
    ..Info::exact("function", "INCR inside a function library that the server keeps, by FCALL.")
};

pub(super) struct Function;

/// The library on the server, removed when the last updater is dropped.
struct Library {
    server: Target,
    name: String,
}

impl Library {
    fn load(server: &Target) -> Result<Self> {
        // Library and function names take letters, digits and underscores only.
        let ours: String = server.prefix().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let name = format!("{ours}{:08x}", fastrand::u32(..));
        let code = format!(
            "#!lua name={name}\nredis.register_function('{name}', function(keys) return redis.call('INCR', keys[1]) end)"
        );
        let mut db = server.connect()?;
        // Made first: what one node of a cluster has loaded is removed if another one refuses.
        let library = Self { server: server.clone(), name };
        let load = redis::cmd("FUNCTION").arg(&["LOAD", "REPLACE", &code]).exec(&mut db);
        load.map_err(|e| server.refuses(&e))?;
        Ok(library)
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        // A promoted replica has it from its primary.
        self.server.renew();
        let Ok(mut db) = self.server.connect() else { return };
        let delete = |node: &mut Connection| {
            // A node that is gone, or never had it, has nothing to remove.
            let _ = redis::cmd("FUNCTION").arg("DELETE").arg(&self.name).exec(node);
            Ok(())
        };
        let _ = db.on_each(delete);
    }
}

struct Calling {
    connection: Session,
    packed: Vec<u8>,
    library: Arc<Library>,
}

impl Updater for Calling {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        let call: [&[u8]; 4] = [b"FCALL", self.library.name.as_bytes(), b"1", key.as_bytes()];
        told_or_refused(ask(&mut self.connection, &mut self.packed, &call))
    }
}

fn no_functions(server: &Target) -> Result<Option<String>> {
    Ok(match redis::cmd("FUNCTION").arg("STATS").exec(&mut server.connect()?) {
        Ok(()) => None,
        Err(error) if error.is_io_error() => return Err(server.refuses(&error)),
        Err(error) => Some(format!("it has no functions, or does not permit them: {error}")),
    })
}

impl Strategy for Function {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        let library = Arc::new(Library::load(server)?);
        own_connections(server, workers, |connection| Calling {
            connection,
            packed: Vec::new(),
            library: library.clone(),
        })
    }
}
