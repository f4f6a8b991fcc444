use super::{Failure, settings::Settings};
use crate::{
    domain::{BLANK_EDGE, Secret, has_blank_edge, invisible_in},
    smarthub::signature::PushKey,
    store::kept_secret,
};

/// Holds the admin's API key in the data directory, where no setting gives one.
pub(super) const API_KEY_FILE: &str = "api-key";
/// Holds the push key in the data directory, where no setting gives one.
pub(super) const PUSH_KEY_FILE: &str = "push-key";

/// The admin's API key: from the settings, else from the data directory.
pub(super) fn api_key(settings: &Settings) -> Result<Secret, Failure> {
    if let Some(key) = &settings.api.key {
        return Ok(key.clone());
    }
    kept(settings, API_KEY_FILE)?.ok_or_else(|| {
        Failure::new(format!(
            "there is no admin API key in {}: set SIMDECK_API_KEY, or --data-dir to where the \
             server keeps its data",
            settings.data_dir.join(API_KEY_FILE).display()
        ))
    })
}

/// The live push keys: from the settings, else from the data directory.
pub(super) fn push_keys(settings: &Settings) -> Result<Vec<PushKey>, Failure> {
    if !settings.push.keys.is_empty() {
        return Ok(settings.push.keys.clone());
    }
    match kept(settings, PUSH_KEY_FILE)? {
        Some(key) => Ok(vec![PushKey { label: None, key }]),
        None => Err(Failure::new(format!(
            "there is no push key in {}: set SIMDECK_PUSH_KEY, or --data-dir to where the server \
             keeps its data",
            settings.data_dir.join(PUSH_KEY_FILE).display()
        ))),
    }
}

/// The push keys that a command works with: those on its command line, else the live ones.
pub(super) fn push_keys_given(
    settings: &Settings,
    on_command_line: &[String],
) -> Result<Vec<PushKey>, Failure> {
    if on_command_line.is_empty() {
        return push_keys(settings);
    }
    tracing::warn!(
        "--key: every user of this machine can read a secret in the arguments of a command (`ps`): \
         use SIMDECK_PUSH_KEY_FILE"
    );
    let key = |text: &String| match invisible_in(text) {
        None => {
            if has_blank_edge(text) {
                tracing::warn!("--key {BLANK_EDGE}");
            }
            Ok(PushKey { label: None, key: text.clone().into() })
        }
        Some(invisible) => Err(Failure::new(format!("--key holds {invisible}: remove it"))),
    };
    on_command_line.iter().map(key).collect()
}

/// The secret that the server has made and kept, if it has.
fn kept(settings: &Settings, name: &str) -> Result<Option<Secret>, Failure> {
    let secret = kept_secret(&settings.data_dir, name).map_err(Failure::because(format!(
        "{} cannot be read",
        settings.data_dir.join(name).display()
    )))?;
    Ok(secret.filter(|secret| !secret.is_empty()).map(Secret::from))
}
