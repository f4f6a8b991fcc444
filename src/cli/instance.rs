//! Which server a command talks to, and with what key. The admin's key opens everything, so it goes to
//! no listener that only happens to be at the right port: another user of this machine may have taken
//! that while the server was away.
//!
//! - A server on this machine holds the lock of the data directory, says in a file there where it
//!   listens, and proves that it is the one that wrote the file.
//! - A server elsewhere is one that somebody named: its address and its key are both in the settings,
//!   and the address is a flag or no server runs on the data directory. `internal.url` is also what
//!   people are told to open, so a server here that has it is still asked for its proof.
use std::path::Path;

use reqwest::Url;
use subtle::ConstantTimeEq;

use super::{
    Failure,
    client::{http_client, http_client_here},
    demo, keys,
    settings::{Settings, Source},
    welcome::is_loopback,
};
use crate::{
    domain::Secret,
    http::{CHALLENGE, PROOF, proof_of},
    store::{is_taken, kept_secret, missing_database},
};

/// Says where the server listens, and holds what it proves itself with.
pub(super) const FILE: &str = "server";

/// A server that may be given this key.
pub(super) struct Instance {
    pub(super) http: reqwest::Client,
    pub(super) base_url: String,
    pub(super) key: Secret,
    /// It is this machine's, whatever name its certificate is made out to.
    pub(super) is_here: bool,
}

/// The server that the settings mean; none where no server runs on the data directory. One that a
/// flag names comes first; one that the settings name comes after the one that runs here.
pub(super) async fn find(settings: &Settings) -> Result<Option<Instance>, Failure> {
    if is_named_by_flag(settings) {
        return named(settings)?.map(Some).ok_or_else(|| {
            Failure::new(
                "--internal-url names a server elsewhere: give its key with SIMDECK_API_KEY or \
                 SIMDECK_API_KEY_FILE",
            )
        });
    }
    let folder = &settings.data_dir;
    let unreadable = |what: &Path| {
        Failure::because(format!(
            "{} cannot be read: run this as the user that runs simdeck, or name the server with \
             --internal-url and its key with SIMDECK_API_KEY",
            what.display()
        ))
    };
    let is_here = is_taken(folder);
    if !matches!(is_here, Ok(true))
        && settings.internal.url.as_deref().is_some_and(|url| !is_loopback(url))
        && let Some(named) = named(settings)?
    {
        return Ok(Some(named));
    }
    if !is_here.map_err(unreadable(folder))? {
        return Ok(None);
    }
    let noted = kept_secret(folder, FILE).map_err(unreadable(&folder.join(FILE)))?;
    let noted = noted.as_deref().and_then(|text| text.split_once(' '));
    let Some((base_url, secret)) = noted else { return Err(at_work(folder)) };
    prove(base_url, &Secret::from(secret.to_owned()), folder).await?;
    let (base_url, key) = (base_url.to_owned(), keys::api_key(settings)?);
    Ok(Some(Instance { http: http_client_here(&base_url)?, base_url, key, is_here: true }))
}

/// The server that somebody named, with its key. The key in the data directory is that of the server
/// here, and goes nowhere else.
fn named(settings: &Settings) -> Result<Option<Instance>, Failure> {
    let (Some(url), Some(key)) = (&settings.internal.url, &settings.api.key) else {
        return Ok(None);
    };
    let (base_url, key) = (url.clone(), key.clone());
    Ok(Some(Instance { http: http_client(&base_url)?, base_url, key, is_here: false }))
}

fn is_named_by_flag(settings: &Settings) -> bool {
    settings
        .in_force
        .iter()
        .any(|line| line.setting.name() == "internal.url" && matches!(line.source, Source::Flag(_)))
}

/// Has the listener show that it knows the secret.
async fn prove(base_url: &str, secret: &Secret, folder: &Path) -> Result<(), Failure> {
    let challenge = hex::encode(rand::random::<[u8; 32]>());
    let url: Url = match format!("{base_url}/healthz").parse() {
        Ok(url) => url,
        Err(_) => return Err(at_work(folder)),
    };
    let asked = http_client_here(base_url)?.get(url).header(CHALLENGE, &challenge);
    let Ok(answer) = asked.send().await else { return Err(at_work(folder)) };
    let proof = answer.headers().get(PROOF).map(|proof| proof.as_bytes()).unwrap_or_default();
    match proof.ct_eq(proof_of(secret, &challenge).as_bytes()).into() {
        true => Ok(()),
        false => Err(Failure::new(format!(
            "what listens at {base_url} is not the server of {}, so it was sent no key: look who \
             listens there, and start `simdeck serve`",
            folder.display()
        ))),
    }
}

fn at_work(folder: &Path) -> Failure {
    Failure::new(format!(
        "a simdeck that does not answer holds {}: it is starting, stopping or another command; try \
         again when it is done",
        folder.display()
    ))
}

/// Whether there is no store in the data directory. One that cannot be looked at is taken to be there:
/// opening it tells what is wrong with it.
pub(super) fn is_without_store(settings: &Settings) -> bool {
    matches!(settings.database.try_exists(), Ok(false))
}

/// Whether no store is there and none may be made: there is no data directory, or it has only a demo in
/// it.
pub(super) fn is_no_place_for_store(settings: &Settings) -> bool {
    let has_demo = || demo::is_demo(&demo::settings(settings.clone()));
    is_without_store(settings) && (!settings.data_dir.is_dir() || has_demo())
}

/// Why there is neither a server to talk to nor a store to open.
pub(super) fn no_store(settings: &Settings) -> Failure {
    if let Some(missing) = missing_database(&settings.data_dir, &settings.database) {
        return Failure::told(&missing);
    }
    only_a_demo(settings).unwrap_or_else(|| {
        let folder = settings.data_dir.display();
        let missing = match settings.data_dir.is_dir() {
            true => format!("there is no store in {folder}"),
            false => format!("there is no data directory {folder}"),
        };
        Failure::new(format!(
            "no server answers at {}, and {missing}: start `simdeck serve`, or name the right one \
             with --internal-url or --data-dir",
            settings.internal_url(),
        ))
    })
}

fn only_a_demo(settings: &Settings) -> Option<Failure> {
    let demo = demo::running_alone(settings)?;
    Some(Failure::new(format!(
        "only a demo runs here: ask it with --data-dir {}, or start `simdeck serve`",
        demo.data_dir.display()
    )))
}

/// Why there is no server to talk to.
pub(super) fn none(settings: &Settings) -> Failure {
    only_a_demo(settings).unwrap_or_else(|| no_server(settings))
}

fn no_server(settings: &Settings) -> Failure {
    Failure::new(format!(
        "no server runs on the data directory {}: start `simdeck serve`, choose another with \
         --data-dir, or name the server with --internal-url and its key with SIMDECK_API_KEY",
        settings.data_dir.display()
    ))
}
