use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::{Failure, settings::Settings};
use crate::http::server::bind;

/// The sockets of a server that listens and is not yet run.
pub(super) struct Listeners {
    /// None in a demo, which nobody pushes to.
    pub(super) public: Option<TcpListener>,
    pub(super) internal: TcpListener,
}

impl Listeners {
    /// Takes the addresses.
    pub(super) async fn open(settings: &Settings, is_demo: bool) -> Result<Self, Failure> {
        let listener = async |address, name: &str| {
            bind(address).await.map_err(Failure::because(format!(
                "cannot listen on {address}; is something else there? choose another with {name}"
            )))
        };
        let public = match is_demo {
            true => None,
            false => Some(listener(settings.public.listen, "SIMDECK_PUBLIC_LISTEN").await?),
        };
        let internal = listener(settings.internal.listen, "SIMDECK_INTERNAL_LISTEN").await?;
        Ok(Self { public, internal })
    }

    /// Where the public one is, and where the internal one.
    pub(super) fn addresses(&self) -> Result<(Option<SocketAddr>, SocketAddr), Failure> {
        let address = |listener: &TcpListener| {
            listener.local_addr().map_err(Failure::because("cannot listen"))
        };
        Ok((self.public.as_ref().map(address).transpose()?, address(&self.internal)?))
    }
}
