use std::{fmt, str::FromStr};

use reqwest::Url;

use crate::domain::Secret;

/// Who we are to RCMS, where it is, and how it wants to be asked.
#[derive(Clone, Debug)]
pub struct Account {
    /// Where RCMS is.
    pub endpoint: Endpoint,
    /// Our id; it travels openly with each request.
    pub client_id: ClientId,
    /// What we sign with; it never travels.
    pub client_secret: Secret,
    /// The variant of the signature.
    pub variant: SigningVariant,
}

/// The base address of RCMS, such as `https://rcms-cloud.robustel.net`. A path behind the host goes
/// on the wire and is not signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Without a slash at its end.
    base: String,
    /// Whether it is this very machine, to which no proxy leads.
    pub(super) is_loopback: bool,
    /// Whether certificates are needed.
    pub(super) is_plain: bool,
}

/// An address is no [`Endpoint`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an endpoint is an http:// or https:// address without user, query and fragment")]
pub struct EndpointError;

/// RCMS's name for a customer: visible ASCII, so that it can stand in a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientId(Box<str>);

/// A text is no [`ClientId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a client id has 1 to 256 visible ASCII characters, none of them &, #, %, + or ;")]
pub struct ClientIdError;

/// On what the sources of the protocol disagree. The default is the vendor's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SigningVariant {
    /// What `uniqueCode` is.
    pub unique_code: UniqueCode,
    /// Whether a body is signed.
    pub sign_body: SignBody,
    /// Where the five fixed parameters stand.
    pub parameters_in: ParametersIn,
}

/// What `uniqueCode` is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UniqueCode {
    /// The client id again.
    #[default]
    ClientId,
    /// A random UUID for each request.
    Random,
}

/// Whether a body is signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignBody {
    /// It is not.
    #[default]
    None,
    /// `&` and its compact JSON stand before the secret.
    AmpersandJson,
}

/// Where the five fixed parameters stand. They are signed in either case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ParametersIn {
    /// In the address and in headers.
    #[default]
    QueryAndHeaders,
    /// In headers alone.
    Headers,
}

impl Endpoint {
    /// The address without a slash at its end, so that a path can follow.
    pub fn as_str(&self) -> &str {
        &self.base
    }

    /// The path behind the host, empty where there is none.
    pub(super) fn prefix(&self) -> &str {
        let after_scheme = self.base.find("://").map_or(0, |at| at + 3);
        let path = self.base[after_scheme..].find('/').map(|at| after_scheme + at);
        path.map_or("", |at| &self.base[at..])
    }
}

impl Endpoint {
    /// What to say where nothing is found, if the endpoint ends as each path begins.
    pub(super) fn doubled_path(&self) -> &'static str {
        if ["/api", "/api/link"].iter().any(|path| self.prefix().ends_with(path)) {
            "; SIMDECK_RCMS_ENDPOINT ends with /api, as each path of RCMS begins: leave that out"
        } else {
            ""
        }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let url: Url = text.parse().map_err(|_| EndpointError)?;
        let is_plain = match url.scheme() {
            "http" => true,
            "https" => false,
            _ => return Err(EndpointError),
        };
        let is_bare = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        let host = url.host_str().filter(|_| is_bare).ok_or(EndpointError)?;
        let ip = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        let is_loopback = host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback());
        let base = url.as_str().trim_end_matches('/').to_owned();
        Ok(Self { base, is_loopback, is_plain })
    }
}

impl ClientId {
    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClientId {
    type Err = ClientIdError;

    /// It stands in the signed query, so it is bound to what any value there is bound to.
    fn from_str(text: &str) -> Result<Self, ClientIdError> {
        let fits = |byte: u8| byte.is_ascii_graphic() && !b"&#%+;".contains(&byte);
        if (1..=256).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Self(text.into()))
        } else {
            Err(ClientIdError)
        }
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
