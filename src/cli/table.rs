//! Tables for people, as wide as their screen at most. A cell that is too long for its column goes on
//! below itself, broken between words: a number, a time or a name stays whole. Where the words of all
//! columns have no room beside each other, the least important columns go, and a line says which.
use std::collections::BTreeSet;

use console::{Term, measure_text_width};

/// As wide as a table is where neither a terminal nor `COLUMNS` says how wide it is.
const WIDTH: usize = 100;
/// No column is narrower because of the others.
const COLUMN_MIN: usize = 5;
/// A longer word, such as a MAC or an address with a query, may be broken.
const WORD_MAX: usize = 40;
/// Behind these a word may be broken, as in a path or a query.
const MARKS: [char; 6] = ['/', '&', '=', ',', ';', '?'];
const GAP: &str = "  ";

/// Rows under their headings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table<'a> {
    pub(super) headings: &'a [&'a str],
    pub(super) rows: &'a [Vec<String>],
    /// The headings of columns that may go where there is no room, in the order in which they do.
    pub(super) may_go: &'a [&'a str],
}

impl Table<'_> {
    /// As wide as the screen at most.
    pub(super) fn text(self) -> String {
        let terminal = Term::stdout().size_checked().map(|(_, columns)| usize::from(columns));
        let wanted = || std::env::var("COLUMNS").ok()?.parse().ok();
        self.within(terminal.or_else(wanted).unwrap_or(WIDTH))
    }

    fn within(self, width_max: usize) -> String {
        let columns: Vec<Column> = (0..self.headings.len()).map(|nth| self.column(nth)).collect();
        let gone = self.gone(&columns, width_max);
        let shown: Vec<usize> = (0..columns.len()).filter(|nth| !gone.contains(nth)).collect();
        let mut columns: Vec<Column> = shown.iter().map(|nth| columns[*nth]).collect();
        fit(&mut columns, width_max);
        let headings = self.headings.iter().map(|&text| text.to_owned()).collect();
        let mut text = String::new();
        for row in std::iter::once(&headings).chain(self.rows) {
            let cell = |(nth, column): (&usize, &Column)| wrapped(&row[*nth], column.width);
            let cells: Vec<Vec<String>> = shown.iter().zip(&columns).map(cell).collect();
            for nth in 0..cells.iter().map(Vec::len).max().unwrap_or_default() {
                let part = |(lines, column): (&Vec<String>, &Column)| {
                    let part = lines.get(nth).map_or("", String::as_str);
                    let room = column.width.saturating_sub(measure_text_width(part));
                    format!("{part}{}", " ".repeat(room))
                };
                let line: Vec<String> = cells.iter().zip(&columns).map(part).collect();
                text += line.join(GAP).trim_end();
                text.push('\n');
            }
        }
        if !gone.is_empty() {
            let names: Vec<&str> = gone.iter().map(|nth| self.headings[*nth]).collect();
            let told = format!(
                "Without {}: a wider terminal or `--output json` shows all.",
                names.join(", ")
            );
            text += &format!("{}\n", wrapped(&told, width_max).join("\n"));
        }
        text
    }

    fn column(&self, nth: usize) -> Column {
        let cells = self.rows.iter().map(|row| row[nth].as_str());
        let mut column = Column { width: 0, least: 0 };
        for text in std::iter::once(self.headings[nth]).chain(cells) {
            for line in text.lines() {
                column.width = column.width.max(measure_text_width(line));
            }
            let words = text.split_whitespace().flat_map(|word| word.split_inclusive(MARKS));
            let words = words.map(measure_text_width);
            column.least = words.filter(|word| *word <= WORD_MAX).fold(column.least, usize::max);
        }
        column.least = column.least.max(COLUMN_MIN.min(column.width));
        column
    }

    /// The columns that have no room, even where each is as narrow as its longest word.
    fn gone(&self, columns: &[Column], width_max: usize) -> BTreeSet<usize> {
        let mut gone = BTreeSet::new();
        for heading in self.may_go {
            let left = columns.iter().enumerate().filter(|(nth, _)| !gone.contains(nth));
            let left: Vec<usize> = left.map(|(_, column)| column.least).collect();
            if left.iter().sum::<usize>() <= room(left.len(), width_max) {
                break;
            }
            gone.extend(self.headings.iter().position(|it| it == heading));
        }
        gone
    }
}

/// How wide a column is.
#[derive(Clone, Copy, Debug)]
struct Column {
    width: usize,
    /// Below it a word would be broken.
    least: usize,
}

/// What the cells of so many columns have together.
fn room(columns: usize, width_max: usize) -> usize {
    width_max.saturating_sub(GAP.len() * columns.saturating_sub(1))
}

/// Takes from the widest column that can give without breaking a word, then from the widest of all,
/// until all fit or none can give any more.
fn fit(columns: &mut [Column], width_max: usize) {
    let room = room(columns.len(), width_max);
    while columns.iter().map(|column| column.width).sum::<usize>() > room {
        let giving = columns.iter_mut().filter(|column| column.width > column.least);
        if let Some(widest) = giving.max_by_key(|column| column.width) {
            widest.width -= 1;
            continue;
        }
        match columns.iter_mut().max_by_key(|column| column.width) {
            Some(widest) if widest.width > COLUMN_MIN => {
                widest.width -= 1;
                widest.least = widest.width;
            }
            _ => return,
        }
    }
}

/// The lines of a text that are no wider than this, broken between words where there are any, else
/// behind a mark.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for line in text.lines() {
        let mut rest = line;
        while measure_text_width(rest) > width {
            let end = end_within(rest, width);
            let fits = &rest[..end];
            let at = match (fits.rfind(' '), fits.rfind(MARKS)) {
                _ if rest[end..].starts_with(' ') => end,
                (Some(blank), _) if blank > 0 => blank,
                (_, Some(mark)) => mark + 1,
                _ => end,
            };
            lines.push(rest[..at].to_owned());
            rest = rest[at..].trim_start();
        }
        lines.push(rest.to_owned());
    }
    lines
}

/// Where the letters end that fit; at least one does.
fn end_within(text: &str, width: usize) -> usize {
    let ends = text.char_indices().map(|(at, letter)| at + letter.len_utf8());
    ends.take_while(|end| measure_text_width(&text[..*end]) <= width)
        .last()
        .unwrap_or_else(|| text.chars().next().map_or(0, char::len_utf8))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(cells: &[[&str; 3]]) -> Vec<Vec<String>> {
        cells.iter().map(|row| row.iter().map(|&cell| cell.to_owned()).collect()).collect()
    }

    fn table_within(width_max: usize, headings: &[&str], rows: &[Vec<String>]) -> String {
        Table { headings, rows, may_go: &[] }.within(width_max)
    }

    #[test]
    fn what_fits_stays_on_one_line() {
        let told = table_within(40, &["A", "B", "C"], &rows(&[["one", "two words", "3"]]));
        assert_eq!(told, "A    B          C\none  two words  3\n");
    }

    #[test]
    fn a_long_cell_goes_on_below_itself_and_no_line_is_wider_than_the_screen() {
        let long = "a sentence of many words that nobody would put into one column of a table";
        let mac = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        for width in [24, 40, 80] {
            let told = table_within(width, &["ID", "WHAT", "MAC"], &rows(&[["17", long, mac]]));
            for line in told.lines() {
                assert!(measure_text_width(line) <= width, "{width}: {line}");
            }
            let words: Vec<&str> = told.split_whitespace().collect();
            for word in long.split(' ') {
                assert!(words.contains(&word), "{word}: {told}");
            }
            let digits = |text: &str| text.chars().filter(char::is_ascii_digit).count();
            assert_eq!(digits(&told), digits(mac) + 2, "{told}");
        }
    }

    #[test]
    fn chinese_letters_are_two_columns_wide() {
        let told =
            table_within(80, &["A", "B", "C"], &rows(&[["同事小王", "x", "y"], ["a", "x", "y"]]));
        assert_eq!(told, "A         B  C\n同事小王  x  y\na         x  y\n");
    }

    #[test]
    fn a_word_is_whole_while_a_column_of_less_worth_can_go() {
        let cells = [["2024-09-05T01:30:48Z", "8986001234567890123", "two words"]];
        let (headings, rows) = (["AT", "SUBJECT", "DETAILS"], rows(&cells));
        let table = Table { headings: &headings, rows: &rows, may_go: &["DETAILS", "AT"] };
        assert_eq!(table.within(52).lines().count(), 2, "all beside each other");
        let told = table.within(50);
        assert!(told.contains("2024-09-05T01:30:48Z  8986001234567890123  two\n"), "{told}");
        let told = table.within(45);
        assert!(told.contains("2024-09-05T01:30:48Z  8986001234567890123\n"), "{told}");
        assert!(told.contains("Without DETAILS: "), "{told}");
        let told = table.within(30);
        assert!(told.contains("\n8986001234567890123\nWithout AT, DETAILS: "), "{told}");
        assert_eq!(wrapped("/var/lib/simdeck", 10), ["/var/lib/", "simdeck"]);
    }
}
