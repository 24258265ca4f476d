//! What a client library does with an INCR whose reply is lost: 100 updates one after another through a proxy that loses
//! every tenth reply, then the counter is read back.
//!
//! A client that resends an INCR after its reply was lost counts it twice, without an error. Whether it does depends on its
//! retry settings, which most users never change. Each cell is one library, one of its settings, and one way to lose a
//! reply.

mod account;
mod cell;
mod cluster;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::record::lost_reply::{LossWay, LostReply};
use crate::target::Target;
use crate::worker::{Installed, Manifest};

/// How many cells are measured at once, besides the silent ones, which only wait. These also wait most of the time: to
/// reconnect, between updates, and some forever.
const AT_ONCE: usize = 8;

/// What each cell does.
#[derive(Debug, Clone, Copy)]
pub struct Trial {
    /// Updates, one after the other.
    pub updates: u64,
    /// One in this many commands loses its reply.
    pub every: u64,
    /// How long a cell may take.
    pub cap: Duration,
    /// How long the program waits after an error before it goes on.
    pub pause: Duration,
}

impl Default for Trial {
    fn default() -> Self {
        let (cap, pause) = (Duration::from_secs(65), Duration::from_millis(50));
        Self { updates: 100, every: 10, cap, pause }
    }
}

/// One cell to measure.
#[derive(Clone, Copy)]
pub struct Cell<'a> {
    /// The library.
    pub library: &'a Installed,
    /// The settings' name.
    pub settings: &'a str,
    /// How replies are lost.
    pub way: LossWay,
}

/// Measures all cells, those with silence side by side, and hands each row to `keep` as it comes.
pub fn measure(server: &Target, cells: &[Cell<'_>], trial: Trial, stop: &AtomicBool, keep: &mut dyn FnMut(LostReply)) {
    let (silent, others): (Vec<Cell<'_>>, Vec<Cell<'_>>) = cells.iter().partition(|cell| cell.way == LossWay::Silence);
    let others = Mutex::new(VecDeque::from(others));
    let (sender, rows) = channel();
    std::thread::scope(|scope| {
        for cell in silent {
            let sender = sender.clone();
            // The receiver lives until the last sender is gone.
            scope.spawn(move || sender.send(cell::measure(server, cell, trial, stop)).is_ok());
        }
        for _ in 0..AT_ONCE {
            let (sender, others) = (sender.clone(), &others);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let next = others.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some(cell) = next else { break };
                    if sender.send(cell::measure(server, cell, trial, stop)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        for row in rows {
            keep(row);
        }
    });
}

/// The row of a cell before it is measured: what is asked, and what is expected.
pub fn row(library: &Manifest, settings: &str, way: LossWay, trial: Trial) -> LostReply {
    let set = library.settings.get(settings);
    // Expectations are for the default trial.
    let is_default = (trial.updates, trial.every) == (Trial::default().updates, Trial::default().every);
    let expected = set.and_then(|set| set.predicts.get(&way.to_string())).filter(|_| is_default);
    LostReply {
        library: library.name.clone(),
        language: library.language.clone(),
        version: library.version.clone(),
        runtime: String::new(),
        settings: settings.to_owned(),
        settings_about: set.map(|set| set.about.clone()).unwrap_or_default(),
        recipe: set.map(|set| set.recipe.trim().to_owned()).unwrap_or_default(),
        effective: String::new(),
        way,
        updates: trial.updates,
        attempted: None,
        acked: None,
        unknown: None,
        refused: None,
        commands_lost: None,
        executions: None,
        doubled: None,
        lost: None,
        is_stuck: None,
        waiting_ns: None,
        recovery_ns: None,
        marks: String::new(),
        predicted_acked: expected.and_then(|cell| cell.acked),
        predicted_errors: expected.and_then(|cell| cell.errors),
        predicted_doubled: expected.and_then(|cell| cell.doubled),
        predicted_by: expected.map(|cell| cell.source.clone()).unwrap_or_default(),
        error: None,
        note: None,
    }
}
