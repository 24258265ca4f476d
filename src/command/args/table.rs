//! The form in which a command prints its table.

use clap::Args;

#[derive(Args)]
pub(in crate::command) struct TableArgs {
    /// Print one JSON document
    #[arg(long, conflicts_with_all = ["csv", "markdown"])]
    json: bool,
    /// Print the rows as CSV
    #[arg(long, conflicts_with = "markdown")]
    csv: bool,
    /// Print the table as markdown
    #[arg(long)]
    markdown: bool,
}

/// One of these forms.
pub(in crate::command) enum Form {
    Json,
    Csv,
    Markdown,
    /// For people at a terminal.
    Text,
}

impl TableArgs {
    pub(in crate::command) fn form(&self) -> Form {
        match (self.json, self.csv, self.markdown) {
            (true, ..) => Form::Json,
            (_, true, _) => Form::Csv,
            (_, _, true) => Form::Markdown,
            _ => Form::Text,
        }
    }
}
