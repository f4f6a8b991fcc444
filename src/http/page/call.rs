//! A question to the API as a panel asks it, and as a person can ask it again.
use std::fmt::Write as _;

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

    /// The path with its query, as it stands in a request.
    pub(super) fn uri(&self) -> String {
        let mut uri = self.path.clone();
        for (nth, (name, value)) in self.parameters.iter().enumerate() {
            uri.push(if nth == 0 { '?' } else { '&' });
            uri += name;
            uri.push('=');
            push_escaped(&mut uri, value);
        }
        uri
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

/// Everything but letters, digits and `-._~` as its bytes.
fn push_escaped(uri: &mut String, value: &str) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            // Writing to a String does not fail.
            let _written = write!(uri, "%{byte:02X}");
        }
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
