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
        self.row.push_field(cell_text(text, self.rule).as_bytes());
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

/// What a text is in a cell; [`plain_text`] is the way back.
///
/// A spreadsheet takes a cell for a formula that begins with a sign of one; an apostrophe tells it
/// that the cell is text. It may also split the file elsewhere than we do, at `;` or at tabs, and does
/// not see our quotes then: the apostrophe stands at each place where a cell may begin so. Where one
/// stands there already another is put before it, or nobody could tell the two apart again.
fn cell_text(text: &str, rule: CellRule) -> Cow<'_, str> {
    match rule {
        CellRule { excel: true, raw } if is_long_number(text) || (raw && is_constant(text)) => {
            format!("=\"{}\"", text.replace('"', "\"\"")).into()
        }
        CellRule { raw: true, .. } => text.into(),
        CellRule { raw: false, .. } => {
            let marked = begins(text).filter(|begin| is_formula(text, *begin));
            spliced(text, marked, |out, _| out.push('\''))
        }
    }
}

/// The text of a cell that was written by this rule. A long number is recognised whether or not it
/// says `excel`, unless it says `raw`.
pub(super) fn plain_text(cell: &str, rule: CellRule) -> Cow<'_, str> {
    match rule {
        CellRule { raw: true, excel: false } => cell.into(),
        CellRule { raw: true, excel: true } => match constant(cell) {
            Some(text) if is_long_number(&text) || is_constant(&text) => text,
            _ => cell.into(),
        },
        CellRule { raw: false, .. } => {
            if let Some(number) = constant(cell).filter(|text| is_long_number(text)) {
                return number;
            }
            let marked = begins(cell).filter(|begin| {
                cell[*begin..].starts_with('\'') && is_formula_behind(cell, *begin, 1)
            });
            spliced(cell, marked, |_, rest| *rest = &rest[1..])
        }
    }
}

/// Where a cell may begin for a spreadsheet, whatever it splits at.
fn begins(text: &str) -> impl Iterator<Item = usize> {
    let behind = text.match_indices(is_split_at).map(|(place, _)| place + 1);
    std::iter::once(0).chain(behind)
}

fn is_split_at(sign: char) -> bool {
    matches!(sign, ';' | '\t' | '\r' | '\n')
}

/// Whether a spreadsheet may take for a formula what begins here. Blanks and quotes may be lost on the
/// way; that apostrophes are passed over too is what makes the mark reversible.
fn is_formula(text: &str, begin: usize) -> bool {
    is_formula_behind(text, begin, 0)
}

fn is_formula_behind(text: &str, begin: usize, marks: usize) -> bool {
    const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
    let is_lost = |sign: char| {
        let is_invisible = matches!(sign, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}');
        let is_blank = sign.is_whitespace() || sign.is_control() || is_invisible;
        matches!(sign, '\'' | '"') || (is_blank && !is_split_at(sign))
    };
    let rest = text[begin + marks..].trim_start_matches(is_lost);
    rest.starts_with(FORMULA) || (begin == 0 && rest.starts_with(['\t', '\r', '\n']))
}

/// The text with something done at each of these places, of which most texts have none.
fn spliced<'a>(
    text: &'a str,
    places: impl Iterator<Item = usize>,
    mut mend: impl FnMut(&mut String, &mut &'a str),
) -> Cow<'a, str> {
    let mut out = String::new();
    let mut rest = text;
    for place in places {
        let passed = text.len() - rest.len();
        out.push_str(&rest[..place - passed]);
        rest = &rest[place - passed..];
        mend(&mut out, &mut rest);
    }
    if out.is_empty() && rest.len() == text.len() {
        return text.into();
    }
    out.push_str(rest);
    out.into()
}

/// The text in `="…"`, where quotes stand twice.
fn constant(cell: &str) -> Option<Cow<'_, str>> {
    let inner = cell.strip_prefix("=\"")?.strip_suffix('"')?;
    if !inner.contains('"') {
        return Some(inner.into());
    }
    let text = inner.replace("\"\"", "\0");
    (!inner.contains('\0') && !text.contains('"')).then(|| text.replace('\0', "\"").into())
}

/// Whether a raw text could be taken for a long number that was written as `="…"`, any number of times.
fn is_constant(text: &str) -> bool {
    constant(text).is_some_and(|inner| is_long_number(&inner) || is_constant(&inner))
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
        for sign in ["=", "+", "-", "@", "＝", "＋", "－", "＠"] {
            for before in ["", " ", "'", "\u{feff}", "x;", "x;'", "x; ", "x;x;", "x\t"] {
                let text = format!("{before}{sign}1");
                let begin = before.rfind([';', '\t']).map_or(0, |place| place + 1);
                let marked = format!("{}'{}", &text[..begin], &text[begin..]);
                assert_eq!(cell(&text, false, false), marked);
                assert_eq!(cell(&text, true, false), text);
            }
        }
        assert_eq!(cell("x;\"=1", false, false), "\"x;'\"\"=1\"");
        assert_eq!(cell("\n=1", false, false), "\"'\n'=1\"");
        assert_eq!(cell("\r=1", false, false), "\"'\r'=1\"");
        assert_eq!(cell("a\r\nb", false, false), "\"a\r\nb\"");
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
        assert_eq!(plain_text(&format!("=\"{giccid}\""), CellRule::default()), giccid);
        for text in ["898604B7012345678901", "E1", "1E", "1E2E3"] {
            assert_eq!(cell(text, false, true), text);
        }
        assert_eq!(cell("=1+1", false, true), "'=1+1");
    }

    #[test]
    fn every_text_comes_back_from_its_cell() {
        use proptest::{collection::vec, prelude::*, sample::select};
        const PIECES: [&str; 17] = [
            "=",
            "-",
            "＝",
            "'",
            "\"",
            ";",
            " ",
            "\u{feff}",
            "\t",
            "\r",
            "\n",
            "x",
            "0",
            "123456",
            "=\"012345678901\"",
            "=\"=\"\"0123\"\"\"",
            "\0",
        ];
        let text = vec(select(&PIECES[..]), 0..8).prop_map(|pieces| pieces.concat());
        proptest!(ProptestConfig::with_cases(4_000), |(text in text, raw: bool, excel: bool)| {
            let rule = CellRule { raw, excel };
            let cell = cell_text(&text, rule);
            prop_assert_eq!(plain_text(&cell, rule), text.as_str(), "{:?} {}", rule, cell);
            prop_assert!(raw || plain_text(&cell, CellRule::default()) == text.as_str());
        });
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
