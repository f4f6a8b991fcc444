//! What a reader of English stumbles over.
use std::{fs, path::Path};

/// Nouns that are counted.
const NOUNS: [&str; 13] = [
    "records",
    "rows",
    "lines",
    "pushes",
    "messages",
    "notifications",
    "duplicates",
    "SIMs",
    "routers",
    "keys",
    "files",
    "hours",
    "days",
];
/// Texts in which the number is never one, or which take care of that themselves.
const NEVER_ONE: [&str; 15] = [
    // A match with an arm for one.
    "_ => format!(\"{count} SIMs went silent",
    "_ => format!(\"{count} SIMs in a new",
    "_ => format!(\"{count} pushes refused",
    "{repeats} duplicates dropped\"),",
    "_ => format!(\"{} SIMs\", changes.len())",
    "_ => format!(\"{count} pushes came under",
    // Bounds, and what is told of many only.
    "The last {} {kind} pushes were all",
    "RCMS counts {counted} routers",
    "{at_least}{} SIMs went silent together",
    "A page has at most {max} rows",
    "would have more than {max} rows",
    "the answer has more than {0} rows",
    "Making {SIMS} SIMs, {ROUTERS} routers",
    // Templates of progress bars.
    "{human_pos} rows, {per_sec}",
    "{human_len} pushes, {per_sec}",
];

/// Lines that put a number before a plural without asking whether it is one.
fn miscounts(text: &str) -> Vec<&str> {
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    let is_told = |line: &&str| {
        let line = line.trim_start();
        !line.starts_with("//") && !NEVER_ONE.iter().any(|text| line.contains(text))
    };
    let is_plural = |line: &&str| {
        line.match_indices("} ").any(|(at, _)| {
            let rest = &line[at + 2..];
            NOUNS.iter().any(|noun| {
                let after = rest.strip_prefix(noun);
                after.is_some_and(|after| !after.starts_with(|it: char| it.is_alphanumeric()))
            })
        })
    };
    text.lines().filter(is_told).filter(is_plural).collect()
}

fn miscounts_below(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            miscounts_below(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let lines = miscounts(&text).into_iter();
            found.extend(lines.map(|line| format!("{}: {}", path.display(), line.trim())));
        }
    }
}

#[test]
fn one_of_something_is_never_told_in_the_plural() {
    assert_eq!(miscounts(r#"format!("{} records, as of {at}", count)"#).len(), 1);
    let mut found = Vec::new();
    miscounts_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.is_empty(), "use `domain::counted`:\n{}", found.join("\n"));
}
