//! A client of the product, for the stand-in's account.
use std::{sync::Arc, time::Duration};

use simdeck::{
    domain::{Clock, FixedClock, Secret, SystemClock, Timestamp},
    rcms::{Account, Client, ClientOptions, Method, Refusal, Request, SigningVariant},
};

use super::stand_in::{CLIENT_ID, CLIENT_SECRET, StandIn};

/// Longer than any answer takes that is meant to come; short enough for those that are not.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn account(endpoint: &str) -> Account {
    Account {
        endpoint: endpoint.parse().unwrap(),
        client_id: CLIENT_ID.parse().unwrap(),
        client_secret: Secret::from(CLIENT_SECRET.to_owned()),
        variant: SigningVariant::default(),
    }
}

/// One that asks once.
pub(super) fn client(rcms: &StandIn) -> Client {
    client_of(account(&rcms.url()), Arc::new(SystemClock), 0)
}

/// One that asks again, so often, what may pass.
pub(super) fn patient_client(rcms: &StandIn, retries: usize) -> Client {
    client_of(account(&rcms.url()), Arc::new(SystemClock), retries)
}

pub(super) fn client_at(account: Account, ms: i64) -> Client {
    client_of(account, Arc::new(FixedClock(Timestamp::from_unix_ms(ms))), 0)
}

fn client_of(account: Account, clock: Arc<dyn Clock>, retries: usize) -> Client {
    Client::new(
        account,
        ClientOptions { clock, total_time_max: PATIENCE, retries, authorities: None },
    )
    .unwrap()
}

/// A request with these parameters.
pub(super) fn request<'a>(
    method: &str,
    path: &str,
    query: impl IntoIterator<Item = (&'a str, String)>,
) -> Result<Request, Refusal> {
    let request = Request::new(method.parse::<Method>().unwrap(), path);
    query.into_iter().try_fold(request?, |request, (key, value)| request.with(key, value))
}
