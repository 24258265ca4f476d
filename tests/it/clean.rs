//! What runs leave behind, and `report clean`, which removes that and nothing else.

use std::process::{Command, Output};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use redis_lost_updates::strategy::find;
use redis_lost_updates::target::{Session, Target};
use redis_lost_updates::trial::Crew;
use redis_lost_updates::workload::Workload;

use crate::target::private;

static NEVER: AtomicBool = AtomicBool::new(false);

fn url(server: &Target) -> String {
    server.secret_url()
}

fn clean(server: &Target) -> (Output, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_report")).args(["clean", "--redis-url", &url(server)]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output, said)
}

fn keys(db: &mut Session) -> Vec<String> {
    let mut keys: Vec<String> = redis::cmd("KEYS").arg("*").query(db).unwrap();
    keys.sort();
    keys
}

fn setting(db: &mut Session, name: &str) -> String {
    redis::cmd("CONFIG").arg("GET").arg(name).query::<(String, String)>(db).unwrap().1
}

/// Races as a run does that is killed before it can clean up.
fn killed(server: &Target, name: &str) {
    let mut crew = Crew::open(server, find(&[name]).unwrap()[0], Workload::one_key(2), 1, &NEVER).unwrap();
    crew.trial(20, Duration::from_secs(60)).unwrap();
    std::mem::forget(crew);
}

/// The run's lease is over.
fn expire(server: &Target, db: &mut Session) {
    let lease = format!("{}lease", server.prefix());
    assert!(redis::cmd("PTTL").arg(&lease).query::<i64>(db).unwrap() > 50_000, "a run holds a lease");
    redis::cmd("DEL").arg(lease).exec(db).unwrap();
}

#[test]
fn a_killed_runs_keys_are_removed_and_nobody_elses() {
    let server = private();
    let mut db = server.connect().unwrap();
    let others = ["lost-updates:0123:x", "lost-updates:mine", "somebody-elses"];
    for key in others {
        redis::cmd("SET").arg(key).arg(7).exec(&mut db).unwrap();
    }
    let (gone, going) = (Target::at(&url(&server)).unwrap(), Target::at(&url(&server)).unwrap());
    for name in ["idempotent-lua", "function", "pipeline-unread"] {
        killed(&gone, name);
    }
    killed(&going, "incr");
    expire(&gone, &mut db);
    let (output, said) = clean(&server);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("removed") && said.contains("1 function library"), "{said}");
    assert!(said.contains(&format!("{}* belongs to a run that is still going", going.prefix())), "{said}");
    let left = keys(&mut db);
    assert_eq!(left.iter().filter(|key| others.contains(&key.as_str())).count(), 3, "{left:?}");
    let theirs = |key: &&String| key.starts_with(going.prefix());
    assert!(left.iter().filter(theirs).count() == 2 && left.len() == 5, "its counter and its lease: {left:?}");
    expire(&going, &mut db);
    assert!(clean(&server).0.status.success());
    assert_eq!(keys(&mut db), others);
    let (_, said) = clean(&server);
    assert!(said.ends_with(": no leftovers from earlier runs\n"), "{said}");
}

#[test]
fn a_killed_runs_settings_are_put_back_but_only_those_we_change() {
    let server = private();
    let mut db = server.connect().unwrap();
    redis::cmd("CONFIG")
        .arg(&["SET", "maxmemory", "100000000", "maxmemory-policy", "allkeys-lru"])
        .exec(&mut db)
        .unwrap();
    let run = Target::at(&url(&server)).unwrap().configurable();
    killed(&run, "errors-ignored");
    assert_eq!(
        (setting(&mut db, "maxmemory"), setting(&mut db, "maxmemory-policy")),
        ("1".into(), "noeviction".into())
    );
    // A second run does not take these for what they should be.
    let again = Target::at(&url(&server)).unwrap().configurable();
    let strategy = find(&["errors-ignored"]).unwrap()[0];
    let error = Crew::open(&again, strategy, Workload::one_key(1), 1, &NEVER).err().unwrap().to_string();
    assert!(error.contains("report clean"), "{error}");
    let (_, said) = clean(&server);
    assert!(said.contains("still going"), "{said}");
    assert_eq!(setting(&mut db, "maxmemory"), "1", "its lease holds");
    expire(&run, &mut db);
    let (output, said) = clean(&server);
    assert!(output.status.success() && said.contains("restored maxmemory 100000000"), "{said}");
    assert_eq!(
        (setting(&mut db, "maxmemory"), setting(&mut db, "maxmemory-policy")),
        ("100000000".into(), "allkeys-lru".into())
    );
    assert_eq!(keys(&mut db), Vec::<String>::new());
    // Whatever such a key says: no other setting is touched, and none that was changed since.
    let planted = "lost-updates:0123456789abcdef:settings";
    let (level, is) = ("loglevel", setting(&mut db, "loglevel"));
    let note = [level, "debug", "loglevel:ours", &is, "maxmemory", "5", "maxmemory:ours", "6"];
    redis::cmd("HSET").arg(planted).arg(&note).exec(&mut db).unwrap();
    assert!(clean(&server).0.status.success());
    assert_eq!((setting(&mut db, level), setting(&mut db, "maxmemory")), (is, "100000000".into()));
}

#[test]
fn a_run_that_ends_in_order_puts_settings_back_and_leaves_no_key() {
    let server = private();
    let mut db = server.connect().unwrap();
    let run = Target::at(&url(&server)).unwrap().configurable();
    let strategy = find(&["errors-ignored"]).unwrap()[0];
    let mut crew = Crew::open(&run, strategy, Workload::one_key(2), 1, &NEVER).unwrap();
    assert_eq!(crew.trial(20, Duration::from_secs(60)).unwrap().judgement.ledger.lost, 40);
    crew.close().unwrap();
    assert_eq!((setting(&mut db, "maxmemory"), keys(&mut db)), ("0".to_owned(), Vec::new()));
}

#[test]
fn keys_that_may_not_be_removed_are_said_with_what_removes_them() {
    let server = private();
    let mut db = server.connect().unwrap();
    let run = Target::at(&url(&server)).unwrap();
    let mut crew = Crew::open(&run, find(&["incr"]).unwrap()[0], Workload::one_key(2), 1, &NEVER).unwrap();
    crew.trial(20, Duration::from_secs(60)).unwrap();
    redis::cmd("ACL").arg(&["SETUSER", "default", "-del"]).exec(&mut db).unwrap();
    let error = crew.close().unwrap_err().to_string();
    assert!(error.contains(run.prefix()) && error.contains("report clean"), "{error}");
    let (output, said) = clean(&server);
    assert!(said.contains("still going") && output.status.success(), "{said}");
    redis::cmd("ACL").arg(&["SETUSER", "default", "+del"]).exec(&mut db).unwrap();
    expire(&run, &mut db);
    assert!(clean(&server).0.status.success());
    assert_eq!(keys(&mut db), Vec::<String>::new());
}

#[test]
fn clean_asks_for_a_server_that_can_hold_anything() {
    let output = Command::new(env!("CARGO_BIN_EXE_report")).arg("clean").env_remove("REDIS_URL").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--redis-url"));
}
