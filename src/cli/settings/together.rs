//! What follows from several settings at once: what does not go together, what is derived, what is
//! warned of.
use std::collections::BTreeSet;

use super::{AllowMode, Settings, SettingsError, Source};

impl Settings {
    /// What depends on more than one setting. One of these settings that could not be read is a mistake
    /// of its own, and says nothing about the others.
    pub(super) fn finish(&mut self, unread: &BTreeSet<String>, mistakes: &mut Vec<SettingsError>) {
        if self.database.as_os_str().is_empty() {
            self.database = self.data_dir.join("simdeck.db");
            self.derive("database_url", format!("sqlite://{}", self.database.display()));
        }
        if self.backup.dir.as_os_str().is_empty() {
            self.backup.dir = self.data_dir.join("backups");
            self.derive("backup.dir", self.backup.dir.display().to_string());
        }
        if self.internal.url.is_none() {
            self.derive("internal.url", self.internal_url());
        }
        let is_read = |name: &&str| !unread.contains(*name);
        let wrong = self
            .together()
            .into_iter()
            .filter(|(is_wrong, names, _)| *is_wrong && names.iter().all(is_read));
        let told = wrong.map(|(_, names, sentence)| {
            SettingsError::Together(format!("{sentence}{}", self.places_of(names)))
        });
        mistakes.extend(told);
        self.warn_of_open_doors(unread);
    }

    /// Where those of these settings stand that somebody set.
    fn places_of(&self, names: [&'static str; 2]) -> String {
        let lines = names.iter().filter_map(|name| self.line(name));
        let set = lines.filter(|line| !matches!(line.source, Source::Default | Source::Derived));
        let places: Vec<String> = set
            .map(|line| format!("`{}` comes from {}", line.setting.name(), line.source))
            .collect();
        match places.is_empty() {
            true => String::new(),
            false => format!(" ({})", places.join(", ")),
        }
    }

    /// What does not go together: whether it is so here, the settings it is about, and the sentence.
    fn together(&self) -> [(bool, [&'static str; 2], &'static str); 6] {
        let (public, internal, rcms) = (&self.public, &self.internal, &self.rcms);
        let is_enforced = public.allow_mode == AllowMode::Enforce;
        let is_same = public.listen == internal.listen && public.listen.port() != 0;
        let (id, secret) = (rcms.client_id.is_some(), rcms.client_secret.is_some());
        [
            (
                is_enforced && public.allow_sources.is_empty(),
                ["public.allow_mode", "public.allow_sources"],
                "`public.allow_mode` is `enforce` but `public.allow_sources` is empty, so that \
                 every push would be refused: name the sources or choose `monitor`",
            ),
            (
                is_same,
                ["public.listen", "internal.listen"],
                "`public.listen` and `internal.listen` are the same address: give each its own",
            ),
            (
                public.tls_cert.is_some() != public.tls_key.is_some(),
                ["public.tls_cert", "public.tls_key"],
                "`public.tls_cert` and `public.tls_key` belong together: set both or neither",
            ),
            (
                internal.tls_cert.is_some() != internal.tls_key.is_some(),
                ["internal.tls_cert", "internal.tls_key"],
                "`internal.tls_cert` and `internal.tls_key` belong together: set both or neither",
            ),
            (
                id && !secret,
                ["rcms.client_id", "rcms.client_secret"],
                "`rcms.client_id` is set without `rcms.client_secret`: set both or neither",
            ),
            (
                secret && !id,
                ["rcms.client_id", "rcms.client_secret"],
                "`rcms.client_secret` is set without `rcms.client_id`: set both or neither",
            ),
        ]
    }

    fn warn_of_open_doors(&mut self, unread: &BTreeSet<String>) {
        let is_loopback = self.internal.listen.ip().to_canonical().is_loopback();
        if !is_loopback && !self.internal_is_encrypted() && !unread.contains("internal.tls_cert") {
            self.warnings.push(format!(
                "API keys and answers cross the network unencrypted at {}: set \
                 SIMDECK_INTERNAL_TLS_CERT and SIMDECK_INTERNAL_TLS_KEY, or let nobody but a proxy \
                 or a container's own network reach it",
                self.internal.listen
            ));
        }
        let has_account = self.rcms.client_id.is_some() || self.rcms.client_secret.is_some();
        if !has_account && !self.rcms.devices.is_empty() {
            self.warnings.push(
                "`rcms.devices` has no effect without `rcms.client_id` and `rcms.client_secret`"
                    .to_owned(),
            );
        }
    }

    /// What to say where pushes arrive under no token.
    pub fn warning_of_no_token(&self) -> Option<&'static str> {
        self.public.path_tokens.is_empty().then_some(
            "Anyone who finds the address can try to push: set SIMDECK_PUBLIC_PATH_TOKEN",
        )
    }

    /// Shows what follows from other settings.
    fn derive(&mut self, name: &str, value: String) {
        for line in self.in_force.iter_mut().filter(|line| line.setting.name() == name) {
            line.value = Some(value.clone());
            line.source = Source::Derived;
        }
    }
}
