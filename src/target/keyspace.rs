//! Key names.
//!
//! All keys of a run begin with its random prefix. A counter's name has a hash tag, `{crew:number}`, and the other keys
//! that a strategy uses with it begin with the counter's name. So they share a slot of a cluster, and scripts and
//! transactions can name them together. The parts of a counter that is spread over a cluster each have their own tag.

/// The counter `number` of the crew `crew`.
///
/// ```
/// use redis_lost_updates::target::keyspace;
/// let key = keyspace::counter("lost-updates:0123456789abcdef:", 7, 1);
/// assert_eq!(key, "lost-updates:0123456789abcdef:{00000007:1}");
/// assert_eq!(keyspace::number("lost-updates:0123456789abcdef:", &key), Some(1));
/// assert_eq!(keyspace::number("lost-updates:0123456789abcdef:", &format!("{key}:lock")), None);
/// ```
pub fn counter(prefix: &str, crew: u32, number: usize) -> String {
    format!("{prefix}{{{crew:08x}:{number}}}")
}

/// The number of the counter that `key` names, if it is a counter and not one of its accompanying keys.
pub fn number(prefix: &str, key: &str) -> Option<usize> {
    let (crew, number) = key.strip_prefix(prefix)?.strip_prefix('{')?.strip_suffix('}')?.split_once(':')?;
    let is_crew = crew.len() == 8 && crew.bytes().all(|byte| byte.is_ascii_hexdigit());
    number.parse().ok().filter(|_| is_crew)
}

/// The end of the name of a counter's part number `part`, where parts are to be on different nodes of a cluster. It
/// follows the counter's name, without the closing `}` of a tag.
///
/// ```
/// use redis_lost_updates::target::keyspace::{part, stem};
/// let key = "lost-updates:0123456789abcdef:{00000007:1}";
/// assert_eq!(format!("{}{}", stem(key), part(3)), "lost-updates:0123456789abcdef:{00000007:1:part:3}");
/// ```
pub fn part(part: usize) -> String {
    format!(":part:{part}}}")
}

/// What the names of a counter's parts begin with.
pub fn stem(counter: &str) -> &str {
    counter.strip_suffix('}').unwrap_or(counter)
}
