//! The push categories that SmartHub documents. The list can grow on their side; a kind that is
//! not in it is kept as a notification of that kind.

/// Data used by a SIM.
pub const DATA_USAGE: &str = "data-usage";
/// A text message sent by a SIM.
pub const MO_SMS: &str = "mo-sms";

/// A push category that SmartHub documents.
#[derive(Clone, Copy, Debug)]
pub struct KnownKind {
    /// Our name for it, as it stands in the address.
    pub slug: &'static str,
    /// SmartHub's own title, as the customer finds it where addresses are registered.
    pub title: &'static str,
    /// SmartHub's Chinese title, where its documents give one.
    pub title_zh: Option<&'static str>,
}

/// How many there are. What is as long as the table takes this number, and not the table's: see
/// `COUNT` in `http/push/refusal.rs`.
pub const KNOWN_COUNT: usize = 10;

/// All of them, in SmartHub's order.
pub const KNOWN: [KnownKind; KNOWN_COUNT] = [
    KnownKind { slug: DATA_USAGE, title: "data usage (CDR) push", title_zh: None },
    KnownKind { slug: MO_SMS, title: "MO SMS Push", title_zh: Some("上行短信推送") },
    KnownKind {
        slug: "mt-sms-status",
        title: "Push MT SMS Status Report",
        title_zh: Some("MT短信状态报告推送"),
    },
    KnownKind {
        slug: "cycle-usage",
        title: "Push Cycle Usage Tracking Event Notification",
        title_zh: None,
    },
    KnownKind {
        slug: "imei-change",
        title: "Push Imei Change Event Notification",
        title_zh: Some("机卡分离"),
    },
    KnownKind {
        slug: "no-session",
        title: "Push No Session Connection Event Notification",
        title_zh: None,
    },
    KnownKind {
        slug: "package-expiry",
        title: "Push Prepaid Service Package Expired Event Notification",
        title_zh: None,
    },
    KnownKind {
        slug: "package-usage",
        title: "Push Prepaid Service Package Traffic Tracking Event Notification",
        title_zh: None,
    },
    KnownKind {
        slug: "sim-status",
        title: "Push Sim Status Change Event Notification",
        title_zh: None,
    },
    KnownKind {
        slug: "apn-status",
        title: "Push Sim Apn Status Change Event Notification",
        title_zh: None,
    },
];

/// Whether SmartHub documents a kind of this name.
pub fn is_known(slug: &str) -> bool {
    KNOWN.iter().any(|kind| kind.slug == slug)
}

/// Its place among those that SmartHub documents, if it is one of them.
pub fn number(slug: &str) -> Option<usize> {
    KNOWN.iter().position(|kind| kind.slug == slug)
}
