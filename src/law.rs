//! The law of the race: what fraction of their updates GET-then-SET clients lose, computed without a server.
//!
//! # The model
//! `T` clients in a closed loop, each alternately sending GET and SET (what it read, plus one). At every step the
//! server takes the next command of one client, each equally likely. There is no parameter to fit. [`simulate`] runs
//! it.
//!
//! # The derivation
//! A SET does not add to the counter, it replaces it: a SET of an old value takes the counter *back*. So the counter's
//! growth is not the number of SETs that hit a fresh value; what survives is found by following one value back in time.
//!
//! The counter's value is one more than the value that its writer had read, which is one more than the value *that*
//! value's writer had read, and so on to the start. Call this chain the lineage: every hop is an update that survived;
//! every other update is lost. One hop leads back from a GET to the last SET before it, and from that SET to the GET of
//! the same client. If a hop spans `L` steps on average, the counter grows by `1/L` per step. As half of all steps are
//! SETs,
//!
//! > survives = 2 / L.
//!
//! Looking back from a GET, a client is *idle* if its previous command was a SET, and *holding* if it was a GET. The
//! lineage's own client is idle, and so are `k` of the others. `k` is the whole state. Let `m = k + 1`.
//!
//! 1. *Back to the last SET.* A step back meets an idle client with probability `m/T`: that is the SET. Otherwise it
//!    meets a holding client's GET, which makes that client idle: `m` grows by one. Let `S` be the steps this takes.
//! 2. *Back to that writer's GET.* Every step meets that client with probability `1/T`, so this takes `T` steps on
//!    average. Meanwhile each of the other `T - 1` clients that is met changes from idle to holding or back (Ehrenfest's
//!    urn, stopped at a geometric time). What it leaves is the next hop's `k`.
//!
//! So `k` at the lineage's GETs is a Markov chain on `0..T`, both parts of a hop are tridiagonal systems, and with the
//! chain's stationary distribution **`L = T + E[S]`** exactly. [`predict`] solves this in `O(T)` per pass. With two
//! clients, `E[S] = 6/5`, `L = 16/5`, and `3/8` of all updates are lost. With many clients, half of them are idle,
//! `E[S]` tends to 2,
//!
//! > lost tends to T / (T + 2):
//!
//! `T` clients together keep about `2/(T + 2)` of their updates. The more clients there are, the nearer all of them
//! together come to the work of one client whose every update takes `T + 2` steps.
//!
//! # More keys
//! If every update is for this counter with probability `p`, independently, a step back that meets an idle client is
//! the wanted SET with probability `p`; otherwise it makes that client holding (`m` shrinks by one). The rest is
//! unchanged. The fraction `2 / (p L)` of the counter's updates survives; with `K` keys used evenly the loss tends to
//! `T / (T + 2K)`.
//!
//! # Where it stops holding
//! Real clients are not drawn at random. Two clients on an idle machine often run in lock-step (lost 0.5) or strictly
//! take turns (lost 0), so for two the measured fraction lies on either side of 3/8; four or more mix by themselves.
//! Random pauses thin the race out. The same pause for all clients keeps them in step and loses up to `1 - 1/T`.
//! Clients of unequal speed, and threads that do not run at the same time, lose less. `METHODOLOGY.md` has the measured
//! points.

/// The fraction of updates lost if `threads` clients GET and SET one counter: 0 to 1, exact for the model.
///
/// ```
/// use redis_lost_updates::law::predict;
/// assert_eq!(predict(1), 0.0);
/// assert!((predict(2) - 3.0 / 8.0).abs() < 1e-12);
/// assert!((predict(64) - 64.0 / 66.0).abs() < 0.001);
/// ```
pub fn predict(threads: usize) -> f64 {
    predict_keys(threads, 1)
}

/// The same for `keys` counters, from which every update chooses uniformly.
///
/// ```
/// use redis_lost_updates::law::predict_keys;
/// assert!(predict_keys(8, 1) > predict_keys(8, 4) && predict_keys(8, 1000) < 0.01);
/// ```
pub fn predict_keys(threads: usize, keys: usize) -> f64 {
    if threads < 2 {
        return 0.0;
    }
    let keys = keys.max(1) as f64;
    1.0 - survivors_per_update(threads, 1.0 / keys) * keys
}

/// The same for counters that updates choose in proportion to `shares`, which may be any weights.
///
/// ```
/// use redis_lost_updates::law::{predict, predict_keys, predict_shares};
/// assert!((predict_shares(8, &[1.0, 1.0]) - predict_keys(8, 2)).abs() < 1e-9);
/// assert!((predict_shares(8, &[1.0, 0.0]) - predict(8)).abs() < 1e-9);
/// ```
pub fn predict_shares(threads: usize, shares: &[f64]) -> f64 {
    let whole: f64 = shares.iter().sum();
    1.0 - shares.iter().map(|share| survivors_per_update(threads, share / whole)).sum::<f64>()
}

/// Surviving updates of one counter per update of any counter, if the fraction `share` of updates is for this one.
fn survivors_per_update(threads: usize, share: f64) -> f64 {
    if threads < 2 || share <= 0.0 {
        // One client alone has nobody to race, and a counter that nobody uses loses nothing.
        return share.max(0.0);
    }
    let mut idle = vec![1.0 / threads as f64; threads]; // the law of `k`; any start will do
    let mut length = 0.0;
    // A hop forgets at least two thirds of its start, because each client changes sides while the hop waits for a
    // particular one. Forty hops leave nothing of it; rounding may keep the last digit moving forever.
    for _ in 0..HOPS {
        let (steps, next) = hop(threads, share, &idle);
        let settled = (steps - length).abs() < 1e-13 * steps;
        (length, idle) = (steps, next);
        if settled {
            break;
        }
    }
    2.0 / length
}

/// After this many hops the start is forgotten: 3^-40 is under 1e-19.
const HOPS: u32 = 40;

/// One hop of the lineage from a GET at which `k` other clients are idle with probability `idle[k]`: the steps it takes
/// on average, and the distribution of `k` where it ends.
fn hop(threads: usize, share: f64, idle: &[f64]) -> (f64, Vec<f64>) {
    let clients = threads as f64;
    // Back to the last SET of this counter: all clients, the lineage's own among the idle ones.
    let start: Vec<f64> = std::iter::once(0.0).chain(idle.iter().copied()).collect();
    let up = |m: usize| (clients - m as f64) / clients;
    let down = |m: usize| m as f64 / clients * (1.0 - share);
    let searching = visits(&start, up, down, |m| m as f64 / clients * share);
    // Back to its writer's GET: the writer is holding now, and every other client may change.
    let found: Vec<f64> = (1..=threads).map(|m| searching[m] * m as f64 / clients * share).collect();
    let up = |k: usize| (clients - 1.0 - k as f64) / clients;
    let down = |k: usize| k as f64 / clients;
    let waiting = visits(&found, up, down, |_| 1.0 / clients);
    let end = waiting.iter().map(|visits| visits / clients).collect();
    (searching.iter().sum::<f64>() + clients, end)
}

/// How often a walk visits each place on a line before it ends: it begins at `m` with probability `start[m]`, goes to
/// `m + 1` with `up(m)`, to `m - 1` with `down(m)`, and ends with `end(m)`; the three add up to 1.
///
/// Every visit comes from the start or from a neighbour: a tridiagonal system, solved by elimination. A pivot is the
/// probability of leaving a place upwards or for good. It is added up from these two: computed as 1 minus the rest, it
/// would lose all its digits if a walk rarely ends (Grassmann, Taksar and Heyman, Operations Research 33, 1985).
fn visits(
    start: &[f64],
    up: impl Fn(usize) -> f64,
    down: impl Fn(usize) -> f64,
    end: impl Fn(usize) -> f64,
) -> Vec<f64> {
    let (mut visits, mut from_above) = (start.to_vec(), vec![0.0; start.len()]);
    let mut ended = 0.0; // of the visits to the place below, the part that ends there or further down
    for m in 0..start.len() {
        let out = end(m) + down(m) * ended;
        let pivot = up(m) + out;
        let known = if m > 0 { start[m] + up(m - 1) * visits[m - 1] } else { start[m] };
        visits[m] = known / pivot;
        from_above[m] = down(m + 1) / pivot;
        ended = out / pivot;
    }
    for m in (1..start.len()).rev() {
        visits[m - 1] += from_above[m - 1] * visits[m];
    }
    visits
}

/// Runs the model: `threads` clients on one counter until they have done `updates_per_thread` updates each on average.
/// Returns the fraction of updates lost.
///
/// ```
/// use redis_lost_updates::law::simulate;
/// assert_eq!(simulate(1, 100, 7), 0.0);
/// assert!(simulate(8, 1_000, 7) > 0.7);
/// ```
pub fn simulate(threads: usize, updates_per_thread: u64, seed: u64) -> f64 {
    simulate_keys(threads, 1, updates_per_thread, seed)
}

/// The same for `keys` counters, from which every update chooses uniformly.
pub fn simulate_keys(threads: usize, keys: usize, updates_per_thread: u64, seed: u64) -> f64 {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut counters = vec![0_u64; keys.max(1)];
    let mut holding: Vec<Option<(usize, u64)>> = vec![None; threads]; // the key that was read, and what was read
    let (asked, mut done) = (threads as u64 * updates_per_thread, 0_u64);
    while done < asked {
        let client = random.usize(..threads);
        holding[client] = match holding[client] {
            None => {
                let key = random.usize(..counters.len());
                Some((key, counters[key]))
            }
            Some((key, read)) => {
                counters[key] = read + 1;
                done += 1;
                None
            }
        };
    }
    if asked == 0 { 0.0 } else { 1.0 - counters.iter().sum::<u64>() as f64 / asked as f64 }
}
