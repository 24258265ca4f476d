//! A stranger's own strategy gets everything ours get: rows, page, the server's facts, comparison.

use std::process::ExitCode;

use redis_lost_updates::condition::Transport;
use redis_lost_updates::error::{BoxError, Result};
use redis_lost_updates::record::Run;
use redis_lost_updates::redis::{self};
use redis_lost_updates::strategy::{Info, Strategy};
use redis_lost_updates::target::{Private, ServerSpec, Session, Target};
use redis_lost_updates::update::{Update, Updater};
use redis_lost_updates::verdict::{Promise, Role, Verdict};

struct Append;

struct Own(Session);

impl Updater for Own {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        Ok(Update::told(redis::cmd("APPEND").arg(key).arg(".").query(&mut self.0)?))
    }
}

impl Strategy for Append {
    fn info(&self) -> &'static Info {
        const INFO: Info = Info { role: Role::Baseline, ..Info::exact("append-mine", "APPEND one byte.") };
        &INFO
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        (0..workers).map(|_| Ok(Box::new(Own(server.connect()?)) as Box<dyn Updater>)).collect()
    }

    fn found(&self, db: &mut Session, key: &str) -> redis::RedisResult<i64> {
        redis::cmd("STRLEN").arg(key).query(db)
    }
}

/// What the program of a crate of one's own does with these arguments.
fn mine(args: &[&str]) -> ExitCode {
    redis_lost_updates::run(&[&Append], std::iter::once("mine").chain(args.iter().copied()).map(Into::into))
}

#[test]
fn ones_own_strategy_has_a_page_with_the_facts_of_a_server_that_wants_a_password() {
    let binary = ServerSpec::default().find(&mut |_| ()).unwrap();
    let private = Private::start(&binary, &[], None).unwrap();
    let open = Target::private(private, Transport::Tcp).unwrap();
    redis::cmd("CONFIG").arg(&["SET", "requirepass", "s3cret"]).exec(&mut open.connect().unwrap()).unwrap();
    let url = format!("redis://:s3cret@127.0.0.1:{}", open.child().unwrap().port());
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run").display().to_string();
    let plan = ["--strategies", "append-mine,incr", "--threads", "1,2", "--updates", "40", "--rounds", "2", "--quiet"];
    assert_eq!(mine(&[&["--redis-url", &url, "--out", &out], plan.as_slice()].concat()), ExitCode::SUCCESS);
    let run = Run::read(out.as_ref()).unwrap();
    let own: Vec<_> = run.records.iter().filter(|record| record.condition.strategy == "append-mine").collect();
    assert!(own.len() == 4 && own.iter().all(|record| record.verdict == Some(Verdict::Exact)), "{own:?}");
    assert_eq!(run.machine.role("append-mine", Promise::Exact), Role::Baseline);
    let page = std::fs::read_to_string(dir.path().join("run/index.html")).unwrap();
    let version = run.machine.get("server_version").unwrap();
    assert!(page.contains("append-mine") && page.contains(version) && !page.contains("unknown version"));
    assert!(
        page.contains("mine --redis-url $REDIS_URL") && !page.contains("s3cret"),
        "the command, without the password"
    );
    assert_eq!(mine(&["compare", &out, &out]), ExitCode::SUCCESS);
    assert_eq!(mine(&["--strategies", "append-other"]), ExitCode::from(2));
}

/// A program of another name, with no `report` beside it, starts itself as the second process.
#[test]
fn a_program_of_another_name_is_its_own_second_process() {
    let dir = tempfile::tempdir().unwrap();
    let (stranger, out) = (dir.path().join("stranger"), dir.path().join("run"));
    std::fs::copy(env!("CARGO_BIN_EXE_report"), &stranger).unwrap();
    let plan =
        ["--strategies", "mutex-two-processes", "--threads", "4", "--updates", "500", "--rounds", "2", "--quiet"];
    let status = std::process::Command::new(&stranger).args(plan).arg("--out").arg(&out).status().unwrap();
    assert!(status.success());
    let run = Run::read(&out).unwrap();
    assert!(run.records.iter().all(|record| record.acked == Some(2_000) && record.note.is_none()), "{:?}", run.records);
}

#[test]
fn two_strategies_of_one_name_are_refused() {
    let incr = redis_lost_updates::strategy::find(&["incr"]).unwrap()[0];
    let refused = redis_lost_updates::run(&[incr], ["mine", "predict"].map(Into::into));
    assert_eq!(refused, ExitCode::from(2));
}
