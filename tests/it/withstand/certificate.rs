//! TLS on the public listener, and a certificate that is renewed while it runs.
use std::{fs, path::PathBuf, process::Command, time::Instant};

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustix::process::{Signal, kill_process};
use simdeck::http::server::{Tls, TlsFiles};
use tempfile::TempDir;
use tokio_rustls::rustls::pki_types::CertificateDer;

use super::line::{Line, NAME, connector, connector_for};
use crate::server::{Simdeck, refused_start, signed, usage};

const SIM: &str = "8944501503181377993";

/// Made once; renewed in place, as a certificate's keeper does.
pub(crate) struct Pair {
    pub(super) der: CertificateDer<'static>,
    certificate: String,
    key: String,
}

impl Pair {
    pub(crate) fn new() -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed([NAME.to_owned()]).unwrap();
        let (certificate, key) = (cert.pem(), KeyPair::serialize_pem(&signing_key));
        Self { der: cert.der().clone(), certificate, key }
    }
}

/// A folder with a certificate and its key.
pub(crate) struct Files(pub(super) TempDir);

impl Files {
    pub(crate) fn of(pair: &Pair) -> Self {
        let files = Self(TempDir::new().unwrap());
        files.write(pair);
        files
    }

    pub(crate) fn certificate(&self) -> PathBuf {
        self.0.path().join("fullchain.pem")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.0.path().join("privkey.pem")
    }

    /// One after the other, in place: between the two they do not fit.
    pub(super) fn write(&self, pair: &Pair) {
        fs::write(self.certificate(), &pair.certificate).unwrap();
        fs::write(self.key(), &pair.key).unwrap();
    }

    pub(super) fn settings(&self) -> [(&'static str, String); 2] {
        [
            ("SIMDECK_PUBLIC_TLS_CERT", self.certificate().to_str().unwrap().to_owned()),
            ("SIMDECK_PUBLIC_TLS_KEY", self.key().to_str().unwrap().to_owned()),
        ]
    }

    fn start(&self) -> Simdeck {
        let settings = self.settings();
        Simdeck::start(&settings.each_ref().map(|(name, value)| (*name, value.as_str())))
    }
}

/// Whether a new connection is shown this certificate.
async fn shows(simdeck: &Simdeck, pair: &Pair) -> bool {
    let trusted = connector(std::slice::from_ref(&pair.der));
    Line::encrypted(simdeck.public(), &trusted).await.is_ok()
}

#[tokio::test]
async fn a_push_over_tls_is_stored_and_one_in_the_clear_is_not_answered() {
    let pair = Pair::new();
    let files = Files::of(&pair);
    let simdeck = files.start();
    let trusted = connector(std::slice::from_ref(&pair.der));
    let mut line = Line::encrypted(simdeck.public(), &trusted).await.unwrap();
    for expected in [r#"{"stored":1,"#, r#"{"stored":0,"duplicates":1"#] {
        let answer = line.push("/v1/data-usage", &signed(&usage(SIM))).await.unwrap();
        assert_eq!(answer.status, 200);
        assert!(answer.body.starts_with(expected), "{}", answer.body);
    }
    let mut clear = Line::to(simdeck.public()).await.unwrap();
    let sent = clear.push("/v1/data-usage", &signed(&usage("8944501503181377994"))).await;
    assert!(sent.is_err(), "{sent:?}");
    assert_eq!(simdeck.rows("/v1/data-usage").await.len(), 1);
    // Our own ways in go the same way.
    let tested = simdeck.ask(reqwest::Method::POST, "/v1/test-push").await;
    assert_eq!((tested.0, &tested.1["status"]), (200, &200.into()), "{}", tested.1);
    let settings = files.settings();
    let healthy = Command::new(env!("CARGO_BIN_EXE_simdeck"))
        .args(["healthcheck", "--public-listen", simdeck.public()])
        .current_dir(files.0.path())
        .envs(settings)
        .output()
        .unwrap();
    assert!(healthy.status.success(), "{}", String::from_utf8_lossy(&healthy.stderr));
    simdeck.end();
}

#[tokio::test]
async fn a_client_that_speaks_only_http_1_0_is_let_in() {
    let pair = Pair::new();
    let files = Files::of(&pair);
    let simdeck = files.start();
    let trusted = std::slice::from_ref(&pair.der);
    for (protocols, is_let_in) in
        [(&["http/1.0"][..], true), (&["h2", "http/1.1"], true), (&[], true), (&["h2"], false)]
    {
        let line = Line::encrypted(simdeck.public(), &connector_for(trusted, protocols)).await;
        assert_eq!(line.is_ok(), is_let_in, "{protocols:?}");
    }
    simdeck.end();
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_and_a_torn_pair_keeps_the_old_one_and_says_so() {
    let (first, second, third) = (Pair::new(), Pair::new(), Pair::new());
    let files = Files::of(&first);
    let mut simdeck = files.start();
    let trusted = connector(std::slice::from_ref(&first.der));
    let mut open = Line::encrypted(simdeck.public(), &trusted).await.unwrap();
    assert!(shows(&simdeck, &first).await && !shows(&simdeck, &second).await);

    files.write(&second);
    simdeck.wait_for("Read the certificate again");
    assert!(shows(&simdeck, &second).await && !shows(&simdeck, &first).await);

    // What a keeper that is stopped in between leaves behind, and what is half written.
    let torn = [
        ("is not that of the certificate", third.certificate.clone(), second.key.clone()),
        ("no whole PEM", third.certificate.clone(), third.key[..90].to_owned()),
        ("no whole PEM", third.certificate[..200].to_owned(), third.key.clone()),
        ("no whole PEM", String::new(), third.key.clone()),
    ];
    for (said, certificate, key) in torn {
        fs::write(files.certificate(), certificate).unwrap();
        fs::write(files.key(), key).unwrap();
        kill_process(simdeck.pid(), Signal::HUP).unwrap();
        simdeck.wait_for(said);
        assert!(shows(&simdeck, &second).await, "{said}");
    }
    files.write(&second);
    fs::remove_file(files.key()).unwrap();
    simdeck.wait_for("privkey.pem cannot be read");
    assert!(shows(&simdeck, &second).await);

    files.write(&third);
    kill_process(simdeck.pid(), Signal::HUP).unwrap();
    simdeck.wait_for("Read keys, tokens and certificate again, as asked");
    assert!(shows(&simdeck, &third).await);
    // A connection of old notices nothing.
    let answer = open.push("/v1/data-usage", &signed(&usage(SIM))).await.unwrap();
    assert_eq!(answer.status, 200);
    simdeck.end();
}

#[test]
fn a_certificate_that_cannot_be_used_ends_the_start_with_a_sentence() {
    let (pair, other) = (Pair::new(), Pair::new());
    let files = Files::of(&pair);
    let settings = files.settings();
    let both = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
    fs::write(files.key(), &other.key).unwrap();
    let folder = TempDir::new().unwrap();
    let said = refused_start(folder.path(), &both);
    assert!(said.contains("privkey.pem is not that of the certificate in"), "{said}");
    fs::remove_file(files.certificate()).unwrap();
    let said = refused_start(folder.path(), &both);
    assert!(said.contains("fullchain.pem cannot be read"), "{said}");
    let said = refused_start(folder.path(), &both[..1]);
    assert!(said.contains("belong together: set both or neither"), "{said}");
}

#[test]
fn key_and_certificate_are_checked_before_either_is_used() {
    let (pair, other) = (Pair::new(), Pair::new());
    let files = Files::of(&pair);
    let tls = Tls::open(TlsFiles { certificate: files.certificate(), key: files.key() }).unwrap();
    assert!(tls.reload().is_ok());
    fs::write(files.key(), &other.key).unwrap();
    assert!(tls.reload().unwrap_err().to_string().contains("is not that of"));
    files.write(&other);
    assert!(tls.reload().is_ok());
}

#[tokio::test]
async fn a_handshake_has_five_seconds_and_holds_up_no_end() {
    let pair = Pair::new();
    let files = Files::of(&pair);
    let simdeck = files.start();
    let began = Instant::now();
    let mut silent = Line::to(simdeck.public()).await.unwrap();
    let mut half = Line::to(simdeck.public()).await.unwrap();
    // A record of a handshake that announces 512 bytes.
    half.send([0x16, 0x03, 0x01, 0x02, 0x00, 0x01]).await.unwrap();
    assert_eq!((silent.rest().await, half.rest().await), (String::new(), String::new()));
    let took = began.elapsed();
    assert!((4..10).contains(&took.as_secs()), "{took:?}");
    let mut at_it = Line::to(simdeck.public()).await.unwrap();
    at_it.send([0x16, 0x03, 0x01]).await.unwrap();
    // The server has it: whoever came later has been served.
    assert!(shows(&simdeck, &pair).await);
    let began = Instant::now();
    simdeck.end();
    assert!(began.elapsed().as_secs() < 4, "it waited for a handshake");
    drop(at_it);
}
