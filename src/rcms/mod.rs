//! RCMS's protocol: how a request is signed and sent, and what an answer says.
//!
//! Robustel RCMS manages routers; we ask it as one of its customers. A [`Request`] can only be made
//! of what survives the way there unchanged, [`Account::sign`] signs it for one moment, [`Client`]
//! sends it and opens the answer's envelope. Reading is lenient: much of RCMS is known from a third
//! party only, and what is unknown stays so.
mod account;
mod answer;
mod authorities;
mod client;
mod clock_there;
mod error;
mod group_name;
mod lasting;
mod packed;
mod request;
mod sample_time;
mod signature;
mod walk;

pub use account::{
    Account, ClientId, ClientIdError, Endpoint, EndpointError, ParametersIn, SignBody,
    SigningVariant, UniqueCode,
};
pub use answer::{DevicePage, StatusPage, read_every_way};
pub use authorities::{Authorities, AuthoritiesError};
pub use client::{Client, ClientError, ClientOptions, RawAnswer, Renewals};
pub use error::RcmsError;
pub use group_name::{GroupName, GroupNameError};
pub use request::{Method, Page, Refusal, Request};
pub use signature::Signed;
pub use walk::{ListWalk, PAGE_SIZE, SampleWalk, smaller_page};
