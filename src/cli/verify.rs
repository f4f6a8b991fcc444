use std::process::ExitCode;

use clap::{Args, builder::NonEmptyStringValueParser};
use serde_json::{Value, json};

use super::{
    Failure, keys,
    output::Output,
    settings::Settings,
    signed::{date_text, read_body},
};
use crate::{
    domain::HeldReason,
    smarthub::{
        Body,
        date_push::Reading,
        explain::{self, Finding},
        signature::{PushKey, Verifier},
    },
};

/// What to verify, and with what.
#[derive(Args, Debug)]
pub(super) struct Verify {
    /// The body as it was pushed, - for standard input
    #[arg(default_value = "-")]
    file: String,
    /// A push key to try; those of the settings if not given
    #[arg(long, value_name = "KEY", value_parser = NonEmptyStringValueParser::new())]
    key: Vec<String>,
    /// Try other readings of datePush, other hours and other ways to hash
    #[arg(long)]
    explain: bool,
}

/// Runs it: exit code 0 for a valid body and no other.
pub(super) fn run(
    verify: &Verify,
    settings: &Settings,
    output: Output,
) -> Result<ExitCode, Failure> {
    let keys = keys::push_keys_given(settings, &verify.key)?;
    let body = read_body(&verify.file)?;
    let shift_s = settings.push.date_shift_s;
    match judge(&body, &keys, shift_s) {
        Ok(by) => {
            let reading = reading(&body, shift_s);
            let people = match &reading {
                Some(reading) => format!("valid, by {by}; datePush is read as {reading}"),
                None => format!("valid, by {by}"),
            };
            output.text(&people, &json!({"valid": true, "key": by, "date_push": reading}))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(reason) => {
            let because = in_words(reason);
            let findings = match verify.explain && reason == Some(HeldReason::SignatureWrong) {
                true => explain::explain(&body, &Verifier::new(&keys, shift_s)),
                false => Vec::new(),
            };
            let people = page(because, &findings, verify.explain);
            let findings: Vec<Value> = findings.iter().map(told).collect();
            let reason = reason.map_or("not_json", HeldReason::as_str);
            let json = json!({"valid": false, "reason": reason, "findings": findings});
            output.text(&people, &json)?;
            Ok(ExitCode::FAILURE)
        }
    }
}

/// The name of the key that signed the body, or why none did; no reason where it is no JSON.
fn judge(body: &[u8], keys: &[PushKey], shift_s: i64) -> Result<String, Option<HeldReason>> {
    let verified = |keys: &[PushKey]| {
        let body = Body::parse(body).map_err(|_| None)?;
        body.verify(&Verifier::new(keys, shift_s)).map(drop).map_err(|refusal| Some(refusal.reason))
    };
    let one = (0..keys.len()).find(|nth| verified(&keys[*nth..=*nth]).is_ok());
    match one {
        Some(nth) => Ok(explain::name_of(keys, nth)),
        None => verified(keys).map(|()| "several keys, element by element".to_owned()),
    }
}

/// What the receiver takes the first `datePush` for.
fn reading(body: &[u8], shift_s: i64) -> Option<String> {
    let Reading { seconds, form } = explain::first_reading(body)?;
    let seconds = seconds + shift_s;
    Some(format!("{seconds} ({}), {}", date_text(seconds), form.as_str()))
}

/// With the setting that does it, by its name.
fn told(finding: &Finding) -> Value {
    let setting = finding.date_shift_s.map(|shift_s| json!({"SIMDECK_PUSH_DATE_SHIFT": shift_s}));
    json!({"key": finding.key, "says": finding.says, "setting": setting})
}

fn page(because: &str, findings: &[Finding], asked: bool) -> String {
    let mut page = format!("invalid: {because}");
    for finding in findings {
        page += &format!("\n{}", finding.says);
    }
    if findings.is_empty() && asked {
        page += "\nnothing that was tried matches: the push key is probably another one";
    }
    page
}

fn in_words(reason: Option<HeldReason>) -> &'static str {
    match reason {
        None => "the body is neither a JSON object nor an array of 1 to 10,000 objects",
        Some(HeldReason::SignatureMissing) => "there is no `signature`",
        Some(HeldReason::SignatureUnreadable) => {
            "`signature` is not 64 hex digits, or stands twice"
        }
        Some(HeldReason::DateMissing) => "there is no `datePush`",
        Some(HeldReason::DateUnreadable) => {
            "`datePush` has none of the known forms, or stands twice"
        }
        Some(HeldReason::SignatureWrong) => "no live key makes this signature",
        Some(_) => "the body cannot be verified",
    }
}
