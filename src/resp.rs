//! The wire format, for those who do not leave it to a client library: requests out, replies in.
//!
//! Requests are packed by hand, since that is all there is to it and nothing is allocated; replies are read by the
//! redis-protocol crate, whose frames are ranges of the bytes that came.

use redis_protocol::resp2::decode::decode_range;
use redis_protocol::resp2::types::RangeFrame;

use crate::error::BoxError;

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

    /// How many commands they are, each of which has one reply.
    pub fn commands(&self) -> usize {
        self.commands
    }

    /// The commands one by one, each as its words.
    pub(crate) fn each(&self) -> impl Iterator<Item = Vec<&[u8]>> {
        let mut rest = self.bytes.as_slice();
        std::iter::from_fn(move || {
            // Packed by us: what is there is whole.
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

    /// Empties it for the next ones; its room is kept.
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
    /// The reply that `bytes` begin with and its length, or nothing if its end has not come yet.
    ///
    /// # Errors
    /// These are no reply.
    pub fn read(bytes: &'a [u8]) -> Result<Option<(Self, usize)>, BoxError> {
        let frame = decode_range(bytes).map_err(|e| format!("what came is no reply: {e}"))?;
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
}
