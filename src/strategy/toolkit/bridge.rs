//! How blocking threads use an async connection that all of them share.
//!
//! One runtime thread owns the socket. A worker hands its command to that thread, parks, and is unparked when its reply has
//! arrived. Commands of many workers go out in one write and their replies come back in one read, and each update costs two
//! thread switches instead of two system calls on its own socket. The runtime is tokio's current-thread kind; the
//! multi-thread kind with one worker would add another hand-over.
//!
//! The redis crate's response timeout (500 ms by default) is off, because it costs a timer per command.
//! [`RESPONSE_TIMEOUT`] is enforced here while the thread is parked, as for every other strategy.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{JoinHandle, Thread};
use std::time::Instant;

use redis::aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig, MultiplexedConnection};
use redis::{AsyncConnectionConfig, Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult};
use tokio::runtime::{Builder, Handle};
use tokio::task::AbortHandle;

use crate::error::{Error, Result};
use crate::target::{RESPONSE_TIMEOUT, Target};
use crate::update::Updater;

/// A runtime for connections that several workers share; it ends with the last of them.
#[derive(Clone)]
pub(crate) struct Bridge(Arc<Driver>);

/// The thread that drives the runtime, for as long as an idle task is alive.
struct Driver {
    runtime: Handle,
    idler: AbortHandle,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.idler.abort();
        if let Some(thread) = self.thread.take() {
            // If it has panicked, its connections are closed anyway.
            let _ = thread.join();
        }
    }
}

impl Bridge {
    fn start() -> Result<Self> {
        let cannot = |e: std::io::Error| Error::broken(format!("cannot start a thread for a shared connection: {e}"));
        let runtime = Builder::new_current_thread().enable_all().build().map_err(cannot)?;
        let (handle, idle) = (runtime.handle().clone(), runtime.spawn(std::future::pending::<()>()));
        let idler = idle.abort_handle();
        let drive = move || {
            // Ends when the task is aborted, which is no failure.
            let _ = runtime.block_on(idle);
        };
        let thread = std::thread::Builder::new().name("bridge".to_owned()).spawn(drive).map_err(cannot)?;
        Ok(Self(Arc::new(Driver { runtime: handle, idler, thread: Some(thread) })))
    }

    /// A connection that all workers share.
    pub(crate) fn multiplexed(&self, server: &Target) -> Result<MultiplexedConnection> {
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(RESPONSE_TIMEOUT)).set_response_timeout(None);
        let client = server.client()?;
        let connection = client.get_multiplexed_async_connection_with_config(&config);
        self.0.runtime.block_on(connection).map_err(|e| server.refuses(&e))
    }

    /// A shared connection that reconnects by itself.
    pub(crate) fn manager(&self, server: &Target, config: ConnectionManagerConfig) -> Result<ConnectionManager> {
        let config = config.set_connection_timeout(Some(RESPONSE_TIMEOUT)).set_response_timeout(None);
        let client = server.client()?;
        let connection = client.get_connection_manager_with_config(config);
        self.0.runtime.block_on(connection).map_err(|e| server.refuses(&e))
    }

    /// A client for each worker, all on one connection that `connect` makes.
    pub(crate) fn crew<C: Clone, U: Updater + 'static>(
        workers: usize,
        connect: impl FnOnce(&Self) -> Result<C>,
        client: impl Fn(C, Self) -> U,
    ) -> Result<Vec<Box<dyn Updater>>> {
        let bridge = Self::start()?;
        let connection = connect(&bridge)?;
        let one = |_| Box::new(client(connection.clone(), bridge.clone())) as Box<dyn Updater>;
        Ok((0..workers).map(one).collect())
    }

    /// Sends `command` and parks this thread until its reply has arrived.
    pub(crate) fn ask<T: FromRedisValue>(&self, connection: &mut impl ConnectionLike, command: &Cmd) -> RedisResult<T> {
        let reply = self.wait(connection.req_packed_command(command))??.extract_error()?;
        Ok(redis::from_redis_value(reply)?)
    }

    /// Drives `future` from this thread, which parks whenever there is nothing to do.
    pub(crate) fn wait<F: Future>(&self, future: F) -> RedisResult<F::Output> {
        thread_local!(static WAKER: Waker = Waker::from(Arc::new(Unpark(std::thread::current()))));
        let _inside = self.0.runtime.enter(); // a lost connection is made anew from within a runtime
        let mut future = pin!(future);
        let mut deadline = None;
        WAKER.with(|waker| {
            loop {
                if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(waker)) {
                    return Ok(output);
                }
                let now = Instant::now();
                let left = deadline.get_or_insert(now + RESPONSE_TIMEOUT).saturating_duration_since(now);
                if left.is_zero() {
                    return Err(RedisError::from((ErrorKind::Io, "no reply in time on the shared connection")));
                }
                std::thread::park_timeout(left);
            }
        })
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}
