//! Rows to and from the bytes of CSV files, and files that appear whole.

use std::io::Write;
use std::path::Path;

use csv::StringRecord;
use serde::Serialize;

use crate::error::{BoxError, Error, Result};
use crate::record::cell;
use crate::record::check::Row;

/// Rows as the bytes of a CSV file.
pub(crate) fn rows_of(rows: &[impl Serialize], headers: bool) -> Result<Vec<u8>, BoxError> {
    let mut writer = csv::WriterBuilder::new().has_headers(headers).from_writer(Vec::new());
    for row in rows {
        writer.serialize(row)?;
    }
    guarded(&writer.into_inner()?)
}

/// The same rows with every cell made safe for a file: see [`cell`].
fn guarded(bytes: &[u8]) -> Result<Vec<u8>, BoxError> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::with_capacity(bytes.len()));
    let mut row = StringRecord::new();
    while reader.read_record(&mut row)? {
        writer.write_record(row.iter().map(|text| cell::written(text).into_owned()))?;
    }
    Ok(writer.into_inner()?)
}

/// Writes a file that appears whole or not at all.
///
/// # Errors
/// The folder cannot be written.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(|e| Error::file(path, e))?;
    file.write_all(bytes).map_err(|e| Error::file(path, e))?;
    #[cfg(unix)]
    {
        // Temporary files are private; results are as readable as any other file.
        use std::os::unix::fs::PermissionsExt;
        let open = std::fs::Permissions::from_mode(0o644);
        file.as_file().set_permissions(open).map_err(|e| Error::file(path, e))?;
    }
    file.persist(path).map(drop).map_err(|e| Error::file(path, e.error))
}

/// Reads a CSV file of rows; an incomplete last line is left out.
///
/// # Errors
/// The file is missing, a row does not fit its columns, or a figure is one that no run can have: names file and line.
pub fn read_csv<T: Row>(path: &Path) -> Result<Vec<T>> {
    let (headers, rows) = read_rows(path)?;
    let read = |row: &StringRecord| {
        let read: T = row.deserialize(Some(&headers)).map_err(|e| Error::file(path, e))?;
        match read.flaw() {
            Some(flaw) => Err(flawed(path, row, &flaw)),
            None => Ok(read),
        }
    };
    rows.iter().map(read).collect()
}

/// The error for a figure of this row, which names the line.
pub(super) fn flawed(path: &Path, row: &StringRecord, flaw: &str) -> Error {
    let line = row.position().map_or(0, csv::Position::line);
    Error::file(path, format!("line {line}: {flaw}"))
}

/// The header and the rows of a CSV file, every cell as it was before it was written.
pub(super) fn read_rows(path: &Path) -> Result<(StringRecord, Vec<StringRecord>)> {
    let bytes = whole_lines(path)?;
    let mut reader = csv::Reader::from_reader(bytes.as_slice());
    let headers = reader.headers().map_err(|e| Error::file(path, e))?.clone();
    let rows = reader.records().map(|row| row.map(cell::row).map_err(|e| Error::file(path, e)));
    Ok((headers, rows.collect::<Result<_>>()?))
}

/// The bytes of a file up to its last line end.
fn whole_lines(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = std::fs::read(path).map_err(|e| Error::file(path, e))?;
    let whole = bytes.iter().rposition(|&b| b == b'\n').map_or(0, |end| end + 1);
    bytes.truncate(whole);
    Ok(bytes)
}

/// Rows as the bytes of a CSV file, header first.
///
/// # Errors
/// A row cannot be written as CSV.
pub fn csv_bytes(rows: &[impl Serialize]) -> Result<Vec<u8>> {
    rows_of(rows, true).map_err(|e| Error::broken(format!("a row cannot be written as CSV: {e}")))
}
