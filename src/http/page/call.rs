//! A question to the API as a panel asks it, and as a person can ask it again.
use crate::http::query_string::append;

/// A path of the API with its parameters. What a panel shows is the answer to exactly this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    path: String,
    parameters: Vec<(&'static str, String)>,
}

impl Call {
    /// A question without parameters.
    pub(super) fn to(path: impl Into<String>) -> Self {
        Self { path: path.into(), parameters: Vec::new() }
    }

    /// With one more parameter.
    pub(super) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.parameters.push((name, value.to_string()));
        self
    }

    /// With one more parameter, where there is a value.
    pub(super) fn with_some(self, name: &'static str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// With a parameter that takes the place of all of its name.
    pub(super) fn set(self, name: &'static str, value: impl ToString) -> Self {
        self.without(name).with(name, value)
    }

    /// Without the parameters of this name.
    pub(super) fn without(mut self, name: &str) -> Self {
        self.parameters.retain(|(other, _)| *other != name);
        self
    }

    /// The path alone.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The path with its query, as it stands in a request.
    pub(super) fn uri(&self) -> String {
        let mut query = String::new();
        for (name, value) in &self.parameters {
            append(&mut query, name, value);
        }
        if query.is_empty() { self.path.clone() } else { format!("{}?{query}", self.path) }
    }

    /// The same as a table to be kept.
    pub(super) fn csv(&self) -> String {
        self.clone().with("format", "csv").uri()
    }

    /// The same for a shell. The key comes from the environment, so that no page holds one.
    pub(super) fn curl(&self, base: &str) -> String {
        let url = format!("{base}{}", self.uri()).replace('\'', "%27");
        format!("curl -sS -H \"X-API-Key: $SIMDECK_API_KEY\" '{url}'")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_the_same_in_a_request_and_in_a_shell() {
        let call = Call::to("/v1/mo-sms").with("q", "a b'c&d").with_some("apn", None::<String>);
        assert_eq!(call.uri(), "/v1/mo-sms?q=a%20b%27c%26d");
        assert_eq!(call.csv(), "/v1/mo-sms?q=a%20b%27c%26d&format=csv");
        assert_eq!(
            call.curl("http://127.0.0.1:8081"),
            "curl -sS -H \"X-API-Key: $SIMDECK_API_KEY\" \
             'http://127.0.0.1:8081/v1/mo-sms?q=a%20b%27c%26d'"
        );
    }
}
