//! Which node of a cluster a command goes to: by the slot of its key.

/// Slots of a cluster.
pub(crate) const SLOTS: u16 = 16_384;

/// Where a packed command has to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// To the node that has this slot.
    Slot(u16),
    /// To the node of the previous command: it belongs to a transaction, or names no key.
    Stay,
    /// To every node: scripts and functions must be known wherever they are called.
    Everywhere,
}

/// The slot of a key. If there is text between its first `{` and the next `}`, only that is hashed.
pub(crate) fn slot_of(key: &[u8]) -> u16 {
    let tagged = key.iter().position(|&byte| byte == b'{').and_then(|open| {
        let rest = &key[open + 1..];
        rest.iter().position(|&byte| byte == b'}').filter(|&length| length > 0).map(|length| &rest[..length])
    });
    crc16::State::<crc16::XMODEM>::calculate(tagged.unwrap_or(key)) % SLOTS
}

/// The words of one packed command, as far as they are complete.
struct Words<'a>(&'a [u8]);

impl<'a> Words<'a> {
    /// The first command in `packed`, and how many words it has.
    fn of(packed: &'a [u8]) -> Option<(usize, Self)> {
        let (count, rest) = number(packed.strip_prefix(b"*")?)?;
        Some((count, Self(rest)))
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = number(self.0.strip_prefix(b"$")?)?;
        let word = rest.get(..length)?;
        self.0 = rest.get(length.checked_add(2)?..)?;
        Some(word)
    }
}

/// A decimal number that ends in `\r\n`, and what follows it.
fn number(text: &[u8]) -> Option<(usize, &[u8])> {
    let end = text.iter().position(|&byte| byte == b'\r')?;
    let number = std::str::from_utf8(&text[..end]).ok()?.parse().ok()?;
    Some((number, text.get(end + 2..)?))
}

/// Where the first command in `packed` goes, and its length in bytes.
pub(super) fn route(packed: &[u8]) -> Option<(Route, usize)> {
    let (count, mut words) = Words::of(packed)?;
    let name = words.next()?;
    let mut taken = 1;
    let mut route = Route::Stay;
    let named = |names: &[&str]| names.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
    if named(&["SCRIPT", "FUNCTION"]) {
        route = Route::Everywhere;
    } else if named(&["EVAL", "EVALSHA", "FCALL"]) {
        // Name, script, number of keys, first key.
        if let (Some(_), Some(keys), Some(key)) = (words.next(), words.next(), words.next())
            && keys != b"0"
        {
            route = Route::Slot(slot_of(key));
        }
        taken = 4;
    } else if !named(KEYLESS)
        && let Some(key) = words.next()
    {
        route = Route::Slot(slot_of(key));
        taken = 2;
    }
    for _ in taken..count {
        words.next()?;
    }
    Some((route, packed.len() - words.0.len()))
}

/// The commands we use that name no key.
const KEYLESS: &[&str] = &[
    "MULTI", "EXEC", "DISCARD", "UNWATCH", "PING", "ECHO", "INFO", "CONFIG", "WAIT", "SCAN", "CLIENT", "CLUSTER",
    "ROLE", "ACL", "ASKING", "READONLY", "TIME", "MONITOR", "COMMAND",
];

#[cfg(test)]
mod tests {
    use redis::cmd;

    use super::*;

    #[test]
    fn slots_are_those_of_the_cluster_specification() {
        assert_eq!(slot_of(b"123456789"), 0x31C3);
        assert_eq!(slot_of(b"{user1000}.following"), slot_of(b"{user1000}.followers"));
        assert_eq!(slot_of(b"foo{{bar}}zap"), slot_of(b"{bar"));
        assert_eq!(slot_of(b"foo{}{bar}"), crc16::State::<crc16::XMODEM>::calculate(b"foo{}{bar}") % SLOTS);
    }

    #[test]
    fn commands_go_to_the_slot_of_their_key() {
        let slot = Route::Slot(slot_of(b"k"));
        let cases = [
            (cmd("INCR").arg("k").clone(), slot),
            (cmd("SET").arg("k").arg("\r\n$1\r\n").clone(), slot),
            (cmd("evalsha").arg("0123").arg(1).arg("k").arg("x").clone(), slot),
            (cmd("EVAL").arg("return 1").arg(0).clone(), Route::Stay),
            (cmd("MULTI"), Route::Stay),
            (cmd("WAIT").arg(1).arg(0).clone(), Route::Stay),
            (cmd("SCRIPT").arg("LOAD").arg("return 1").clone(), Route::Everywhere),
        ];
        for (command, wanted) in cases {
            let mut packed = command.get_packed_command();
            let length = packed.len();
            packed.extend_from_slice(b"*1\r\n$4\r\nPING\r\n");
            assert_eq!(route(&packed), Some((wanted, length)), "{}", String::from_utf8_lossy(&packed));
        }
        for broken in [&b""[..], b"*", b"*1\r\n", b"*2\r\n$3\r\nGET\r\n", b"*1\r\n$99999999999999999999\r\nx"] {
            assert_eq!(route(broken), None, "{broken:?}");
        }
    }
}
