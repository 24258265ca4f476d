//! A new connection for every update, as in programs without a pool, and in PHP without persistent connections.
//!
//! Exact: each update is one INCR. An update also costs a TCP handshake and a login, and the server sets up and tears
//! down a client. The client's end of each connection stays in TIME_WAIT for a minute (Linux: `net.ipv4.tcp_tw_reuse`
//! makes an exception for loopback); with some 28,000 ports, that allows about 470 updates per second to one server
//! over a network. Beyond that, connections fail with `Cannot assign requested address`:
//! <https://github.com/predis/predis/issues/597>, <https://github.com/redis/hiredis/issues/58>. An update that gets no
//! connection was not sent, and counts as refused.

use crate::error::{BoxError, Result};
use crate::strategy::toolkit::incr;
use crate::strategy::{AfterLoss, Info, Strategy};
use crate::target::Target;
use crate::update::{Update, Updater};

const INFO: Info = Info {
    round_trips: "3+",
    counted_by: &["incr"],
    commands: &["incr"],
    after_loss: AfterLoss::Reconnects,
    ..Info::exact(
        "connect-per-update",
        "A new connection for every INCR: a handshake and login each time, and sockets left in TIME_WAIT.",
    )
};

pub(super) struct ConnectPerUpdate;

struct Caller(Target);

impl Updater for Caller {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        match self.0.connect() {
            Ok(mut connection) => incr(&mut connection, key),
            Err(error) => Ok(Update::Refused { tries: 1, reason: error.to_string() }),
        }
    }
}

impl Strategy for ConnectPerUpdate {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        // Better to find out here than in every update whether there is room for this many clients.
        server.has_room_for(workers)?;
        Ok((0..workers).map(|_| Box::new(Caller(server.clone())) as Box<dyn Updater>).collect())
    }
}
