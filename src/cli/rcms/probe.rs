use std::{process::ExitCode, time::Duration};

use serde_json::{Value, json};

use super::client;
use crate::{
    cli::{
        Failure,
        output::{self, Output, printable},
        settings::{Settings, Words},
    },
    rcms::{Account, Method, ParametersIn, RcmsError, Request, SigningVariant, UniqueCode},
};

/// Between two attempts: RCMS's limits are not known.
const PAUSE: Duration = Duration::from_secs(1);
/// From here on the clock alone may be the reason for a refused signature.
const CLOCK_SUSPECT_MS: u64 = 60_000;
const UNIQUE_CODE: &str = "SIMDECK_RCMS_UNIQUE_CODE";
const PARAMETERS_IN: &str = "SIMDECK_RCMS_PARAMETERS_IN";
const ABOUT_BODIES: &str = "SIMDECK_RCMS_SIGN_BODY shows only when something is changed: if \
                            `simdeck rcms group SN NAME` is refused with code 40002 although \
                            reading works, try it with --rcms-sign-body ampersand_json.";

/// What a variant came to.
struct Attempt {
    variant: SigningVariant,
    outcome: Result<(), RcmsError>,
}

/// Tries each variant that a read can show once, the configured one first; exit code 0 when one
/// works.
pub(super) async fn run(
    account: Account,
    settings: &Settings,
    output: Output,
) -> Result<ExitCode, Failure> {
    let configured = account.variant;
    let request = Request::new(Method::Get, "/api/link/dashboard/deviceTotal")?;
    let progress = output::counting("of 4 variants tried");
    let mut attempts = Vec::new();
    for variant in variants(configured) {
        if !attempts.is_empty() {
            tokio::time::sleep(PAUSE).await;
        }
        let account = Account { variant, ..account.clone() };
        let outcome = client(account, settings, 0)?.call(&request).await;
        attempts.push(Attempt { variant, outcome: outcome.map(drop) });
        progress.inc(1);
    }
    progress.finish_and_clear();
    let works = attempts.iter().find(|attempt| attempt.outcome.is_ok());
    let works = works.map(|attempt| attempt.variant);
    let advice = advice(&attempts, works, configured);
    show(&attempts, works, &advice, output)?;
    Ok(if works.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn variants(configured: SigningVariant) -> Vec<SigningVariant> {
    let others = UniqueCode::WORDS.iter().flat_map(|(_, unique_code)| {
        ParametersIn::WORDS.iter().map(move |(_, parameters_in)| SigningVariant {
            unique_code: *unique_code,
            parameters_in: *parameters_in,
            ..configured
        })
    });
    let others = others.filter(|variant| *variant != configured);
    [configured].into_iter().chain(others).collect()
}

fn show(
    attempts: &[Attempt],
    works: Option<SigningVariant>,
    advice: &[String],
    output: Output,
) -> Result<(), Failure> {
    let row = |attempt: &Attempt| {
        let [unique_code, parameters_in] = words(attempt.variant);
        vec![unique_code.to_owned(), parameters_in.to_owned(), attempt.answer()]
    };
    let rows: Vec<Vec<String>> = attempts.iter().map(row).collect();
    let tried: Vec<Value> = attempts.iter().map(Attempt::json).collect();
    let works = works.map(|variant| {
        let [unique_code, parameters_in] = words(variant);
        json!({UNIQUE_CODE: unique_code, PARAMETERS_IN: parameters_in})
    });
    let json = json!({
        "tried": tried,
        "works": works,
        "clock_ahead_ms": clock_ahead_ms(attempts),
        "advice": advice,
    });
    output.report(&["UNIQUE CODE", "PARAMETERS IN", "ANSWER"], &rows, &advice.join("\n\n"), &json)
}

/// What to do now, paragraph by paragraph.
fn advice(
    attempts: &[Attempt],
    works: Option<SigningVariant>,
    configured: SigningVariant,
) -> Vec<String> {
    if let Some(variant) = works {
        let [unique_code, parameters_in] = words(variant);
        let says = match variant == configured {
            true => "The settings in force work:",
            false => "With these settings it works:",
        };
        let lines = format!("{says}\n{UNIQUE_CODE}={unique_code}\n{PARAMETERS_IN}={parameters_in}");
        return vec![lines, ABOUT_BODIES.to_owned()];
    }
    let is_refused =
        |attempt: &Attempt| matches!(attempt.outcome, Err(RcmsError::Signature { .. }));
    if !attempts.iter().all(is_refused) {
        return vec!["No variant works; the answers above say why.".to_owned()];
    }
    let mut advice = Vec::new();
    let ahead_ms = clock_ahead_ms(attempts).unwrap_or_default();
    if ahead_ms.unsigned_abs() > CLOCK_SUSPECT_MS {
        let side = if ahead_ms > 0 { "ahead of" } else { "behind" };
        advice.push(format!(
            "This machine's clock is {} s {side} RCMS's, which alone may be the reason: set it \
             right and try again.",
            ahead_ms.unsigned_abs() / 1000
        ));
    }
    advice.push(
        "RCMS accepts no variant: check SIMDECK_RCMS_CLIENT_ID and SIMDECK_RCMS_CLIENT_SECRET."
            .to_owned(),
    );
    advice
}

/// Our clock minus RCMS's, where an answer tells.
fn clock_ahead_ms(attempts: &[Attempt]) -> Option<i64> {
    attempts.iter().find_map(|attempt| match attempt.outcome {
        Err(RcmsError::Signature { clock_ahead_ms }) => clock_ahead_ms,
        _ => None,
    })
}

/// The settings that a read shows, as they are written.
fn words(variant: SigningVariant) -> [&'static str; 2] {
    [variant.unique_code.as_word(), variant.parameters_in.as_word()]
}

impl Attempt {
    fn answer(&self) -> String {
        match &self.outcome {
            Ok(()) => "works".to_owned(),
            Err(RcmsError::Signature { .. }) => "code 40002: signature not accepted".to_owned(),
            Err(error) => printable(&error.sentence()),
        }
    }

    fn json(&self) -> Value {
        let [unique_code, parameters_in] = words(self.variant);
        json!({
            "unique_code": unique_code,
            "parameters_in": parameters_in,
            "works": self.outcome.is_ok(),
            "answer": self.answer(),
        })
    }
}
