//! A history as CSV: the fields of a line, and the contents of its comments.

use super::build::Builder;
use super::decimal::Decimal;
use super::words::{COLUMNS, Op, Outcome, Row, looks_like};

/// The most columns a file may have.
const MOST: usize = 64;

/// The state of reading one file.
#[derive(Default)]
pub(super) struct Table {
    columns: Option<Columns>,
}

struct Columns {
    separator: u8,
    /// Which of [`COLUMNS`] each column of the file is; [`OTHER`] if none.
    known: Vec<usize>,
}

/// The field of each of [`COLUMNS`] in one line, and last that of any other column.
type Fields<'a> = [&'a [u8]; COLUMNS.len() + 1];
const OTHER: usize = COLUMNS.len();

impl Columns {
    fn of(line: &[u8]) -> Result<Self, String> {
        let separator = match (line.contains(&b','), line.contains(&b';'), line.contains(&b'\t')) {
            (false, true, _) => b';',
            (false, false, true) => b'\t',
            _ => b',',
        };
        let text = std::str::from_utf8(line).map_err(|_| "it is not text in UTF-8".to_owned())?;
        let text = text.trim_start_matches('\u{feff}');
        let mut columns = Vec::new();
        for name in text.split(char::from(separator)) {
            let name = name.trim().trim_matches('"');
            match COLUMNS.iter().position(|known| known.eq_ignore_ascii_case(name)) {
                Some(known) if columns.contains(&known) => return Err(format!("there are two columns {name}")),
                Some(known) => columns.push(known),
                None => {
                    columns.push(OTHER);
                    if let Some(meant) = looks_like(name) {
                        return Err(format!(
                            "column {name:?} is not known, and would change the verdict if it means {meant}: name it \
                             {meant}, or drop it"
                        ));
                    }
                }
            }
        }
        if columns.len() > MOST {
            return Err(format!("it has {} columns: {MOST} are the most", columns.len()));
        }
        match (0..5).find(|known| !columns.contains(known)) {
            Some(known) => Err(format!("there is no column {}", COLUMNS[known])),
            None => Ok(Self { separator, known: columns }),
        }
    }
}

impl Columns {
    /// Whether the file has only the five required columns, in their usual order.
    fn is_shortest(&self) -> bool {
        self.known == [0, 1, 2, 3, 4]
    }
}

/// A row of the five columns in their plainest form, as nearly all rows of long files are: worker, begin, end and value of
/// an acknowledged update. `None` for any other.
fn shortest(line: &[u8], separator: u8) -> Option<(&[u8], u64, u64, i64)> {
    let end = line.iter().position(|&byte| byte == separator)?;
    let (worker, rest) = (&line[..end], &line[end + 1..]);
    let (begin, rest) = whole(rest, separator)?;
    let (end, rest) = whole(rest, separator)?;
    let value = rest.strip_prefix(b"ok")?.strip_prefix(&[separator])?;
    let (value, rest) = whole(value, separator)?;
    let named = worker.iter().all(|&byte| byte.is_ascii_graphic() && byte != b'"');
    let fits = rest.is_empty() && begin <= end && named && !worker.is_empty();
    fits.then_some((worker, begin, end, i64::try_from(value).ok()?))
}

/// A number of at most 18 digits and what comes after its separator.
fn whole(text: &[u8], separator: u8) -> Option<(u64, &[u8])> {
    let (mut number, mut at) = (0_u64, 0);
    // At most two words of eight digits, so that the loop below checks the limit of 18.
    while at < 16
        && let Some(word) = text.get(at..at + 8)
        && let Some(eight) = eight_digits(word)
    {
        number = number * 100_000_000 + eight;
        at += 8;
    }
    for byte in &text[at..] {
        let digit = byte.wrapping_sub(b'0');
        if digit < 10 && at < 18 {
            number = number * 10 + u64::from(digit);
            at += 1;
        } else if *byte == separator && at > 0 {
            return Some((number, &text[at + 1..]));
        } else {
            return None;
        }
    }
    (at > 0).then_some((number, &[]))
}

/// Eight digits at once: within one word, neighbouring digits are combined into pairs, pairs into fours, and fours into
/// the number (Lemire, "Quickly parsing eight digits", 2018). `None` if any byte is not a digit.
fn eight_digits(text: &[u8]) -> Option<u64> {
    const HIGH: u64 = 0xf0f0_f0f0_f0f0_f0f0;
    let word = u64::from_le_bytes(text.try_into().ok()?);
    // A digit is 0x30 to 0x39: its upper half is 3, and still is with 6 added.
    if (word & HIGH) | ((word.wrapping_add(0x0606_0606_0606_0606) & HIGH) >> 4) != 0x3333_3333_3333_3333 {
        return None;
    }
    let digits = word & !HIGH;
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
    Some(fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff)
}

impl Table {
    /// Whether the header was read.
    pub(super) fn has_header(&self) -> bool {
        self.columns.is_some()
    }

    /// Reads one line into `builder`.
    pub(super) fn line(&mut self, line: &[u8], builder: &mut Builder) -> Result<(), String> {
        let line = trim(line);
        match line.first() {
            None => return Ok(()),
            Some(b'#') => {
                let text = std::str::from_utf8(line).map_err(|_| "it is not text in UTF-8".to_owned())?;
                return comment(text, builder);
            }
            _ => {}
        }
        let Some(columns) = &self.columns else {
            self.columns = Some(Columns::of(line)?);
            return Ok(());
        };
        if columns.is_shortest()
            && let Some((worker, begin, end, value)) = shortest(line, columns.separator)
        {
            return builder.told(worker, begin, end, value);
        }
        if memchr::memchr(b'"', line).is_some() {
            return quoted(line, columns, builder);
        }
        let mut fields: Fields<'_> = [b""; COLUMNS.len() + 1];
        let (mut count, mut rest) = (0, line);
        loop {
            // Fields are short: a plain loop finds their end sooner than anything cleverer.
            let end = rest.iter().position(|&byte| byte == columns.separator);
            let field = &rest[..end.unwrap_or(rest.len())];
            if let Some(&known) = columns.known.get(count) {
                fields[known] = trim(field);
            }
            count += 1;
            match end {
                Some(end) => rest = &rest[end + 1..],
                None => break,
            }
        }
        if count != columns.known.len() {
            return Err(format!("it has {count} fields, the header has {}", columns.known.len()));
        }
        row(&fields, builder)
    }
}

/// Reads a line that contains quotes, which is rare, with the CSV crate.
fn quoted(line: &[u8], columns: &Columns, builder: &mut Builder) -> Result<(), String> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .delimiter(columns.separator)
        .from_reader(line);
    let mut record = csv::ByteRecord::new();
    reader.read_byte_record(&mut record).map_err(|error| error.to_string())?;
    if record.len() != columns.known.len() {
        return Err(format!("it has {} fields, the header has {}", record.len(), columns.known.len()));
    }
    let mut fields: Fields<'_> = [b""; COLUMNS.len() + 1];
    columns.known.iter().zip(&record).for_each(|(&known, field)| fields[known] = field);
    row(&fields, builder)
}

fn row(fields: &Fields<'_>, builder: &mut Builder) -> Result<(), String> {
    let field = |known: usize| fields[known];
    let begin = time("begin_ns", field(1))?;
    let word = field(3);
    let outcome =
        Outcome::of(word).ok_or_else(|| format!("outcome {} is not one of ok, fail, unknown, denied", shown(word)))?;
    let end = match field(2) {
        b"" if outcome == Outcome::Unknown => begin,
        b"" => return Err("end_ns is empty, which only an unknown outcome allows".to_owned()),
        text => time("end_ns", text)?,
    };
    if end < begin {
        return Err(format!("it ends ({end}) before it begins ({begin})"));
    }
    let op = field(6);
    let op = if op.is_empty() {
        Op::Add
    } else {
        Op::of(op).ok_or_else(|| format!("op {} is not one of add, read, take, set", shown(op)))?
    };
    let (value, amount) = (number("value", field(4))?, number("amount", field(7))?);
    let row = Row { worker: field(0), key: field(5), begin, end, op, amount, outcome, value };
    builder.row(&row)
}

fn number(column: &str, text: &[u8]) -> Result<Option<Decimal>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    Decimal::parse(text)
        .map(Some)
        .ok_or_else(|| format!("{column} {} is not a number of at most 64 bits and 9 decimal places", shown(text)))
}

fn time(column: &str, text: &[u8]) -> Result<u64, String> {
    let (mut time, mut whole) = (0_u64, true);
    // Any nineteen digits fit.
    for byte in text.iter().take(19) {
        whole &= byte.is_ascii_digit();
        time = time.wrapping_mul(10).wrapping_add(u64::from(byte.wrapping_sub(b'0')));
    }
    if whole && (1..20).contains(&text.len()) {
        return Ok(time);
    }
    Err(format!("{column} {} is not a whole number of nanoseconds", shown(text)))
}

/// As much of a field as fits into an error message.
fn shown(text: &[u8]) -> String {
    let short = &text[..text.len().min(40)];
    format!("{:?}", String::from_utf8_lossy(short))
}

fn trim(text: &[u8]) -> &[u8] {
    match text {
        [b'!'..=b'~'] | [b'!'..=b'~', .., b'!'..=b'~'] => text,
        _ => text.trim_ascii(),
    }
}

/// `# final 5 key`, `# Final=5`, `# max: 20`, and the version.
fn comment(text: &str, builder: &mut Builder) -> Result<(), String> {
    let text = text.trim_start_matches('#').trim();
    if let Some(version) = text.strip_prefix("redis-lost-updates history") {
        return match version.trim() {
            "v1" => {
                builder.version = 1;
                Ok(())
            }
            "v2" => {
                builder.version = 2;
                Ok(())
            }
            other => Err(format!("version {other} is not one that can be read: v1 and v2 are")),
        };
    }
    let end = text.find(|c: char| c.is_whitespace() || c == '=' || c == ':').unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let Some(what) = builder.said_of(&word.to_ascii_lowercase()) else { return Ok(()) };
    let rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '=' || c == ':').trim();
    let (number, key) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let number: Decimal = number.parse()?;
    builder.say(what, number, key.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Reading eight digits at a time agrees with the standard library on every text of this kind.
        #[test]
        fn a_number_is_read_as_the_standard_library_reads_it(text in "[0-9]{0,20}[,x/:]{0,1}[0-9]{0,9}") {
            let (digits, rest) = text.split_once(',').unwrap_or((&text, ""));
            let right = digits.parse::<u64>().ok().filter(|_| digits.len() <= 18).map(|number| (number, rest.as_bytes()));
            prop_assert_eq!(whole(text.as_bytes(), b','), right);
        }
    }
}
