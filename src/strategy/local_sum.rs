//! Updates summed in the worker and sent as one `INCRBY`: the cheapest way to count, if the counter may lag.
//!
//! Updates are acknowledged only after the flush, so no acknowledged update is lost; a crashing worker loses only updates
//! that were never acknowledged. The server runs one command for 16 updates. When INCRBY n returns v, the n updates get the
//! values v-n+1 to v, in the order in which they were handed over. Metrics libraries, view counters and rate limiters with
//! local quotas count in this way. Many of them acknowledge before the flush, and then a crash loses acknowledged updates.

use redis::{ConnectionLike, ErrorKind, RedisError, from_redis_value};

use crate::error::{BoxError, Result};
use crate::resp::pack;
use crate::strategy::toolkit::{incr, own_connections, refused_or_unknown};
use crate::strategy::{Info, Strategy};
use crate::target::{Session, Target};
use crate::update::{Update, Updater};

/// Updates summed before a flush.
const SUM: usize = 16;

const INFO: Info = Info {
    round_trips: "1/16",
    batch: SUM,
    commands: &["incrby"],
    ..Info::exact("local-sum", "16 updates summed in the worker and sent as one INCRBY, acknowledged after it.")
};

pub(super) struct LocalSum;

struct Summing {
    connection: Session,
    packed: Vec<u8>,
}

/// What one flush adds to one counter.
struct Share<'a> {
    key: &'a str,
    updates: u32,
    /// The value for its next update, or the refusal of all its updates.
    next: Result<i64, Update>,
}

impl Updater for Summing {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        incr(&mut self.connection, key)
    }

    fn batch(&self) -> usize {
        SUM
    }

    fn update_batch(&mut self, keys: &[&str], done: &mut Vec<Update>) -> Result<(), BoxError> {
        let mut shares: Vec<Share<'_>> = Vec::with_capacity(1);
        for key in keys {
            match shares.iter_mut().find(|share| share.key == *key) {
                Some(share) => share.updates += 1,
                None => shares.push(Share { key, updates: 1, next: Ok(0) }),
            }
        }
        self.packed.clear();
        for share in &shares {
            pack(&mut self.packed, &[b"INCRBY", share.key.as_bytes(), share.updates.to_string().as_bytes()]);
        }
        let replies = self.connection.req_packed_commands(&self.packed, 0, shares.len())?;
        if replies.len() < shares.len() {
            return Err(RedisError::from((ErrorKind::Client, "fewer replies than commands")).into());
        }
        for (share, reply) in shares.iter_mut().zip(replies) {
            let told = reply.extract_error().and_then(|value| Ok(from_redis_value::<i64>(value)?));
            share.next = match told {
                Ok(value) => Ok(value - i64::from(share.updates) + 1),
                Err(error) => Err(refused_or_unknown(error, 1)?),
            };
        }
        for key in keys {
            let share = shares.iter_mut().find(|share| share.key == *key).ok_or("a counter without a share")?;
            done.push(match &mut share.next {
                Ok(value) => {
                    *value += 1;
                    Update::told(*value - 1)
                }
                Err(refusal) => refusal.clone(),
            });
        }
        Ok(())
    }
}

impl Strategy for LocalSum {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn parameters(&self) -> String {
        format!("sum={SUM}")
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        own_connections(server, workers, |connection| Summing { connection, packed: Vec::new() })
    }
}
