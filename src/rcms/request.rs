use std::{collections::BTreeMap, fmt};

use serde_json::Value;

use super::group_name::GroupName;
use crate::domain::SerialNumber;

/// The five parameters of every request, in code point order.
pub(super) const FIXED: [&str; 5] =
    ["apiVersion", "clientId", "signatureVersion", "timestamp", "uniqueCode"];

/// A question to RCMS that can be signed: whatever RCMS rebuilds from the wire equals what we sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: BTreeMap<String, String>,
    /// Compact JSON.
    pub(super) body: Option<String>,
}

/// What is done to what the path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Read.
    Get,
    /// Make.
    Post,
    /// Replace.
    Put,
    /// Remove.
    Delete,
}

/// Why a request was not sent: signed and received text would differ, or a value could pass for a
/// parameter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A path with a character that means something else in an address.
    #[error("the path must not hold `{0}`; give parameters apart from it")]
    PathCharacter(char),
    /// A path with a control character.
    #[error("the path must not hold control characters")]
    PathControl,
    /// A path that an address would shorten.
    #[error("the path must not hold the segments `.` and `..`")]
    DotSegment,
    /// A key with other characters.
    #[error("the key `{0}` of a parameter must consist of letters, digits, `_`, `.` and `-`")]
    Key(String),
    /// A key that is ours.
    #[error("the parameter `{0}` is set by the signature itself")]
    FixedKey(String),
    /// A key that was there.
    #[error("the parameter `{0}` is given twice")]
    KeyTwice(String),
    /// A value with a character that means something else in an address.
    #[error("the value of `{key}` must not hold `{character}`: RCMS could not tell it apart")]
    ValueCharacter {
        /// The parameter.
        key: String,
        /// The character.
        character: char,
    },
    /// A value with a control character.
    #[error("the value of `{0}` must not hold control characters")]
    ValueControl(String),
    /// A question that takes no body.
    #[error("a {0} takes no body")]
    Body(Method),
}

impl Request {
    /// A request without parameters and body. A path without a slash at its start gets one.
    pub fn new(method: Method, path: &str) -> Result<Self, Refusal> {
        if let Some(character) = path.chars().find(|c| "?#%".contains(*c)) {
            return Err(Refusal::PathCharacter(character));
        }
        if path.chars().any(char::is_control) {
            return Err(Refusal::PathControl);
        }
        if path.split('/').any(|segment| segment == "." || segment == "..") {
            return Err(Refusal::DotSegment);
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Self { method, path: format!("{slash}{path}"), query: BTreeMap::new(), body: None })
    }

    /// A parameter more: a text or an integer.
    pub fn with(mut self, key: &str, value: impl fmt::Display) -> Result<Self, Refusal> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        if key.is_empty() || !key.bytes().all(is_plain) {
            return Err(Refusal::Key(shown(key)));
        }
        if FIXED.contains(&key) {
            return Err(Refusal::FixedKey(key.to_owned()));
        }
        let value = value.to_string();
        if let Some(character) = value.chars().find(|c| "&#%+;".contains(*c)) {
            return Err(Refusal::ValueCharacter { key: key.to_owned(), character });
        }
        if value.chars().any(char::is_control) {
            return Err(Refusal::ValueControl(key.to_owned()));
        }
        match self.query.insert(key.to_owned(), value) {
            None => Ok(self),
            Some(_) => Err(Refusal::KeyTwice(key.to_owned())),
        }
    }

    /// A body; it is sent as compact JSON.
    pub fn with_body(mut self, body: &Value) -> Result<Self, Refusal> {
        if self.is_read() {
            return Err(Refusal::Body(self.method));
        }
        self.body = Some(body.to_string());
        Ok(self)
    }

    /// Whether it may be asked again when it failed: it changes nothing.
    pub(super) fn is_read(&self) -> bool {
        self.method == Method::Get
    }

    /// `GET /api/link/dashboard/deviceTotal`: the counts of the fleet.
    pub(super) fn device_total() -> Result<Self, Refusal> {
        Self::new(Method::Get, "/api/link/dashboard/deviceTotal")
    }

    /// `GET /api/link/device/devices`: a page of the list, the first being 1.
    pub(super) fn devices(page: Page) -> Result<Self, Refusal> {
        Self::new(Method::Get, "/api/link/device/devices")?.page(page)
    }

    /// `GET /api/link/device/devices/{sn}`
    pub(super) fn device(sn: &SerialNumber) -> Result<Self, Refusal> {
        Self::new(Method::Get, &format!("/api/link/device/devices/{sn}"))
    }

    /// `GET /api/link/device/devices/{sn}/statusData`: what a device told in a span of time, in
    /// epoch milliseconds.
    pub(super) fn status_data(
        sn: &SerialNumber,
        page: Page,
        begin_ms: i64,
        end_ms: i64,
    ) -> Result<Self, Refusal> {
        Self::new(Method::Get, &format!("/api/link/device/devices/{sn}/statusData"))?
            .page(page)?
            .with("beginTime", begin_ms)?
            .with("endTime", end_ms)
    }

    /// `PUT /api/link/devices/{sn}/group`, without a `/device/` before it.
    pub(super) fn set_group(sn: &SerialNumber, group: &GroupName) -> Result<Self, Refusal> {
        Self::new(Method::Put, &format!("/api/link/devices/{sn}/group"))?
            .with_body(&serde_json::json!({ "groupName": group.as_str() }))
    }

    fn page(self, page: Page) -> Result<Self, Refusal> {
        self.with("pageNum", page.number)?.with("pageSize", page.size)
    }
}

/// A page of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Counted from 1.
    pub number: u32,
    /// How many items it has at most.
    pub size: u32,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        })
    }
}

impl std::str::FromStr for Method {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Get, Self::Post, Self::Put, Self::Delete]
            .into_iter()
            .find(|method| method.to_string().eq_ignore_ascii_case(text))
            .ok_or("a method is GET, POST, PUT or DELETE")
    }
}

/// A refused key, without what could move a terminal's cursor.
fn shown(key: &str) -> String {
    key.escape_debug().take(64).collect()
}
