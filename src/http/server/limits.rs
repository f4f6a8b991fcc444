use std::{sync::Arc, time::Duration};

use ipnet::IpNet;
use rustix::process::{Resource, getrlimit};

/// Connections to the public listener at most, where there are descriptors for them. Each may have a
/// header, a piece of a body and a TLS record half come: with twice as many that is more memory than
/// all traffic together may take.
const PUBLIC_MAX: usize = 2048;
/// Connections to the internal listener at most: people and programs inside, not a fleet.
const INTERNAL_MAX: usize = 512;
/// SmartHub's headers are short.
const PUBLIC_HEADER_BYTES_MAX: usize = 8 * 1024;
/// A question may name a hundred texts in its query.
const INTERNAL_HEADER_BYTES_MAX: usize = 64 * 1024;
/// Connections of one source at most.
const PER_SOURCE_MAX: usize = 512;
/// Descriptors that are no connection: the database and its readers, logs, certificates, pipes.
const OTHER_DESCRIPTORS: usize = 128;
/// However few descriptors there are, a listener that takes nobody would be no listener.
const CONNECTIONS_MIN: usize = 16;

/// How many connections one listener takes, and how long each may wait for what.
#[derive(Clone, Debug)]
pub struct ConnectionLimits {
    /// Connections in all; more wait in the kernel's queue.
    pub connections_max: usize,
    /// Connections of one source (an IPv4 address, a /64 of IPv6); more are closed at once.
    pub connections_per_source_max: usize,
    /// Sources that are not counted by source: proxies, behind which everybody stands.
    pub exempt_sources: Arc<[IpNet]>,
    /// From the first byte to the end of a TLS handshake; a slower one is closed.
    pub tls_time_max: Duration,
    /// From a request's first byte to the end of its header; a slower one is closed unanswered.
    pub header_time_max: Duration,
    /// A request's header at most. A larger one is answered 431.
    pub header_bytes_max: usize,
    /// How long a connection may rest before its first request and between two.
    pub idle_time_max: Duration,
    /// How long it may wait for its client in any case, at rest or in a header. Beyond that it is
    /// closed when every place is taken, another waits for one, and it has waited longest of all; one
    /// of a source that has many already after a twentieth of it. A proxy's is not.
    pub crowded_rest_min: Duration,
    /// How long an answer may still take after the client has said that it will send no more. It
    /// may have left for good, which looks the same.
    pub half_closed_time_max: Duration,
    /// How long an answer may wait for a client that does not read.
    pub write_time_max: Duration,
    /// How long a connection at rest is kept for one last request once the server is told to stop:
    /// a proxy may be sending it just now, and would not send it again.
    pub farewell_time: Duration,
    /// How long requests in flight have to end once the server is told to stop.
    pub drain_time_max: Duration,
}

impl ConnectionLimits {
    /// For the listener that the internet reaches. Three quarters of the free descriptors are its.
    pub fn public(exempt_sources: Arc<[IpNet]>) -> Self {
        let connections_max = PUBLIC_MAX.min(free_descriptors() / 4 * 3).max(CONNECTIONS_MIN);
        Self {
            connections_max,
            // With few descriptors one source must still not be able to take them all.
            connections_per_source_max: PER_SOURCE_MAX.min(connections_max / 2),
            exempt_sources,
            tls_time_max: Duration::from_secs(5),
            header_time_max: Duration::from_secs(5),
            header_bytes_max: PUBLIC_HEADER_BYTES_MAX,
            // Proxies and load balancers keep theirs for up to ten minutes. Whoever closes first
            // must be the one that sends, or a push may meet a connection that is being closed.
            idle_time_max: Duration::from_secs(620),
            crowded_rest_min: Duration::from_secs(1),
            // Longer than a body and a commit may take.
            half_closed_time_max: Duration::from_secs(30),
            write_time_max: Duration::from_secs(30),
            farewell_time: Duration::from_millis(100),
            drain_time_max: Duration::from_secs(10),
        }
    }

    /// For the listener inside, where one address may stand for many: a large share for each.
    pub fn internal() -> Self {
        let connections_max = INTERNAL_MAX.min(free_descriptors() / 4).max(CONNECTIONS_MIN);
        Self {
            connections_max,
            connections_per_source_max: connections_max / 2,
            // A browser that has left should not keep its stream, nor a long answer its place.
            half_closed_time_max: Duration::from_secs(2),
            header_bytes_max: INTERNAL_HEADER_BYTES_MAX,
            farewell_time: Duration::ZERO,
            // Pushes are taken until all here have ended, and none must wait for a slow reader.
            drain_time_max: Duration::from_secs(1),
            ..Self::public(Arc::new([]))
        }
    }
}

fn free_descriptors() -> usize {
    let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(most).unwrap_or(usize::MAX).saturating_sub(OTHER_DESCRIPTORS)
}
