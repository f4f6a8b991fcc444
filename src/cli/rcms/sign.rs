use clap::Args;
use serde_json::{Map, Value, json};

use super::raw::{self, Parameter};
use crate::{
    cli::{Failure, output::Output},
    domain::{Clock, SystemClock},
    rcms::{Account, Method, Signed},
};

/// What to sign.
#[derive(Args, Debug)]
pub(in crate::cli) struct Sign {
    /// GET, PUT, POST or DELETE
    method: Method,
    /// The path, without parameters
    path: String,
    /// A parameter, key=value
    #[arg(long, value_name = "KEY=VALUE")]
    query: Vec<Parameter>,
    /// What would be sent, - for standard input
    #[arg(long, value_name = "JSON")]
    body: Option<String>,
    /// The signed time in milliseconds since 1970; now if not given
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(i64).range(0..))]
    timestamp: Option<i64>,
}

/// Shows each step of the signature, the secret as `***`.
pub(super) fn run(sign: &Sign, account: &Account, output: Output) -> Result<(), Failure> {
    let request = raw::request(sign.method, &sign.path, &sign.query, sign.body.as_deref())?;
    let timestamp_ms = sign.timestamp.unwrap_or_else(|| SystemClock.now().unix_ms());
    let signed = account.sign(&request, timestamp_ms);
    let mut headers = signed.headers.to_vec();
    if sign.body.is_some() {
        headers.push(("Content-Type", "application/json".to_owned()));
    }
    output.text(&people(&signed, &headers), &json(&signed, &headers))
}

fn people(signed: &Signed, headers: &[(&str, String)]) -> String {
    let headers: Vec<String> =
        headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    format!(
        "canonical query  {}\nstring to sign   {}\nsignature        {}\nrequest line     {}\n\
         headers          {}",
        signed.canonical_query,
        signed.string_to_sign,
        signed.signature,
        signed.request_line,
        headers.join("\n                 ")
    )
}

fn json(signed: &Signed, headers: &[(&str, String)]) -> Value {
    let headers: Map<String, Value> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_str().into())).collect();
    json!({
        "canonical_query": signed.canonical_query,
        "string_to_sign": signed.string_to_sign,
        "signature": signed.signature,
        "request_line": signed.request_line,
        "headers": headers,
    })
}
