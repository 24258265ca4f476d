//! One direction of one connection: the bytes in transit, when each is due, and how the direction ends.

use std::collections::VecDeque;
use std::io::ErrorKind;

use crate::proxy::delay::Delay;
use crate::proxy::socket::Socket;

/// Bytes in transit in one direction beyond which no more are read, so that a slow reader makes its peer wait.
const MOST: usize = 1 << 20;

/// Bytes that a direction may hold even if all together hold too many.
const FLOOR: usize = 1 << 14;

/// What keeping one piece costs besides its bytes.
const PIECE: usize = 64;

/// How the far end is to learn that nothing more comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Fin,
    Rst,
}

enum Held {
    Bytes { due: u64, bytes: Vec<u8>, sent: usize },
    End { due: u64, ending: Ending },
}

/// What is left to do after sending what was due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// More is in transit, due at this instant; `None` if nothing is.
    Until(Option<u64>),
    /// The far end takes no more for now.
    Full,
    /// The direction is over, and its far end is to learn of it.
    Over(Ending),
    /// The far end is gone.
    Broken,
}

/// One direction.
pub(super) struct Way {
    held: VecDeque<Held>,
    bytes: usize,
    /// Memory that the held bytes take.
    weight: usize,
    /// When the last thing is due: nothing overtakes it.
    last_due: u64,
    pub(super) delay: Delay,
    random: fastrand::Rng,
    /// Its near end has sent all it ever will.
    pub(super) is_ended: bool,
    /// Its far end has been told so, or is gone.
    pub(super) is_over: bool,
    /// When the loop is set to handle it, if it is.
    pub(super) wake: Option<u64>,
}

impl Way {
    pub(super) fn new(delay: Delay, seed: u64) -> Self {
        Self {
            held: VecDeque::new(),
            bytes: 0,
            weight: 0,
            last_due: 0,
            delay,
            random: fastrand::Rng::with_seed(seed),
            is_ended: false,
            is_over: false,
            wake: None,
        }
    }

    /// The memory that it takes.
    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    /// Whether more may be read, if all directions together hold `all` of at most `most` bytes.
    pub(super) fn has_room(&self, all: usize, most: usize) -> bool {
        self.weight < FLOOR || (self.weight < MOST && all < most)
    }

    /// Whether nothing is in transit, and nothing would have to wait.
    pub(super) fn is_clear(&self) -> bool {
        self.held.is_empty() && self.delay.is_none()
    }

    /// Takes bytes that arrived at `now`.
    pub(super) fn take(&mut self, bytes: Vec<u8>, now: u64) {
        self.bytes += bytes.len();
        self.weight += bytes.len() + PIECE;
        let due = self.due(now);
        self.held.push_back(Held::Bytes { due, bytes, sent: 0 });
    }

    /// Nothing more comes after what is in transit.
    pub(super) fn end(&mut self, ending: Ending, now: u64) {
        if !self.is_ended {
            self.is_ended = true;
            let due = self.due(now);
            self.held.push_back(Held::End { due, ending });
        }
    }

    fn due(&mut self, now: u64) -> u64 {
        let due = now.saturating_add(self.delay.draw(&mut self.random));
        self.last_due = self.last_due.max(due);
        self.last_due
    }

    /// Drops all that is in transit; returns how many bytes that was.
    pub(super) fn drop_held(&mut self) -> usize {
        self.held.clear();
        self.weight = 0;
        std::mem::take(&mut self.bytes)
    }

    /// Sends what is due at `now` to its far end.
    pub(super) fn send(&mut self, socket: &mut Socket, now: u64) -> Sent {
        while let Some(first) = self.held.front_mut() {
            match first {
                Held::Bytes { due, .. } | Held::End { due, .. } if *due > now => return Sent::Until(Some(*due)),
                Held::End { ending, .. } => return Sent::Over(*ending),
                Held::Bytes { bytes, sent, .. } => match socket.write(&bytes[*sent..]) {
                    Ok(length) => {
                        (*sent, self.bytes) = (*sent + length, self.bytes - length);
                        if *sent == bytes.len() {
                            self.weight -= bytes.len() + PIECE;
                            self.held.pop_front();
                        }
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Sent::Full,
                    Err(_) => return Sent::Broken,
                },
            }
        }
        Sent::Until(None)
    }
}
