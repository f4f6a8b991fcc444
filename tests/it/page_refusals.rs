//! A page whose question the API refuses says so; nothing that was asked for is left out in silence.
use crate::server::{API_KEY, Simdeck, signed, usage};

const SIM: &str = "8944501503181377993";

async fn page(simdeck: &Simdeck, path: &str) -> String {
    let url = format!("{}{path}", simdeck.internal_url());
    let answer = reqwest::Client::new().get(url).header("X-API-Key", API_KEY).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    answer.text().await.unwrap()
}

#[tokio::test]
async fn what_cannot_be_read_in_the_address_of_a_page_is_refused_or_matches_nothing() {
    let simdeck = Simdeck::start(&[]);
    assert_eq!(simdeck.push("data-usage", signed(&usage(SIM))).await, (1, 0, 0));
    assert!(page(&simdeck, "/sims").await.contains(SIM));
    for broken in ["%ff", "%zz", "%00", "%"] {
        for (path, sentence) in [
            ("/sims?silent_for=", "`silent_for` should be"),
            ("/sims?sort=", "`sort` should be"),
            ("/sims?page=", "`page` should be"),
            ("/messages?giccid=", "`giccid` should be"),
            ("/live?tab=requests&outcome=", "`outcome` should be"),
            ("/audit?action=", "`action` should be"),
            ("/audit?from=", "`from` should be"),
            ("/sims?country_code=", "Nothing matches these filters"),
            ("/sims?sim_group=", "Nothing matches these filters"),
            ("/sims?mcc=", "Nothing matches these filters"),
            ("/sims?q=", "Nothing matches these filters"),
        ] {
            let found = page(&simdeck, &format!("{path}{broken}")).await;
            assert!(found.contains(sentence), "{path}{broken}: {found}");
            assert!(!found.contains(&format!("data-giccid=\"{SIM}\"")), "{path}{broken}: {found}");
        }
    }
    simdeck.end();
}
