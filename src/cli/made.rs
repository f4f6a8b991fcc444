//! The secrets that a first start makes.
use super::{
    Failure,
    keys::{API_KEY_FILE, PUSH_KEY_FILE},
    settings::Settings,
};
use crate::{
    domain::{BLANK_EDGE, Secret, has_blank_edge},
    smarthub::signature::PushKey,
    store::{DataFolder, kept_secret},
};

/// An admin's key that somebody thought of has at least so many characters.
const API_KEY_CHARACTERS_MIN: usize = 20;
/// A shorter push key is warned of: SmartHub may have given it.
const PUSH_KEY_CHARACTERS_MIN: usize = 16;

/// The secrets in force.
#[derive(Debug)]
pub(super) struct Secrets {
    pub(super) push_keys: Vec<PushKey>,
    pub(super) api_key: Secret,
    /// What was made just now, by the name of its file.
    pub(super) made: Vec<&'static str>,
}

/// Takes the secrets from the settings, else from the data directory, else makes them. A push key is
/// only proposed for an empty store: a store that has taken pushes with another key would refuse
/// everything under a new one.
pub(super) fn secrets(
    settings: &Settings,
    folder: &DataFolder,
    store_is_empty: bool,
) -> Result<Secrets, Failure> {
    let mut made = Vec::new();
    let api_key = match &settings.api.key {
        Some(key) => key.clone(),
        None => kept_or_made(folder, API_KEY_FILE, "sd_", &mut made)?,
    };
    refuse_short(&api_key)?;
    let push_keys = if !settings.push.keys.is_empty() {
        settings.push.keys.clone()
    } else if store_is_empty || kept(folder, PUSH_KEY_FILE)?.is_some() {
        let key = kept_or_made(folder, PUSH_KEY_FILE, "", &mut made)?;
        vec![PushKey { label: None, key }]
    } else {
        return Err(Failure::new(
            "this store has taken pushes and no push key is set: \
             set SIMDECK_PUSH_KEY to the key that SmartHub signs with",
        )
        .lasting());
    };
    if let Some(warning) = warning_of_short(&push_keys) {
        tracing::warn!("{warning}");
    }
    Ok(Secrets { push_keys, api_key, made })
}

/// Refuses an admin's key that could be guessed.
pub(super) fn refuse_short(api_key: &Secret) -> Result<(), Failure> {
    if api_key.expose().chars().count() >= API_KEY_CHARACTERS_MIN {
        return Ok(());
    }
    Err(Failure::new(format!(
        "the admin's API key has fewer than {API_KEY_CHARACTERS_MIN} characters and could be \
         guessed: set SIMDECK_API_KEY to a longer one (`openssl rand -hex 32` makes one), or \
         leave it out to have one made"
    ))
    .lasting())
}

/// What to say of push keys that could be guessed.
pub(super) fn warning_of_short(push_keys: &[PushKey]) -> Option<String> {
    let is_short = |key: &PushKey| key.key.expose().chars().count() < PUSH_KEY_CHARACTERS_MIN;
    push_keys.iter().any(is_short).then(|| {
        format!(
            "A push key of fewer than {PUSH_KEY_CHARACTERS_MIN} characters can be guessed from one \
             push that was seen: set a longer one in SmartHub and in SIMDECK_PUSH_KEY"
        )
    })
}

fn kept_or_made(
    folder: &DataFolder,
    name: &'static str,
    prefix: &str,
    made: &mut Vec<&'static str>,
) -> Result<Secret, Failure> {
    if let Some(kept) = kept(folder, name)? {
        if has_blank_edge(kept.expose()) {
            tracing::warn!("{} {BLANK_EDGE}", folder.path().join(name).display());
        }
        return Ok(kept);
    }
    let secret = format!("{prefix}{}", hex::encode(rand::random::<[u8; 32]>()));
    folder.keep_secret(name, &secret).map_err(Failure::because(format!(
        "{} cannot be written",
        folder.path().join(name).display()
    )))?;
    made.push(name);
    Ok(secret.into())
}

fn kept(folder: &DataFolder, name: &str) -> Result<Option<Secret>, Failure> {
    let path = folder.path().join(name);
    let secret = kept_secret(folder.path(), name)
        .map_err(Failure::because(format!("{} cannot be read", path.display())))?;
    match secret {
        Some(empty) if empty.is_empty() => Err(Failure::new(format!(
            "{} is empty: delete it to have a new one made, or put the secret into it",
            path.display()
        ))
        .lasting()),
        secret => Ok(secret.map(Secret::from)),
    }
}
