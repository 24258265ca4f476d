//! One connection through the proxy: a socket to the client, a socket to the server, and a [`Way`] for each direction.

use std::io::ErrorKind;
use std::time::Instant;

use crate::proxy::dialogue::Dialogue;
use crate::proxy::event::{Log, What};
use crate::proxy::script::{By, Judge};
use crate::proxy::socket::Socket;
use crate::proxy::way::{Ending, Sent, Way};

/// The client's side of a link, and the direction that begins there.
pub(super) const CLIENT: usize = 0;
/// The server's side of a link, and the direction that begins there.
pub(super) const SERVER: usize = 1;

/// Reads of one direction in a row, before others have their turn.
const TURN: usize = 8;

/// The most memory for bytes in transit in all directions together.
const MOST: usize = 64 << 20;

/// What all links have in common.
pub(super) struct Shared {
    pub(super) judge: Judge,
    pub(super) log: std::sync::Arc<Log>,
    /// Which directions are cut.
    pub(super) cut: [bool; 2],
    /// Room for one read.
    pub(super) buffer: Vec<u8>,
    /// The part of one read that goes on to the server.
    pub(super) passing: Vec<u8>,
    /// Memory that all directions use.
    pub(super) weight: usize,
    pub(super) zero: Instant,
    /// The time, in nanoseconds since `zero`.
    pub(super) now: u64,
    /// What is due within this much more time counts as due.
    pub(super) early: u64,
}

impl Shared {
    /// Updates `now` from the clock.
    pub(super) fn look(&mut self) {
        self.now = u64::try_from(self.zero.elapsed().as_nanos()).unwrap_or(u64::MAX);
    }
}

/// What a direction waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Its sockets.
    Socket,
    /// This instant.
    Due(u64),
    /// Its next turn: there is more to read.
    Turn,
    /// Nothing: the link is over.
    Over,
}

struct Side {
    socket: Option<Socket>,
    is_readable: bool,
    is_writable: bool,
    /// The peer has announced that it sends no more: reads go on until they reach that end.
    is_closing: bool,
    is_connected: bool,
}

pub(super) struct Link {
    pub(super) number: u64,
    sides: [Side; 2],
    pub(super) ways: [Way; 2],
    dialogue: Dialogue,
    /// A rule has ended it: what its client still sends is read and discarded.
    is_muted: bool,
    /// Its client sends no more, or is gone.
    is_heard_out: bool,
    /// What happened in one direction affects the other.
    is_changed: bool,
}

impl Link {
    pub(super) fn new(number: u64, client: Socket, ways: [Way; 2], is_opaque: bool) -> Self {
        let side =
            |socket| Side { socket, is_readable: false, is_writable: false, is_closing: false, is_connected: false };
        Self {
            number,
            sides: [side(Some(client)), side(None)],
            ways,
            dialogue: Dialogue::new(number, is_opaque),
            is_muted: false,
            is_heard_out: false,
            is_changed: false,
        }
    }

    /// The server's socket, which is connecting.
    pub(super) fn set_server(&mut self, socket: Socket) {
        self.sides[SERVER].socket = Some(socket);
    }

    /// A side's socket, to be watched.
    pub(super) fn socket(&mut self, side: usize) -> Option<&mut Socket> {
        self.sides[side].socket.as_mut()
    }

    /// Records what the system says a side's socket can do now.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub(super) fn is_ready(&mut self, side: usize, event: &mio::event::Event) -> std::io::Result<()> {
        let one = &mut self.sides[side];
        if side == SERVER && !one.is_connected {
            one.is_connected = one.socket.as_ref().map_or(Ok(true), Socket::is_connected)?;
            if !one.is_connected {
                return Ok(());
            }
        }
        one.is_writable |= event.is_writable();
        one.is_readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        one.is_closing |= event.is_read_closed() || event.is_error();
        Ok(())
    }

    /// Moves what can move, in both directions; returns what each waits for.
    pub(super) fn pump(&mut self, shared: &mut Shared) -> [Next; 2] {
        let before = self.ways[CLIENT].weight() + self.ways[SERVER].weight();
        let mut next = [Next::Socket; 2];
        loop {
            self.is_changed = false;
            for way in [CLIENT, SERVER] {
                next[way] = self.moved(way, shared);
            }
            // What happened in one direction may end the other; each ends once, so this loop does too.
            if !self.is_changed || next.contains(&Next::Over) {
                break;
            }
        }
        let after = self.ways[CLIENT].weight() + self.ways[SERVER].weight();
        shared.weight = (shared.weight + after).saturating_sub(before);
        next
    }

    fn moved(&mut self, way: usize, shared: &mut Shared) -> Next {
        for _ in 0..TURN {
            let waiting = match self.deliver(way, shared) {
                Sent::Over(Ending::Rst) => return Next::Over,
                _ if self.is_over() => return Next::Over,
                Sent::Until(Some(due)) => Next::Due(due),
                _ => Next::Socket,
            };
            let is_done = self.ways[way].is_ended && !(way == CLIENT && self.is_muted);
            // If there is no room, something is in transit, and this runs again once it is sent.
            let has_room = self.ways[way].has_room(shared.weight, MOST);
            if shared.cut[way] || is_done || !self.sides[way].is_readable || !has_room {
                return waiting;
            }
            if self.receive(way, shared) == Next::Over {
                return Next::Over;
            }
        }
        Next::Turn
    }

    /// Sends what is due.
    fn deliver(&mut self, way: usize, shared: &Shared) -> Sent {
        let (one, far) = (&mut self.ways[way], &mut self.sides[1 - way]);
        if one.is_over || shared.cut[way] || !far.is_writable {
            return Sent::Full;
        }
        let Some(socket) = &mut far.socket else { return Sent::Full };
        let sent = one.send(socket, shared.now + shared.early);
        match sent {
            Sent::Until(_) => {}
            Sent::Full => far.is_writable = false,
            Sent::Over(Ending::Fin) => {
                socket.finish();
                self.finish(way);
            }
            Sent::Over(Ending::Rst) => {
                if let Some(socket) = far.socket.take() {
                    socket.reset();
                }
            }
            Sent::Broken => self.lose(1 - way, shared.now),
        }
        sent
    }

    fn finish(&mut self, way: usize) {
        let one = &mut self.ways[way];
        one.drop_held();
        (one.is_ended, one.is_over) = (true, true);
    }

    /// A side's peer is gone: nothing more goes there, and the other side must learn of it.
    fn lose(&mut self, side: usize, now: u64) {
        self.sides[side].socket = None;
        self.is_changed = true;
        self.is_heard_out |= side == CLIENT;
        self.finish(1 - side);
        self.ways[side].end(Ending::Rst, now);
    }

    /// Reads once, and handles the result.
    fn receive(&mut self, way: usize, shared: &mut Shared) -> Next {
        let near = &mut self.sides[way];
        let Some(socket) = &mut near.socket else { return Next::Socket };
        let read = socket.read(&mut shared.buffer);
        if !self.ways[way].delay.is_none() {
            shared.look();
        }
        match read {
            Ok(0) => self.near_end_is_over(way, shared.now),
            Ok(length) => {
                // A short read has emptied the socket, unless its end is still to be read.
                near.is_readable = length == shared.buffer.len() || near.is_closing;
                self.arrived(way, length, shared);
                Next::Turn
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                near.is_readable = false;
                Next::Turn
            }
            Err(_) if self.is_muted => Next::Over,
            Err(_) => {
                self.lose(way, shared.now);
                Next::Turn
            }
        }
    }

    fn near_end_is_over(&mut self, way: usize, now: u64) -> Next {
        self.sides[way].is_readable = false;
        self.is_heard_out |= way == CLIENT;
        if self.is_muted {
            return Next::Over;
        }
        if way == CLIENT {
            let rest = self.dialogue.rest();
            if !rest.is_empty() {
                self.ways[way].take(rest, now);
            }
        }
        self.ways[way].end(Ending::Fin, now);
        Next::Turn
    }

    /// Bytes are in the buffer: forwards those that may pass.
    fn arrived(&mut self, way: usize, length: usize, shared: &mut Shared) {
        let end = if self.is_muted {
            return;
        } else if way == CLIENT {
            shared.passing.clear();
            let bytes = &shared.buffer[..length];
            let end = self.dialogue.requests(bytes, &mut shared.judge, &shared.log, &mut shared.passing);
            let passing = std::mem::take(&mut shared.passing);
            self.forward(way, &passing, shared);
            shared.passing = passing;
            end
        } else {
            let (until, end) = self.dialogue.replies(&shared.buffer[..length], &shared.log);
            let buffer = std::mem::take(&mut shared.buffer);
            self.forward(way, &buffer[..until], shared);
            shared.buffer = buffer;
            end
        };
        if let Some(by) = end {
            self.mute(by, shared.now);
        }
    }

    /// Sends bytes at once if nothing holds them up, or keeps them until they are due.
    fn forward(&mut self, way: usize, bytes: &[u8], shared: &Shared) {
        let (one, far) = (&mut self.ways[way], &mut self.sides[1 - way]);
        if one.is_over || bytes.is_empty() {
            return;
        }
        let mut sent = 0;
        if one.is_clear() && far.is_writable && !shared.cut[way] {
            let Some(socket) = &mut far.socket else { return };
            match socket.write(bytes) {
                Ok(length) => sent = length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => far.is_writable = false,
                Err(_) => return self.lose(1 - way, shared.now),
            }
        }
        if sent < bytes.len() {
            one.take(bytes[sent..].to_vec(), shared.now);
        }
    }

    /// Ends the link for its client in this way, after what is in transit to it; the server's side closes at once.
    fn mute(&mut self, by: By, now: u64) {
        (self.is_muted, self.is_changed) = (true, true);
        self.sides[SERVER].socket = None;
        self.finish(CLIENT);
        match by {
            By::Fin => self.ways[SERVER].end(Ending::Fin, now),
            By::Rst => self.ways[SERVER].end(Ending::Rst, now),
            By::Silence => self.ways[SERVER].is_ended = true,
        }
    }

    /// Ends the link at once; returns how many bytes it held, and whether it is over. If not, its client has yet to see
    /// the end.
    pub(super) fn kill(&mut self, by: By) -> (usize, bool) {
        let dropped = self.ways[CLIENT].drop_held() + self.ways[SERVER].drop_held();
        if let Some(server) = self.sides[SERVER].socket.take() {
            server.reset();
        }
        self.mute(By::Silence, 0);
        match (by, &self.sides[CLIENT].socket) {
            (By::Silence, Some(_)) => return (dropped, false),
            (By::Fin, Some(socket)) => {
                socket.finish();
                self.finish(SERVER);
                return (dropped, self.is_heard_out);
            }
            (By::Rst, _) | (_, None) => {}
        }
        if let Some(client) = self.sides[CLIENT].socket.take() {
            client.reset();
        }
        (dropped, true)
    }

    /// The server cannot be reached: the client is reset.
    pub(super) fn refuse(&mut self, log: &Log) {
        log.add(Some(self.number), None, "", What::Unreachable);
        if let Some(client) = self.sides[CLIENT].socket.take() {
            client.reset();
        }
    }

    fn is_over(&self) -> bool {
        self.ways[CLIENT].is_over && self.ways[SERVER].is_over && (self.is_heard_out || !self.is_muted)
    }
}
