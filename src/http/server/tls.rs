//! TLS on a listener: one certificate, which may be renewed while connections are open.
use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, CertificateError, InconsistentKeys, RootCertStore, ServerConfig,
        client::verify_server_cert_signed_by_trust_anchor,
        crypto::{CryptoProvider, aws_lc_rs},
        pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem, pem::PemObject},
        server::{ClientHello, ParsedCertificate, ResolvesServerCert},
        sign::CertifiedKey,
    },
};

use crate::domain::Timestamp;

/// What connections are encrypted with. Clones share one certificate.
#[derive(Clone)]
pub struct Tls {
    files: Arc<TlsFiles>,
    current: Arc<Current>,
    acceptor: TlsAcceptor,
}

/// A certificate with its chain, and the key that fits it, both PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate and those between it and the authority.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not there or may not be read.
    #[error("{} cannot be read", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is no PEM, or not yet written to its end.
    #[error("{} holds no whole PEM section of the kind it should", path.display())]
    Pem {
        /// Which.
        path: PathBuf,
        /// Whether it looks as if the rest were still to be written.
        is_cut: bool,
        /// Why.
        source: pem::Error,
    },
    /// Each file is well, and they do not belong together.
    #[error("the key in {} is not that of the certificate in {}", .0.key.display(), .0.certificate.display())]
    Torn(TlsFiles),
    /// The certificate or the key is of a kind that nobody here understands.
    #[error("the certificate in {} or its key cannot be used", files.certificate.display())]
    Unusable {
        /// Both files.
        files: TlsFiles,
        /// Why.
        source: rustls::Error,
    },
}

/// A certificate that no client accepts at this time. It is shown all the same: a wrong clock must not
/// keep a server from starting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutOfDate {
    path: PathBuf,
    state: &'static str,
    at: Timestamp,
}

impl fmt::Display for OutOfDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, state, at } = self;
        let path = path.display();
        write!(f, "the certificate in {path} {state} {at}: renew it, or correct the clock")
    }
}

impl Tls {
    /// Reads a certificate and its key.
    pub fn open(files: TlsFiles) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let current = Arc::new(Current(RwLock::new(Arc::new(files.read(&provider)?))));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|source| TlsError::Unusable { files: files.clone(), source })?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec(), b"http/1.0".to_vec()];
        Ok(Self { files: Arc::new(files), current, acceptor: Arc::new(config).into() })
    }

    /// Reads both files again. New connections have what they hold, if they hold a pair that fits;
    /// if not, what they held before. Open connections notice nothing.
    pub fn reload(&self) -> Result<(), TlsError> {
        let renewed = self.files.read(self.acceptor.config().crypto_provider())?;
        *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(renewed);
        Ok(())
    }

    /// What is wrong with the certificate's span of time at this moment.
    pub fn out_of_date(&self, now: Timestamp) -> Option<OutOfDate> {
        let pair = self.current.pair();
        let certificate = ParsedCertificate::try_from(pair.end_entity_cert().ok()?).ok()?;
        let now_s = u64::try_from(now.unix_seconds()).unwrap_or_default();
        let algorithms = self.acceptor.config().crypto_provider().signature_verification_algorithms;
        // The span is looked at before the issuer is, and nobody is trusted here.
        let judged = verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &RootCertStore::empty(),
            &[],
            UnixTime::since_unix_epoch(Duration::from_secs(now_s)),
            algorithms.all,
        );
        let (state, at) = match judged {
            Err(rustls::Error::InvalidCertificate(CertificateError::ExpiredContext {
                not_after,
                ..
            })) => ("expired at", not_after),
            Err(rustls::Error::InvalidCertificate(CertificateError::NotValidYetContext {
                not_before,
                ..
            })) => ("is not valid before", not_before),
            _ => return None,
        };
        let at_ms = i64::try_from(at.as_secs()).unwrap_or(i64::MAX).saturating_mul(1000);
        let (path, at) = (self.files.certificate.clone(), Timestamp::from_unix_ms(at_ms));
        Some(OutOfDate { path, state, at })
    }

    pub(super) fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }
}

impl TlsFiles {
    /// A pair.
    pub fn of(certificate: &Path, key: &Path) -> Self {
        Self { certificate: certificate.to_owned(), key: key.to_owned() }
    }

    fn read(&self, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
        let text = read(&self.certificate)?;
        let chain = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
        let chain = match chain {
            Ok(chain) if chain.is_empty() => Err(pem::Error::NoItemsFound),
            chain => chain,
        };
        let chain = chain.map_err(|source| TlsError::of_pem(&self.certificate, &text, source))?;
        let text = read(&self.key)?;
        let key = PrivateKeyDer::from_pem_slice(&text)
            .map_err(|source| TlsError::of_pem(&self.key, &text, source))?;
        CertifiedKey::from_der(chain, key, provider).map_err(|source| match source {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                TlsError::Torn(self.clone())
            }
            source => TlsError::Unusable { files: self.clone(), source },
        })
    }
}

impl TlsError {
    fn of_pem(path: &Path, text: &[u8], source: pem::Error) -> Self {
        Self::Pem { path: path.to_owned(), is_cut: looks_cut(text), source }
    }
}

/// Whether a file holds nothing yet, or the beginning of a section and not its end.
fn looks_cut(text: &[u8]) -> bool {
    const BEGIN: &[u8] = b"-----BEGIN";
    let text = text.trim_ascii();
    let last = text.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let is_whole = last.starts_with(b"-----END") && last.ends_with(b"-----");
    BEGIN.starts_with(text) || text.windows(BEGIN.len()).any(|at| at == BEGIN) && !is_whole
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::File { path: path.to_owned(), source })
}

/// The certificate in force, whatever name the client asks for.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl Current {
    fn pair(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.pair())
    }
}
