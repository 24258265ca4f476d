//! Keeps passwords out of everything that is repeated or refused.
//!
//! A server's URL can contain a password in many spellings (`redis://user:password@host`, `unix:/path?pass=password`, any
//! letter percent-encoded), and may be typed in the wrong place. So no spelling is searched for: whatever is given as a
//! URL, or looks like one, is replaced by [`STANDS_FOR`].

/// What stands in place of a URL.
pub const STANDS_FOR: &str = "$REDIS_URL";

/// The option that takes a URL.
const OPTION: &str = "--redis-url";

/// What a server's URL begins with, before the colon.
const SCHEMES: [&str; 7] = ["redis", "rediss", "valkey", "valkeys", "redis+unix", "valkey+unix", "unix"];

/// Where in a word a URL begins: a scheme of ours and a colon, or any scheme and `://`.
fn url_in(word: &str) -> Option<usize> {
    word.match_indices(':').find_map(|(colon, _)| {
        let is_of_scheme = |c: char| c.is_ascii_alphanumeric() || "+.-".contains(c);
        let begin = word[..colon]
            .rfind(|c| !is_of_scheme(c))
            .map_or(0, |at| at + word[at..].chars().next().map_or(1, char::len_utf8));
        let scheme = word[begin..colon].to_ascii_lowercase();
        let is_url = SCHEMES.contains(&scheme.as_str()) || word[colon..].starts_with("://");
        is_url.then_some(begin)
    })
}

/// Whether a word has a password before a host: `user:password@host`.
fn has_login(word: &str) -> bool {
    word.rsplit_once('@').is_some_and(|(login, _)| login.contains(':'))
}

/// A command's words with [`STANDS_FOR`] in place of every URL, however it was given.
///
/// ```
/// # use redis_lost_updates::secret::concealed;
/// let words = ["report", "--redis-url", "unix:/p?p%61ss=x", "--quick"].map(str::to_owned);
/// assert_eq!(concealed(&words), ["report", "--redis-url", "$REDIS_URL", "--quick"]);
/// ```
pub fn concealed(words: &[String]) -> Vec<String> {
    let mut is_value = false;
    let conceal = |word: &String| {
        let was_value = std::mem::replace(&mut is_value, word == OPTION);
        let option = word.split_once('=').map(|(name, _)| name).filter(|name| name.starts_with("--"));
        match (option, url_in(word)) {
            _ if was_value => STANDS_FOR.to_owned(),
            (Some(OPTION), _) => format!("{OPTION}={STANDS_FOR}"),
            (_, Some(begin)) => format!("{}{STANDS_FOR}", &word[..begin]),
            (Some(name), None) if has_login(word) => format!("{name}={STANDS_FOR}"),
            (None, None) if has_login(word) => STANDS_FOR.to_owned(),
            _ => word.clone(),
        }
    };
    words.iter().map(conceal).collect()
}

/// Whether a URL is among a command's words where none belongs: as anything but the value of `--redis-url`.
pub fn is_misplaced(words: &[String]) -> bool {
    let mut is_value = false;
    words.iter().any(|word| {
        let was_value = std::mem::replace(&mut is_value, word == OPTION);
        !was_value && !word.starts_with(&format!("{OPTION}=")) && url_in(word).is_some()
    })
}

/// A server's host or path as it may be shown: one that a URL written wrongly may have put a password into is not.
pub(crate) fn shown(place: &str) -> &str {
    if place.contains(['@', '%', '?', '=']) { STANDS_FOR } else { place }
}

/// A password shorter than this protects nothing.
const SHORT: usize = 4;

/// What a server said, without the password that it was told: some repeat what they did not understand. The few letters of a
/// very short one mean something else within a word.
pub(crate) fn hushed(text: &str, password: Option<&str>) -> String {
    let Some(password) = password.filter(|password| !password.is_empty()) else { return text.to_owned() };
    let (mut said, mut from) = (String::with_capacity(text.len()), 0);
    for (at, found) in text.match_indices(password) {
        let (before, after) = (text[..at].chars().next_back(), text[at + found.len()..].chars().next());
        let is_within = found.len() < SHORT && [before, after].into_iter().flatten().any(char::is_alphanumeric);
        said += &text[from..at];
        said += if is_within { found } else { "(the password)" };
        from = at + found.len();
    }
    said + &text[from..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn no_spelling_of_a_password_is_repeated() {
        for url in [
            "redis://:PW@host",
            "redis://host/?x=PW",
            "REDIS://a:PW@h:1/2",
            "rediss://:PW@h",
            "unix:/p?pass=PW",
            "unix:///p?p%61ss=PW",
            "redis+unix:///p?%70%61%73%73=PW",
            "valkey://:PW@h",
            "ftp://PW@h",
            "a:PW@h:6379",
            ":PW@h",
        ] {
            for command in [
                format!("report --redis-url {url} --quick"),
                format!("report --redis-url={url}"),
                format!("report {url}"),
                format!("report --out={url}"),
                format!("report --strategies incr,{url}"),
                format!("report -q {url} --redis-url {url}"),
            ] {
                let said = concealed(&words(&command)).join(" ");
                assert!(!said.contains("PW") && said.contains(STANDS_FOR), "{command}: {said}");
            }
        }
        assert_eq!(
            concealed(&words("report --redis-url PW --rounds 2")).join(" "),
            "report --redis-url $REDIS_URL --rounds 2"
        );
        let plain =
            "report --strategies get-set,incr --skew zipf:1 --pin server=0,client=1 --out results/2026-11-25T10:00";
        assert_eq!(concealed(&words(plain)).join(" "), plain);
    }

    #[test]
    fn a_url_belongs_to_one_option_alone() {
        for command in
            ["report render redis://:PW@h", "report --out unix:/p?pass=PW", "report --out=x://y", "check Redis:PW"]
        {
            assert!(is_misplaced(&words(command)), "{command}");
        }
        for command in
            ["report --redis-url redis://h", "report --redis-url=unix:/p", "report --skew zipf:1", "compare a@b c"]
        {
            assert!(!is_misplaced(&words(command)), "{command}");
        }
    }

    #[test]
    fn a_place_with_a_password_in_it_is_not_shown() {
        assert_eq!(
            [shown("127.0.0.1:6379"), shown("/run/redis.sock"), shown("[::1]:1")],
            ["127.0.0.1:6379", "/run/redis.sock", "[::1]:1"]
        );
        assert_eq!([shown(":PW%40h:1"), shown("/p?pass=PW")], [STANDS_FOR; 2]);
        assert_eq!(hushed("unknown command 'AUTH' 'PW'", Some("PW")), "unknown command 'AUTH' '(the password)'");
        assert_eq!(hushed("no permissions to run 'p'", Some("p")), "no permissions to run '(the password)'");
    }
}
