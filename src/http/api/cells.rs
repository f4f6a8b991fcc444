//! A list as a table: CSV by RFC 4180, made safe for the spreadsheets that open it.
use std::{borrow::Cow, io};

/// How cells are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CellRule {
    /// As they are, for programs.
    pub(super) raw: bool,
    /// Long numbers as `="…"`, for spreadsheets, which keep 15 digits of a number.
    pub(super) excel: bool,
}

/// Rows on their way into a table.
#[derive(Debug)]
pub(super) struct Cells {
    rule: CellRule,
    row: csv::ByteRecord,
    table: csv::Writer<Vec<u8>>,
}

impl Cells {
    /// No row yet.
    pub(super) fn new(rule: CellRule) -> Self {
        let table =
            csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
        Self { rule, row: csv::ByteRecord::new(), table }
    }

    /// A number of ours, which needs no care.
    pub(super) fn integer(&mut self, number: i64) {
        self.row.push_field(number.to_string().as_bytes());
    }

    /// A number that may be missing.
    pub(super) fn integer_or_empty(&mut self, number: Option<i64>) {
        match number {
            Some(number) => self.integer(number),
            None => self.row.push_field(b""),
        }
    }

    /// A text that somebody sent, or JSON.
    pub(super) fn text(&mut self, text: &str) {
        self.row.push_field(safe(text, self.rule).as_bytes());
    }

    /// Ends the row and begins the next.
    pub(super) fn end_row(&mut self) -> io::Result<()> {
        self.table.write_byte_record(&self.row)?;
        self.row.clear();
        Ok(())
    }

    /// All rows as text.
    pub(super) fn finish(self) -> io::Result<Vec<u8>> {
        self.table.into_inner().map_err(|error| error.into_error())
    }
}

/// A spreadsheet takes a cell that begins with one of these for a formula; it is told by an
/// apostrophe that it is text. So is a text that has apostrophes there of its own, or nobody could
/// tell the two apart again.
fn safe(text: &str, rule: CellRule) -> Cow<'_, str> {
    if rule.excel && is_long_number(text) {
        return format!("=\"{text}\"").into();
    }
    if !rule.raw && is_formula(text.trim_start_matches('\'')) {
        return format!("'{text}").into();
    }
    text.into()
}

/// The text of a cell again, unless it was written raw.
pub(super) fn unsafe_text(cell: &str) -> &str {
    let long_number = cell.strip_prefix("=\"").and_then(|rest| rest.strip_suffix('"'));
    if let Some(number) = long_number.filter(|number| is_long_number(number)) {
        return number;
    }
    let text = cell.strip_prefix('\'').unwrap_or(cell);
    if is_formula(text.trim_start_matches('\'')) { text } else { cell }
}

fn is_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n'])
}

/// Digits that a spreadsheet would round or show as a power of ten, or whose zeros it would drop.
/// With one `E` among them, as a giccid may have it, they are a power of ten to it.
fn is_long_number(text: &str) -> bool {
    const DIGITS_KEPT: usize = 11;
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    match text.split_once(['E', 'e']) {
        Some((number, power)) => {
            let is_power = !number.is_empty() && !power.is_empty();
            is_power && are_digits(number) && are_digits(power)
        }
        None => {
            let zeros_lead = text.len() > 1 && text.starts_with('0');
            (text.len() > DIGITS_KEPT || zeros_lead) && are_digits(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(text: &str, raw: bool, excel: bool) -> String {
        let mut cells = Cells::new(CellRule { raw, excel });
        cells.text(text);
        cells.end_row().expect("a row");
        String::from_utf8(cells.finish().expect("a table"))
            .expect("text")
            .trim_end_matches("\r\n")
            .to_owned()
    }

    #[test]
    fn a_cell_that_a_spreadsheet_would_run_is_made_text_unless_raw() {
        for start in ["=1+1", "+819012345678", "-1", "@SUM(A1)", "\tx"] {
            assert_eq!(cell(start, false, false), format!("'{start}"));
            assert_eq!(cell(start, true, false), start);
        }
        assert_eq!(cell("\n=1", false, false), "\"'\n=1\"");
        assert_eq!(cell("\r=1", false, false), "\"'\r=1\"");
        assert_eq!(cell("a=1", false, false), "a=1");
        assert_eq!(cell("say \"hi\", you", false, false), "\"say \"\"hi\"\", you\"");
    }

    #[test]
    fn long_digit_strings_survive_a_spreadsheet_when_asked() {
        let giccid = "89860012345678901234";
        assert_eq!(cell(giccid, false, false), giccid);
        assert_eq!(cell(giccid, false, true), format!("\"=\"\"{giccid}\"\"\""));
        assert_eq!(cell("01", false, true), "\"=\"\"01\"\"\"");
        assert_eq!(cell("460", false, true), "460");
        let giccid = "898604123456789E0123";
        assert_eq!(cell(giccid, false, true), format!("\"=\"\"{giccid}\"\"\""));
        assert_eq!(unsafe_text(&format!("=\"{giccid}\"")), giccid);
        for text in ["898604B7012345678901", "E1", "1E", "1E2E3"] {
            assert_eq!(cell(text, false, true), text);
        }
        assert_eq!(cell("=1+1", false, true), "'=1+1");
    }

    #[test]
    fn numbers_of_ours_are_left_alone() {
        let mut cells = Cells::new(CellRule { raw: false, excel: true });
        cells.integer(-5);
        cells.integer(i64::MAX);
        cells.integer_or_empty(None);
        cells.end_row().expect("a row");
        assert_eq!(cells.finish().expect("a table"), b"-5,9223372036854775807,\r\n");
    }
}
