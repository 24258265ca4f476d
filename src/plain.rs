//! Makes text from others (a server, a file, a client library) safe to print on a terminal.
//!
//! Terminals obey control characters: they can rewrite what is on the screen, set the title, or fill in input.
//! Bidirectional marks make a line read as a different one. Neither belongs in a figure, a name or a reason. Both are
//! removed from every [error](crate::error), from every text read from a result file, and again from everything that
//! `report` prints.

use std::borrow::Cow;

/// Whether a terminal would do something else than show it; line ends and tabs are for the callers to decide about.
fn is_unfit(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || (c.is_control() && !['\n', '\t', '\r'].contains(&c))
}

fn filtered(text: &str, keeps: impl Fn(char) -> bool) -> Cow<'_, str> {
    if text.chars().all(&keeps) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.chars().filter(|&c| keeps(c)).collect())
    }
}

/// The text as it may stand in a result file: with line ends and tabs, without anything else that is not text.
pub(crate) fn stored(text: &str) -> Cow<'_, str> {
    filtered(text, |c| !is_unfit(c))
}

/// The text as a terminal may see it: nothing but lines and tabs.
///
/// ```
/// # use redis_lost_updates::plain::plain;
/// assert_eq!(plain("a\u{1b}]0;owned\u{7}b\rc\n"), "a]0;ownedbc\n");
/// ```
pub fn plain(text: &str) -> Cow<'_, str> {
    filtered(text, |c| !is_unfit(c) && c != '\r')
}

/// The same, with the colours in it: ESC, `[`, digits and semicolons, `m`. For text of ours, whose foreign parts were made
/// plain before.
pub fn coloured(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let mut out = plain(parts.next().unwrap_or_default()).into_owned();
    for part in parts {
        let end = part.find(|c: char| !(c == '[' || c == ';' || c.is_ascii_digit()));
        let is_colour = part.starts_with('[') && end.is_some_and(|end| part[end..].starts_with('m'));
        if is_colour {
            out.push('\u{1b}');
        }
        out += &plain(part);
    }
    out
}

/// The text in one line: every run of white space is one space.
pub(crate) fn one_line(text: &str) -> String {
    plain(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The text in one line, its spaces as they are.
pub(crate) fn on_one_line(text: &str) -> Cow<'_, str> {
    match plain(text) {
        text if text.contains(['\n', '\t']) => Cow::Owned(text.trim_end().replace(['\n', '\t'], " ")),
        text => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_told_nothing_but_text() {
        let hostile = "\u{1b}[2J\u{1b}]52;c;bHM=\u{7}a\u{9b}31mb\u{8}\u{7f}\u{202e}c\u{2028}d\r\ne\tf\0";
        assert_eq!(plain(hostile), "[2J]52;c;bHM=a31mbcd\ne\tf");
        assert_eq!(stored("\ta\r\n\u{1b}b"), "\ta\r\nb", "a file keeps what is white space");
        assert_eq!(on_one_line("two\nlines  \u{1b}[0m"), "two lines  [0m");
        assert_eq!(one_line(" two\n  lines\u{7}\t"), "two lines");
    }

    #[test]
    fn colours_alone_stay_where_they_are_wanted() {
        let text = "\u{1b}[1;31mlost\u{1b}[0m \u{1b}[2Jx\u{1b}]0;t\u{7} \u{1b}[31\u{1b}";
        assert_eq!(coloured(text), "\u{1b}[1;31mlost\u{1b}[0m [2Jx]0;t [31");
    }
}
