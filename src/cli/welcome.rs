use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    process::ExitCode,
};

use reqwest::{Method, Url};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Failure, client::ApiClient, demo, keys, output::Output, settings::Settings};
use crate::{
    domain::Secret,
    smarthub::{kind, signature::PushKey},
};

/// Prints what to enter in SmartHub and how to try it. Whoever runs this asked for the secrets, so
/// it shows them wherever its output goes.
pub(super) async fn run(settings: &Settings, output: Output) -> Result<ExitCode, Failure> {
    if demo::is_demo(settings) {
        return show_demo(settings, output).await;
    }
    let alone = demo::running_alone(settings);
    let demo = match &alone {
        Some(demo) => DemoPage::of(demo).await,
        None => None,
    };
    let keys = match (keys::push_keys(settings), &demo) {
        // No server was ever started here.
        (Err(_), Some(demo)) => return demo.show(output),
        (keys, _) => keys?,
    };
    let warnings = warnings(settings);
    let example = example(settings, &keys);
    let link = sign_in_link(settings).await;
    let json = json!({
        "addresses": kind::KNOWN.iter().map(|known| json!({
            "kind": known.slug,
            "title": known.title,
            "title_zh": known.title_zh,
            "url": settings.push_url(known.slug),
        })).collect::<Vec<Value>>(),
        "push_keys": keys.iter().map(|key| json!({
            "label": key.label,
            "key": key.key.expose(),
        })).collect::<Vec<Value>>(),
        "sign_in_url": link.as_ref().map(Secret::expose),
        "warnings": warnings,
        "example": example,
        "demo": demo.as_ref().map(DemoPage::json),
    });
    let mut text = page(settings, &keys, &warnings, link.as_ref(), &example);
    if let Some(demo) = &demo {
        let now = "No server runs here now, only a demo. The rest is for the server that `simdeck \
                   serve` starts.";
        text = format!("{}\n{now}\n\n{text}", demo.text());
    }
    output.text(&text, &json)?;
    Ok(ExitCode::SUCCESS)
}

/// What there is to see of a demo that runs.
struct DemoPage {
    url: String,
    link: Option<Secret>,
}

impl DemoPage {
    async fn of(settings: &Settings) -> Option<Self> {
        let client = ApiClient::of_server(settings).await.ok()?;
        Some(Self { url: client.base_url().to_owned(), link: sign_in_link(settings).await })
    }

    fn json(&self) -> Value {
        json!({ "url": self.url, "sign_in_url": self.link.as_ref().map(Secret::expose) })
    }

    /// Shows it and nothing else.
    fn show(&self, output: Output) -> Result<ExitCode, Failure> {
        let json = json!({
            "addresses": [], "push_keys": [], "sign_in_url": self.link.as_ref().map(Secret::expose),
            "warnings": [], "example": null, "demo": self.json(),
        });
        output.text(self.text().trim_end(), &json)?;
        Ok(ExitCode::SUCCESS)
    }

    fn text(&self) -> String {
        let mut text = format!(
            "A demo runs at {}. It takes no pushes, so it has no address to register.\n",
            self.url
        );
        if let Some(link) = &self.link {
            text += "\nOpen its page with this link, once and within 15 minutes:\n";
            text += &format!("\n  {}\n", link.expose());
        }
        text
    }
}

/// A data directory that is a demo's: nobody pushes to it.
async fn show_demo(settings: &Settings, output: Output) -> Result<ExitCode, Failure> {
    let Some(demo) = DemoPage::of(settings).await else {
        return Err(Failure::new(format!(
            "{} is a demo's data directory, and no demo runs: start `simdeck serve --demo`",
            settings.data_dir.display()
        )));
    };
    demo.show(output)
}

/// A link that opens the page of the running server; none where no server runs.
async fn sign_in_link(settings: &Settings) -> Option<Secret> {
    let client = ApiClient::of_server(settings).await.ok()?;
    let made = client.send(Method::POST, "/v1/sign-in-links", &[], None).await.ok()?;
    let made: LinkIn = made.json().await.ok()?;
    Some(made.url.into())
}

/// What the API says of a link.
#[derive(Deserialize)]
struct LinkIn {
    url: String,
}

fn page(
    settings: &Settings,
    keys: &[PushKey],
    warnings: &[String],
    link: Option<&Secret>,
    example: &str,
) -> String {
    let mut page = "Register these addresses in SmartHub, one for each push category:\n".to_owned();
    for known in kind::KNOWN {
        let chinese = known.title_zh.map(|title| format!(" ({title})")).unwrap_or_default();
        page += &format!("\n  {}{chinese}\n    {}\n", known.title, settings.push_url(known.slug));
    }
    page += "\nSet this push key for the account in SmartHub:\n\n";
    for key in keys {
        let label = key.label.as_deref().map(|label| format!("{label}: ")).unwrap_or_default();
        page += &format!("  {label}{}\n", key.key.expose());
    }
    page += &match link {
        Some(link) => format!(
            "\nOpen the page with this link, once and within 15 minutes:\n\n  {}\n",
            link.expose()
        ),
        None => "\nOnce the server runs, this command also shows a link that opens the page.\n"
            .to_owned(),
    };
    for warning in warnings {
        page += &format!("\nWarning: {warning}\n");
    }
    page += "\nTry it with test records that enter no total:\n\n  simdeck push --count 10\n";
    page += "\nOr store one real record, signed as SmartHub does it:\n\n";
    page += example;
    page.trim_end().to_owned()
}

/// What stands between SmartHub and these addresses.
fn warnings(settings: &Settings) -> Vec<String> {
    let mut warnings = Vec::new();
    match &settings.public.url {
        None => warnings.push(
            "SmartHub cannot reach these addresses, which are this machine's own: set \
             SIMDECK_PUBLIC_URL to the address under which the internet sees the public listener."
                .to_owned(),
        ),
        Some(url) if is_local(url) => warnings.push(format!(
            "SmartHub cannot reach {url}, which is an address of this machine or its network: set \
             SIMDECK_PUBLIC_URL to one that the internet sees.",
        )),
        Some(url) if url.starts_with("http://") => warnings.push(format!(
            "{url} is not encrypted, and whoever sees one push can forge others: put HTTPS in \
             front of it.",
        )),
        Some(_) => (),
    }
    if settings.public.path_tokens.is_empty() {
        warnings.push(
            "The addresses can be guessed: set SIMDECK_PUBLIC_PATH_TOKEN to a long random word."
                .to_owned(),
        );
    }
    warnings
}

pub(super) fn is_local(url: &str) -> bool {
    let Ok(url) = url.parse::<Url>() else { return false };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    match host.parse() {
        Ok(IpAddr::V4(ip)) => local_v4(ip),
        Ok(IpAddr::V6(ip)) => local_v6(ip),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

/// Whether an address leads to a listener of this machine that any user of it may have opened.
pub(super) fn is_loopback(url: &str) -> bool {
    let Ok(url) = url.parse::<Url>() else { return false };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    match host.parse::<IpAddr>() {
        Ok(ip) => ip.to_canonical().is_loopback() || ip.is_unspecified(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

fn local_v4(ip: Ipv4Addr) -> bool {
    ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_unspecified()
}

fn local_v6(ip: Ipv6Addr) -> bool {
    ip.is_loopback()
        || ip.is_unique_local()
        || ip.is_unicast_link_local()
        || ip.is_unspecified()
        || ip.to_ipv4_mapped().is_some_and(local_v4)
}

/// A script for any shell that has sha256sum and curl.
fn example(settings: &Settings, keys: &[PushKey]) -> String {
    let key = keys.first().map(|key| key.key.expose()).unwrap_or_default().replace('\'', r"'\''");
    let url = settings.push_url(kind::DATA_USAGE);
    let date = match settings.push.date_shift_s {
        0 => "$NOW".to_owned(),
        shift => format!("$((NOW - {shift}))"),
    };
    format!(
        r#"KEY='{key}'
NOW=$(date +%s)
SIGNATURE=$(printf '%s%s' "$KEY" "$NOW" | sha256sum | cut -d ' ' -f 1)
curl -sS '{url}' -d '{{
  "datePush": "'"{date}"'", "signature": "'"$SIGNATURE"'",
  "giccid": "8944501503181377993", "imsi": "460001234567890", "sim_group": "groupA",
  "data_usage": 1302, "start_time": '"$NOW"'000, "duration": 0,
  "mcc": "460", "mnc": "10", "country_code": "CN", "apn": "apn1"
}}'
"#
    )
}
