//! One cell of a result file, written and read back.
//!
//! A spreadsheet executes a cell that begins like a formula (`=`, `+`, `-`, `@`, a tab or a line end, and their full-width
//! forms), and a server or a user may choose such a name. Such text is prefixed with an apostrophe, which spreadsheets take
//! to mean "this is text"; reading removes it. Numbers are left as they are.

use std::borrow::Cow;

use csv::StringRecord;

use crate::plain::stored;

/// What a formula may begin with.
const BEGINS: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// Whether text, apart from apostrophes before it, begins as a formula does.
fn is_like_a_formula(text: &str) -> bool {
    text.trim_start_matches('\'').starts_with(BEGINS)
}

/// Whether it is a number as we write them.
fn is_number(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_digit() || "+-.e".contains(c)) && text.parse::<f64>().is_ok()
}

/// The text as it is written to a file.
pub(super) fn written(text: &str) -> Cow<'_, str> {
    let text = stored(text);
    if is_like_a_formula(&text) && !is_number(&text) { Cow::Owned(format!("'{text}")) } else { text }
}

/// The text that was written as this.
fn read(text: &str) -> Cow<'_, str> {
    let text = text.strip_prefix('\'').filter(|rest| is_like_a_formula(rest)).unwrap_or(text);
    stored(text)
}

/// The row that was written as this one; it keeps its position in the file.
pub(super) fn row(row: StringRecord) -> StringRecord {
    if row.iter().all(|text| read(text) == text) {
        return row;
    }
    let mut back: StringRecord = row.iter().map(|text| read(text).into_owned()).collect();
    back.set_position(row.position().cloned());
    back
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_text_is_a_formula() {
        for text in
            ["=1+1", "+cmd", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "=HYPERLINK(\"http://x\")", "＝1", "'=1", "-inf"]
        {
            assert!(written(text).starts_with('\''), "{text:?}");
        }
        for number in ["-5", "+1", "-1.5e-7", "0", ""] {
            assert_eq!(written(number), number);
        }
        assert_eq!(written("get-set 'quoted' = 1"), "get-set 'quoted' = 1");
    }

    proptest! {
        #[test]
        fn all_text_comes_back(text in "['=+@\t\r\n＝a-]{0,4}.{0,8}") {
            let text = stored(&text).into_owned();
            let written = written(&text);
            prop_assert_eq!(read(&written), text.as_str());
        }
    }
}
