use std::process::ExitCode;

use clap::{Args, builder::NonEmptyStringValueParser};
use serde_json::json;

use super::{
    Failure, keys,
    output::{self, Output},
    settings::Settings,
    signed::{Proof, Unsigned, date_text, read_text},
};
use crate::{
    domain::{Clock, SystemClock},
    smarthub::{date_push, signature},
};

/// What to sign.
#[derive(Args, Debug)]
pub(super) struct Sign {
    /// The push key; the first of the settings if not given
    #[arg(long, value_name = "KEY", value_parser = NonEmptyStringValueParser::new())]
    key: Option<String>,
    /// datePush in any form that a push may have; now if not given
    #[arg(long, value_name = "TIME")]
    date_push: Option<String>,
    /// Put the signature into this body, - for standard input, and write that
    #[arg(long, value_name = "FILE")]
    body: Option<String>,
}

/// Runs it.
pub(super) fn run(sign: &Sign, settings: &Settings, output: Output) -> Result<ExitCode, Failure> {
    let keys = keys::push_keys_given(settings, sign.key.as_slice())?;
    let Some(key) = keys.first().map(|key| key.key.expose()) else {
        return Err(Failure::new("no push key is set: give --key"));
    };
    let shift_s = settings.push.date_shift_s;
    let date_push = match &sign.date_push {
        Some(text) => text.clone(),
        None => date_text(SystemClock.now().unix_seconds() - shift_s),
    };
    let Some(hashed_s) = date_push::parse_text(&date_push)
        .and_then(|seconds| date_push::in_range(seconds + shift_s))
    else {
        return Err(Failure::new(format!(
            "--date-push must be a time such as 2024-09-05T01:30:48+0000, or seconds or \
             milliseconds since 1970, not `{date_push}`"
        )));
    };
    if let Some(path) = &sign.body {
        let unsigned = Unsigned::parse(&read_text(path)?)?;
        output::text(&unsigned.with(&Proof::new(key, &date_push, hashed_s)))?;
        return Ok(ExitCode::SUCCESS);
    }
    let signature = signature::sign(key, hashed_s);
    let people = format!(
        "datePush       {date_push}\nepoch seconds  {hashed_s}\nsignature      {signature}"
    );
    let json = json!({"datePush": date_push, "epoch_seconds": hashed_s, "signature": signature});
    output.text(&people, &json)?;
    Ok(ExitCode::SUCCESS)
}
