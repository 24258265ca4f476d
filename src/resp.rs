//! The wire format, for code that does not use a client library: requests out, replies in.
//!
//! Requests are encoded by hand, which is simple and allocates nothing. Replies are parsed by the redis-protocol crate,
//! whose frames are ranges of the received bytes.

use redis_protocol::resp2::decode::decode_range;
use redis_protocol::resp2::types::RangeFrame;

use crate::error::BoxError;

/// Lists within lists go this deep at most, as in the redis crate: no reply to an update has more than one.
const DEEPEST: usize = 100;

/// The longest reply that is read, in bytes: replies to an update are one line.
const LONGEST: usize = 1 << 16;

/// Requests on their way out, and how many replies they ask for.
#[derive(Debug, Default)]
pub struct Requests {
    pub(crate) bytes: Vec<u8>,
    pub(crate) commands: usize,
}

impl Requests {
    /// Appends one command.
    pub fn ask(&mut self, words: &[&[u8]]) {
        pack(&mut self.bytes, words);
        self.commands += 1;
    }

    /// The bytes to send.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many commands there are; each has one reply.
    pub fn commands(&self) -> usize {
        self.commands
    }

    /// The commands one by one, each as its words.
    pub(crate) fn each(&self) -> impl Iterator<Item = Vec<&[u8]>> {
        let mut rest = self.bytes.as_slice();
        std::iter::from_fn(move || {
            // We packed it, so every command is whole.
            let (RangeFrame::Array(words), length) = decode_range(rest).ok()?? else { return None };
            let (command, after) = rest.split_at(length);
            rest = after;
            let word = |frame| match frame {
                RangeFrame::BulkString((from, to)) => Some(&command[from..to]),
                _ => None,
            };
            words.into_iter().map(word).collect()
        })
    }

    /// Empties it for the next requests; its capacity is kept.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.commands = 0;
    }
}

/// One reply of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply<'a> {
    /// `+OK`, `+QUEUED`.
    Status(&'a str),
    /// A number.
    Integer(i64),
    /// A value.
    Text(&'a [u8]),
    /// No value; for EXEC: nothing was done.
    Nil,
    /// Several replies in one, and the first error among them.
    List(Option<&'a str>),
    /// `-ERR` and why: this command changed nothing.
    Error(&'a str),
}

impl<'a> Reply<'a> {
    /// The reply that `bytes` begin with and its length; `None` if it is not complete yet.
    ///
    /// # Errors
    /// The bytes are not a reply, or one that is too long or too deeply nested to be one of ours.
    pub fn read(bytes: &'a [u8]) -> Result<Option<(Self, usize)>, BoxError> {
        if is_too_deep(bytes) {
            return Err(format!("invalid reply: arrays nested more than {DEEPEST} deep").into());
        }
        let frame = decode_range(bytes).map_err(|e| format!("invalid reply: {e}"))?;
        if frame.is_none() && bytes.len() > LONGEST {
            return Err(format!("invalid reply: it is longer than {LONGEST} bytes").into());
        }
        Ok(frame.map(|(frame, length)| (Self::of(&frame, bytes), length)))
    }

    fn of(frame: &RangeFrame, bytes: &'a [u8]) -> Self {
        let text = |range: &(usize, usize)| std::str::from_utf8(&bytes[range.0..range.1]).unwrap_or("not UTF-8");
        match frame {
            RangeFrame::Integer(value) => Self::Integer(*value),
            RangeFrame::SimpleString(range) => Self::Status(text(range)),
            RangeFrame::Error(range) => Self::Error(text(range)),
            RangeFrame::BulkString(range) => Self::Text(&bytes[range.0..range.1]),
            RangeFrame::Null => Self::Nil,
            RangeFrame::Array(frames) => Self::List(frames.iter().find_map(|frame| match Self::of(frame, bytes) {
                Self::Error(why) | Self::List(Some(why)) => Some(why),
                _ => None,
            })),
        }
    }
}

/// Whether the lists that `bytes` begin with are nested deeper than in any reply of ours: the parser recurses for each
/// of them, and the stack is finite. Anything else that is wrong is left to the parser.
fn is_too_deep(bytes: &[u8]) -> bool {
    if bytes.first() != Some(&b'*') {
        return false;
    }
    // What is still to come of each open list.
    let (mut open, mut depth, mut at) = ([0_u64; DEEPEST], 0, 0);
    loop {
        let Some((kind, number, next)) = header(bytes, at) else { return false };
        at = next;
        match (kind, number) {
            (b'*', Some(1..)) if depth == DEEPEST => return true,
            (b'*', Some(length @ 1..)) => {
                open[depth] = length;
                depth += 1;
                continue;
            }
            (b'$', Some(length)) => at = at.saturating_add(length as usize).saturating_add(2),
            _ => {}
        }
        while depth > 0 && open[depth - 1] == 1 {
            depth -= 1;
        }
        if depth == 0 {
            return false;
        }
        open[depth - 1] -= 1;
    }
}

/// The line at `at`: its kind, its number (`None` if negative or missing), and where the next one begins.
fn header(bytes: &[u8], at: usize) -> Option<(u8, Option<u64>, usize)> {
    let (&kind, rest) = bytes.get(at..)?.split_first()?;
    let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
    let number = std::str::from_utf8(&rest[..end]).ok().and_then(|digits| digits.parse().ok());
    Some((kind, number, at + 1 + end + 2))
}

/// Appends one command to `packed`, as the server reads it. Allocates nothing once `packed` has its size.
pub(crate) fn pack(packed: &mut Vec<u8>, words: &[&[u8]]) {
    length(packed, b'*', words.len());
    for word in words {
        length(packed, b'$', word.len());
        packed.extend_from_slice(word);
        packed.extend_from_slice(b"\r\n");
    }
}

/// Appends a length line such as `$42`.
fn length(packed: &mut Vec<u8>, kind: u8, mut length: usize) {
    let mut digits = [0; 20];
    let mut from = digits.len();
    loop {
        from -= 1;
        digits[from] = b'0' + (length % 10) as u8;
        length /= 10;
        if length == 0 {
            break;
        }
    }
    packed.push(kind);
    packed.extend_from_slice(&digits[from..]);
    packed.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_what_the_server_reads() {
        let mut requests = Requests::default();
        requests.ask(&[b"SET", b"a key of 17 bytes", b""]);
        requests.ask(&[b"EXEC"]);
        let expected = "*3\r\n$3\r\nSET\r\n$17\r\na key of 17 bytes\r\n$0\r\n\r\n*1\r\n$4\r\nEXEC\r\n";
        assert_eq!((requests.bytes(), requests.commands()), (expected.as_bytes(), 2));
        let words: Vec<Vec<&[u8]>> = requests.each().collect();
        assert_eq!(words, [vec![b"SET".as_slice(), b"a key of 17 bytes", b""], vec![b"EXEC"]]);
    }

    #[test]
    fn a_reply_is_read_whole_or_not_at_all() {
        let cases: [(&str, Reply<'_>); 9] = [
            (":-12\r\n", Reply::Integer(-12)),
            (":9223372036854775807\r\n", Reply::Integer(i64::MAX)),
            ("+QUEUED\r\n", Reply::Status("QUEUED")),
            ("$2\r\n41\r\n", Reply::Text(b"41")),
            ("$-1\r\n", Reply::Nil),
            ("*-1\r\n", Reply::Nil),
            ("-ERR no\r\n", Reply::Error("ERR no")),
            ("*1\r\n+OK\r\n", Reply::List(None)),
            ("*2\r\n+OK\r\n-OOM no\r\n", Reply::List(Some("OOM no"))),
        ];
        for (text, reply) in cases {
            let longer = format!("{text}:7\r\n");
            assert_eq!(Reply::read(longer.as_bytes()).unwrap(), Some((reply, text.len())), "{text}");
            for end in 0..text.len() {
                assert_eq!(Reply::read(&text.as_bytes()[..end]).unwrap(), None, "{text} up to {end}");
            }
        }
        assert!(Reply::read(b"HTTP/1.1 400 Bad Request\r\n").is_err());
    }

    /// A list of `filler` and a list of the same, `depth` lists in all.
    fn nested(depth: usize, filler: &str) -> String {
        let length = filler.lines().count() + 1;
        format!("*{length}\r\n{filler}").repeat(depth) + ":1\r\n"
    }

    #[test]
    fn a_reply_may_be_deep_and_not_bottomless() {
        for filler in ["", ":7\r\n", "+OK\r\n", "*0\r\n", "*-1\r\n", "$-1\r\n", "$4\r\n*9\r\n\r\n"] {
            // A text of two lines is one element.
            let filler_lines = if filler.starts_with("$4") { "x\r\n" } else { filler };
            let text = |depth| nested(depth, filler_lines).replace("x\r\n", filler);
            let deep = text(DEEPEST);
            assert_eq!(Reply::read(deep.as_bytes()).unwrap(), Some((Reply::List(None), deep.len())), "{filler:?}");
            for depth in [DEEPEST + 1, 50_000, 1_000_000] {
                assert!(Reply::read(text(depth).as_bytes()).is_err(), "{filler:?} {depth}");
            }
        }
        // Many lists side by side are not deep.
        let wide = format!("*1000\r\n{}", "*1\r\n+OK\r\n".repeat(1_000));
        assert_eq!(Reply::read(wide.as_bytes()).unwrap(), Some((Reply::List(None), wide.len())));
    }

    #[test]
    fn a_reply_that_never_ends_is_given_up() {
        for beginning in ["-", "$9223372036854775807\r\n", "*9999999\r\n"] {
            let filler = if beginning == "-" { "no" } else { ":1\r\n" };
            let endless = beginning.to_owned() + &filler.repeat(LONGEST);
            assert_eq!(Reply::read(&endless.as_bytes()[..LONGEST]).unwrap(), None, "{beginning}");
            assert!(Reply::read(&endless.as_bytes()[..=LONGEST]).is_err(), "{beginning}");
        }
    }

    /// The redis crate, which parses replies for threads and tasks, handles the same input.
    #[test]
    fn the_redis_crate_ends_too() {
        assert!(redis::parse_redis_value(nested(99, "").as_bytes()).is_ok());
        for hostile in [nested(50_000, ""), nested(50_000, ":7\r\n"), "*9223372036854775807\r\n:1\r\n".to_owned()] {
            assert!(redis::parse_redis_value(hostile.as_bytes()).is_err());
        }
        for hostile in ["$9223372036854775807\r\nx", "*2147483647\r\n", "%2147483647\r\n", "$-2\r", "~-7\r"] {
            assert!(redis::parse_redis_value(hostile.as_bytes()).is_err(), "{hostile}");
        }
    }
}
