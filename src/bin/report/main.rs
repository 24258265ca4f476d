//! `report`: the command line, over the strategies of this crate.

fn main() -> std::process::ExitCode {
    redis_lost_updates::run(&[], std::env::args_os())
}
