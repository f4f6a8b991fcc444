use std::str::FromStr;

use serde_json::{Value, value::RawValue};

use crate::{
    cli::{Failure, output, signed::read_text},
    rcms::{Client, Method, Request},
};

/// A parameter as the command line has it.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Parameter {
    key: String,
    value: String,
}

/// A text is no [`Parameter`].
#[derive(Debug, thiserror::Error)]
#[error("a parameter is written key=value")]
pub(in crate::cli) struct ParameterError;

impl FromStr for Parameter {
    type Err = ParameterError;

    fn from_str(text: &str) -> Result<Self, ParameterError> {
        let (key, value) = text.split_once('=').ok_or(ParameterError)?;
        Ok(Self { key: key.to_owned(), value: value.to_owned() })
    }
}

/// A request from the command line's words. The body is JSON, or - for standard input.
pub(super) fn request(
    method: Method,
    path: &str,
    query: &[Parameter],
    body: Option<&str>,
) -> Result<Request, Failure> {
    let mut request = Request::new(method, path)?;
    for Parameter { key, value } in query {
        request = request.with(key, value)?;
    }
    match body {
        None => Ok(request),
        Some("-") => Ok(request.with_body(&json(&read_text("-")?)?)?),
        Some(text) => Ok(request.with_body(&json(text)?)?),
    }
}

/// Sends it and writes the data of the answer as it came, indented.
pub(super) async fn call(client: &Client, request: &Request) -> Result<(), Failure> {
    let data = client.call(request).await?;
    output::json(data.as_deref().unwrap_or(RawValue::NULL))
}

fn json(text: &str) -> Result<Value, Failure> {
    serde_json::from_str(text).map_err(|error| {
        if error.is_eof() {
            return Failure::new("the body is not JSON: it ends too early");
        }
        let (line, column) = (error.line(), error.column());
        Failure::new(format!("the body is not JSON: look at line {line}, column {column}"))
    })
}
