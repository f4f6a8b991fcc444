//! Tables for people, as wide as their screen at most. A cell that is too long for its column goes on
//! below itself, so that nothing is lost.
use console::{Term, measure_text_width};

/// As wide as a table is where no terminal says how wide it is.
const WIDTH: usize = 100;
/// No column is narrower because of the others.
const COLUMN_MIN: usize = 5;
const GAP: &str = "  ";

/// Rows under their headings.
pub(super) fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let terminal = Term::stdout().size_checked().map(|(_, columns)| usize::from(columns));
    table_within(terminal.unwrap_or(WIDTH), headings, rows)
}

fn table_within(width_max: usize, headings: &[&str], rows: &[Vec<String>]) -> String {
    let headings: Vec<String> = headings.iter().map(|&text| text.to_owned()).collect();
    let mut widths = vec![0; headings.len()];
    for row in std::iter::once(&headings).chain(rows) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.lines().map(measure_text_width).fold(*width, usize::max);
        }
    }
    fit(&mut widths, width_max);
    let mut text = String::new();
    for row in std::iter::once(&headings).chain(rows) {
        let cells: Vec<Vec<String>> =
            row.iter().zip(&widths).map(|(cell, width)| wrapped(cell, *width)).collect();
        for nth in 0..cells.iter().map(Vec::len).max().unwrap_or_default() {
            let line = cells.iter().zip(&widths).map(|(lines, width)| {
                let part = lines.get(nth).map_or("", String::as_str);
                format!("{part}{}", " ".repeat(width.saturating_sub(measure_text_width(part))))
            });
            text += line.collect::<Vec<_>>().join(GAP).trim_end();
            text.push('\n');
        }
    }
    text
}

/// Takes from the widest column until all fit, or none can give any more.
fn fit(widths: &mut [usize], width_max: usize) {
    let room = width_max.saturating_sub(GAP.len() * widths.len().saturating_sub(1));
    while widths.iter().sum::<usize>() > room {
        match widths.iter_mut().max() {
            Some(widest) if *widest > COLUMN_MIN => *widest -= 1,
            _ => return,
        }
    }
}

/// The lines of a text that are no wider than this, broken between words where there are any.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for line in text.lines() {
        let mut rest = line;
        while measure_text_width(rest) > width {
            let end = end_within(rest, width);
            let (head, tail) = match rest[..end].rfind(' ') {
                _ if rest[end..].starts_with(' ') => (&rest[..end], &rest[end..]),
                Some(blank) if blank > 0 => (&rest[..blank], &rest[blank..]),
                _ => (&rest[..end], &rest[end..]),
            };
            lines.push(head.to_owned());
            rest = tail.trim_start();
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
}
