//! The options of `report check`.

use std::path::PathBuf;

use clap::Args;

use crate::interchange::Decimal;

#[derive(Args)]
pub(in crate::command) struct CheckArgs {
    /// CSV of worker,begin_ns,end_ns,outcome,value[,key,op,amount], the same as JSON lines, or Jepsen's history.edn; also
    /// compressed with gzip or zstd; - for standard input. Each file is judged separately
    #[arg(required = true)]
    pub(in crate::command) files: Vec<PathBuf>,
    /// The counter's initial value [default: the file's comment '# initial N', else 0]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(in crate::command) initial: Option<Decimal>,
    /// Its final value [default: the file's comment '# final N'; without one, only the values are judged]
    #[arg(long = "final", value_name = "N", allow_negative_numbers = true)]
    pub(in crate::command) last: Option<Decimal>,
    /// Print JSON instead of text; docs/check-json.md explains it
    #[arg(long)]
    pub(in crate::command) json: bool,
    /// Also write a result folder with a page and a row per file, which compare can read; files of the same name become rounds
    #[arg(long, value_name = "DIR")]
    pub(in crate::command) out: Option<PathBuf>,
    /// Refuse a history that takes more memory than this many MiB [default: 1024]
    #[arg(long, value_name = "MIB")]
    pub(in crate::command) memory: Option<u64>,
}
