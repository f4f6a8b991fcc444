//! Sums by time and group, by the front door.
use jiff::Timestamp;
use serde_json::{Value, json};
use simdeck::http::ApiSettings;

use crate::api_harness::Api;

const SIM: &str = "89860012345678901230";
const OTHER_SIM: &str = "89860012345678901231";

async fn api() -> Api {
    Api::new(ApiSettings::default()).await
}

fn ms(moment: &str) -> i64 {
    moment.parse::<Timestamp>().unwrap().as_millisecond()
}

/// Pushes usage records: SIM, start, volume, and other members.
async fn push(api: &Api, records: &[(&str, &str, i64, &str)]) {
    let records: Vec<String> = records
        .iter()
        .map(|(giccid, start, volume, more)| {
            let start_ms = ms(start);
            format!(
                r#"{{"giccid":"{giccid}","start_time":{start_ms},"data_usage":{volume}{more}}}"#
            )
        })
        .collect();
    api.push("data-usage", &format!(r#""cdrs":[{}]"#, records.join(","))).await;
}

/// Pushes one record of volume 1 at each of these moments.
async fn push_at(api: &Api, moments: &[&str]) {
    let records: Vec<_> = moments.iter().map(|start| (SIM, *start, 1, "")).collect();
    push(api, &records).await;
}

/// Start, end, local day, records.
async fn intervals(api: &Api, query: &str) -> Vec<(String, String, String, i64)> {
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().replace(":00.000Z", "Z");
    api.rows(&format!("/v1/data-usage/aggregate?{query}"))
        .await
        .iter()
        .map(|row| {
            let records = row["records"].as_i64().unwrap();
            assert_eq!(row["data_usage"], records);
            (text(row, "start"), text(row, "end"), text(row, "day"), records)
        })
        .collect()
}

fn interval(start: &str, end: &str, day: &str, records: i64) -> (String, String, String, i64) {
    (start.to_owned(), end.to_owned(), day.to_owned(), records)
}

#[tokio::test]
async fn days_have_23_or_25_hours_where_clocks_are_moved() {
    let api = api().await;
    // The last second of the day before, the first and last of the day, the first of the next.
    let spring = ["2024-03-30T22:59:59Z", "2024-03-30T23:00:00Z", "2024-03-31T21:59:59Z"];
    let autumn = ["2023-10-28T21:59:59Z", "2023-10-28T22:00:00Z", "2023-10-29T22:59:59Z"];
    push_at(&api, &spring).await;
    push_at(&api, &["2024-03-31T22:00:00Z", "2023-10-29T23:00:00Z"]).await;
    push_at(&api, &autumn).await;
    assert_eq!(
        intervals(&api, "interval=1d&tz=Europe/Berlin").await,
        [
            interval("2023-10-27T22:00Z", "2023-10-28T22:00Z", "2023-10-28", 1),
            interval("2023-10-28T22:00Z", "2023-10-29T23:00Z", "2023-10-29", 2),
            interval("2023-10-29T23:00Z", "2023-10-30T23:00Z", "2023-10-30", 1),
            interval("2024-03-29T23:00Z", "2024-03-30T23:00Z", "2024-03-30", 1),
            interval("2024-03-30T23:00Z", "2024-03-31T22:00Z", "2024-03-31", 2),
            interval("2024-03-31T22:00Z", "2024-04-01T22:00Z", "2024-04-01", 1),
        ]
    );
    assert_eq!(
        intervals(&api, "interval=1M&tz=Europe/Berlin&from=2024-01-01T00:00:00Z").await,
        [
            interval("2024-02-29T23:00Z", "2024-03-31T22:00Z", "2024-03-01", 3),
            interval("2024-03-31T22:00Z", "2024-04-30T22:00Z", "2024-04-01", 1),
        ]
    );
    assert_eq!(
        intervals(&api, "interval=1d&tz=America/New_York&from=2024-03-31T04:00:00Z").await,
        [interval("2024-03-31T04:00Z", "2024-04-01T04:00Z", "2024-03-31", 2)]
    );
}

#[tokio::test]
async fn hours_and_weeks_are_those_of_the_asked_clock() {
    let api = api().await;
    // 05:45 ahead: hours strike at a quarter past, UTC.
    push_at(&api, &["2024-09-01T18:14:59Z", "2024-09-01T18:15:00Z", "2024-09-01T18:29:59Z"]).await;
    assert_eq!(
        intervals(&api, "interval=1h&tz=Asia/Kathmandu").await,
        [
            interval("2024-09-01T17:15Z", "2024-09-01T18:15Z", "2024-09-01", 1),
            interval("2024-09-01T18:15Z", "2024-09-01T19:15Z", "2024-09-02", 2),
        ]
    );
    // The second begins on Monday, the second of September.
    assert_eq!(
        intervals(&api, "interval=1w&tz=Asia/Kathmandu").await,
        [
            interval("2024-08-25T18:15Z", "2024-09-01T18:15Z", "2024-08-26", 1),
            interval("2024-09-01T18:15Z", "2024-09-08T18:15Z", "2024-09-02", 2),
        ]
    );
    assert_eq!(
        intervals(&api, "interval=15m&tz=Asia/Shanghai&from=2024-09-01T18:15:00Z").await,
        [interval("2024-09-01T18:15Z", "2024-09-01T18:30Z", "2024-09-02", 2)]
    );
    assert_eq!(
        intervals(&api, "interval=1d&tz=Asia/Shanghai").await,
        [interval("2024-09-01T16:00Z", "2024-09-02T16:00Z", "2024-09-02", 3)]
    );
    // Without a zone it is the store's, which is UTC here.
    assert_eq!(
        intervals(&api, "interval=1d").await,
        [interval("2024-09-01T00:00Z", "2024-09-02T00:00Z", "2024-09-01", 3)]
    );
}

#[tokio::test]
async fn a_day_that_a_zone_skipped_is_not_there() {
    let api = api().await;
    push_at(&api, &["2011-12-30T09:59:59Z", "2011-12-30T10:00:00Z"]).await;
    assert_eq!(
        intervals(&api, "interval=1d&tz=Pacific/Apia").await,
        [
            interval("2011-12-29T10:00Z", "2011-12-30T10:00Z", "2011-12-29", 1),
            interval("2011-12-30T10:00Z", "2011-12-31T10:00Z", "2011-12-31", 1),
        ]
    );
}

const NEAR: &str = r#","sim_group":"=cmd","mcc":"460","mnc":"10","country_code":"CN""#;
const FAR: &str = r#","sim_group":"b","mcc":"440","mnc":"20","country_code":"JP""#;

async fn api_with_groups() -> Api {
    let api = api().await;
    push(
        &api,
        &[
            (SIM, "2024-09-01T00:00:00Z", 5, NEAR),
            (SIM, "2024-09-01T23:59:59Z", 7, FAR),
            (OTHER_SIM, "2024-09-01T00:00:01Z", 1, NEAR),
            (OTHER_SIM, "2024-09-03T00:00:00Z", 2, ""),
        ],
    )
    .await;
    api
}

#[tokio::test]
async fn groups_are_by_up_to_two_fields_and_null_where_a_field_was_not_sent() {
    let api = api_with_groups().await;
    let query = "interval=1d&group_by=network,sim_group&from=2024-09-01T00:00:00Z";
    let rows = api.rows(&format!("/v1/data-usage/aggregate?{query}")).await;
    let row = |day: i64, network: Value, sim_group: Value, data_usage: i64, records: i64| {
        json!({
            "start": format!("2024-09-0{day}T00:00:00.000Z"),
            "end": format!("2024-09-0{}T00:00:00.000Z", day + 1),
            "day": format!("2024-09-0{day}"),
            "network": network,
            "sim_group": sim_group,
            "data_usage": data_usage,
            "records": records,
        })
    };
    let wanted = [
        row(1, "440-20".into(), "b".into(), 7, 1),
        row(1, "460-10".into(), "=cmd".into(), 6, 2),
        row(3, Value::Null, Value::Null, 2, 1),
    ];
    assert_eq!(rows, wanted);
    // Saying a field twice changes nothing; a gap of a day is a gap.
    let again = "interval=1d&group_by=network&group_by=sim_group,network";
    assert_eq!(api.rows(&format!("/v1/data-usage/aggregate?{again}")).await, wanted);
}

#[tokio::test]
async fn what_is_not_cut_into_intervals_is_as_wide_as_it_was_asked() {
    let api = api_with_groups().await;
    let open = json!({"start": null, "end": null, "day": null, "data_usage": 15, "records": 4});
    assert_eq!(api.rows("/v1/data-usage/aggregate").await, [open]);
    let query = "from=2024-09-01T00:00:01Z&tz=Asia/Shanghai&giccid=89860012345678901231";
    let half = json!({
        "start": "2024-09-01T00:00:01.000Z", "end": null, "day": "2024-09-01",
        "data_usage": 3, "records": 2,
    });
    assert_eq!(api.rows(&format!("/v1/data-usage/aggregate?{query}")).await, [half]);
    let nothing = "/v1/data-usage/aggregate?from=2024-09-03T00:00:00Z&to=2024-09-01T00:00:00Z";
    assert!(api.rows(nothing).await.is_empty());
    for nobody in ["imsi=1", "giccid=00000000000000000000", "to=0", "received_to=0"] {
        assert!(api.rows(&format!("/v1/data-usage/aggregate?{nobody}")).await.is_empty());
    }
}

#[tokio::test]
async fn all_but_the_largest_groups_are_one_row_an_interval() {
    let api = api_with_groups().await;
    let url = "/v1/data-usage/aggregate?interval=1d&top=1&group_by=";
    let short = |row: &Value, name: &str| {
        (row[name].clone(), row["data_usage"].clone(), row.get("other").cloned())
    };
    for (name, largest) in [("giccid", SIM), ("country_code", "JP")] {
        let rows = api.rows(&format!("{url}{name}")).await;
        let (of_largest, of_others) = if name == "giccid" { (12, 1) } else { (7, 6) };
        let rows: Vec<_> = rows.iter().map(|row| short(row, name)).collect();
        let wanted = [
            (json!(largest), json!(of_largest), None),
            (Value::Null, json!(of_others), Some(json!(true))),
            (Value::Null, json!(2), Some(json!(true))),
        ];
        assert_eq!(rows, wanted);
    }
}

#[tokio::test]
async fn a_table_and_lines_say_the_same_as_the_array() {
    let api = api_with_groups().await;
    let url = "/v1/data-usage/aggregate?interval=1d&group_by=sim_group&top=2&tz=Asia/Tokyo";
    let rows = api.rows(url).await;
    let lines = api.get(&format!("{url}&format=ndjson")).await.text().await.unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, rows);
    let response = api.get(&format!("{url}&format=csv")).await;
    assert_eq!(response.headers()["content-type"], "text/csv; charset=utf-8");
    let name = "attachment; filename=\"data-usage-aggregate.csv\"";
    assert_eq!(response.headers()["content-disposition"], name);
    let table = response.text().await.unwrap();
    let cell = |row: &Value, name: &str| match &row[name] {
        Value::Null => String::new(),
        Value::String(text) if text.starts_with('=') => format!("'{text}"),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let names = ["start", "end", "day", "sim_group", "data_usage", "records", "other"];
    let mut wanted = format!("{}\r\n", names.join(","));
    for row in &rows {
        let cells: Vec<_> = names.iter().map(|name| cell(row, name)).collect();
        wanted += &format!("{}\r\n", cells.join(","));
    }
    assert_eq!(table, wanted);
    assert!(table.contains(",'=cmd,") && table.contains(",true\r\n"), "{table}");
    let raw = api.get(&format!("{url}&format=csv&raw=true")).await.text().await.unwrap();
    assert_eq!(raw, table.replace("'=cmd", "=cmd"));
    let by_sim = "/v1/data-usage/aggregate?group_by=giccid&format=csv&excel=true";
    let sheet = api.get(by_sim).await.text().await.unwrap();
    assert!(sheet.contains(&format!("\"=\"\"{SIM}\"\"\"")), "{sheet}");
}

#[tokio::test]
async fn messages_are_counted_by_the_same_rules() {
    let api = api().await;
    for (giccid, event, more) in [
        (SIM, "2024-09-01T15:59:59Z", r#","sim_group":"a","from_msisdn":"1","note":"hi you""#),
        (SIM, "2024-09-01T16:00:00Z", r#","sim_group":"a""#),
        (OTHER_SIM, "2024-09-01T16:00:00Z", ""),
        (OTHER_SIM, "2024-09-01T16:00:00Z", ""),
    ] {
        let event_ms = ms(event);
        let members = format!(r#""giccid":"{giccid}","event_time":{event_ms}{more}"#);
        api.push("mo-sms", &members).await;
    }
    let query = "interval=1d&tz=Asia/Shanghai&group_by=sim_group";
    let rows = api.rows(&format!("/v1/mo-sms/aggregate?{query}")).await;
    let row = |day: i64, sim_group: Value| {
        json!({
            "start": format!("2024-08-{}T16:00:00.000Z", day + 30)
                .replace("08-32", "09-01"),
            "end": format!("2024-09-0{day}T16:00:00.000Z"),
            "day": format!("2024-09-0{day}"),
            "sim_group": sim_group,
            "records": 1,
        })
    };
    // The one that came twice is one.
    assert_eq!(rows, [row(1, "a".into()), row(2, Value::Null), row(2, "a".into())]);
    let count = async |query: &str| {
        let rows = api.rows(&format!("/v1/mo-sms/aggregate?{query}")).await;
        rows.iter().map(|row| row["records"].as_i64().unwrap()).sum::<i64>()
    };
    assert_eq!(count("").await, 3);
    assert_eq!(count("from=2024-09-01T15:59:59.999Z").await, 2);
    assert_eq!(count("from_msisdn=1").await, 1);
    assert_eq!(count("q=hi%20you&group_by=giccid").await, 1);
    assert_eq!(count(&format!("giccid={OTHER_SIM}&interval=15m")).await, 1);
    let table = api.get("/v1/mo-sms/aggregate?format=csv").await.text().await.unwrap();
    assert_eq!(table, "start,end,day,records\r\n,,,3\r\n");
}

#[tokio::test]
async fn an_answer_says_through_when_records_have_arrived() {
    let api = api().await;
    let none = api.get("/v1/data-usage/aggregate").await;
    assert!(none.headers().get("simdeck-arrived-through").is_none());
    // The clock stands at 01:30:49: nineteen records took a minute, one took two hours.
    let records: Vec<_> = (0..19).map(|volume| (SIM, "2024-09-05T01:29:49Z", volume, "")).collect();
    push(&api, &records).await;
    push(&api, &[(SIM, "2024-09-04T23:30:49Z", 1, "")]).await;
    let arrived = async |url: &str| {
        let response = api.get(url).await;
        response
            .headers()
            .get("simdeck-arrived-through")
            .map(|value| value.to_str().unwrap().to_owned())
    };
    let a_minute_ago = Some("2024-09-05T01:29:49.000Z".to_owned());
    assert_eq!(arrived("/v1/data-usage/aggregate").await, a_minute_ago);
    assert_eq!(arrived("/v1/mo-sms/aggregate").await, None);
    push(&api, &[(SIM, "2024-09-04T23:30:49Z", 2, "")]).await;
    let two_hours_ago = Some("2024-09-04T23:30:49.000Z".to_owned());
    assert_eq!(arrived("/v1/data-usage/aggregate").await, two_hours_ago);
    api.advance(24 * 60 * 60 + 1);
    assert_eq!(arrived("/v1/data-usage/aggregate").await, None);
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_with_the_name_of_the_parameter() {
    let api = api_with_groups().await;
    for (query, field, hint) in [
        ("interval=1D", "interval", "1d, 1w, 1M, none; did you mean `1d`?"),
        ("group_by=mcc", "group_by", "one of giccid"),
        ("group_by=giccid,apn,network", "group_by", "no more than two"),
        ("top=0", "top", "from 1 to 1000"),
        ("top=1001", "top", "from 1 to 1000"),
        ("page=0", "page", "no parameter"),
        ("intervall=1d", "intervall", "did you mean `interval`?"),
        ("from=yesterday", "from", "2024-09-05T01:30:48Z"),
        ("interval=1d&interval=1d", "interval", "given once"),
    ] {
        let (status, problem) = api.problem(&format!("/v1/data-usage/aggregate?{query}")).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!(field)), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(hint), "{problem}");
        assert_eq!(problem["errors"][0]["resource"], "data-usage-aggregate");
    }
    let (status, problem) = api.problem("/v1/mo-sms/aggregate?group_by=apn").await;
    assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!("group_by")), "{problem}");
    // Which zones there are is no matter of form.
    for zone in ["Europe/Bielefeld", "", "%2B02:00"] {
        let (status, problem) = api.problem(&format!("/v1/mo-sms/aggregate?tz={zone}")).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (409, &json!("tz")), "{problem}");
    }
    let far = "9".repeat(18);
    let url = format!("/v1/data-usage/aggregate?from=-{far}&to={far}&interval=1d");
    assert_eq!(api.rows(&url).await.len(), 2);
}
