//! Rules about the source itself, checked like any other promise.
//!
//! They read text, so each is also shown a made-up offence: a rule that cannot fail is none.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// From the bottom up. A module may name those on lines above its own, and no others.
const LAYERS: &[&[&str]] = &[
    &["domain"],
    &["rcms", "smarthub", "store"],
    &["intake", "watch"],
    &["demo", "http", "poller"],
    &["cli"],
];

/// A word, and the files or folders that may say it.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("sqlx", &["store"]),
    ("axum", &["http"]),
    ("hyper", &["http"]),
    ("tower", &["http"]),
    ("ipnet", &["http", "cli"]),
    ("clap", &["cli"]),
    ("reqwest", &["rcms", "cli"]),
    ("std::env", &["cli"]),
    ("UNIX_EPOCH", &["domain/clock.rs"]),
    ("SystemTime", &["domain/clock.rs"]),
    ("println!", &["cli/output.rs"]),
    ("stdout().lock", &["cli/output.rs", "cli/export.rs"]),
    ("process::exit", &["cli/serve.rs"]),
    ("super::super", &[]),
    ("#[allow", &[]),
    ("todo!", &[]),
    ("unimplemented!", &[]),
];

/// What opens a file, in whatever way.
const OPENING: &[&str] = &[
    "File::open",
    "File::create",
    "File::options",
    "OpenOptions::new",
    "fs::read(",
    "fs::read_to_string",
    "fs::write",
    "fs::copy",
    "tokio::fs",
];

/// The files that may open files, each with what it opens. To open the database, its log or the log's
/// index and to close it again drops all locks that SQLite has on it in this process.
const MAY_OPEN: &[(&str, &str)] = &[
    ("store/database_file.rs", "the database: through descriptors that are never closed"),
    ("store/backup.rs", "copies that nobody has open, and folders"),
    ("store/restore.rs", "a backup, and the copy that becomes the database"),
    ("store/erasures.rs", "the list of erased SIMs"),
    ("store/quota.rs", "a file of its own, to see whether there is room"),
    ("store/folder.rs", "the secrets of the data directory"),
    ("store/lock.rs", "locks"),
    ("store/made_files.rs", "files that it makes, and folders"),
    ("http/server/tls.rs", "certificates and keys"),
    ("cli/demo.rs", "the mark of a demo"),
    ("cli/export.rs", "the file that an export makes"),
    ("cli/import.rs", "the file that is imported"),
    ("cli/rcms_ca.rs", "certificates"),
    ("cli/reload.rs", "files that name secrets"),
    ("cli/settings/environment.rs", "files that name secrets"),
    ("cli/settings/file.rs", "the settings"),
    ("cli/signed.rs", "a body"),
];

const FILE_LINES_MAX: usize = 400;
/// Of a body, blank lines and comments counted; clippy counts without them.
const FUNCTION_LINES_MAX: usize = 70;

/// A file below `src`, by its path from there.
struct Source {
    path: PathBuf,
    text: String,
}

type Rule = fn(&[Source]) -> Vec<String>;

fn holds(rule: Rule) {
    let offences = rule(&sources());
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

/// Shows the rule one file that it must find fault with.
fn sees(rule: Rule, path: &str, text: &str) {
    let source = Source { path: path.into(), text: text.to_owned() };
    assert!(!rule(&[source]).is_empty(), "not seen in {path}:\n{text}");
}

#[test]
fn modules_use_only_the_layers_below_them() {
    holds(upward_uses);
    sees(upward_uses, "domain/record.rs", "use crate::store::Store;");
    sees(upward_uses, "store/open.rs", "use crate::smarthub::Body;");
    sees(upward_uses, "rcms/client.rs", "use crate::store::Store;");
    sees(upward_uses, "poller/mod.rs", "use crate::http::Problem;");
    sees(upward_uses, "store/open.rs", "use crate::{domain::Kind, http::Problem};");
    sees(
        upward_uses,
        "intake/mod.rs",
        "use crate::{\n    domain::{Kind, Record},\n    http::api,\n};",
    );
    sees(upward_uses, "intake/mod.rs", "fn f() {\n    crate::cli::run();\n}");
    sees(upward_uses, "http/mod.rs", "use crate::nowhere::Thing;");
}

#[test]
fn every_module_has_a_layer_and_every_layer_its_modules() {
    holds(modules_without_layer);
    sees(modules_without_layer, "helpers/mod.rs", "");
    sees(modules_without_layer, "helpers.rs", "");

    let there: BTreeSet<String> = sources().iter().map(|source| top_module(&source.path)).collect();
    for module in LAYERS.iter().copied().flatten() {
        assert!(there.contains(*module), "LAYERS names {module}, which is gone");
    }
}

#[test]
fn some_words_have_one_home() {
    holds(words_abroad);
    for (word, homes) in ONLY_IN {
        sees(words_abroad, "intake/queue.rs", &format!("use {word};"));
        for home in *homes {
            let at_home = Source { path: home.into(), text: format!("use {word};") };
            assert!(words_abroad(&[at_home]).is_empty(), "{word} is not welcome in {home}");
        }
    }
}

#[test]
fn only_files_that_say_what_they_open_open_files() {
    holds(opened_by_strangers);
    for word in OPENING {
        sees(opened_by_strangers, "store/examine.rs", &format!("let file = {word}(database)?;"));
    }
    for (file, _) in MAY_OPEN {
        let opens = sources().iter().any(|source| source.path == Path::new(file) && opens(source));
        assert!(opens, "{file} opens no file any more; take it out of MAY_OPEN");
    }
}

#[test]
fn files_and_functions_stay_short() {
    holds(long_files);
    holds(long_functions);
    sees(long_files, "store/open.rs", &"\n".repeat(FILE_LINES_MAX + 1));
    let body = "        step();\n".repeat(FUNCTION_LINES_MAX + 1);
    sees(long_functions, "store/open.rs", &format!("    fn long() {{\n{body}    }}\n"));
    sees(
        long_functions,
        "store/open.rs",
        &format!("    pub async fn long(\n        a: u8,\n    ) -> u8 {{\n{body}    }}\n"),
    );

    let clippy = fs::read_to_string(root().join("clippy.toml")).unwrap();
    assert!(clippy.contains(&format!("too-many-lines-threshold = {FUNCTION_LINES_MAX}")));
}

#[test]
fn the_map_names_every_module_with_its_layer() {
    holds(modules_off_the_map);
    sees(modules_off_the_map, "lib.rs", "pub mod domain;\n");
    sees(modules_off_the_map, "lib.rs", "//! 1. [`domain`]: wrong number.\npub mod domain;\n");
    sees(modules_off_the_map, "lib.rs", "//! 3. [`poller`]: is gone.\n");
}

#[test]
fn migrations_are_numbered_without_a_gap_and_alike_for_every_database() {
    let mut folders: Vec<_> = entries(&root().join("migrations")).collect();
    folders.sort();
    let names = |folder: &PathBuf| {
        let mut names: Vec<String> = entries(folder)
            .map(|path| path.file_name().unwrap().to_str().unwrap().into())
            .collect();
        names.sort();
        names
    };
    let first = names(folders.first().unwrap());
    assert_eq!(misnumbered(&first), Vec::<String>::new());
    for folder in &folders {
        assert_eq!(names(folder), first, "{} differs", folder.display());
    }

    for wrong in ["0002_start.sql", "1_start.sql", "0001_Start.sql", "0001_start.txt", "0001_.sql"]
    {
        assert!(!misnumbered(&[wrong.to_owned()]).is_empty(), "{wrong} passes");
    }
}

fn upward_uses(sources: &[Source]) -> Vec<String> {
    let mut offences = Vec::new();
    for source in sources {
        let own = top_module(&source.path);
        let Some(own_layer) = layer(&own) else { continue };
        for used in used_modules(&code(&source.text)).filter(|used| *used != own) {
            if layer(&used).is_none_or(|other| other >= own_layer) {
                offences.push(format!(
                    "{} uses crate::{used}, which is not below it",
                    source.path.display()
                ));
            }
        }
    }
    offences
}

fn modules_without_layer(sources: &[Source]) -> Vec<String> {
    let modules: BTreeSet<String> = sources.iter().map(|source| top_module(&source.path)).collect();
    let placed = |module: &String| layer(module).is_some() || ["lib", "main"].contains(&&**module);
    let lost = modules.into_iter().filter(|module| !placed(module));
    lost.map(|module| format!("{module} is in no layer; add it to LAYERS")).collect()
}

fn words_abroad(sources: &[Source]) -> Vec<String> {
    let mut offences = Vec::new();
    for source in sources {
        let code = code(&source.text);
        for (word, homes) in ONLY_IN {
            if code.contains(word) && !homes.iter().any(|home| source.path.starts_with(home)) {
                offences.push(format!("{} says {word}; only {homes:?} may", source.path.display()));
            }
        }
    }
    offences
}

fn opens(source: &Source) -> bool {
    let code = code(&source.text);
    // What tests open is theirs.
    let code = code.split("#[cfg(test)]").next().unwrap();
    OPENING.iter().any(|word| code.contains(word))
}

fn opened_by_strangers(sources: &[Source]) -> Vec<String> {
    let is_listed =
        |source: &&Source| MAY_OPEN.iter().any(|(file, _)| source.path == Path::new(file));
    let strangers = sources.iter().filter(|source| !is_listed(source) && opens(source));
    let told = strangers.map(|source| {
        format!(
            "{} opens files: say in MAY_OPEN which, and why that is safe",
            source.path.display()
        )
    });
    told.collect()
}

fn long_files(sources: &[Source]) -> Vec<String> {
    let is_long = |source: &&Source| source.text.lines().count() > FILE_LINES_MAX;
    let long = sources.iter().filter(is_long);
    long.map(|source| format!("{} has more than 400 lines", source.path.display())).collect()
}

/// Goes by the indentation that rustfmt gives: a function ends at the brace below its own `fn`.
fn long_functions(sources: &[Source]) -> Vec<String> {
    let mut offences = Vec::new();
    for source in sources {
        let lines: Vec<&str> = source.text.lines().collect();
        for (at, line) in lines.iter().enumerate().filter(|(_, line)| begins_function(line)) {
            let indent = &line[..line.len() - line.trim_start().len()];
            let at_indent = |line: &&str| {
                line.strip_prefix(indent).is_some_and(|rest| !rest.starts_with([' ', '/']))
            };
            let Some(opens) = lines[at..].iter().position(|l| at_indent(l) && l.ends_with('{'))
            else {
                continue;
            };
            let begins = at + opens + 1;
            let body = lines[begins..].iter().position(at_indent);
            if body.is_some_and(|length| length > FUNCTION_LINES_MAX) {
                offences.push(format!("{} has a long {}", source.path.display(), line.trim()));
            }
        }
    }
    offences
}

fn begins_function(line: &str) -> bool {
    let line = line.trim_start();
    !line.starts_with("//")
        && (line.starts_with("fn ") || line.contains(" fn "))
        && !line.ends_with(';')
}

/// The list in `lib.rs`: `//! 1. [`store`]: …`, and the `pub mod` lines below it.
fn modules_off_the_map(sources: &[Source]) -> Vec<String> {
    let Some(lib) = sources.iter().find(|source| source.path == Path::new("lib.rs")) else {
        return vec!["there is no lib.rs".into()];
    };
    let mapped: BTreeSet<(usize, &str)> = lib
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("//! ")?.split_once(". [`"))
        .filter_map(|(number, rest)| Some((number.parse().ok()?, rest.split_once('`')?.0)))
        .collect();
    let declared = lib.text.lines().filter_map(|line| line.strip_prefix("pub mod "));
    let declared: BTreeSet<(usize, &str)> = declared
        .map(|name| name.trim_end_matches(';'))
        .map(|name| (layer(name).unwrap_or(usize::MAX), name))
        .collect();
    let odd = mapped.symmetric_difference(&declared);
    odd.map(|(_, name)| format!("the map in lib.rs and its modules differ at {name}")).collect()
}

fn misnumbered(names: &[String]) -> Vec<String> {
    let is_right = |(nth, name): &(usize, &String)| {
        let words = name.strip_prefix(&format!("{:04}_", nth + 1));
        let words = words.and_then(|rest| rest.strip_suffix(".sql"));
        words.is_some_and(|words| {
            !words.is_empty() && words.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        })
    };
    names.iter().enumerate().filter(|pair| !is_right(pair)).map(|(_, name)| name.clone()).collect()
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|names| names.contains(&module))
}

/// The first folder of a path, or the name of the file.
fn top_module(path: &Path) -> String {
    Path::new(path.iter().next().unwrap()).file_stem().unwrap().to_str().unwrap().to_owned()
}

/// Without the lines that are comments.
fn code(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Finds `crate::name` and the names in `crate::{a, b::{c, d}}`.
fn used_modules(code: &str) -> impl Iterator<Item = String> {
    let mut used = Vec::new();
    for after in code.split("crate::").skip(1) {
        match after.strip_prefix('{') {
            None => used.extend(name(after)),
            Some(group) => used.extend(top_names(group)),
        }
    }
    used.into_iter()
}

/// The first name of each part of a group, up to its closing brace.
fn top_names(group: &str) -> Vec<String> {
    let (mut names, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                names.extend(name(group[start..at].trim()));
                start = at + 1;
                if character == '}' {
                    break;
                }
            }
            _ => (),
        }
    }
    names
}

fn name(text: &str) -> Option<String> {
    let is_part = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
    let name: String = text.chars().take_while(is_part).collect();
    (!name.is_empty()).then_some(name)
}

fn sources() -> Vec<Source> {
    let src = root().join("src");
    let (mut found, mut folders) = (Vec::new(), vec![src.clone()]);
    while let Some(folder) = folders.pop() {
        for path in entries(&folder) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push(Source { path: path.strip_prefix(&src).unwrap().to_owned(), text });
            }
        }
    }
    assert!(!found.is_empty());
    found
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path())
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
