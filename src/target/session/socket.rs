//! For code that speaks the protocol itself: sockets to all nodes of a cluster that act as one.
//!
//! Requests go to the node of their key. Replies are read in the order of the requests, whichever node they come from.
//! MOVED and ASK are followed and counted as by a [session](super), but only to nodes that were primaries when the socket
//! was opened.

use std::collections::{HashMap, VecDeque};
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::sync::Arc;

use mio::event::Source;
use mio::{Interest, Registry, Token};

use super::cluster::{Cluster, MOST_HOPS, Member, is_watch};
use super::route::{Route, SLOTS, route};
use crate::resp::Reply;
use crate::target::Socket;

/// Room for one read.
const READ: usize = 16 * 1_024;

const ASKING: &[u8] = b"*1\r\n$6\r\nASKING\r\n";

/// A socket to one node.
struct Node {
    member: Member,
    socket: Box<dyn Socket>,
    /// Requests that the socket has not accepted yet.
    unsent: Vec<u8>,
    /// The beginning of an incomplete reply.
    heard: Vec<u8>,
    /// The requests whose replies are due, in order; `None` for an ASKING.
    expects: VecDeque<Option<u64>>,
}

/// A request whose reply nobody has read yet.
struct Request {
    command: Vec<u8>,
    reply: Option<Vec<u8>>,
    is_transaction: bool,
    hops: usize,
}

/// One client's sockets.
pub(crate) struct RoutedSocket {
    cluster: Arc<Cluster>,
    nodes: Vec<Node>,
    /// Which node has which slot: as known at the start, and what was learnt since.
    owners: Arc<[u16]>,
    moved: HashMap<u16, u16>,
    here: usize,
    watched: Option<usize>,
    in_transaction: bool,
    requests: VecDeque<Request>,
    /// The number of the first of `requests`.
    first: u64,
    /// Replies that are ready and not read yet.
    due: VecDeque<u8>,
}

impl RoutedSocket {
    /// Combines sockets to all primaries, in the order in which the cluster lists them.
    pub(crate) fn new(cluster: Arc<Cluster>, owners: Arc<[u16]>, sockets: Vec<(Member, Box<dyn Socket>)>) -> Self {
        let node =
            |(member, socket)| Node { member, socket, unsent: Vec::new(), heard: Vec::new(), expects: VecDeque::new() };
        Self {
            cluster,
            nodes: sockets.into_iter().map(node).collect(),
            owners,
            moved: HashMap::new(),
            here: 0,
            watched: None,
            in_transaction: false,
            requests: VecDeque::new(),
            first: 0,
            due: VecDeque::new(),
        }
    }

    fn ask(&mut self, command: &[u8], to: Route) {
        // A transaction stays on the node where it began, or EXEC would reach a node without its MULTI.
        if let (Route::Slot(slot), false) = (to, self.in_transaction) {
            let known = self.moved.get(&slot).or_else(|| self.owners.get(usize::from(slot)));
            self.here = known.map_or(0, |&node| usize::from(node));
        }
        if command.ends_with(b"\r\nMULTI\r\n") {
            self.in_transaction = true;
            // As a session does: to the node that watches, even if the key has moved.
            self.here = self.watched.take().unwrap_or(self.here);
        }
        let request =
            Request { command: command.to_owned(), reply: None, is_transaction: self.in_transaction, hops: 0 };
        self.in_transaction &= !(command.ends_with(b"\r\nEXEC\r\n") || command.ends_with(b"\r\nDISCARD\r\n"));
        let number = self.first + self.requests.len() as u64;
        self.requests.push_back(request);
        let node = &mut self.nodes[self.here];
        node.unsent.extend_from_slice(command);
        node.expects.push_back(Some(number));
    }

    /// Reads what has arrived from one node; `true` if the node closed the connection.
    fn hear(&mut self, from: usize) -> Result<bool> {
        let mut buffer = [0; READ];
        let is_over = loop {
            match self.nodes[from].socket.read(&mut buffer) {
                Ok(0) => break true,
                Ok(length) => self.nodes[from].heard.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        };
        let heard = std::mem::take(&mut self.nodes[from].heard);
        let mut taken = 0;
        while let Some((reply, length)) = Reply::read(&heard[taken..]).map_err(Error::other)? {
            let bytes = &heard[taken..taken + length];
            taken += length;
            match self.nodes[from].expects.pop_front() {
                None => return Err(Error::other("a reply came that nobody had asked for")),
                Some(None) => {}
                Some(Some(number)) => self.settle(from, number, &reply, bytes),
            }
        }
        self.nodes[from].heard.extend_from_slice(&heard[taken..]);
        Ok(is_over)
    }

    /// Stores a request's reply, or follows a redirection.
    fn settle(&mut self, from: usize, number: u64, reply: &Reply<'_>, bytes: &[u8]) {
        let Some(at) = number.checked_sub(self.first).map(|at| at as usize).filter(|&at| at < self.requests.len())
        else {
            return;
        };
        let sent_on = match reply {
            Reply::Error(text) => self.sent_on(from, text),
            _ => None,
        };
        let request = &mut self.requests[at];
        match sent_on {
            Some((node, is_ask)) if !request.is_transaction && request.hops < MOST_HOPS => {
                request.hops += 1;
                if !self.in_transaction {
                    self.here = node;
                }
                let node = &mut self.nodes[node];
                if is_ask {
                    node.unsent.extend_from_slice(ASKING);
                    node.expects.push_back(None);
                }
                node.unsent.extend_from_slice(&request.command);
                node.expects.push_back(Some(number));
            }
            _ => {
                if is_watch(&request.command) {
                    self.watched = Some(from);
                }
                request.reply = Some(bytes.to_owned());
            }
        }
    }

    /// Where `MOVED 42 host:port` or `ASK 42 host:port` redirects us, and whether only for this command.
    fn sent_on(&mut self, from: usize, text: &str) -> Option<(usize, bool)> {
        let mut words = text.split(' ');
        let is_ask = match words.next()? {
            "MOVED" => false,
            "ASK" => true,
            _ => return None,
        };
        self.cluster.redirects.count(is_ask);
        let slot = words.next()?.parse::<u16>().ok().filter(|&slot| slot < SLOTS)?;
        let member = Member::read(words.next()?, &self.nodes[from].member)?;
        let node = self.nodes.iter().position(|node| node.member == member)?;
        if !is_ask {
            self.moved.insert(slot, node as u16);
        }
        Some((node, is_ask))
    }
}

impl Write for RoutedSocket {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let mut from = 0;
        while from < bytes.len() {
            let unreadable = || Error::new(ErrorKind::InvalidInput, "a command that cannot be routed");
            let (to, length) = route(&bytes[from..]).ok_or_else(unreadable)?;
            self.ask(&bytes[from..from + length], to);
            from += length;
        }
        self.flush()?;
        Ok(bytes.len())
    }

    /// Sends as much as the sockets accept now.
    fn flush(&mut self) -> Result<()> {
        for node in &mut self.nodes {
            let mut sent = 0;
            while sent < node.unsent.len() {
                match node.socket.write(&node.unsent[sent..]) {
                    Ok(0) => return Err(ErrorKind::WriteZero.into()),
                    Ok(length) => sent += length,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            node.unsent.drain(..sent);
        }
        Ok(())
    }
}

impl Read for RoutedSocket {
    /// A read that does not fill `buffer` has emptied all sockets.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let mut is_over = false;
        for node in 0..self.nodes.len() {
            is_over |= self.hear(node)?;
        }
        self.flush()?;
        while self.requests.front().is_some_and(|request| request.reply.is_some()) {
            let request = self.requests.pop_front();
            self.first += 1;
            self.due.extend(request.and_then(|request| request.reply).unwrap_or_default());
        }
        match self.due.read(buffer)? {
            0 if !is_over => Err(ErrorKind::WouldBlock.into()),
            length => Ok(length),
        }
    }
}

/// All sockets have one token, and are always watched for both reading and writing, because a read may redirect a
/// request.
impl Source for RoutedSocket {
    fn register(&mut self, registry: &Registry, token: Token, _interests: Interest) -> Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        self.nodes.iter_mut().try_for_each(|node| node.socket.register(registry, token, both))
    }

    fn reregister(&mut self, registry: &Registry, token: Token, _interests: Interest) -> Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        self.nodes.iter_mut().try_for_each(|node| node.socket.reregister(registry, token, both))
    }

    fn deregister(&mut self, registry: &Registry) -> Result<()> {
        self.nodes.iter_mut().try_for_each(|node| node.socket.deregister(registry))
    }
}
