//! What the stand-in believes in: an account, a fleet, its samples, and its habits.
use std::{collections::HashMap, time::Duration};

use serde_json::{Value, json};

pub(crate) const CLIENT_ID: &str = "stand-in-client-0123456789abcdef";
/// Found anywhere but in the product's memory, it has leaked. The `ß` tells bytes from characters.
pub(crate) const CLIENT_SECRET: &str = "CANARY-geheim-ß-9f27c1d4-must-never-be-seen";

pub(crate) struct World {
    pub(crate) account: Account,
    pub(crate) variant: Variant,
    /// In front of every path, and not signed: `/gw`.
    pub(crate) prefix: String,
    /// The server's clock, by which a timestamp is fresh or not and from which `Date` is made.
    pub(crate) now_ms: Box<dyn Fn() -> i64 + Send>,
    /// Added to the `Date` header alone.
    pub(crate) clock_skew_ms: i64,

    /// `data` of deviceTotal; counted from the fleet when there is none.
    pub(crate) totals: Option<Value>,
    /// The items of the device list, of any shape. Those without a text `sn` are listed only.
    pub(crate) devices: Vec<Value>,
    pub(crate) container: Container,
    /// By serial number, given out in the order in which they stand here.
    pub(crate) samples: HashMap<String, Vec<Sample>>,

    /// A server that gives fewer items per page than asked.
    pub(crate) page_size_max: Option<usize>,
    /// Each page begins with so many items of the page before.
    pub(crate) overlap: usize,
    /// Every page is the first page.
    pub(crate) ignore_paging: bool,
    /// Answers are compressed for clients that accept it.
    pub(crate) gzip: bool,
    /// Answers are compressed in this way, whether the client accepts it or not.
    pub(crate) packed: Option<Packed>,
    /// How long each answer takes, so that overlaps can show.
    pub(crate) delay: Duration,
    /// Every call is answered with success and no data.
    pub(crate) says_nothing: bool,
    /// A larger `pageSize` is refused.
    pub(crate) page_size_refused_above: Option<usize>,
    /// Called with each request that is read; an answer that it gives is sent instead of the right one.
    pub(crate) on_request: Option<OnRequest>,
}

/// Looks at a request's path; may name a status to answer it with.
pub(crate) type OnRequest = Box<dyn FnMut(&str) -> Option<u16> + Send>;

impl Default for World {
    fn default() -> Self {
        Self {
            account: Account { client_id: CLIENT_ID.into(), client_secret: CLIENT_SECRET.into() },
            variant: Variant::default(),
            prefix: String::new(),
            now_ms: Box::new(|| jiff::Timestamp::now().as_millisecond()),
            clock_skew_ms: 0,
            totals: None,
            devices: Vec::new(),
            container: Container::default(),
            samples: HashMap::new(),
            page_size_max: None,
            overlap: 0,
            ignore_paging: false,
            gzip: false,
            packed: None,
            delay: Duration::ZERO,
            says_nothing: false,
            page_size_refused_above: None,
            on_request: None,
        }
    }
}

/// A way of compressing that nobody asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Packed {
    /// `deflate` by the standard.
    Zlib,
    /// `deflate` as some send it.
    Bare,
    /// Said to be `br`, and is anything.
    Other,
}

pub(crate) struct Account {
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
}

/// What the sources disagree on; the default is the vendor's word.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Variant {
    pub(crate) unique_code: UniqueCode,
    pub(crate) sign_body: SignBody,
    pub(crate) parameters_in: ParametersIn,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum UniqueCode {
    #[default]
    ClientId,
    /// Anything but the client id.
    Random,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum SignBody {
    #[default]
    None,
    /// `&` and the body, on writes that have one.
    AmpersandJson,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum ParametersIn {
    #[default]
    QueryAndHeaders,
    /// A fixed parameter in the query is refused, so that one variant alone works.
    HeadersOnly,
    /// The headers are enough; what the query says as well must agree.
    Either,
}

/// What stands around the items of the device list.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Container {
    #[default]
    Bare,
    List,
    Records,
    Data,
}

impl Container {
    pub(super) fn around(self, items: Value) -> Value {
        match self {
            Self::Bare => items,
            Self::List => json!({ "list": items }),
            Self::Records => json!({ "records": items }),
            Self::Data => json!({ "data": items }),
        }
    }
}

/// The time is the server's secret: a sample says it in its own words or not at all.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) at_ms: i64,
    pub(crate) body: Value,
}

/// An item of the device list with every field that is known of.
pub(crate) fn device(sn: &str, online: impl Into<Value>) -> Value {
    json!({
        "sn": sn,
        "deviceName": format!("Router {sn}"),
        "deviceModel": "R1520",
        "groupName": "Default",
        "createTime": "2025-01-02 03:04:05",
        "deviceFirmWareVersion": "5.2.0",
        "deviceDesc": "",
        "onlineStatus": online.into(),
    })
}

/// So many devices, `RB0000000000001` and on; every second one is online.
pub(crate) fn fleet(devices: usize) -> Vec<Value> {
    (1..=devices).map(|n| device(&format!("RB{n:013}"), n % 2)).collect()
}
