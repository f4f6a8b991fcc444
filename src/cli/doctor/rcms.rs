//! RCMS: as the running server finds it, or else asked with the account of the settings.
use super::server::Rcms;
use crate::{
    cli::{
        finding::Finding,
        rcms::{account, client},
        settings::Settings,
    },
    domain::{counted, sentence},
};

const CHECK: &str = "rcms";
const REMEDY: &str =
    "Run `simdeck rcms check`, which looks at each call; `simdeck rcms probe` for code 40002.";

/// Looks at it, and says how it is.
pub(super) async fn look(settings: &Settings, of_server: Option<&Rcms>) -> Finding {
    match of_server {
        Some(rcms) => judge(rcms),
        None => ask(settings).await,
    }
}

fn judge(rcms: &Rcms) -> Finding {
    match rcms.state.as_str() {
        "off" => off(),
        "ok" => {
            let listed = match (rcms.devices_listed, rcms.devices_counted) {
                (Some(listed), Some(all)) if listed != all => {
                    format!(", lists {listed} of {}", routers(all))
                }
                (Some(listed), _) => format!(", lists {}", routers(listed)),
                (None, _) => String::new(),
            };
            let last = rcms.last_success_at.as_deref();
            let last = last.map(|at| format!(", last at {at}")).unwrap_or_default();
            Finding::ok(CHECK, format!("It answers the server{listed}{last}."))
        }
        "starting" => Finding::skipped(
            CHECK,
            "The server has just begun to ask it.",
            "Run the doctor again in a minute.",
        ),
        _ => {
            let error =
                rcms.error.as_deref().unwrap_or("it does not answer the server as it should");
            Finding::problem(CHECK, sentence(error), REMEDY)
        }
    }
}

async fn ask(settings: &Settings) -> Finding {
    if settings.rcms.account().is_none() {
        return off();
    }
    let client = match account(settings).and_then(|account| client(account, settings, 0)) {
        Ok(client) => client,
        Err(failure) => {
            let todo = "Mend the setting that it names.";
            return Finding::problem(CHECK, sentence(failure.to_string()), todo);
        }
    };
    match client.device_total().await {
        Ok(totals) => {
            let all = totals.device_total.map(|all| format!(" and counts {}", routers(all)));
            Finding::ok(CHECK, format!("It answers this machine{}.", all.unwrap_or_default()))
        }
        Err(error) => Finding::problem(CHECK, sentence(error.sentence()), REMEDY),
    }
}

fn off() -> Finding {
    let todo = "To have routers, set SIMDECK_RCMS_CLIENT_ID and SIMDECK_RCMS_CLIENT_SECRET.";
    Finding::skipped(CHECK, "It is not set up.", todo)
}

fn routers(count: impl Into<i128>) -> String {
    counted(count, "router", "routers")
}
