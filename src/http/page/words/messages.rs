/// Messages that SIMs sent, and what became of those that were sent to them.
#[derive(Debug)]
pub(in crate::http::page) struct Messages {
    pub(in crate::http::page) inbox: &'static str,
    pub(in crate::http::page) reports: &'static str,
    pub(in crate::http::page) from: &'static str,
    pub(in crate::http::page) to: &'static str,
    pub(in crate::http::page) text: &'static str,
    pub(in crate::http::page) no_text: &'static str,
    pub(in crate::http::page) none_yet: &'static str,
    pub(in crate::http::page) no_reports: &'static str,
    pub(in crate::http::page) search: &'static str,
    pub(in crate::http::page) thread: fn(&str) -> String,
    pub(in crate::http::page) to_sim: &'static str,
    pub(in crate::http::page) report: &'static str,
}
