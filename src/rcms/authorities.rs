use reqwest::Certificate;

/// The authorities of which RCMS's certificate has to be, instead of the public ones.
#[derive(Clone, Debug)]
pub struct Authorities(pub(super) Vec<Certificate>);

/// A text holds no [`Authorities`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it should hold certificates in PEM, each one that an authority may have")]
pub struct AuthoritiesError;

impl Authorities {
    /// Reads them; each of them has to be one.
    pub fn from_pem(text: &[u8]) -> Result<Self, AuthoritiesError> {
        let certificates = Certificate::from_pem_bundle(text).map_err(|_| AuthoritiesError)?;
        if certificates.is_empty() {
            return Err(AuthoritiesError);
        }
        // Only who puts them to use looks into them.
        let trial = reqwest::Client::builder().tls_certs_only(certificates.clone()).build();
        trial.map(|_| Self(certificates)).map_err(|_| AuthoritiesError)
    }
}
