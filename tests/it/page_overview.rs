//! The overview: what stands in two places is the same in both.
use simdeck::http::ApiSettings;

use crate::{
    api_harness::{ADMIN_KEY, Api, SECOND},
    page::Browser,
};

const SIM: &str = "8986001234567890441";
const DAY_S: i64 = 86_400;
const MIB: i64 = 1 << 20;

#[tokio::test]
async fn a_sim_is_as_far_above_its_usual_among_the_top_sims_as_in_what_needs_attention() {
    let api = Api::new(ApiSettings::default()).await;
    let push = async |days_ago: i64, volume: i64| {
        let at_ms = (SECOND - days_ago * DAY_S) * 1000;
        let record = format!(r#""giccid":"{SIM}","data_usage":{volume},"start_time":{at_ms}"#);
        api.push("data-usage", &record).await;
    };
    for days_ago in 1..=8 {
        push(days_ago, 16 << 20).await;
    }
    push(0, 1600 << 20).await;
    let attention = api.rows("/v1/attention").await;
    assert_eq!(attention[0]["kind"], "sim_above_usual", "{attention:?}");
    let browser = Browser::with_key(&api, ADMIN_KEY).await;
    for url in ["/", "/?range=1h", "/?range=7d", "/?range=30d", "/?by=change"] {
        let page = browser.page(url).await;
        assert!(page.contains("SIM at 100× its usual use"), "{url}: {page}");
        let top = panel(&page, "top");
        assert!(top.contains("<b>100×</b>"), "{url}: {top}");
    }
    let page = browser.send(reqwest::Method::GET, "/", "zh").await.text().await.unwrap();
    assert!(page.contains("单卡用量达日常的 100 倍"), "{page}");
    for word in ["1 小时", "24 小时", "7 天", "30 天"] {
        assert!(page.contains(&format!(">{word}</a>")), "{word}: {page}");
    }
}

/// A record on each of these days.
async fn push_days(api: &Api, giccid: &str, days: std::ops::RangeInclusive<i64>) {
    for days_ago in days {
        let at_ms = (SECOND - days_ago * DAY_S) * 1000;
        let record = format!(r#""giccid":"{giccid}","data_usage":{MIB},"start_time":{at_ms}"#);
        api.push("data-usage", &record).await;
    }
}

#[tokio::test]
async fn a_chart_says_one_sentence_about_the_usual_range() {
    let sim = format!("/sims/{SIM}");
    for (days, is_known) in [(3, false), (27, false), (30, true)] {
        let api = Api::new(ApiSettings::default()).await;
        push_days(&api, SIM, 0..=days).await;
        let browser = Browser::with_key(&api, ADMIN_KEY).await;
        for url in ["/", "/?range=1h", "/?range=7d", "/?range=30d", "/?view=table", &sim] {
            for (lang, too_little, above) in [
                ("en", "it needs four weeks", "above the usual range"),
                ("zh", "历史不足四周，暂无正常区间", "高于正常区间"),
            ] {
                let page =
                    browser.send(reqwest::Method::GET, url, lang).await.text().await.unwrap();
                let usage = panel(&page, "usage");
                let told = (usage.contains(too_little), usage.contains(above));
                assert_eq!(told, (!is_known, is_known), "{url}, {lang}, {days} days: {usage}");
            }
        }
    }
}

/// A panel of the overview.
fn panel<'p>(page: &'p str, id: &str) -> &'p str {
    page.split_once(&format!("id=\"{id}\"")).unwrap().1.split_once("</section>").unwrap().0
}

#[tokio::test]
async fn the_panels_beside_a_range_are_about_that_range_or_say_about_what() {
    let api = Api::new(ApiSettings::default()).await;
    // In the ranges of an hour, a day, a week, a month, and in none: the newest is the smallest.
    let other = "8986001234567890442";
    for (minutes_ago, giccid, mib) in [
        (10, SIM, 1),
        (120, SIM, 2),
        (119, other, 1),
        (60 * 30, SIM, 4),
        (60 * 24 * 10, SIM, 8),
        (60 * 24 * 40, SIM, 16),
    ] {
        let (at_ms, volume) = ((SECOND - minutes_ago * 60) * 1000, mib * MIB);
        let record = format!(
            r#""giccid":"{giccid}","data_usage":{volume},"start_time":{at_ms},"country_code":"DE""#
        );
        api.push("data-usage", &record).await;
        api.push("mo-sms", &format!(r#""giccid":"{giccid}","event_time":{at_ms}"#)).await;
    }
    let browser = Browser::with_key(&api, ADMIN_KEY).await;
    let ranges = [
        ("1h", 1, None, (1, None)),
        ("24h", 3, Some(1), (2, Some(1))),
        ("7d", 7, Some(1), (3, Some(1))),
        ("30d", 15, Some(1), (4, Some(1))),
    ];
    for (range, first, second, messages) in ranges {
        let page = browser.page(&format!("/?range={range}")).await;
        let title = |mib: i64| format!("title=\"{} B\"", grouped(mib * MIB));
        let sum = first + second.unwrap_or(0);
        let figures = panel(&page, "figures");
        assert!(figures.contains(&title(sum)), "{range}: {figures}");
        assert!(figures.contains("all time: 0 refused · 0 duplicates dropped"), "{figures}");
        let split = panel(&page, "split");
        assert!(split.contains(&title(sum)), "{range}: {split}");
        let usage = panel(&page, "usage");
        assert!(usage.contains(&format!("{sum} MB in all")), "{range}: {usage}");
        let top = panel(&page, "top");
        assert!(top.contains(&title(first)), "{range}: {top}");
        assert_eq!(top.contains(other), second.is_some(), "{range}: {top}");
        let (first, second) = messages;
        let page = browser.page(&format!("/?range={range}&by=messages")).await;
        let top = panel(&page, "top");
        assert!(top.contains(&format!("title=\"{first}\"")), "{range}: {top}");
        assert_eq!(top.contains(other), second.is_some(), "{range}: {top}");
        // Told by the day, whatever the range: so it says so.
        let page = browser.page(&format!("/?range={range}&by=change")).await;
        let top = panel(&page, "top");
        assert!(top.contains(">today</span>"), "{range}: {top}");
    }
}

fn grouped(number: i64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[tokio::test]
async fn the_figure_of_silent_sims_leads_to_the_list_that_it_counts() {
    let api = Api::new(ApiSettings::default()).await;
    push_days(&api, SIM, 2..=3).await;
    push_days(&api, "8986001234567890442", 0..=1).await;
    let browser = Browser::with_key(&api, ADMIN_KEY).await;
    let page = browser.page("/?range=7d").await;
    let (_, figure) = panel(&page, "figures").split_once("href=\"/sims?silent_for=24h\"").unwrap();
    let (figure, _) = figure.split_once("<small>").unwrap();
    assert!(figure.contains("Silent over 24 h") && figure.ends_with(">1 "), "{figure}");
    let list = browser.page("/sims?silent_for=24h").await;
    assert!(list.contains(SIM) && !list.contains("8986001234567890442"), "{list}");
}

#[tokio::test]
async fn every_page_of_the_bar_has_a_letter_and_the_sheet_of_keys_names_it() {
    let api = Api::new(ApiSettings::default()).await;
    push_days(&api, SIM, 0..=0).await;
    let made = api.post("/v1/keys", ADMIN_KEY, r#"{"label":"eyes","scope":"read"}"#).await;
    let made: serde_json::Value = made.json().await.unwrap();
    for (key, letters) in [(ADMIN_KEY, "olsmria"), (made["key"].as_str().unwrap(), "olsmri")] {
        let browser = Browser::with_key(&api, key).await;
        let page = browser.page("/").await;
        let (_, bar) = page.split_once("<nav aria-label").unwrap();
        let (bar, _) = bar.split_once("</nav>").unwrap();
        let (_, sheet) = page.split_once("id=\"keys\"").unwrap();
        for letter in letters.chars() {
            assert!(bar.contains(&format!("data-letter=\"{letter}\"")), "{letter}: {bar}");
            assert!(sheet.contains(&format!("<kbd>{letter}</kbd>")), "{letter}: {sheet}");
        }
        assert_eq!(bar.matches("data-letter").count(), letters.len(), "{bar}");
        assert_eq!(sheet.contains("<kbd>a</kbd> Audit"), letters.contains('a'), "{sheet}");
    }
}
