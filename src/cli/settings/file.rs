use std::{
    fs,
    path::{Path, PathBuf},
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    Setting, SettingsError, Shape, Source,
    given::{Found, Given, Item, in_file},
    nearest,
};
use crate::domain::without_mark;

/// Reads a settings file as far as it can be read; an error begins with what named it.
pub(super) fn read(path: &Path, named_by: &str, mistakes: &mut Vec<SettingsError>) -> Found {
    let mut found = Found::default();
    match fs::read_to_string(path) {
        Ok(text) => {
            let text = without_mark(&text);
            let file = File { path, text };
            match DeTable::parse(text) {
                Ok(table) => file.section("", table.get_ref(), &mut found, mistakes),
                Err(err) => {
                    mistakes.push(file.syntax(&err));
                    found.unread = Setting::all().map(Setting::name).collect();
                }
            }
        }
        Err(source) => {
            let place = named_by.to_owned();
            mistakes.push(SettingsError::File { place, path: path.to_owned(), source });
            found.unread = Setting::all().map(Setting::name).collect();
        }
    }
    found
}

struct File<'a> {
    path: &'a Path,
    text: &'a str,
}

impl File<'_> {
    fn section(
        &self,
        section: &str,
        table: &DeTable<'_>,
        found: &mut Found,
        mistakes: &mut Vec<SettingsError>,
    ) {
        // The parser sorts by key; people read from the top, so the first mistake is told first.
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in entries {
            let name = match section {
                "" => key.get_ref().to_string(),
                section => format!("{section}.{}", key.get_ref()),
            };
            let line = self.line(key);
            if let Some(setting) = Setting::all().find(|setting| setting.name() == name) {
                match self.given(setting, line, value) {
                    Ok(given) => {
                        found.given.insert(name, given);
                    }
                    Err(mistake) => {
                        mistakes.push(mistake);
                        found.unread.insert(name);
                    }
                }
            } else if section.is_empty() && is_section(&name) {
                match value.get_ref() {
                    DeValue::Table(table) => self.section(&name, table, found, mistakes),
                    _ => {
                        mistakes.push(self.wrong(&name, line, "is a section and must be a table"));
                    }
                }
            } else {
                mistakes.push(self.unknown(name, line));
            }
        }
    }

    fn given(
        &self,
        setting: &'static Setting,
        line: usize,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<Given, SettingsError> {
        let wrong = |wanted: &str| self.wrong(&setting.name(), line, &format!("must be {wanted}"));
        let items = match (setting.shape, value.get_ref()) {
            (Shape::Text, DeValue::String(_)) => vec![self.item(value)],
            (Shape::Text, _) => return Err(wrong("a text in quotes")),
            (Shape::Number, DeValue::Integer(_)) => vec![self.item(value)],
            (Shape::Number, _) => return Err(wrong("a whole number without quotes")),
            (Shape::Size, DeValue::String(_) | DeValue::Integer(_)) => vec![self.item(value)],
            (Shape::Size, _) => return Err(wrong("a size such as \"4MiB\", or a number of bytes")),
            (Shape::List | Shape::Keys, DeValue::String(_)) => vec![self.item(value)],
            (Shape::List | Shape::Keys, DeValue::Array(array)) => {
                let items = array.iter().map(|item| self.list_item(setting, item));
                items.collect::<Result<_, _>>()?
            }
            (Shape::List, _) => return Err(wrong("a list of texts")),
            (Shape::Keys, _) => {
                return Err(wrong("a text, or a list of texts and of { label, key }"));
            }
        };
        let source = Source::File { path: self.path.to_owned(), line };
        Ok(Given { setting, items, source })
    }

    fn list_item(
        &self,
        setting: &Setting,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<Item, SettingsError> {
        let line = self.line(value);
        match (setting.shape, value.get_ref()) {
            (_, DeValue::String(_)) => Ok(self.item(value)),
            (Shape::Keys, DeValue::Table(table)) => self.labelled(setting, line, table),
            _ => Err(self.wrong(&setting.name(), line, "must be a list of texts in quotes")),
        }
    }

    /// `{ label = "…", key = "…" }`
    fn labelled(
        &self,
        setting: &Setting,
        line: usize,
        table: &DeTable<'_>,
    ) -> Result<Item, SettingsError> {
        let text = |name: &str| table.get(name).and_then(|value| value.get_ref().as_str());
        let known = table.keys().all(|key| ["label", "key"].contains(&key.get_ref().as_ref()));
        match (text("label"), text("key")) {
            (Some(label), Some(key)) if known => {
                Ok(Item { label: Some(label.to_owned()), text: key.to_owned(), line: Some(line) })
            }
            _ => Err(self.wrong(
                &setting.name(),
                line,
                "must have both `label` and `key`, each a text, and nothing else",
            )),
        }
    }

    fn item(&self, value: &Spanned<DeValue<'_>>) -> Item {
        let text = match value.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(number) => whole_number(number.as_str(), number.radix()),
            _ => String::new(),
        };
        Item { label: None, text, line: Some(self.line(value)) }
    }

    fn line<T>(&self, spanned: &Spanned<T>) -> usize {
        self.line_at(spanned.span().start)
    }

    fn line_at(&self, byte: usize) -> usize {
        let before = &self.text.as_bytes()[..byte.min(self.text.len())];
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }

    fn wrong(&self, name: &str, line: usize, problem: &str) -> SettingsError {
        let place = in_file(name, self.path, line);
        SettingsError::Value { place, problem: problem.to_owned() }
    }

    fn unknown(&self, key: String, line: usize) -> SettingsError {
        let names: Vec<String> = Setting::all().map(Setting::name).collect();
        let sections = Setting::all().map(|setting| setting.section);
        let known =
            names.iter().map(String::as_str).chain(sections.filter(|name| !name.is_empty()));
        let hint = nearest::hint(&key, known);
        SettingsError::UnknownKey { key, path: self.path.to_owned(), line, hint }
    }

    fn syntax(&self, err: &toml::de::Error) -> SettingsError {
        let line = self.line_at(err.span().map_or(0, |span| span.start));
        // `message` tells what was expected; only `Display` would quote the line.
        let problem = err.message().replace('\n', ", ");
        SettingsError::Syntax { path: PathBuf::from(self.path), line, problem }
    }
}

fn is_section(name: &str) -> bool {
    Setting::all().any(|setting| setting.section == name)
}

/// An integer in decimal, however it was written; one too large is left for its setting to refuse.
fn whole_number(digits: &str, radix: u32) -> String {
    match i128::from_str_radix(digits, radix) {
        Ok(number) => number.to_string(),
        Err(_) => digits.to_owned(),
    }
}
