//! `rcms forget`: done by the running server, or under the instance lock.
use std::process::ExitCode;

use reqwest::Method;
use serde_json::json;

use crate::{
    cli::{Failure, client::ApiClient, output::Output, settings::Settings},
    domain::SerialNumber,
};

/// Forgets one that is gone.
pub(super) async fn run(
    sn: &SerialNumber,
    settings: &Settings,
    output: Output,
) -> Result<ExitCode, Failure> {
    let api = ApiClient::connect(settings).await?;
    api.send(Method::DELETE, &format!("/v1/devices/{sn}"), &[], None).await?;
    let mut people = format!("Router {sn} and its history are forgotten.");
    if settings.rcms.devices.contains(sn) {
        people +=
            "\nSIMDECK_RCMS_DEVICES names it: take it out there, or RCMS is asked for it again.";
    }
    output.text(&people, &json!({"sn": sn.as_str(), "forgotten": true}))?;
    Ok(ExitCode::SUCCESS)
}
