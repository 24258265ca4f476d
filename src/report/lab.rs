//! The failure lab's page, and the README's short table. A pure function of the rows.

mod cells;
mod glance;
mod model;
mod names;
mod page;
mod table;
mod timeline;
mod verdict;

pub use page::page;
pub use table::summary_table;
