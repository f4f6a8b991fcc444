//! The jump box, by the front door.
use serde_json::{Value, json};
use simdeck::{
    domain::{DeviceState, ListedDevice},
    http::ApiSettings,
};

use crate::{
    api_devices,
    api_harness::{ADMIN_KEY, Api},
};

const SIM: &str = "89860012345678901234";
const OTHER: &str = "89860055555555554321";

async fn filled() -> Api {
    let api = Api::with_rcms().await;
    let router = ListedDevice {
        name: api_devices::text("Gate North"),
        ..api_devices::listed("RT1510A7", DeviceState::Online)
    };
    api.poll(api_devices::listing(api.freshness(), vec![router])).await;
    let usage = |giccid: &str, imsi: &str| {
        format!(r#""giccid":"{giccid}","imsi":"{imsi}","data_usage":1,"start_time":1725499848000"#)
    };
    api.push("data-usage", &usage(SIM, "460101234509876")).await;
    api.push("data-usage", &usage(SIM, "440101234505555")).await;
    api.push("data-usage", &usage(OTHER, "460109999901234")).await;
    let sms = r#""event_time":1725499848000,"from_msisdn":"+819012340000","to_msisdn":"777""#;
    api.push("mo-sms", &format!(r#""giccid":"{SIM}",{sms}"#)).await;
    let body = r#"{"name":"Berlin tram 7"}"#;
    assert!(api.put(&format!("/v1/sims/{SIM}"), ADMIN_KEY, body).await.status().is_success());
    api
}

/// Type, what it is, and in what the text was found.
async fn found(api: &Api, q: &str) -> Vec<(String, String, String)> {
    let text = |hit: &Value, name: &str| hit[name].as_str().unwrap_or_default().to_owned();
    let hits = api.rows(&format!("/v1/search?q={q}")).await;
    let named = |hit: &Value| {
        let names = ["msisdn", "sn", "giccid"].map(|name| text(hit, name));
        names.into_iter().find(|name| !name.is_empty()).unwrap()
    };
    hits.iter().map(|hit| (text(hit, "type"), named(hit), text(hit, "matched"))).collect()
}

#[tokio::test]
async fn whole_or_last_digits_names_and_serial_numbers_lead_to_what_they_belong_to() {
    let api = filled().await;
    for (q, wanted) in [
        (SIM, vec![("sim", SIM, "giccid")]),
        ("8901234", vec![("sim", SIM, "giccid")]),
        ("460101234509876", vec![("sim", SIM, "imsi")]),
        ("5555", vec![("sim", SIM, "imsi")]),
        // Of one SIM the giccid ends so, of another the IMSI.
        ("1234", vec![("sim", SIM, "giccid"), ("sim", OTHER, "imsi")]),
        ("4321", vec![("sim", OTHER, "giccid")]),
        ("321", vec![]),
        ("%20", vec![]),
        ("%2B%20", vec![]),
        ("898600", vec![]),
        ("%2B819012340000", vec![("msisdn", "+819012340000", "from_msisdn")]),
        ("+819012340000", vec![("msisdn", "+819012340000", "from_msisdn")]),
        ("777", vec![("msisdn", "777", "to_msisdn")]),
        ("012340000", vec![]),
        ("rt1510a7", vec![("device", "RT1510A7", "sn")]),
        ("1510", vec![("device", "RT1510A7", "sn")]),
        ("north", vec![("device", "RT1510A7", "name")]),
        ("berlin", vec![("sim", SIM, "name")]),
        ("TRAM", vec![("sim", SIM, "name")]),
        ("nobody", vec![]),
        ("%25", vec![]),
    ] {
        let wanted: Vec<_> = wanted
            .into_iter()
            .map(|(kind, name, matched)| (kind.to_owned(), name.to_owned(), matched.to_owned()))
            .collect();
        assert_eq!(found(&api, q).await, wanted, "{q}");
    }
    assert_eq!(
        api.rows("/v1/search?q=819012340000").await,
        [json!({
            "type": "msisdn",
            "msisdn": "+819012340000",
            "giccid": SIM,
            "name": "Berlin tram 7",
            "matched": "from_msisdn",
            "url": format!("{}/v1/mo-sms?from_msisdn=%2B819012340000", api.base),
        })]
    );
    let url = api.rows("/v1/search?q=berlin+tram").await[0]["url"].clone();
    assert_eq!(url, format!("{}/v1/sims/{SIM}", api.base));
    for hit in api.rows("/v1/search?q=1510").await {
        assert!(api.get(hit["url"].as_str().unwrap()).await.status().is_success());
    }
}

#[tokio::test]
async fn what_is_all_of_the_text_comes_first_and_twenty_are_enough() {
    let api = Api::new(ApiSettings::default()).await;
    let records: Vec<_> = (0..30)
        .map(|sim| {
            format!(
                r#"{{"giccid":"8986{sim:02}00001234567890","imsi":"{sim:02}4567890",
                    "data_usage":1,"start_time":1725499848000}}"#
            )
        })
        .collect();
    api.push("data-usage", &format!(r#""cdrs":[{}]"#, records.join(","))).await;
    assert_eq!(found(&api, "67890").await.len(), 20);
    let hits = found(&api, "294567890").await;
    assert_eq!(hits, [("sim".into(), "89862900001234567890".into(), "imsi".into())]);
}

#[tokio::test]
async fn a_search_needs_something_to_look_for() {
    let api = Api::new(ApiSettings::default()).await;
    for (query, code) in [("", "missing_field"), ("?q=", "invalid"), ("?q=a&size=2", "invalid")] {
        let (status, problem) = api.problem(&format!("/v1/search{query}")).await;
        assert_eq!((status, &problem["errors"][0]["code"]), (422, &json!(code)), "{query}");
    }
}
