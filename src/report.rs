//! Makes a [`Run`](crate::record::Run) readable: a page, a terminal table, JSON. Pure: the same rows give the same bytes.

pub mod comparison;
mod document;
pub mod faults;
mod headline;
pub mod lab;
pub mod lost_reply;
mod markup;
mod page;
mod policy;
mod sheet;
mod terminal;
mod tracking;
mod witness;
pub mod words;

use std::io::ErrorKind;
use std::path::Path;

use crate::error::{Error, Result};
use crate::record::write_whole;

pub use document::{Document, SCHEMA};
pub use headline::headline;
pub use page::render;
pub use sheet::sheet;
pub use terminal::{screen, table};
pub use tracking::{Format, tracked};
pub use witness::witness;

/// What every page of ours has near its beginning; and what those of earlier versions had.
const MARKS: [&str; 2] =
    ["<meta name=\"generator\" content=\"redis-lost-updates\">", "<title>Redis counters under contention"];

/// Writes a page: where there is nothing, or in place of a page of ours.
///
/// # Errors
/// The folder cannot be written, or what is there is no page of ours: it is left as it is.
pub fn write_page(path: &Path, page: &str) -> Result<()> {
    match std::fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(Error::file(path, error)),
        Ok(bytes) => {
            let beginning = String::from_utf8_lossy(&bytes[..bytes.len().min(4_096)]);
            if !MARKS.iter().any(|mark| beginning.contains(mark)) {
                return Err(Error::file(path, "is not a page written by report: move it away or choose another file"));
            }
        }
    }
    write_whole(path, page.as_bytes())
}
