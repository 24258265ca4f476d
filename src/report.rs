//! A [`Run`](crate::record::Run) made readable: a page, a terminal table, JSON. Pure: the same rows give the same bytes.

pub mod comparison;
mod page;
mod sheet;
mod terminal;
mod witness;
pub mod words;

pub use page::render;
pub use sheet::sheet;
pub use terminal::table;
pub use witness::witness;
