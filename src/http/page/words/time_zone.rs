/// The choice of the zone in which times are told.
#[derive(Debug)]
pub(in crate::http::page) struct TimeZones {
    pub(in crate::http::page) title: &'static str,
    pub(in crate::http::page) about: &'static str,
    pub(in crate::http::page) hint: &'static str,
    pub(in crate::http::page) of_browser: &'static str,
    pub(in crate::http::page) of_server: &'static str,
    pub(in crate::http::page) apply: &'static str,
    pub(in crate::http::page) cancel: &'static str,
    pub(in crate::http::page) none_found: &'static str,
}

pub(super) const EN: TimeZones = TimeZones {
    title: "Time zone",
    about: "Times on these pages are shown in this zone. Only this browser remembers it; sums by day \
            keep the server’s zone.",
    hint: "city, region or offset, such as Kathmandu or +5:45",
    of_browser: "This browser’s",
    of_server: "The server’s",
    apply: "Apply",
    cancel: "Cancel",
    none_found: "No time zone has this name or offset.",
};

pub(super) const ZH: TimeZones = TimeZones {
    title: "时区",
    about: "页面上的时间按此时区显示，仅保存在当前浏览器中；按日汇总仍以服务器时区为准。",
    hint: "城市或地区的英文名、时差，例如 Shanghai 或 +8",
    of_browser: "跟随浏览器",
    of_server: "跟随服务器",
    apply: "应用",
    cancel: "取消",
    none_found: "没有符合的时区。",
};
