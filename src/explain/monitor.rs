//! A connection on which MONITOR shows every command that the server executes, in order.
//!
//! The output of a short race fits into the connection's buffers until the race is over. A command that only this
//! program can have sent marks the end, so reading needs no timeout.

use redis::{RedisResult, Value};

use crate::error::{Error, Result};
use crate::target::{Connection, Target};

/// One command as the server saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// The server's clock.
    pub(super) at_us: u64,
    /// The client's address, or `lua` for a command that a script calls.
    pub(super) client: String,
    /// The command's name in capitals, then its arguments.
    pub(super) words: Vec<String>,
}

pub(super) struct Monitor {
    nodes: Vec<Watched>,
    mark: String,
    server: Target,
}

/// One server that has keys.
struct Watched {
    lines: Connection,
    db: Connection,
}

impl Monitor {
    /// Attaches to the server, or to every node that has keys.
    pub(super) fn attach(server: &Target) -> Result<Self> {
        let mut nodes = Vec::new();
        for (mut lines, db) in server.connect_each()?.into_iter().zip(server.connect_each()?) {
            let answer = lines
                .send_packed_command(&redis::cmd("MONITOR").get_packed_command())
                .and_then(|()| lines.recv_response())
                .and_then(Value::extract_error);
            if let Err(error) = answer {
                let why = format!("server {} does not allow MONITOR, which explain needs: {error}", server.address());
                return Err(Error::server(why));
            }
            nodes.push(Watched { lines, db });
        }
        let mark = format!("{}end:{:016x}", server.prefix(), fastrand::u64(..));
        Ok(Self { nodes, mark, server: server.clone() })
    }

    /// Every command from the attachment until now, node by node.
    pub(super) fn seen(mut self) -> Result<Vec<Vec<Seen>>> {
        let Self { nodes, mark, server } = &mut self;
        nodes.iter_mut().map(|node| node.seen(mark).map_err(|e| server.refuses(&e))).collect()
    }
}

impl Watched {
    fn seen(&mut self, mark: &String) -> RedisResult<Vec<Seen>> {
        redis::cmd("ECHO").arg(mark).exec(&mut self.db)?;
        let mut seen = Vec::new();
        loop {
            let Value::SimpleString(line) = self.lines.recv_response()? else { continue };
            match parse(&line) {
                Some(command) if command.words.contains(mark) => return Ok(seen),
                Some(command) => seen.push(command),
                None => {}
            }
        }
    }
}

/// Reads `1795567887.502376 [0 127.0.0.1:58274] "SET" "key" "42"`.
fn parse(line: &str) -> Option<Seen> {
    let (time, rest) = line.split_once(" [")?;
    let (seconds, micros) = time.split_once('.')?;
    let (source, words) = rest.split_once("] \"")?;
    let (_database, client) = source.split_once(' ')?;
    let mut words = unquoted(words)?;
    words.first_mut()?.make_ascii_uppercase();
    let at_us = seconds.parse::<u64>().ok()? * 1_000_000 + micros.parse::<u64>().ok()?;
    Some(Seen { at_us, client: client.to_owned(), words })
}

/// The words of `SET" "key" "42"`: the first quote is gone already. Escapes of unprintable bytes stay as they are.
fn unquoted(text: &str) -> Option<Vec<String>> {
    let mut words = vec![String::new()];
    let mut chars = text.chars();
    loop {
        match chars.next()? {
            '\\' => {
                let escaped = chars.next()?;
                if !matches!(escaped, '"' | '\\') {
                    words.last_mut()?.push('\\');
                }
                words.last_mut()?.push(escaped);
            }
            '"' => match (chars.next(), chars.next()) {
                (None, _) => return Some(words),
                (Some(' '), Some('"')) => words.push(String::new()),
                _ => return None,
            },
            plain => words.last_mut()?.push(plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_the_server_writes_them() {
        let seen = parse(r#"1795567887.502376 [0 127.0.0.1:58274] "set" "a \"key\"" "\x00\\" "#.trim_end()).unwrap();
        assert_eq!((seen.at_us, seen.client.as_str()), (1_795_567_887_502_376, "127.0.0.1:58274"));
        assert_eq!(seen.words, ["SET", "a \"key\"", "\\x00\\"]);
        let seen = parse(r#"1.000002 [3 unix:/tmp/a b.sock] "GET" """#).unwrap();
        assert_eq!((seen.client.as_str(), seen.words), ("unix:/tmp/a b.sock", vec!["GET".to_owned(), String::new()]));
        assert_eq!(parse("OK"), None);
        assert_eq!(parse(r#"1.000002 [3 lua] "GET" "cut"#), None);
    }
}
