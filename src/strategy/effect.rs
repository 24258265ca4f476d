//! What a command does to a counter, from its words and the value before it. `report explain` replays races with this.

/// What one command did to the counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Read it.
    Read,
    /// Replaced it with a value from the client (SET): this one, if the words show it.
    Set(Option<i128>),
    /// Changed it to a value that the server computed (INCR): this one, if it can be computed here too.
    Added(Option<i128>),
    /// Watches it.
    Watch,
    /// Begins a transaction.
    Begin,
    /// Ends a transaction.
    Commit,
    /// Asks for a lock.
    Lock,
    /// Removes a lock.
    Unlock,
    /// Runs a script on it; the commands of the script follow.
    Script,
    /// A conditional write whose condition did not hold.
    Refused,
}

impl Effect {
    /// The effect of the commands that most strategies send, on `counter`, which held `before` (0 if it was missing); `None`
    /// for commands that do not concern it. `words` begin with the command's name in upper case. Keys that begin with the
    /// counter's name are taken for its locks.
    pub fn of(words: &[&str], counter: &str, before: i128) -> Option<Self> {
        match words {
            ["MULTI"] => Some(Self::Begin),
            ["EXEC"] => Some(Self::Commit),
            ["EVAL" | "EVALSHA" | "FCALL", _, rest @ ..] if rest.contains(&counter) => Some(Self::Script),
            ["WATCH", keys @ ..] if keys.contains(&counter) => Some(Self::Watch),
            ["GET", key] if *key == counter => Some(Self::Read),
            ["SET", key, new, options @ ..] if *key == counter => Some(match is_refused(options, before) {
                true => Self::Refused,
                false => Self::Set(integer(new)),
            }),
            ["GETSET", key, new] if *key == counter => Some(Self::Set(integer(new))),
            ["INCR", key] if *key == counter => Some(Self::Added(before.checked_add(1))),
            ["INCRBY", key, by] if *key == counter => {
                Some(Self::Added(integer(by).and_then(|by| before.checked_add(by))))
            }
            ["DEL" | "UNLINK", keys @ ..] if keys.contains(&counter) => Some(Self::Set(Some(0))),
            ["SET", key, _, options @ ..] if key.starts_with(counter) && has(options, "NX") => Some(Self::Lock),
            ["DEL" | "UNLINK", key] if key.starts_with(counter) => Some(Self::Unlock),
            _ => None,
        }
    }
}

fn has(options: &[&str], word: &str) -> bool {
    options.iter().any(|option| option.eq_ignore_ascii_case(word))
}

/// Whether a SET with these options leaves a counter that holds `before` unchanged.
fn is_refused(options: &[&str], before: i128) -> bool {
    let ifeq = options.iter().position(|option| option.eq_ignore_ascii_case("IFEQ"));
    let expected = ifeq.and_then(|at| options.get(at + 1));
    expected.is_some_and(|old| integer(old) != Some(before)) || has(options, "NX") && before != 0
}

/// A whole number, in any notation that a server or a script uses for one.
pub(crate) fn integer(text: &str) -> Option<i128> {
    text.parse().ok().or_else(|| text.parse::<f64>().ok().filter(|f| f.fract() == 0.0).map(|f| f as i128))
}
