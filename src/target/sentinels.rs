//! Sentinels, which know which server is currently the primary.
//!
//! They do not learn of a failover at the same moment, and after a planned one the old primary goes on acknowledging for
//! seconds, until it becomes a replica and drops what it has acknowledged since. Racing clients ask as clients do: the first
//! Sentinel that answers. To read a counter back or to remove keys, all of them are asked, and the most recent failover counts.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::{Client, ConnectionInfo, ErrorKind, RedisError, RedisResult};

use crate::target::Connection;
use crate::target::address::elsewhere;

/// How long a Sentinel may take to answer when all are asked.
const PATIENCE: Duration = Duration::from_secs(1);

/// A Sentinel that did not answer is left out for this long, as long as another one answers.
const LEFT_OUT: Duration = Duration::from_secs(30);

/// The longest wait for a failover to end. Sentinels give one up after `failover-timeout`, 3 minutes by default.
const FAILOVER: Duration = Duration::from_secs(15);

/// The pause between two looks at a failover.
const PAUSE: Duration = Duration::from_millis(100);

/// The Sentinels of one primary.
pub(super) struct Sentinels {
    nodes: Vec<ConnectionInfo>,
    /// How to connect to the servers they watch: everything but the address.
    servers: ConnectionInfo,
    name: String,
    /// When each of them did not answer.
    silent: Mutex<HashMap<usize, Instant>>,
}

/// What one Sentinel says of the primary.
struct Said {
    client: Client,
    /// Grows with every failover.
    epoch: u64,
    /// A failover that this Sentinel leads is not over.
    is_failing_over: bool,
}

impl Sentinels {
    pub(super) fn new(nodes: Vec<ConnectionInfo>, servers: ConnectionInfo, name: String) -> Self {
        Self { nodes, servers, name, silent: Mutex::default() }
    }

    /// Where they are, for messages.
    pub(super) fn named(&self) -> String {
        self.nodes.iter().map(|node| node.addr().to_string()).collect::<Vec<_>>().join(", ")
    }

    /// The primary, according to the first Sentinel that answers.
    pub(super) fn primary(&self) -> RedisResult<Client> {
        let mut failed = self.unnamed();
        for number in self.order().0 {
            let opened = Client::open(self.nodes[number].clone());
            let opened = opened.and_then(|client| Connection::open_within(&client, PATIENCE));
            match opened.and_then(|mut db| self.address(&mut db)) {
                Ok(client) => return Ok(client),
                Err(error) => {
                    self.fell_silent(number);
                    failed = error;
                }
            }
        }
        Err(failed)
    }

    /// The Sentinels in the order of the URL, those that were silent last, and how many were not.
    fn order(&self) -> (Vec<usize>, usize) {
        let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        silent.retain(|_, since| since.elapsed() < LEFT_OUT);
        let mut order: Vec<usize> = (0..self.nodes.len()).collect();
        order.sort_by_key(|number| silent.contains_key(number));
        (order, self.nodes.len() - silent.len())
    }

    fn fell_silent(&self, number: usize) {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner).insert(number, Instant::now());
    }

    /// The primary since the most recent failover that any of them knows of.
    pub(super) fn newest(&self) -> RedisResult<Client> {
        self.most_recent().map(|said| said.client)
    }

    /// The number of that failover, which grows with each.
    pub(super) fn epoch(&self) -> RedisResult<u64> {
        self.most_recent().map(|said| said.epoch)
    }

    /// The primary since a failover after `epoch`, once it is over or takes too long; `None` if there was none.
    pub(super) fn promoted_since(&self, epoch: u64) -> RedisResult<Option<Client>> {
        let since = Instant::now();
        while since.elapsed() < FAILOVER && self.all()?.iter().any(|said| said.is_failing_over) {
            std::thread::sleep(PAUSE);
        }
        let said = self.most_recent()?;
        Ok((said.epoch != epoch).then_some(said.client))
    }

    fn most_recent(&self) -> RedisResult<Said> {
        // Of several that know of the same failover, the first in the URL.
        let first = self.all()?.into_iter().reduce(|known, said| if said.epoch > known.epoch { said } else { known });
        first.ok_or_else(|| self.unnamed())
    }

    /// What each Sentinel that answers says.
    fn all(&self) -> RedisResult<Vec<Said>> {
        let (mut said, mut failed) = (Vec::new(), self.unnamed());
        let (order, awake) = self.order();
        for (place, number) in order.into_iter().enumerate() {
            // Those that were silent are asked only if nobody else answers.
            if place >= awake && !said.is_empty() {
                break;
            }
            match self.asked(&self.nodes[number]) {
                Ok(answer) => said.push(answer),
                Err(error) => {
                    self.fell_silent(number);
                    failed = error;
                }
            }
        }
        if said.is_empty() { Err(failed) } else { Ok(said) }
    }

    fn asked(&self, node: &ConnectionInfo) -> RedisResult<Said> {
        let mut db = Connection::open_within(&Client::open(node.clone())?, PATIENCE)?;
        // The epoch first: if this Sentinel switches in between, the address is newer than the epoch, never older. A user who
        // may only ask for the address is told of no epoch.
        let facts = redis::cmd("SENTINEL").arg("MASTER").arg(&self.name).query::<HashMap<String, String>>(&mut db);
        let facts = match facts {
            Err(error) if error.is_io_error() => return Err(error),
            facts => facts.unwrap_or_default(),
        };
        let fact = |name: &str| facts.get(name).map_or("", String::as_str);
        Ok(Said {
            client: self.address(&mut db)?,
            epoch: fact("config-epoch").parse().unwrap_or(0),
            is_failing_over: fact("flags").split(',').any(|flag| flag == "failover_in_progress"),
        })
    }

    fn address(&self, db: &mut Connection) -> RedisResult<Client> {
        let mut ask = redis::cmd("SENTINEL");
        let address: Option<(String, u16)> = ask.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.name).query(db)?;
        let (host, port) = address.ok_or_else(|| {
            let kind = ErrorKind::MasterNameNotFoundBySentinel;
            RedisError::from((kind, "the Sentinels know no primary of this name", self.name.clone()))
        })?;
        Client::open(elsewhere(&self.servers, &host, port)?)
    }

    fn unnamed(&self) -> RedisError {
        RedisError::from((ErrorKind::MasterNameNotFoundBySentinel, "no Sentinel is named"))
    }
}
