//! One SIM's story, by the front door.
use serde_json::{Value, json};
use simdeck::http::ApiSettings;

use crate::api_harness::{Api, ids, link};

const SIM: &str = "89860012345678901234";
const OTHER: &str = "89860055555555554321";

async fn add(api: &Api, giccid: &str, nth: i64) {
    let own_ms = 1_725_499_848_000 - nth * 3_600_000;
    let giccid = format!(r#""giccid":"{giccid}""#);
    let usage = format!(r#"{giccid},"imsi":"46010{}","data_usage":{nth}"#, nth % 2);
    api.push("data-usage", &format!(r#"{usage},"start_time":{own_ms}"#)).await;
    api.push("mo-sms", &format!(r#"{giccid},"event_time":{own_ms},"text":"hi""#)).await;
    api.push("sim-state-change", &format!(r#"{giccid},"nth":{nth}"#)).await;
}

#[tokio::test]
async fn usage_messages_and_notifications_of_a_sim_are_one_list_with_their_kinds() {
    let api = Api::new(ApiSettings::default()).await;
    add(&api, SIM, 1).await;
    add(&api, OTHER, 1).await;
    add(&api, SIM, 2).await;
    let rows = api.rows(&format!("/v1/sims/{SIM}/timeline")).await;
    assert_eq!(ids(&rows), [9, 8, 7, 3, 2, 1]);
    let kinds: Vec<_> = rows.iter().map(|row| row["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds[..3], ["sim-state-change", "mo-sms", "data-usage"]);
    for row in &rows {
        // Beside its kind, a row says what its own list says.
        let mut alone: Value = api.get(row["url"].as_str().unwrap()).await.json().await.unwrap();
        alone["kind"] = row["kind"].clone();
        assert_eq!(*row, alone);
    }
    let table = api.get(&format!("/v1/sims/{SIM}/timeline?format=csv")).await.text().await.unwrap();
    let cells: Vec<_> = table.lines().map(|line| line.split(',').count()).collect();
    assert_eq!(cells[0], 15);
    assert!(table.contains(&format!("\n1,data-usage,{SIM},460101,1725496248000,1,,,")), "{table}");
    assert!(table.contains(&format!("\n2,mo-sms,{SIM},,1725496248000,,,,,,,,,2024")), "{table}");
    let nobody = api.problem("/v1/sims/89860000000000000000/timeline").await;
    assert_eq!((nobody.0, &nobody.1["errors"][0]["field"]), (404, &json!("giccid")));
}

#[tokio::test]
async fn a_walk_through_a_story_meets_each_entry_once_both_ways_while_it_goes_on() {
    let api = Api::new(ApiSettings::default()).await;
    for nth in 0..9 {
        add(&api, SIM, nth).await;
        add(&api, OTHER, nth).await;
    }
    let list = format!("/v1/sims/{SIM}/timeline");
    let all = ids(&api.rows(&format!("{list}?size=100")).await);
    assert_eq!(all.len(), 27);
    let mut last = String::new();
    for form in ["?size=4", "?size=4&cursor="] {
        let (mut met, mut url, mut nth) = (Vec::new(), Some(format!("{list}{form}")), 100);
        while let Some(next) = url {
            let response = api.get(&next).await;
            url = link(&response, "next");
            last = link(&response, "last").unwrap_or(last);
            met.extend(ids(&response.json::<Vec<Value>>().await.unwrap()));
            nth += 1;
            if form.ends_with("size=4") {
                add(&api, SIM, nth).await;
            }
        }
        met.retain(|id| *id <= all[0]);
        assert_eq!(met, all, "{form}");
    }
    let (mut met, mut url) = (Vec::new(), Some(last));
    while let Some(next) = url {
        let response = api.get(&next).await;
        url = link(&response, "prev");
        let rows = response.json::<Vec<Value>>().await.unwrap();
        met.splice(0..0, ids(&rows));
    }
    assert_eq!(met, all);
    let third = api.rows(&format!("{list}?page=2&size=10")).await;
    let newest = ids(&api.rows(&format!("{list}?size=100")).await);
    assert_eq!(ids(&third), newest[20..30]);
}
