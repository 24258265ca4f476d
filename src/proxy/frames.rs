//! Finds where frames begin and end in a stream of RESP2 or RESP3, as the bytes pass.
//!
//! Only a few numbers and the first word of a command are kept: a bulk string of 100 MB is counted, not stored. Most
//! aggregates need no stack either, because an array of n is n more values to come. Only RESP3's streamed aggregates, whose
//! length is not known in advance, need one, and their depth is bounded.

/// The longest part of a word that is kept.
const WORD: usize = 32;

/// How deep aggregates of unknown length may be nested.
const DEEPEST: usize = 64;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A command, or the reply to one.
    Whole,
    /// An out-of-band message, which answers no command.
    Push,
    /// Says something about the reply that follows.
    Attribute,
    /// An empty command, which has no reply.
    Nothing,
}

/// What the bytes up to here contained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing to report: all bytes are used.
    Done,
    /// The next byte is the first of a frame. A command may still turn out to be nothing.
    Begins(Kind),
    /// The command's name is known.
    Named,
    /// The frame's last byte was the last one used.
    Ends(Kind),
    /// This is not RESP: the next byte is invalid here.
    Broken,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Between,
    /// The next byte is the type of a value.
    Type,
    /// The rest of a line that says nothing about what follows.
    Text,
    /// A length, and of what.
    Length {
        of: u8,
        number: i64,
        digits: u8,
        negative: bool,
        untold: bool,
        ended: bool,
    },
    /// This many more bytes of a bulk string, its line end included.
    Body {
        left: u64,
        in_chunks: bool,
    },
    /// The next byte begins a chunk of a string of unknown length.
    Chunk,
    /// An inline command, as people type it.
    Inline {
        said: bool,
    },
}

/// A scanner of one direction of one connection.
#[derive(Debug)]
pub(super) struct Frames {
    are_commands: bool,
    state: State,
    kind: Kind,
    /// Values to come until the frame, or the aggregate inside it, is whole; `None` while their number is unknown.
    left: Option<u64>,
    /// The same for what surrounds an aggregate of unknown length.
    around: Vec<Option<u64>>,
    /// How many strings of this command have begun, and the first two of them.
    words: usize,
    word: [Vec<u8>; 2],
    is_named: bool,
}

impl Frames {
    /// A scanner of what a client sends.
    pub(super) fn of_commands() -> Self {
        Self {
            are_commands: true,
            state: State::Between,
            kind: Kind::Whole,
            left: Some(0),
            around: Vec::new(),
            words: 0,
            word: [Vec::new(), Vec::new()],
            is_named: false,
        }
    }

    /// A scanner of what a server sends.
    pub(super) fn of_replies() -> Self {
        Self { are_commands: false, ..Self::of_commands() }
    }

    /// The command's first or second word, cut to 32 bytes, in capitals and fit to print.
    pub(super) fn word(&self, place: usize) -> String {
        let printable = |&byte: &u8| if byte.is_ascii_graphic() { char::from(byte).to_ascii_uppercase() } else { '?' };
        self.word.get(place).map_or_else(String::new, |word| word.iter().map(printable).collect())
    }

    /// Whether a command has begun whose name is not known yet.
    pub(super) fn waits_for_a_name(&self) -> bool {
        !self.is_named && !matches!(self.state, State::Between)
    }

    /// Scans `bytes` up to the next thing to report: how many bytes were used, and what it is.
    pub(super) fn step(&mut self, bytes: &[u8]) -> (usize, Step) {
        let mut at = 0;
        while at < bytes.len() {
            let (used, step) = self.advance(&bytes[at..]);
            at += used;
            match step {
                Step::Done => {}
                told => return (at, told),
            }
        }
        (at, Step::Done)
    }

    /// Scans a byte or a run of them. `bytes` is not empty.
    fn advance(&mut self, bytes: &[u8]) -> (usize, Step) {
        match self.state {
            State::Between => (0, self.begin(bytes[0])),
            State::Type => self.value(bytes[0]),
            State::Text => match bytes.iter().position(|&b| b == b'\n') {
                Some(end) => (end + 1, self.value_is_whole()),
                None => (bytes.len(), Step::Done),
            },
            State::Length { .. } => self.length(bytes[0]),
            State::Body { left, in_chunks } => self.body(bytes, left, in_chunks),
            State::Chunk if bytes[0] == b';' => {
                self.state = length_of(b';');
                (1, Step::Done)
            }
            State::Chunk => (0, Step::Broken),
            State::Inline { said } => self.inline(bytes, said),
        }
    }

    fn begin(&mut self, first: u8) -> Step {
        self.words = 0;
        self.word.iter_mut().for_each(Vec::clear);
        self.is_named = false;
        self.left = Some(1);
        self.around.clear();
        self.kind = match first {
            b'>' if !self.are_commands => Kind::Push,
            b'|' if !self.are_commands => Kind::Attribute,
            _ => Kind::Whole,
        };
        let is_inline = self.are_commands && first != b'*';
        self.state = if is_inline { State::Inline { said: false } } else { State::Type };
        Step::Begins(self.kind)
    }

    fn value(&mut self, first: u8) -> (usize, Step) {
        let is_first = self.words == 0 && self.left == Some(1) && self.around.is_empty();
        self.state = match first {
            b'*' if self.are_commands && is_first => length_of(first),
            b'$' if self.are_commands => length_of(first),
            _ if self.are_commands => return (0, Step::Broken),
            b'+' | b'-' | b':' | b',' | b'#' | b'_' | b'(' => State::Text,
            b'$' | b'!' | b'=' | b'*' | b'~' | b'%' | b'>' | b'|' => length_of(first),
            b'.' if self.left.is_none() => length_of(first),
            _ => return (0, Step::Broken),
        };
        (1, Step::Done)
    }

    fn length(&mut self, byte: u8) -> (usize, Step) {
        let State::Length { of, number, digits, negative, untold, ended } = &mut self.state else {
            return (0, Step::Broken);
        };
        let is_blank = *digits == 0 && !*negative && !*untold;
        match byte {
            b'0'..=b'9' if !*ended && !*untold && *digits < 18 => {
                *number = *number * 10 + i64::from(byte - b'0');
                *digits += 1;
            }
            b'-' if !*ended && is_blank => *negative = true,
            b'?' if !*ended && is_blank => *untold = true,
            b'\r' if !*ended && (*digits > 0 || *untold || (*of == b'.' && is_blank)) => *ended = true,
            b'\n' if *ended => {
                let number = if *negative { -1 } else { *number };
                let (of, untold) = (*of, *untold);
                return (1, self.sized(of, number, untold));
            }
            _ => return (0, Step::Broken),
        }
        (1, Step::Done)
    }

    /// A length line has ended.
    fn sized(&mut self, of: u8, number: i64, untold: bool) -> Step {
        let many = number.max(0) as u64;
        match of {
            b';' if many == 0 => self.value_is_whole(),
            b';' => self.go_on(State::Body { left: many + 2, in_chunks: true }),
            b'.' => {
                self.left = self.around.pop().flatten();
                self.value_is_whole()
            }
            b'$' if untold && !self.are_commands => self.go_on(State::Chunk),
            _ if untold && (self.are_commands || of == b'|') => Step::Broken,
            b'$' | b'!' | b'=' if number < 0 => self.value_is_whole(),
            b'$' | b'!' | b'=' => {
                self.words += 1;
                self.go_on(State::Body { left: many + 2, in_chunks: false })
            }
            _ if untold => self.enter(None),
            _ if number <= 0 && self.are_commands => {
                self.kind = Kind::Nothing;
                self.value_is_whole()
            }
            b'%' => self.enter(Some(many * 2)),
            b'|' => self.annotated(many * 2),
            _ => self.enter(Some(many)),
        }
    }

    fn go_on(&mut self, state: State) -> Step {
        self.state = state;
        Step::Done
    }

    /// An attribute precedes a value and is not one itself; between frames it is a frame of its own.
    fn annotated(&mut self, more: u64) -> Step {
        if self.kind == Kind::Attribute && self.left == Some(1) && self.words == 0 {
            self.words = 1;
            return self.enter(Some(more));
        }
        match self.left.map(|left| left.checked_add(more)) {
            Some(None) => Step::Broken,
            Some(left) => {
                self.left = left;
                self.go_on(State::Type)
            }
            None => self.go_on(State::Type),
        }
    }

    /// Begins an aggregate of this many values, or of an unknown number.
    fn enter(&mut self, values: Option<u64>) -> Step {
        if values == Some(0) {
            return self.value_is_whole();
        }
        match (self.left, values) {
            // A counted aggregate inside another counted one just adds to the values to come.
            (Some(left), Some(more)) => match (left - 1).checked_add(more) {
                Some(left) => self.left = Some(left),
                None => return Step::Broken,
            },
            _ if self.around.len() == DEEPEST => return Step::Broken,
            (left, values) => {
                self.around.push(left);
                self.left = values;
            }
        }
        self.go_on(State::Type)
    }

    fn value_is_whole(&mut self) -> Step {
        self.state = State::Type;
        if let Some(left) = self.left {
            self.left = Some(left.saturating_sub(1));
            if left <= 1 {
                match self.around.pop() {
                    // A counted aggregate inside one of unknown length has ended: the outer one goes on.
                    Some(around) => self.left = around,
                    None => {
                        self.state = State::Between;
                        return Step::Ends(self.kind);
                    }
                }
            }
        }
        Step::Done
    }

    fn body(&mut self, bytes: &[u8], left: u64, in_chunks: bool) -> (usize, Step) {
        // The line end is checked byte by byte, what comes before it is not checked.
        if left > 2 {
            let now = (bytes.len() as u64).min(left - 2);
            self.keep_word(&bytes[..now as usize]);
            self.state = State::Body { left: left - now, in_chunks };
            let is_known = left - now == 2 || self.word[0].len() == WORD;
            return (now as usize, self.named(is_known));
        }
        let expected = if left == 2 { b'\r' } else { b'\n' };
        if bytes[0] != expected {
            return (0, Step::Broken);
        }
        if left == 2 {
            self.state = State::Body { left: 1, in_chunks };
            // By now even an empty name is known.
            return (1, self.named(true));
        }
        (1, if in_chunks { self.go_on(State::Chunk) } else { self.value_is_whole() })
    }

    fn named(&mut self, is_known: bool) -> Step {
        let is_news = self.are_commands && !self.is_named && is_known;
        self.is_named |= is_news;
        if is_news { Step::Named } else { Step::Done }
    }

    fn keep_word(&mut self, bytes: &[u8]) {
        if self.are_commands
            && let Some(word) = self.words.checked_sub(1).and_then(|place| self.word.get_mut(place))
        {
            word.extend_from_slice(&bytes[..bytes.len().min(WORD - word.len())]);
        }
    }

    /// A command typed by hand: words between blanks, up to the end of the line.
    fn inline(&mut self, bytes: &[u8], said: bool) -> (usize, Step) {
        let byte = bytes[0];
        if byte == b'\n' {
            if !said {
                self.kind = Kind::Nothing;
            } else if !self.is_named {
                // The line end itself is used up by the next call.
                return (0, self.named(true));
            }
            return (1, self.value_is_whole());
        }
        if matches!(byte, b' ' | b'\t' | b'\r') {
            let is_over = self.words.checked_sub(1).and_then(|place| self.word.get(place)).is_some();
            if said && is_over && self.in_word() {
                self.words += 1;
                self.words = self.words.min(3);
                return (1, self.named(true));
            }
            return (1, Step::Done);
        }
        self.state = State::Inline { said: true };
        self.words = self.words.max(1);
        self.keep_word(&bytes[..1]);
        (1, self.named(self.words == 1 && self.word[0].len() == WORD))
    }

    /// Whether a word of an inline command has begun and not ended.
    fn in_word(&self) -> bool {
        self.word.get(self.words - 1).is_some_and(|word| !word.is_empty())
    }
}

fn length_of(of: u8) -> State {
    State::Length { of, number: 0, digits: 0, negative: false, untold: false, ended: false }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every frame reported for `bytes` fed in pieces: what it is and where it ends; the names; and whether parsing
    /// broke.
    fn told(mut frames: Frames, bytes: &[u8], pieces: &[usize]) -> (Vec<(Kind, usize)>, Vec<String>, bool) {
        let (mut ends, mut names, mut at) = (Vec::new(), Vec::new(), 0);
        let mut pieces = pieces.iter();
        while at < bytes.len() {
            let until = pieces.next().map_or(bytes.len(), |piece| (at + piece.max(&1)).min(bytes.len()));
            while at < until {
                let (used, step) = frames.step(&bytes[at..until]);
                at += used;
                match step {
                    Step::Ends(kind) => ends.push((kind, at)),
                    Step::Named => names.push(frames.word(0)),
                    Step::Broken => return (ends, names, true),
                    Step::Begins(_) | Step::Done => {}
                }
            }
        }
        (ends, names, false)
    }

    fn replies(text: &str) -> (Vec<Kind>, bool) {
        let (ends, _, broken) = told(Frames::of_replies(), text.as_bytes(), &[]);
        let whole = ends.last().is_none_or(|&(_, at)| at == text.len());
        assert!(broken || whole, "{text:?} ends elsewhere");
        (ends.into_iter().map(|(kind, _)| kind).collect(), broken)
    }

    #[test]
    fn pushes_and_attributes_are_no_replies() {
        use Kind::{Attribute, Push, Whole};
        let cases: [(&str, &[Kind]); 12] = [
            ("+OK\r\n:1\r\n-ERR no\r\n", &[Whole, Whole, Whole]),
            ("$-1\r\n*-1\r\n_\r\n", &[Whole, Whole, Whole]),
            ("$0\r\n\r\n*0\r\n%0\r\n", &[Whole, Whole, Whole]),
            ("*2\r\n*1\r\n:1\r\n$1\r\na\r\n+x\r\n", &[Whole, Whole]),
            (">2\r\n+message\r\n$1\r\nx\r\n:7\r\n", &[Push, Whole]),
            ("|1\r\n+ttl\r\n:3\r\n+OK\r\n", &[Attribute, Whole]),
            ("*2\r\n:1\r\n|1\r\n+ttl\r\n:3\r\n:2\r\n", &[Whole]),
            ("%2\r\n+a\r\n,1.5\r\n+b\r\n#t\r\n(123\r\n", &[Whole, Whole]),
            ("=5\r\ntxt:x\r\n!3\r\nERR\r\n~1\r\n:1\r\n", &[Whole, Whole, Whole]),
            ("$?\r\n;2\r\nab\r\n;1\r\nc\r\n;0\r\n:1\r\n", &[Whole, Whole]),
            ("*?\r\n:1\r\n*2\r\n:2\r\n%?\r\n+k\r\n:3\r\n.\r\n.\r\n:9\r\n", &[Whole, Whole]),
            ("*1\r\n*?\r\n.\r\n:9\r\n", &[Whole, Whole]),
        ];
        for (text, kinds) in cases {
            assert_eq!(replies(text), (kinds.to_vec(), false), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_resp_is_told_and_never_waited_for() {
        for text in
            ["HTTP/1.1 200 OK\r\n", "$x\r\n", "$1\r\nab\r\n", "*1\r\n.\r\n", "$99999999999999999999\r\n", "$\r\n"]
        {
            assert!(replies(text).1, "{text:?}");
        }
        let deep = "*?\r\n".repeat(1_000);
        assert!(replies(&deep).1);
        let wide = format!("*1\r\n{}", "%400000000000000000\r\n".repeat(100));
        assert!(replies(&wide).1, "more values than can be counted");
    }

    #[test]
    fn commands_are_named_packed_or_typed() {
        let text =
            b"*2\r\n$4\r\nincr\r\n$1\r\nk\r\n\r\nPING\r\n  set a  b\r\n*0\r\n*1\r\n$0\r\n\r\n*1\r\n$4\r\nEXEC\r\n\n";
        let (ends, names, broken) = told(Frames::of_commands(), text, &[]);
        assert!(!broken);
        assert_eq!(names, ["INCR", "PING", "SET", "", "EXEC"]);
        let nothing = ends.iter().filter(|(kind, _)| *kind == Kind::Nothing).count();
        assert_eq!((ends.len(), nothing), (8, 3));
        let long = format!("*1\r\n$100\r\n{}\r\n", "x".repeat(100));
        assert_eq!(told(Frames::of_commands(), long.as_bytes(), &[]).1, ["X".repeat(32)]);
        assert!(told(Frames::of_commands(), b"*1\r\n:1\r\n", &[]).2, "a number is no word");
    }

    /// Any frame.
    fn frame() -> impl Strategy<Value = Vec<u8>> {
        let line = prop_oneof!["[+-][a-z ]{0,9}", ":-?[0-9]{1,18}", ",[0-9.]{1,5}", "#[tf]", "_", r"\([0-9]{1,40}",];
        let leaf = prop_oneof![
            line.prop_map(|text| format!("{text}\r\n").into_bytes()),
            (prop_oneof![Just('$'), Just('!'), Just('=')], prop::collection::vec(any::<u8>(), 0..300))
                .prop_map(|(kind, body)| [format!("{kind}{}\r\n", body.len()).as_bytes(), &body, b"\r\n"].concat()),
            Just(b"$-1\r\n".to_vec()),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            let many = prop::collection::vec(inner.clone(), 0..6);
            let pairs = prop::collection::vec((inner.clone(), inner), 0..4);
            prop_oneof![
                (prop_oneof![Just('*'), Just('~')], many.clone()).prop_map(|(kind, values)| {
                    [format!("{kind}{}\r\n", values.len()).into_bytes(), values.concat()].concat()
                }),
                many.prop_map(|values| [b"*?\r\n".to_vec(), values.concat(), b".\r\n".to_vec()].concat()),
                pairs.prop_map(|pairs| {
                    let values: Vec<u8> = pairs.iter().flat_map(|(k, v)| [k.clone(), v.clone()].concat()).collect();
                    [format!("%{}\r\n", pairs.len()).into_bytes(), values].concat()
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn frames_end_where_they_end_however_the_stream_is_cut(
            frames in prop::collection::vec((frame(), 0..3_u8), 1..12),
            pieces in prop::collection::vec(1..40_usize, 0..200),
        ) {
            let (mut bytes, mut expected) = (Vec::new(), Vec::new());
            for (frame, what) in frames {
                let kind = match what {
                    0 => Kind::Whole,
                    1 => { bytes.extend_from_slice(b">1\r\n"); Kind::Push }
                    _ => {
                        bytes.extend_from_slice(b"|1\r\n+key\r\n");
                        bytes.extend_from_slice(&frame);
                        expected.push((Kind::Attribute, bytes.len()));
                        Kind::Whole
                    }
                };
                bytes.extend_from_slice(&frame);
                expected.push((kind, bytes.len()));
            }
            prop_assert_eq!(told(Frames::of_replies(), &bytes, &pieces), (expected, Vec::new(), false));
        }

        #[test]
        fn commands_end_where_they_end_however_the_stream_is_cut(
            commands in prop::collection::vec(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..5), 1..12),
            pieces in prop::collection::vec(1..20_usize, 0..200),
        ) {
            let (mut requests, mut ends) = (crate::resp::Requests::default(), Vec::new());
            for words in &commands {
                requests.ask(&words.iter().map(Vec::as_slice).collect::<Vec<_>>());
                ends.push((Kind::Whole, requests.bytes().len()));
            }
            let (found, names, broken) = told(Frames::of_commands(), requests.bytes(), &pieces);
            prop_assert_eq!((found, names.len(), broken), (ends, commands.len(), false));
        }

        #[test]
        fn whatever_comes_is_used_up_or_told_broken(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            for mut frames in [Frames::of_commands(), Frames::of_replies()] {
                let (mut at, mut moves) = (0, 0);
                while at < bytes.len() {
                    let (used, step) = frames.step(&bytes[at..]);
                    at += used;
                    moves += 1;
                    prop_assert!(moves <= 4 * bytes.len() + 4, "it goes round in circles");
                    if step == Step::Broken { break; }
                }
            }
        }
    }
}
