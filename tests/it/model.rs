//! A small Redis in this process, which loses, doubles, refuses, forgets to answer and hangs up by a script.
//!
//! It keeps strings, expiry, WATCH and MULTI, and runs the few scripts and functions that the strategies load, told apart
//! by their text: an unknown one is an error. The answers are worked out from its own data; what it did to each update it
//! writes into a log of its own. An *update* is a command that moves a counter: INCR and its kin, a script that adds, and
//! a SET after a GET of the same key on the same connection, and an EXEC of a SET or an INCR.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// What is done to the command that brings an update that the script picks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Nothing,
    /// Answered as if it was done, and not done.
    Lose,
    /// Done twice, the second answer sent.
    Double,
    /// An error reply, nothing done.
    Refuse,
    /// The connection is closed without a reply; done or not.
    Drop {
        done: bool,
    },
    /// No reply to this and to whatever follows on the connection; this one is done or not.
    Silence {
        done: bool,
    },
    /// Bytes that are no reply, and nothing more on the connection.
    Garbage {
        done: bool,
    },
    /// A reply of a kind that no update has.
    Misfit {
        done: bool,
    },
    /// The right reply, byte by byte over [`DRIP`], and nothing more on the connection.
    Drip {
        done: bool,
    },
    /// Done and answered correctly; then somebody else sets the counter to the largest integer.
    Absurd,
    /// A reply of lists within lists, far deeper than any client reads, and nothing more on the connection.
    Nested {
        done: bool,
    },
}

/// Longer than any client waits for a reply, although each byte comes soon after the last.
const DRIP: Duration = Duration::from_secs(12);

/// Lists within lists.
const DEPTH: usize = 50_000;

impl Fault {
    /// Whether the affected update is executed, for faults without a correct reply.
    fn done(self) -> Option<bool> {
        match self {
            Self::Nothing | Self::Lose | Self::Double | Self::Refuse | Self::Absurd => None,
            Self::Drop { done }
            | Self::Silence { done }
            | Self::Garbage { done }
            | Self::Misfit { done }
            | Self::Drip { done }
            | Self::Nested { done } => Some(done),
        }
    }
}

/// What was done, counted in updates: an INCRBY of 16 is sixteen.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Log {
    /// Updates that were asked for.
    pub(crate) asked: u64,
    pub(crate) acked: u64,
    pub(crate) refused: u64,
    /// Not answered, or not with a reply.
    pub(crate) unanswered: u64,
    /// Answered, and the counter has not moved.
    pub(crate) lost: u64,
    /// Moves of the counter beyond what was asked.
    pub(crate) doubled: u64,
    /// How far the counters moved in all.
    pub(crate) gain: i128,
    /// Whether somebody loaded a script or a function that the model cannot run.
    pub(crate) has_unknown_code: bool,
}

#[derive(Clone, Default)]
struct Data {
    values: HashMap<String, (String, Option<Instant>)>,
    versions: HashMap<String, u64>,
}

struct State {
    fault: Fault,
    every: u64,
    data: Data,
    scripts: HashMap<String, Program>,
    functions: Vec<String>,
    settings: HashMap<String, String>,
    log: Log,
}

/// The scripts that are known.
#[derive(Clone, Copy, PartialEq)]
enum Program {
    Incr,
    GetSet,
    Idempotent,
    Doubles,
    Unlock,
    FenceEnter,
    FenceWrite,
}

impl Program {
    fn of(code: &str) -> Option<Self> {
        let has = |text: &str| code.contains(text);
        Some(match () {
            () if code == "return redis.call('INCR', KEYS[1])" => Self::Incr,
            () if has("string.match(newest") => Self::Idempotent,
            () if has("string.match(value, '^(%d-)(9*)$')") => Self::GetSet,
            () if has("tonumber(redis.call('GET', KEYS[1])") => Self::Doubles,
            () if has("== ARGV[1] then return redis.call('DEL', KEYS[1])") => Self::Unlock,
            () if has("'NX', 'PX', ARGV[2]) then return redis.call('INCR', KEYS[2])") => Self::FenceEnter,
            () if has("~= ARGV[2] then return 0 end") => Self::FenceWrite,
            () => return None,
        })
    }
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

fn integer(value: i64) -> String {
    format!(":{value}\r\n")
}

fn error(what: &str) -> String {
    format!("-ERR {what}\r\n")
}

const NIL: &str = "$-1\r\n";
const OK: &str = "+OK\r\n";

impl Data {
    fn get(&self, key: &str) -> Option<&str> {
        let (value, until) = self.values.get(key)?;
        until.is_none_or(|until| until > Instant::now()).then_some(value)
    }

    fn put(&mut self, key: &str, value: String, ttl: Option<Duration>) {
        self.values.insert(key.to_owned(), (value, ttl.map(|ttl| Instant::now() + ttl)));
        *self.versions.entry(key.to_owned()).or_default() += 1;
    }

    fn remove(&mut self, key: &str) -> i64 {
        let was_there = self.get(key).is_some();
        self.values.remove(key);
        *self.versions.entry(key.to_owned()).or_default() += 1;
        i64::from(was_there)
    }

    fn version(&self, key: &str) -> u64 {
        self.versions.get(key).copied().unwrap_or_default()
    }

    fn add(&mut self, key: &str, amount: i64) -> Result<i64, String> {
        let value: i64 = self.get(key).unwrap_or("0").parse().map_err(|_| error("value is not an integer"))?;
        let sum = value.checked_add(amount).ok_or_else(|| error("increment would overflow"))?;
        self.put(key, sum.to_string(), None);
        Ok(sum)
    }

    /// `SET key value [NX] [PX ms] [IFEQ old]`.
    fn set(&mut self, key: &str, value: &str, options: &[&str]) -> String {
        let mut ttl = None;
        let mut options = options.iter();
        while let Some(&option) = options.next() {
            let met = match option {
                "NX" => self.get(key).is_none(),
                "PX" => {
                    ttl = options.next().map(|ms| Duration::from_millis(ms.parse().unwrap()));
                    true
                }
                "IFEQ" => self.get(key) == options.next().copied(),
                _ => return error("syntax error"),
            };
            if !met {
                return NIL.to_owned();
            }
        }
        self.put(key, value.to_owned(), ttl);
        OK.to_owned()
    }

    /// INCRBYFLOAT of a whole number, in the precision of a C double: enough where no float knows a one.
    fn add_float(&mut self, key: &str, amount: &str) -> String {
        let value: i128 = self.get(key).unwrap_or("0").parse().unwrap();
        let sum = (value as f64 + amount.parse::<f64>().unwrap()) as i128;
        self.put(key, sum.to_string(), None);
        bulk(&sum.to_string())
    }

    /// BITFIELD on the first 8 bits, unsigned: SET, GET, and OVERFLOW SAT INCRBY.
    fn bitfield(&mut self, key: &str, words: &[&str]) -> String {
        let before: i64 = self.get(key).map_or(0, |value| value.parse().unwrap());
        let (after, answer) = match words {
            ["GET", "u8", "0"] => (before, before),
            ["SET", "u8", "0", value] => (value.parse().unwrap(), before),
            ["OVERFLOW", "SAT", "INCRBY", "u8", "0", by] => {
                let sum = (before + by.parse::<i64>().unwrap()).min(255);
                (sum, sum)
            }
            _ => return error("unknown BITFIELD"),
        };
        self.put(key, after.to_string(), None);
        format!("*1\r\n{}", integer(answer))
    }

    fn run(&mut self, program: Program, keys: &[&str], args: &[&str]) -> String {
        let added = |sum: Result<i64, String>| sum.map_or_else(|error| error, integer);
        match program {
            Program::Incr => added(self.add(keys[0], 1)),
            Program::GetSet => self.add(keys[0], 1).map_or_else(|error| error, |sum| bulk(&sum.to_string())),
            Program::Doubles => {
                let sum = self.get(keys[0]).unwrap_or("0").parse::<f64>().unwrap() + 1.0;
                self.put(keys[0], format!("{sum:.0}"), None);
                bulk(&format!("{sum:.0}"))
            }
            Program::Idempotent => {
                if let Some((id, value)) = self.get(keys[1]).and_then(|newest| newest.split_once(' ')) {
                    if id == args[0] {
                        return bulk(value);
                    }
                    assert!(id.parse::<u64>().unwrap() < args[0].parse().unwrap(), "an older id");
                }
                let sum = match self.add(keys[0], 1) {
                    Ok(sum) => sum,
                    Err(error) => return error,
                };
                let ttl = Duration::from_millis(args[1].parse().unwrap());
                self.put(keys[1], format!("{} {sum}", args[0]), Some(ttl));
                bulk(&sum.to_string())
            }
            Program::Unlock => {
                let is_ours = self.get(keys[0]) == Some(args[0]);
                integer(if is_ours { self.remove(keys[0]) } else { 0 })
            }
            Program::FenceEnter => match self.set(keys[0], args[0], &["NX", "PX", args[1]]).as_str() {
                OK => added(self.add(keys[1], 1)),
                _ => NIL.to_owned(),
            },
            Program::FenceWrite => {
                let is_newest = self.get(keys[1]) == Some(args[1]);
                if is_newest {
                    self.put(keys[0], args[0].to_owned(), None);
                }
                integer(is_newest.into())
            }
        }
    }
}

/// What a connection remembers.
#[derive(Default)]
struct Session {
    /// Keys that were read, which makes a SET of them an update.
    read: Vec<String>,
    watched: Vec<(String, u64)>,
    queued: Option<Vec<Vec<String>>>,
    is_silent: bool,
    /// The current reply is sent byte by byte.
    drips: bool,
}

/// A command's counter and how much it is to move by.
type Update = Option<(String, u64)>;

impl State {
    /// Which counter a command moves, if it is an update.
    fn update(&self, words: &[&str], session: &Session) -> Update {
        let one = |key: &str| Some((key.to_owned(), 1));
        match *words {
            ["INCR" | "INCRBYFLOAT" | "APPEND", key, ..] | ["FCALL", _, "1", key] => one(key),
            ["INCRBY", key, by] => Some((key.to_owned(), by.parse().unwrap())),
            ["BITFIELD", key, "OVERFLOW", ..] => one(key),
            ["SET", key, ..] if session.read.iter().any(|read| read == key) => one(key),
            ["EVALSHA", hash, _, key, ..] => match self.scripts.get(hash) {
                Some(Program::Unlock | Program::FenceEnter) | None => None,
                Some(_) => one(key),
            },
            ["EXEC"] => session.queued.iter().flatten().find_map(|queued| match &queued[..] {
                [adds, key, ..] if adds == "SET" || adds == "INCR" => one(key),
                _ => None,
            }),
            _ => None,
        }
    }

    fn is_full(&self) -> bool {
        self.settings.get("maxmemory").is_some_and(|maxmemory| maxmemory != "0")
    }

    /// Runs one command on its data.
    fn run(&mut self, words: &[&str], session: &mut Session) -> String {
        let data = &mut self.data;
        let value = |value: Option<&str>| value.map_or_else(|| NIL.to_owned(), bulk);
        let added = |sum: Result<i64, String>| sum.map_or_else(|error| error, integer);
        match *words {
            ["GET", key] => {
                session.read.push(key.to_owned());
                value(data.get(key))
            }
            ["MGET", ref keys @ ..] => {
                let values: String = keys.iter().map(|key| value(data.get(key))).collect();
                format!("*{}\r\n{values}", keys.len())
            }
            ["SET", key, text, ref options @ ..] => data.set(key, text, options),
            ["DEL", ref keys @ ..] | ["UNLINK", ref keys @ ..] => {
                integer(keys.iter().map(|key| data.remove(key)).sum())
            }
            ["INCR", key] => added(data.add(key, 1)),
            ["INCRBY", key, by] => added(data.add(key, by.parse().unwrap())),
            ["INCRBYFLOAT", key, by] => data.add_float(key, by),
            ["APPEND", key, text] => {
                let text = data.get(key).unwrap_or_default().to_owned() + text;
                let length = text.len() as i64;
                data.put(key, text, None);
                integer(length)
            }
            ["STRLEN", key] => integer(data.get(key).map_or(0, str::len) as i64),
            ["BITFIELD", key, ref words @ ..] => data.bitfield(key, words),
            ["WATCH", key] => {
                session.watched.push((key.to_owned(), data.version(key)));
                OK.to_owned()
            }
            ["UNWATCH"] => {
                session.watched.clear();
                OK.to_owned()
            }
            ["MULTI"] => {
                session.queued = Some(Vec::new());
                OK.to_owned()
            }
            ["EXEC"] => self.exec(session),
            ["SCRIPT", "LOAD", code] => match Program::of(code) {
                Some(program) => {
                    let hash = redis::Script::new(code).get_hash().to_owned();
                    let reply = bulk(&hash);
                    self.scripts.insert(hash, program);
                    reply
                }
                None => {
                    self.log.has_unknown_code = true;
                    error("a script that the model does not know")
                }
            },
            ["EVALSHA", hash, count, ref rest @ ..] => match self.scripts.get(hash) {
                Some(&program) => {
                    let (keys, args) = rest.split_at(count.parse().unwrap());
                    data.run(program, keys, args)
                }
                None => "-NOSCRIPT No matching script\r\n".to_owned(),
            },
            ["FUNCTION", "LOAD", "REPLACE", code] => {
                if !code.contains("return redis.call('INCR', keys[1])") {
                    self.log.has_unknown_code = true;
                    return error("a function that the model does not know");
                }
                let name = code.split('\'').nth(1).unwrap();
                self.functions.push(name.to_owned());
                bulk(name)
            }
            ["FUNCTION", "DELETE", name] => {
                self.functions.retain(|function| function != name);
                OK.to_owned()
            }
            ["FUNCTION", "STATS"] => "*0\r\n".to_owned(),
            ["FCALL", name, "1", key] => match self.functions.iter().any(|function| function == name) {
                true => data.run(Program::Incr, &[key], &[]),
                false => error("Function not found"),
            },
            ["CONFIG", "GET", name] => {
                let value = self.settings.get(name).map_or("0", String::as_str);
                format!("*2\r\n{}{}", bulk(name), bulk(value))
            }
            ["CONFIG", "SET", name, value] => {
                self.settings.insert(name.to_owned(), value.to_owned());
                OK.to_owned()
            }
            // The note of what settings were before they were changed: nobody reads it while all goes well.
            ["HSET", _, ref fields @ ..] => integer(fields.len() as i64 / 2),
            ["SCAN", ..] => format!("*2\r\n{}*0\r\n", bulk("0")),
            ["INFO", ..] => bulk("redis_version:7.0.0\r\nredis_mode:standalone\r\nrole:master\r\n"),
            ["PING"] => "+PONG\r\n".to_owned(),
            ["CLIENT", ..] | ["SELECT", _] => OK.to_owned(),
            _ => error(&format!("unknown command '{}'", words.join(" "))),
        }
    }

    fn exec(&mut self, session: &mut Session) -> String {
        let queued = session.queued.take().unwrap_or_default();
        let watched = std::mem::take(&mut session.watched);
        if watched.iter().any(|(key, version)| self.data.version(key) != *version) {
            return "*-1\r\n".to_owned();
        }
        let run = |words: &Vec<String>| {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            self.run(&words, &mut Session::default())
        };
        let replies: Vec<String> = queued.iter().map(run).collect();
        format!("*{}\r\n{}", replies.len(), replies.concat())
    }

    fn number(&self, key: &str) -> i128 {
        self.data.get(key).map_or(0, |value| value.parse().unwrap_or(value.len() as i128))
    }

    /// Answers one command, with whatever the script has for it; nothing if the connection is to be closed.
    fn answer(&mut self, words: &[&str], session: &mut Session) -> Option<String> {
        if session.is_silent {
            return Some(String::new());
        }
        if let Some(queued) = session.queued.as_mut().filter(|_| words != ["EXEC"]) {
            queued.push(words.iter().map(|&word| word.to_owned()).collect());
            return Some("+QUEUED\r\n".to_owned());
        }
        let Some((key, amount)) = self.update(words, session) else { return Some(self.run(words, session)) };
        if self.is_full() {
            (self.log.asked, self.log.refused) = (self.log.asked + amount, self.log.refused + amount);
            return Some("-OOM command not allowed when used memory > 'maxmemory'.\r\n".to_owned());
        }
        let before = self.number(&key);
        let picks = |asked: u64| asked / self.every;
        let is_picked = picks(self.log.asked + amount) > picks(self.log.asked);
        let fault = if is_picked { self.fault } else { Fault::Nothing };
        self.log.asked += amount;
        let saved = self.data.clone();
        let mut reply = self.run(words, session);
        match (fault, fault.done()) {
            (Fault::Lose | Fault::Refuse, _) | (_, Some(false)) => self.data = saved,
            // What was queued is gone, so an EXEC has nothing to do twice.
            (Fault::Double, _) => reply = if words == ["EXEC"] { reply } else { self.run(words, session) },
            // Only where the counter is a number, not the length of a string or a few bits.
            (Fault::Absurd, _) if !["APPEND", "BITFIELD", "INCRBYFLOAT"].contains(&words[0]) => {
                self.data.put(&key, i64::MAX.to_string(), None);
            }
            _ => {}
        }
        let moved = self.number(&key) - before;
        let misfit = if words == ["EXEC"] { "+WHAT\r\n" } else { "*2\r\n$1\r\nx\r\n*0\r\n" };
        let reply = if matches!(fault, Fault::Misfit { .. }) { misfit.to_owned() } else { reply };
        self.log.gain += moved;
        session.is_silent = fault.done().is_some() && !matches!(fault, Fault::Drop { .. } | Fault::Misfit { .. });
        session.drips = matches!(fault, Fault::Drip { .. });
        self.write_down(fault, reply, amount, moved)
    }

    fn write_down(&mut self, fault: Fault, reply: String, amount: u64, moved: i128) -> Option<String> {
        match fault {
            Fault::Refuse => {
                self.log.refused += amount;
                Some(error("refused by the script"))
            }
            _ if fault.done().is_some() => {
                self.log.unanswered += amount;
                match fault {
                    Fault::Drop { .. } => None,
                    Fault::Garbage { .. } => Some("?what\r\n".to_owned()),
                    Fault::Misfit { .. } | Fault::Drip { .. } => Some(reply),
                    Fault::Nested { .. } => Some("*1\r\n".repeat(DEPTH) + ":1\r\n"),
                    _ => Some(String::new()),
                }
            }
            _ => {
                // EXEC's nil, and IFEQ's, say that nothing was done: whatever was, was not asked for.
                let acked = if reply == "*-1\r\n" || reply == NIL { 0 } else { amount };
                self.log.acked += acked;
                self.log.lost += acked.saturating_sub(moved.clamp(0, amount.into()) as u64);
                self.log.doubled += (moved - i128::from(acked)).max(0) as u64;
                Some(reply)
            }
        }
    }
}

/// The model, listening on a port of its own.
pub(crate) struct Model {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    stop: Arc<AtomicBool>,
}

impl Model {
    /// One that does `fault` to every `every`-th update.
    pub(crate) fn start(fault: Fault, every: u64) -> Self {
        let state = State {
            fault,
            every,
            data: Data::default(),
            scripts: HashMap::new(),
            functions: Vec::new(),
            settings: HashMap::new(),
            log: Log::default(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (state, stop) = (Arc::new(Mutex::new(state)), Arc::new(AtomicBool::new(false)));
        let (shared, stopped) = (state.clone(), stop.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().take_while(|_| !stopped.load(Ordering::Relaxed)) {
                let (state, stream) = (shared.clone(), stream.unwrap());
                // A client that goes away ends its conversation, as on any server.
                std::thread::spawn(move || converse(&stream, &state).unwrap_or(()));
            }
        });
        Self { address, state, stop }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    pub(crate) fn log(&self) -> Log {
        lock(&self.state).log
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the listener, which may also be gone.
        drop(TcpStream::connect(self.address));
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap()
}

fn converse(stream: &TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut reader, mut writer, mut session) = (BufReader::new(stream), stream, Session::default());
    while let Some(words) = request(&mut reader)? {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let Some(reply) = lock(state).answer(&words, &mut session) else { return Ok(()) };
        if std::mem::take(&mut session.drips) {
            for byte in reply.as_bytes() {
                writer.write_all(&[*byte])?;
                std::thread::sleep(DRIP / reply.len() as u32);
            }
        } else {
            writer.write_all(reply.as_bytes())?;
        }
    }
    Ok(())
}

/// One command; `None` when the client has gone.
pub(crate) fn request(reader: &mut impl BufRead) -> std::io::Result<Option<Vec<String>>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let number = |line: &str| line[1..].trim_end().parse::<usize>().unwrap();
    let mut words = Vec::new();
    for _ in 0..number(&line) {
        line.clear();
        reader.read_line(&mut line)?;
        let mut word = vec![0; number(&line) + 2];
        reader.read_exact(&mut word)?;
        word.truncate(word.len() - 2);
        words.push(String::from_utf8(word).unwrap());
    }
    Ok(Some(words))
}
