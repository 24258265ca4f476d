//! Judges a file of counter histories with the library alone: no Redis, no default feature.
//!
//! `cargo run --no-default-features --example judge -- examples/history.csv`

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;

use redis_lost_updates::interchange::check_file;

fn main() -> ExitCode {
    let path = std::env::args().nth(1).unwrap_or_else(|| "examples/history.csv".to_owned());
    match check_file(path.as_ref(), None, None) {
        Ok(checked) => {
            print!("{}", checked.explanation);
            ExitCode::from(checked.answer.exit_code())
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(3)
        }
    }
}
