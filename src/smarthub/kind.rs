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

/// All of them, in SmartHub's order.
pub const KNOWN: &[KnownKind] = &[
    known(DATA_USAGE, "data usage (CDR) push", None),
    known(MO_SMS, "MO SMS Push", Some("上行短信推送")),
    known("mt-sms-status", "Push MT SMS Status Report", Some("MT短信状态报告推送")),
    known("cycle-usage", "Push Cycle Usage Tracking Event Notification", None),
    known("imei-change", "Push Imei Change Event Notification", Some("机卡分离")),
    known("no-session", "Push No Session Connection Event Notification", None),
    known("package-expiry", "Push Prepaid Service Package Expired Event Notification", None),
    known(
        "package-usage",
        "Push Prepaid Service Package Traffic Tracking Event Notification",
        None,
    ),
    known("sim-status", "Push Sim Status Change Event Notification", None),
    known("apn-status", "Push Sim Apn Status Change Event Notification", None),
];

/// Whether SmartHub documents a kind of this name.
pub fn is_known(slug: &str) -> bool {
    KNOWN.iter().any(|kind| kind.slug == slug)
}

/// Its place among those that SmartHub documents, if it is one of them.
pub fn number(slug: &str) -> Option<usize> {
    KNOWN.iter().position(|kind| kind.slug == slug)
}

const fn known(
    slug: &'static str,
    title: &'static str,
    title_zh: Option<&'static str>,
) -> KnownKind {
    KnownKind { slug, title, title_zh }
}
