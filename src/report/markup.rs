//! Markup, and the only ways to create it; and short numbers for SVG.
//!
//! Whatever is not [`Markup`] is plain text, which the template escapes. Markup is made from literals in this crate, and
//! from pieces that [`html!`] escapes unless they are markup already. So nothing in a result file can become markup: no
//! place has to remember to escape, because no place can skip it.

use std::fmt;
use std::ops::{Add, AddAssign};

use askama::filters::HtmlSafe;
use serde::Serialize;

use crate::verdict::{Promise, Verdict};
use crate::workload::DriverKind;

/// Text that HTML may take for what it says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Markup(String);

/// Markup from a literal with a `{}` for every piece; pieces that are no markup are escaped.
macro_rules! html {
    ($form:literal $(, $piece:expr)* $(,)?) => {
        $crate::report::markup::Markup::filled($form, &[$(&$piece as &dyn $crate::report::markup::Piece),*])
    };
}
pub(super) use html;

impl Markup {
    /// What stands in our own sources.
    pub(super) fn ours(markup: &'static str) -> Self {
        Self(markup.to_owned())
    }

    /// See [`html!`]. There are no other placeholders than `{}`: what another would name is never filled in.
    pub(super) fn filled(form: &'static str, pieces: &[&dyn Piece]) -> Self {
        let mut out = String::with_capacity(form.len() + 16 * pieces.len());
        let mut parts = form.split("{}");
        out += parts.next().unwrap_or_default();
        debug_assert_eq!(form.matches("{}").count(), pieces.len(), "{form}");
        for (part, piece) in parts.zip(pieces) {
            piece.add_to(&mut out);
            out += part;
        }
        Self(out)
    }

    /// A value as JSON that may stand inside a script element: no tag can begin or end in it.
    pub(super) fn json(value: &impl Serialize) -> Self {
        // Of strings and numbers in lists, which JSON always has words for.
        Self(serde_json::to_string(value).unwrap_or_default().replace('<', "\\u003c"))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The template takes it as it is.
impl HtmlSafe for Markup {}

impl fmt::Display for Markup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Plain text, escaped.
impl From<&str> for Markup {
    fn from(text: &str) -> Self {
        let mut out = String::with_capacity(text.len());
        text.add_to(&mut out);
        Self(out)
    }
}

/// Plain text, escaped.
impl From<String> for Markup {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl AddAssign<Markup> for Markup {
    fn add_assign(&mut self, more: Markup) {
        self.0 += &more.0;
    }
}

impl Add<Markup> for Markup {
    type Output = Self;

    fn add(mut self, more: Markup) -> Self {
        self += more;
        self
    }
}

impl FromIterator<Markup> for Markup {
    fn from_iter<I: IntoIterator<Item = Markup>>(all: I) -> Self {
        all.into_iter().fold(Self::default(), Add::add)
    }
}

/// What can stand in the place of a `{}`.
pub(super) trait Piece {
    /// Appends it as markup.
    fn add_to(&self, out: &mut String);
}

impl Piece for Markup {
    fn add_to(&self, out: &mut String) {
        *out += &self.0;
    }
}

impl Piece for str {
    /// With everything escaped that HTML would take for markup; fit for quoted attribute values too.
    fn add_to(&self, out: &mut String) {
        for c in self.chars() {
            match c {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '"' => out.push_str("&quot;"),
                '\'' => out.push_str("&#39;"),
                c => out.push(c),
            }
        }
    }
}

impl<T: Piece + ?Sized> Piece for &T {
    fn add_to(&self, out: &mut String) {
        (**self).add_to(out);
    }
}

macro_rules! plain {
    ($($kind:ty),*) => {
        $(impl Piece for $kind {
            fn add_to(&self, out: &mut String) {
                self.to_string().as_str().add_to(out);
            }
        })*
    };
}

plain!(String, char, usize, u64, u32, f64, DriverKind, Promise, Verdict);

/// A coordinate with at most one digit behind the point: finer than a pixel is only bytes.
pub(super) fn num(value: f64) -> String {
    let tenths = (value * 10.0).round() / 10.0;
    // Minus zero is a zero.
    if tenths == 0.0 { "0".to_owned() } else { format!("{tenths}") }
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn list(items: &[Markup]) -> Markup {
    match items {
        [] => Markup::default(),
        [one] => one.clone(),
        [first, middle @ .., last] => {
            let middle: Markup = middle.iter().map(|item| html!(", {}", item)).collect();
            html!("{}{} and {}", first, middle, last)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_markup_becomes_markup() {
        let hostile = "<b a=\"1\">&'{}";
        let escaped = "&lt;b a=&quot;1&quot;&gt;&amp;&#39;{}";
        assert_eq!(Markup::from(hostile).as_str(), escaped);
        assert_eq!(html!("<i>{}</i>{}", hostile, Markup::ours("<hr>")).as_str(), format!("<i>{escaped}</i><hr>"));
        assert_eq!(html!("{}", html!("<i>{}</i>", 1_u64)).as_str(), "<i>1</i>", "markup is escaped once");
        assert_eq!(Markup::json(&["</script>\n\"\\<!--"]).as_str(), "[\"\\u003c/script>\\n\\\"\\\\\\u003c!--\"]");
    }

    #[test]
    fn coordinates_are_short() {
        assert_eq!((num(-0.01), num(12.345), num(7.0)), ("0".to_owned(), "12.3".to_owned(), "7".to_owned()));
    }

    #[test]
    fn lists_read_as_people_say_them() {
        let all = ["a", "b", "c"].map(Markup::from);
        let read = |items: &[Markup]| list(items).as_str().to_owned();
        assert_eq!([read(&all[..0]), read(&all[..1]), read(&all[..2]), read(&all)], ["", "a", "a and b", "a, b and c"]);
    }
}
