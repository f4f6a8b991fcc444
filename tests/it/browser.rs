//! A browser without script: it keeps its session, sends forms as pages of ours do, and follows no
//! redirect by itself.
use reqwest::{Client, Response, header, redirect::Policy};

pub(crate) struct Browser {
    base: String,
    cookie: String,
    client: Client,
}

impl Browser {
    /// Signs in at the server with this address.
    pub(crate) async fn signed_in(base: &str, key: &str) -> Self {
        let client = Client::builder().redirect(Policy::none()).build().unwrap();
        let mut browser = Self { base: base.to_owned(), cookie: String::new(), client };
        let answer = browser.submit("/sign-in", &[("key", key)]).await;
        assert_eq!(answer.status(), 303);
        let cookie = answer.headers()[header::SET_COOKIE].to_str().unwrap();
        browser.cookie = cookie.split(';').next().unwrap().to_owned();
        browser
    }

    /// The same, for a person who reads Chinese.
    pub(crate) fn in_chinese(mut self) -> Self {
        self.cookie += "; simdeck_lang=zh";
        self
    }

    pub(crate) async fn open(&self, path: &str) -> Response {
        let request = self.client.get(format!("{}{path}", self.base));
        request.header(header::COOKIE, &self.cookie).send().await.unwrap()
    }

    /// The page at this path, which is there.
    pub(crate) async fn page(&self, path: &str) -> String {
        let answer = self.open(path).await;
        assert_eq!(answer.status(), 200, "{path}");
        answer.text().await.unwrap()
    }

    pub(crate) async fn submit(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        self.submit_from(&self.base, path, fields).await
    }

    /// Sends a form that a page of this origin holds.
    pub(crate) async fn submit_from(
        &self,
        origin: &str,
        path: &str,
        fields: &[(&str, &str)],
    ) -> Response {
        let fields: Vec<_> =
            fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        self.client
            .post(format!("{}{path}", self.base))
            .header(header::COOKIE, &self.cookie)
            .header(header::ORIGIN, origin)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(fields.join("&"))
            .send()
            .await
            .unwrap()
    }
}

fn encoded(value: &str) -> String {
    value.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// What stands on a page between these two texts, the first time.
pub(crate) fn between<'p>(page: &'p str, start: &str, end: &str) -> &'p str {
    let rest = page.split_once(start).unwrap_or_else(|| panic!("no {start} in {page}")).1;
    rest.split_once(end).unwrap_or_else(|| panic!("no {end} in {rest}")).0
}
