//! A hand-made run of the failure lab, with everything its page must be able to show. The page's tests here and those
//! in a browser share it.

use redis_lost_updates::condition::Topology;
use redis_lost_updates::record::lab::{Evidence, EvidenceKind, Expected, LabRow, LabRun, Moment};
use redis_lost_updates::record::{Fault, Machine};
use redis_lost_updates::verdict::Verdict;

const MS: u64 = 1_000_000;

/// What a cell of the sample shows: lost and doubled in each of its trials, and how fast it is.
struct Given {
    protection: (&'static str, &'static str),
    fault: &'static str,
    topology: Topology,
    per_ms: u64,
    lost: &'static [u64],
    doubled: u64,
    predicted: Option<u64>,
}

fn cells() -> Vec<Given> {
    const INCR: (&str, &str) = ("incr", "none");
    const WAIT: (&str, &str) = ("incr-wait", "durability");
    const LEAST: (&str, &str) = ("incr+min-replicas", "durability");
    const RETRY: (&str, &str) = ("incr-retry", "retry");
    const LUA: (&str, &str) = ("idempotent-lua", "retry");
    let single = |protection, fault, per_ms, doubled| Given {
        protection,
        fault,
        topology: Topology::Single,
        per_ms,
        lost: &[0; 3],
        doubled,
        predicted: None,
    };
    let replicated = |protection, fault, per_ms, lost| Given {
        protection,
        fault,
        topology: Topology::Sentinel,
        per_ms,
        lost,
        doubled: 0,
        predicted: None,
    };
    vec![
        single(INCR, "none", 40, 0),
        single(RETRY, "none", 39, 0),
        single(LUA, "none", 30, 0),
        single(INCR, "reply-lost:fin", 20, 0),
        single(RETRY, "reply-lost:fin", 19, 11),
        single(LUA, "reply-lost:fin", 15, 0),
        replicated(INCR, "none", 38, &[0; 5]),
        replicated(WAIT, "none", 16, &[0; 5]),
        replicated(LEAST, "none", 38, &[0; 5]),
        replicated(INCR, "failover-planned", 30, &[0; 20]),
        replicated(INCR, "failover-crash", 30, &[6, 8, 5, 12, 15, 0, 0, 0, 0, 0]),
        replicated(WAIT, "failover-crash", 12, &[0; 20]),
        Given {
            predicted: Some(6_000),
            ..replicated(INCR, "failover-lagging:200ms", 30, &[5_700, 6_100, 5_900, 6_300, 5_800])
        },
        replicated(WAIT, "failover-lagging:200ms", 1, &[0; 20]),
        Given { predicted: Some(6_000), ..replicated(LEAST, "failover-lagging:200ms", 30, &[6_050; 5]) },
        replicated(LEAST, "one-way-cut", 30, &[17_400; 5]),
        replicated(WAIT, "one-way-cut", 1, &[0; 5]),
    ]
}

/// The run.
pub(crate) fn run() -> LabRun {
    let mut run = LabRun { machine: machine(), ..LabRun::default() };
    for given in cells() {
        for (at, &lost) in given.lost.iter().enumerate() {
            one(&mut run, &given, at as u32 + 1, lost);
        }
    }
    let skipped = LabRow {
        trial: run.rows.len() as u32 + 1,
        protection: "incr+waitaof".to_owned(),
        family: "durability".to_owned(),
        fault: "crash-restart:aof".to_owned(),
        note: Some("skipped: the server does not know WAITAOF <yet>".to_owned()),
        ..LabRow::blank()
    };
    run.rows.push(skipped);
    run
}

/// When the fault begins and ends, and until when nothing is acknowledged.
const WINDOW: (u64, u64, u64) = (800 * MS, 1_450 * MS, 1_600 * MS);
const BIN: u64 = 20 * MS;
const SPAN: u64 = 3_000 * MS;

fn one(run: &mut LabRun, given: &Given, round: u32, lost: u64) {
    let trial = run.rows.len() as u32 + 1;
    let is_fault = given.fault != "none";
    let stops = is_fault && given.topology != Topology::Single;
    let (mut acked, mut left) = (0, lost);
    let mut moments = Vec::new();
    for at_ns in (0..SPAN).step_by(BIN as usize) {
        let is_down = stops && (WINDOW.0 + 200 * MS..WINDOW.2).contains(&at_ns);
        let count = if is_down { 0 } else { given.per_ms * 20 + at_ns / BIN % 7 };
        acked += count;
        // Updates acknowledged in the last moments before the promotion are lost.
        let in_danger = at_ns >= WINDOW.0 - 400 * MS && at_ns < WINDOW.0 + 200 * MS;
        let gone = if in_danger { left.min(count) } else { 0 };
        left -= gone;
        let unknown = if is_fault && at_ns == WINDOW.0 + 200 * MS { 4 } else { 0 };
        moments.push(Moment { trial, at_ns, for_ns: BIN, acked: count, lost: gone, unknown, refused: 0 });
    }
    let lost = lost - left;
    let doubled = given.doubled;
    let (protection, family) = given.protection;
    let row = LabRow {
        trial,
        round,
        protection: protection.to_owned(),
        family: family.to_owned(),
        fault: given.fault.to_owned(),
        topology: given.topology,
        replicas: u32::from(given.topology != Topology::Single),
        server: "redis 7.0.15".to_owned(),
        clients: 8,
        seed: 42 + u64::from(trial),
        expected_lost: Some(if lost > 0 { Expected::May } else { Expected::Never }),
        expected_doubled: Some(if doubled > 0 { Expected::Must } else { Expected::Never }),
        expected_why: "a reason & nothing <else>".to_owned(),
        attempted: Some(acked + 4),
        acked: Some(acked),
        refused: Some(0),
        unknown: Some(if is_fault { 4 } else { 0 }),
        found: Some((acked - lost + doubled) as i64),
        lost: Some(lost),
        lost_before: Some(lost / 2),
        lost_during: Some(lost - lost / 2),
        lost_after: Some(0),
        doubled: Some(doubled),
        repeated: Some(lost),
        verdict: Some(match (lost, doubled) {
            (0, 0) => Verdict::Exact,
            (0, _) => Verdict::Excess,
            _ => Verdict::Lost,
        }),
        predicted_lost: given.predicted,
        span_ns: Some(SPAN),
        fault_begin_ns: is_fault.then_some(WINDOW.0),
        fault_end_ns: is_fault.then_some(WINDOW.1),
        downtime_ns: Some(if stops { WINDOW.2 - WINDOW.0 - 200 * MS } else { 3 * MS }),
        recover_ns: stops.then_some(WINDOW.2 - WINDOW.0),
        stable_ns: Some(120 * MS),
        ..LabRow::blank()
    };
    if lost + doubled > 0 {
        run.evidence.extend(evidence(trial, lost > 0));
    }
    if is_fault {
        let done = |at_ns: u64, what: &str| Fault {
            trial,
            at_ns: at_ns as i64,
            connection: None,
            command: None,
            name: None,
            what: what.to_owned(),
        };
        run.faults.extend([
            done(WINDOW.0, "cut-replication"),
            done(WINDOW.0 + 200 * MS, "killed-primary"),
            done(WINDOW.1, "promoted"),
        ]);
    }
    run.timeline.extend(moments);
    run.rows.push(row);
}

fn evidence(trial: u32, lost: bool) -> Vec<Evidence> {
    let of = |step, what, note: &str, at_ns| Evidence::of(trial, step, what, note.to_owned()).at(at_ns);
    if lost {
        return vec![
            of(1, EvidenceKind::Acked, "client 3 is told 24,310", 790 * MS),
            of(2, EvidenceKind::Lost, "client 5 is told 24,311", 801 * MS),
            of(3, EvidenceKind::Fault, "the primary is killed", 1_000 * MS),
            of(4, EvidenceKind::Unknown, "client 1 gets an error: connection closed", 1_001 * MS),
            of(5, EvidenceKind::Fault, "the replica is promoted; it has 24,310", 1_450 * MS),
            of(6, EvidenceKind::Lost, "client 2 is told 24,311 again", 1_610 * MS),
            of(7, EvidenceKind::ReadBack, "the counter is read: it lacks client 5's update", SPAN),
        ];
    }
    vec![
        of(1, EvidenceKind::Doubled, "client 2 sends INCR again, and is told 12 where 11 comes next", 810 * MS),
        of(2, EvidenceKind::ReadBack, "the counter is read: 11 more than all updates explain", SPAN),
    ]
}

fn machine() -> Machine {
    let mut machine = Machine::default();
    for (fact, value) in [
        ("version", "0.2.0"),
        ("server", "redis 7.0.15"),
        ("cpu", "An <Example> CPU"),
        ("cores", "2"),
        ("seed", "42"),
        ("rounds", "20"),
        ("started", "2026-11-26T00:00:00Z"),
        ("command", "report faults --rounds 20 --seed 42"),
        ("fault.one-way-cut", "Only the way from the primary to its replica is cut. It is no loss of power."),
        ("protection.incr-wait", "INCR, then WAIT 1."),
    ] {
        machine.add(fact, value);
    }
    machine
}

/// The same run with markup in every text of every file.
#[allow(dead_code)]
pub(crate) fn hostile(mut run: LabRun, markup: &str) -> LabRun {
    for fact in &mut run.machine.0 {
        fact.value += markup;
    }
    run.machine.add(&format!("fault.one-way-cut{markup}"), markup);
    for row in &mut run.rows {
        for text in [
            &mut row.protection,
            &mut row.family,
            &mut row.fault,
            &mut row.server,
            &mut row.server_settings,
            &mut row.expected_why,
        ] {
            // The names in all trials are changed in the same way, so they still form one cell.
            *text += markup;
        }
        row.error = Some(markup.to_owned());
        if let Some(note) = &mut row.note {
            *note += markup;
        }
    }
    run.evidence.iter_mut().for_each(|step| step.note += markup);
    run.faults.iter_mut().for_each(|fault| {
        fault.what += markup;
        fault.name = Some(markup.to_owned());
    });
    run
}
