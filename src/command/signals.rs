//! Ctrl-C, SIGTERM and SIGHUP: an orderly end where something has to be cleaned up, an immediate one everywhere else.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::FAILED;
use super::output::say;

/// Raised by the first signal: a run ends after the update it is in.
pub(super) static STOP: AtomicBool = AtomicBool::new(false);

/// How many parts of the program look at [`STOP`] now, and end soon once it is raised.
static LOOKING: AtomicUsize = AtomicUsize::new(0);

/// Whether our keys are on a server that goes on without us.
static SERVER_STAYS: AtomicBool = AtomicBool::new(false);

/// From here on we have keys on a server that goes on without us.
pub(super) fn server_stays() {
    SERVER_STAYS.store(true, Ordering::SeqCst);
}

/// While one of these is there, the first signal only raises [`STOP`].
pub(super) struct InOrder(());

impl InOrder {
    /// From here on somebody looks at [`STOP`].
    pub(super) fn begin() -> Self {
        LOOKING.fetch_add(1, Ordering::SeqCst);
        Self(())
    }
}

impl Drop for InOrder {
    fn drop(&mut self) {
        LOOKING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Takes signals from here on.
pub(super) fn install() {
    let installed = ctrlc::set_handler(|| {
        let is_second = STOP.swap(true, Ordering::SeqCst);
        if is_second || LOOKING.load(Ordering::SeqCst) == 0 {
            // The private server's keeper ends it, and Compose's its containers, whatever becomes of us.
            say("report: interrupted");
            if is_second && SERVER_STAYS.load(Ordering::SeqCst) {
                say("report: keys may be left on the server: `report clean --redis-url URL` removes them");
            }
            std::process::exit(FAILED.into());
        }
    });
    if let Err(error) = installed {
        say(&format!("report: cannot handle Ctrl-C, which will end the run without clean-up: {error}"));
    }
}
