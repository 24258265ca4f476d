//! A crew's clients, driven one way or another: a thread each, or all of them on one thread by an event loop, or as tasks.

use rayon::ThreadPool;

use crate::error::{Error, Result};
use crate::event_loop::EventLoop;
use crate::pace::Timetable;
use crate::race::{self, Heat, Limits, Work};
use crate::server::Server;
use crate::strategy::{Strategy, UNSUPPORTED};
use crate::task_loop::TaskLoop;
use crate::update::Updater;
use crate::workload::{Driver, TASKS_ARE_CLOSED, Workload};

pub(super) enum Clients {
    Threads { updaters: Vec<Box<dyn Updater>>, pool: ThreadPool },
    Events(Box<EventLoop>),
    Tasks(Box<TaskLoop>),
}

impl Clients {
    pub(super) fn open(server: &Server, strategy: &dyn Strategy, workload: &Workload) -> Result<Self> {
        let (wanted, name) = (workload.threads, strategy.info().name);
        let all = |got: usize, what: &str| match got == wanted {
            true => Ok(()),
            false => Err(Error::broken(format!("strategy {name} opened {got} {what} for {wanted} threads"))),
        };
        match workload.driver {
            Driver::Threads => {
                let updaters = strategy.open(server, wanted)?;
                all(updaters.len(), "updaters")?;
                Ok(Self::Threads { updaters, pool: race::pool(wanted)? })
            }
            Driver::Events | Driver::Tasks => {
                let form =
                    strategy.machines().ok_or_else(|| Error::usage(format!("strategy {name}: {UNSUPPORTED}")))?;
                let (clients, share) = (form.clients(server, wanted)?, form.share_a_connection());
                all(clients.len(), "client machines")?;
                Ok(match workload.driver {
                    Driver::Tasks => Self::Tasks(Box::new(TaskLoop::open(server, clients, share)?)),
                    _ => Self::Events(Box::new(EventLoop::open(server, clients, share)?)),
                })
            }
        }
    }

    /// Races in a closed loop, or by a timetable.
    pub(super) fn race(&mut self, work: &[Work], timetable: Option<&Timetable>, limits: Limits<'_>) -> Result<Heat> {
        match (self, timetable) {
            (Self::Threads { updaters, pool }, None) => race::race(pool, updaters, work, limits),
            (Self::Threads { updaters, pool }, Some(timetable)) => {
                race::race_on_schedule(pool, updaters, work, timetable, limits)
            }
            (Self::Events(house), None) => house.race(work, limits),
            (Self::Tasks(house), None) => house.race(work, limits),
            (Self::Events(house), Some(timetable)) => house.race_on_schedule(work, timetable, limits),
            (Self::Tasks(_), Some(_)) => Err(Error::usage(TASKS_ARE_CLOSED)),
        }
    }

    /// How many updates a client likes to be handed at once.
    pub(super) fn batch(&self) -> usize {
        match self {
            Self::Threads { updaters, .. } => updaters.iter().map(|updater| updater.batch()).max().unwrap_or(1),
            Self::Events(house) => house.batch(),
            Self::Tasks(house) => house.batch(),
        }
    }
}
