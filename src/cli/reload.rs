//! What is renewed while the server runs: certificates, push keys, path tokens, the admin's API key, and
//! by what we are known to RCMS. Nothing else is.
//!
//! They are read again when SIGHUP comes, and when one of their files has changed: the files are
//! looked at, not watched, since a file in a container may be replaced in ways that tell nobody.
use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use sha2::{Digest, Sha256};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    task::spawn_blocking,
    time::interval,
};
use tokio_util::sync::CancellationToken;

use super::{
    Failure, keys,
    made::{self, Secrets},
    recorded,
    settings::{Settings, SettingsError, Source},
    systemd,
    told::ListenerTls,
};
use crate::{
    domain::{AuditOutcome, Secret},
    http::{LiveAdminKey, PathTokens, digest_of},
    intake::Intake,
    rcms::{Client, ClientId},
    smarthub::signature::{PushKey, Verifier},
};

/// How often the files are looked at. A change is taken once it has stood for two looks: whoever
/// writes it is then done.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The settings that are renewed.
const RENEWED: [&str; 3] = ["push.key", "public.path_token", "api.key"];

/// The same, where RCMS is asked since the start.
const RENEWED_OF_RCMS: [&str; 2] = ["rcms.client_id", "rcms.client_secret"];

/// Reads all settings again, as at the start.
pub(super) type Reread = Box<dyn Fn() -> Result<Settings, SettingsError> + Send + Sync>;

/// What lets pushes and the admin in.
#[derive(Clone, Debug)]
pub(super) struct Credentials {
    pub(super) push_keys: Vec<PushKey>,
    pub(super) path_tokens: Vec<Secret>,
    api_key: Secret,
    /// By what we are known to RCMS, where we are.
    pub(super) rcms: Option<(ClientId, Secret)>,
}

/// Where renewed credentials and certificates go.
pub(super) struct Renewing {
    pub(super) intake: Intake,
    pub(super) admin_key: LiveAdminKey,
    pub(super) tls: ListenerTls,
    /// Asks RCMS, where it is set up.
    pub(super) rcms: Option<Client>,
}

/// Renews what can be.
pub(super) struct Reload {
    reread: Reread,
    /// As they were read last.
    settings: Settings,
    renewing: Renewing,
    hangup: Signal,
    secret_files: Files,
    tls_files: Files,
    /// For the public listener.
    pub(super) path_tokens: PathTokens,
    /// For whoever pushes.
    pub(super) credentials: watch::Sender<Credentials>,
}

/// Ready before anything is read: a signal that comes earlier would end the process.
pub(super) fn hangup() -> Result<Signal, Failure> {
    signal(SignalKind::hangup()).map_err(Failure::because("cannot listen for signals"))
}

impl Reload {
    /// `secrets` are those in force, which the settings may leave to the data directory.
    pub(super) fn new(
        reread: Reread,
        settings: &Settings,
        secrets: &Secrets,
        renewing: Renewing,
        hangup: Signal,
    ) -> Self {
        let path_tokens = settings.public.path_tokens.clone();
        let (public, internal) = (&settings.public, &settings.internal);
        let tls_paths = [&public.tls_cert, &public.tls_key, &internal.tls_cert, &internal.tls_key];
        let credentials = Credentials {
            push_keys: secrets.push_keys.clone(),
            path_tokens: path_tokens.clone(),
            api_key: secrets.api_key.clone(),
            rcms: of_rcms(settings),
        };
        Self {
            reread,
            renewing,
            hangup,
            secret_files: Files::new(secret_paths(settings)),
            tls_files: Files::new(tls_paths.into_iter().flatten().cloned().collect()),
            path_tokens: PathTokens::from(path_tokens.as_slice()),
            credentials: watch::Sender::new(credentials),
            settings: settings.clone(),
        }
    }

    pub(super) async fn run(mut self, stop: CancellationToken) {
        let renewing = async {
            let mut look = interval(LOOK_EVERY);
            loop {
                tokio::select! {
                    Some(()) = self.hangup.recv() => self.renew_all(),
                    _ = look.tick() => self.look().await,
                }
            }
        };
        stop.run_until_cancelled(renewing).await;
    }

    fn renew_all(&mut self) {
        systemd::reloading();
        self.secret_files.take();
        let is_other_certificate = self.tls_files.take();
        self.renew_credentials();
        self.renew_certificate(is_other_certificate);
        tracing::info!("Read keys, tokens and certificate again, as asked");
        systemd::reloaded();
    }

    async fn look(&mut self) {
        if self.secret_files.have_changed().await {
            self.renew_credentials();
        }
        if self.tls_files.have_changed().await {
            self.renew_certificate(true);
        }
    }

    fn renew_certificate(&self, is_other: bool) {
        for tls in self.renewing.tls.pairs() {
            match tls.reload() {
                Ok(()) => {
                    tracing::info!("Read the certificate again");
                    if is_other {
                        self.record(AuditOutcome::Done, "certificate replaced");
                    }
                }
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn Error,
                        "Kept the certificate that was in force: the files hold no pair that fits"
                    );
                    self.record(AuditOutcome::Failed, "certificate kept: no pair that fits");
                }
            }
        }
    }

    fn record(&self, outcome: AuditOutcome, details: &str) {
        recorded::reload(&self.renewing.intake, outcome, details);
    }

    fn renew_credentials(&mut self) {
        let fresh = match (self.reread)() {
            Ok(fresh) => fresh,
            Err(error) => {
                let failure = Failure::from(error);
                tracing::error!(%failure, "Kept the push keys, path tokens and API key that were in force");
                self.record(
                    AuditOutcome::Failed,
                    "keys and tokens kept: the settings have a fault",
                );
                return;
            }
        };
        self.tell_what_waits(&fresh);
        // As a start would.
        for warning in fresh.warnings.iter().filter(|it| !self.settings.warnings.contains(it)) {
            tracing::warn!("{warning}");
        }
        self.secret_files.follow(secret_paths(&fresh));
        let before = self.credentials.borrow().clone();
        let mut now = before.clone();
        // Without any the door would be shut, or open to everybody: not while we run.
        if let Ok(push_keys) = keys::push_keys(&fresh) {
            now.push_keys = push_keys;
        }
        if let Ok(api_key) = keys::api_key(&fresh) {
            // As a start would.
            match made::refuse_short(&api_key) {
                Ok(()) => now.api_key = api_key,
                Err(failure) => {
                    tracing::error!(%failure, "Kept the API key that was in force");
                    self.record(AuditOutcome::Failed, "API key kept: the new one is too short");
                }
            }
        }
        if !fresh.public.path_tokens.is_empty() {
            now.path_tokens.clone_from(&fresh.public.path_tokens);
        }
        self.renew_account(&fresh, &mut now);
        if now.exposed() != before.exposed() {
            tracing::info!(
                push.keys = now.push_keys.len(),
                path.tokens = now.path_tokens.len(),
                api.key = now.api_key.expose() != before.api_key.expose(),
                "Renewed the push keys, path tokens and API key"
            );
        }
        if !now.is(&before) {
            self.put_in_force(&before, now);
        }
        self.settings.in_force = fresh.in_force;
        self.settings.warnings = fresh.warnings;
    }

    /// Takes up another id or secret of RCMS. A server that does not ask it yet begins at the next start.
    fn renew_account(&self, fresh: &Settings, now: &mut Credentials) {
        let (Some(client), Some(account)) = (&self.renewing.rcms, of_rcms(fresh)) else { return };
        let renewed = Credentials { rcms: Some(account.clone()), ..now.clone() };
        if !renewed.is(now) {
            *now = renewed;
            client.renew(account.0, account.1);
            tracing::info!("Renewed the client id and secret of RCMS");
        }
    }

    fn put_in_force(&self, before: &Credentials, now: Credentials) {
        self.record(AuditOutcome::Done, &recorded::changes(before, &now));
        recorded::renewed(&self.renewing.intake, &now);
        let date_shift_s = self.settings.push.date_shift_s;
        self.renewing.intake.set_verifier(Verifier::new(&now.push_keys, date_shift_s));
        self.path_tokens.replace(&now.path_tokens);
        self.renewing.admin_key.replace(digest_of(now.api_key.expose()));
        self.credentials.send_replace(now);
    }

    /// A changed setting that is not renewed must not look as if it were in force.
    fn tell_what_waits(&self, fresh: &Settings) {
        let values = |settings: &Settings| -> BTreeMap<String, Option<String>> {
            let lines = settings.in_force.iter();
            lines.map(|line| (line.setting.name(), line.value.clone())).collect()
        };
        let before = values(&self.settings);
        let renews_rcms = self.renewing.rcms.is_some() && of_rcms(fresh).is_some();
        let is_renewed = |name: &str| {
            RENEWED.contains(&name) || (renews_rcms && RENEWED_OF_RCMS.contains(&name))
        };
        for (name, value) in values(fresh) {
            if !is_renewed(&name) && before.get(&name) != Some(&value) {
                tracing::warn!(setting = name, "A changed setting takes effect at the next start");
            }
        }
    }
}

impl Credentials {
    fn is(&self, other: &Self) -> bool {
        self.exposed() == other.exposed()
            && self.exposed_of_rcms() == other.exposed_of_rcms()
            && self.rcms.as_ref().map(|(id, _)| id) == other.rcms.as_ref().map(|(id, _)| id)
    }

    /// The secret by which we are known to RCMS, if we are.
    pub(super) fn exposed_of_rcms(&self) -> Vec<(Option<&str>, &str)> {
        self.rcms.iter().map(|(_, secret)| (None, secret.expose())).collect()
    }

    pub(super) fn exposed(&self) -> [Vec<(Option<&str>, &str)>; 3] {
        let keys = self.push_keys.iter().map(|key| (key.label.as_deref(), key.key.expose()));
        let tokens = self.path_tokens.iter().map(|token| (None, token.expose()));
        [keys.collect(), tokens.collect(), vec![(None, self.api_key.expose())]]
    }
}

/// Files that are looked at together.
struct Files {
    paths: Vec<PathBuf>,
    /// What they held when they were taken last, and at the last look.
    taken: [u8; 32],
    seen: [u8; 32],
}

impl Files {
    fn new(paths: Vec<PathBuf>) -> Self {
        let taken = print_of(&paths);
        Self { paths, taken, seen: taken }
    }

    /// Looks at others from now on, which have just been read.
    fn follow(&mut self, paths: Vec<PathBuf>) {
        if self.paths != paths {
            *self = Self::new(paths);
        }
    }

    /// What they hold now is being read for another reason; says whether it is something else.
    fn take(&mut self) -> bool {
        let before = self.taken;
        *self = Self::new(std::mem::take(&mut self.paths));
        self.taken != before
    }

    /// Whether they hold something else than before, and have done so for two looks.
    async fn have_changed(&mut self) -> bool {
        if self.paths.is_empty() {
            return false;
        }
        let paths = self.paths.clone();
        // The disk may be away, and with it the answer; nobody else is to wait for it.
        let Ok(now) = spawn_blocking(move || print_of(&paths)).await else { return false };
        let has_settled = now == self.seen;
        self.seen = now;
        if has_settled && now != self.taken {
            self.taken = now;
            return true;
        }
        false
    }
}

fn of_rcms(settings: &Settings) -> Option<(ClientId, Secret)> {
    settings.rcms.account().map(|account| (account.client_id, account.client_secret))
}

/// The files that hold what is renewed.
fn secret_paths(settings: &Settings) -> Vec<PathBuf> {
    let lines = settings.in_force.iter();
    let renewed = lines.filter(|line| {
        let name = line.setting.name();
        RENEWED.iter().chain(&RENEWED_OF_RCMS).any(|it| *it == name)
    });
    let paths = renewed.filter_map(|line| match &line.source {
        Source::SecretFile { path, .. } | Source::File { path, .. } => Some(path.clone()),
        _ => None,
    });
    paths.collect()
}

/// A digest of what the files hold; one that cannot be read holds nothing.
fn print_of(paths: &[impl AsRef<Path>]) -> [u8; 32] {
    let mut print = Sha256::new();
    for path in paths {
        let text = fs::read(path).unwrap_or_default();
        print.update(text.len().to_le_bytes());
        print.update(text);
    }
    print.finalize().into()
}
