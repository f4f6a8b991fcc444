//! The overview: what stands in two places is the same in both.
use simdeck::http::ApiSettings;

use crate::{
    api_harness::{ADMIN_KEY, Api, SECOND},
    page::Browser,
};

const SIM: &str = "8986001234567890441";
const DAY_S: i64 = 86_400;

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
        let top = page.split_once("id=\"top\"").unwrap().1.split_once("</section>").unwrap().0;
        assert!(top.contains("<b>100×</b>"), "{url}: {top}");
    }
    let page = browser.send(reqwest::Method::GET, "/", "zh").await.text().await.unwrap();
    assert!(page.contains("单卡用量达日常的 100 倍"), "{page}");
    for word in ["1 小时", "24 小时", "7 天", "30 天"] {
        assert!(page.contains(&format!(">{word}</a>")), "{word}: {page}");
    }
}
