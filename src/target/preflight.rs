//! Checks before anything is measured; each failure is one line that says what to do.

use redis::{Cmd, ConnectionLike, RedisError, RedisResult, Value};

use crate::condition::Topology;
use crate::error::{Error, Result};
use crate::target::{Connection, OURS, Target, keyspace};

/// Checks that the server is of the kind that its URL says, and looks for replicas.
pub(super) fn kind(mut server: Target) -> Result<Target> {
    let mut db = server.connect()?;
    let mut section = |name: &str| -> Result<String> {
        let text = redis::cmd("INFO").arg(name).query(&mut db);
        text.map_err(|e| unnamed(&server, &e))
    };
    let (mode, replication) = (section("server")?, section("replication")?);
    let value = |text: &str, name: &str| {
        let line =
            text.lines().find_map(|line| line.trim_end().strip_prefix(name)?.strip_prefix(':').map(str::to_owned));
        line.unwrap_or_default()
    };
    let address = server.address();
    let tls = if server.is_tls() { "s" } else { "" };
    let instead = match (value(&mode, "redis_mode").as_str(), server.topology()) {
        ("cluster", Topology::Single | Topology::Sentinel) => {
            Some(format!("is a node of a cluster: give redis{tls}-cluster://{address} instead of redis{tls}://"))
        }
        ("sentinel", _) => Some(format!(
            "is a Sentinel: give redis{tls}-sentinel://{address}/0?sentinelMasterId=NAME instead of redis{tls}://"
        )),
        _ => None,
    };
    let is_read_only = value(&replication, "role") == "slave" && value(&replication, "slave_read_only") != "0";
    let instead = instead.or_else(|| {
        let primary = [value(&replication, "master_host"), value(&replication, "master_port")].join(":");
        (is_read_only && server.topology() != Topology::Cluster)
            .then(|| format!("is a read-only replica of {primary}: give the URL of its primary"))
    });
    if let Some(instead) = instead {
        return Err(Error::usage(format!("server {address} {instead}")));
    }
    if server.topology() != Topology::Cluster {
        server.place.replicas = server.replicas_named(&replication);
        if server.topology() == Topology::Single && !server.place.replicas.is_empty() {
            server.place.kind = Topology::Replicated;
        }
    }
    Ok(server)
}

/// The error for a server that refuses to say what it is, or does not answer.
pub(super) fn unnamed(server: &Target, error: &RedisError) -> Error {
    if error.is_io_error() {
        return server.refuses(error);
    }
    Error::server(format!(
        "server {}: INFO is refused ({error}): allow it, or use a server whose version can be read",
        server.address()
    ))
}

impl Target {
    /// Checks that we may send `commands` on our keys, on every node that has keys. None of them is executed: they are
    /// queued in a transaction that is then discarded.
    ///
    /// # Errors
    /// We may not: the message names the node, the command and the keys.
    pub fn lets_us(&self, commands: &[&str]) -> Result<()> {
        self.each()?.iter().try_for_each(|node| node.node_lets_us(commands))
    }

    fn node_lets_us(&self, commands: &[&str]) -> Result<()> {
        let mut db = self.connect_here()?;
        let key = keyspace::counter(self.prefix(), 0, 0);
        let refused = |command: &str, error: &RedisError| -> Error {
            Error::server(format!(
                "server {}: the user may not run {} on keys {OURS}* ({error}); allow it (ACL SETUSER USER +{command} ~{OURS}*)",
                self.address(),
                command.to_uppercase()
            ))
        };
        // Without MULTI nothing can be queued, and the command would be executed.
        let opened = queued(&mut db, None).map_err(|e| self.refuses(&e))?;
        for (command, reply) in ["multi", "discard"].into_iter().zip(opened) {
            let Value::ServerError(error) = reply else { continue };
            let is_needed = error.code() == "NOPERM" && commands.contains(&"multi");
            return if is_needed { Err(refused(command, &error.into())) } else { Ok(()) };
        }
        for &command in commands {
            let Some(words) = words(command, &key) else { continue };
            let replies = queued(&mut db, Some(Cmd::new().arg(words))).map_err(|e| self.refuses(&e))?;
            let is_right = |reply: &&Value| matches!(reply, Value::ServerError(error) if error.code() == "NOPERM");
            if let Some(Value::ServerError(error)) = replies.into_iter().find(|reply| is_right(&reply)) {
                return Err(refused(command, &error.into()));
            }
        }
        Ok(())
    }
}

/// The command with arguments that a server accepts. `None` for commands whose subcommands each have their own
/// permission, and for those of transactions, which the check uses itself.
fn words<'a>(command: &'a str, key: &'a str) -> Option<Vec<&'a str>> {
    match command {
        "multi" | "exec" | "discard" | "script" | "function" | "cluster" | "acl" | "config" | "client" => None,
        "eval" | "evalsha" | "fcall" => Some(vec![command, "x", "1", key]),
        "set" | "incrby" | "incrbyfloat" => Some(vec![command, key, "1"]),
        "wait" => Some(vec![command, "0", "0"]),
        "readonly" | "ping" => Some(vec![command]),
        _ => Some(vec![command, key]),
    }
}

/// The replies to a transaction that is opened and discarded, with a command in it or none.
fn queued(db: &mut Connection, command: Option<&Cmd>) -> RedisResult<Vec<Value>> {
    let mut packed = redis::cmd("MULTI").get_packed_command();
    packed.extend(command.map(Cmd::get_packed_command).unwrap_or_default());
    packed.extend(redis::cmd("DISCARD").get_packed_command());
    db.req_packed_commands(&packed, 0, 2 + usize::from(command.is_some()))
}
