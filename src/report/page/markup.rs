//! Text made safe for HTML, and numbers made short for SVG.

/// `text` with everything that HTML would take for markup escaped; fit for attribute values too.
pub(super) fn esc(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// A coordinate with at most one digit behind the point: finer than a pixel is only bytes.
pub(super) fn num(value: f64) -> String {
    let tenths = (value * 10.0).round() / 10.0;
    // Minus zero is a zero.
    if tenths == 0.0 { "0".to_owned() } else { format!("{tenths}") }
}

/// A JSON string, with `<` escaped so that it may stand inside a script element.
pub(super) fn json(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '<' => out.push_str("\\u003c"),
            c if (c as u32) < 0x20 => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_result_file_becomes_markup() {
        assert_eq!(esc("<b a=\"1\">&'"), "&lt;b a=&quot;1&quot;&gt;&amp;&#39;");
        assert_eq!(json("</script>\n\"\\"), "\"\\u003c/script>\\u000a\\\"\\\\\"");
    }

    #[test]
    fn coordinates_are_short() {
        assert_eq!((num(-0.01), num(12.345), num(7.0)), ("0".to_owned(), "12.3".to_owned(), "7".to_owned()));
    }

    #[test]
    fn lists_read_as_people_say_them() {
        let all = ["a".to_owned(), "b".to_owned(), "c".to_owned()];
        assert_eq!((list(&all[..1]), list(&all[..2]), list(&all)), ("a".into(), "a and b".into(), "a, b and c".into()));
    }
}
