/// What arrives, and every request to the public listener.
#[derive(Debug)]
pub(in crate::http::page) struct Live {
    pub(in crate::http::page) about: &'static str,
    pub(in crate::http::page) pause: &'static str,
    pub(in crate::http::page) resume: &'static str,
    pub(in crate::http::page) rows: &'static str,
    pub(in crate::http::page) inspector: &'static str,
    pub(in crate::http::page) everything: &'static str,
    pub(in crate::http::page) data: &'static str,
    pub(in crate::http::page) sms: &'static str,
    pub(in crate::http::page) notice: &'static str,
    pub(in crate::http::page) router: &'static str,
    pub(in crate::http::page) test: &'static str,
    pub(in crate::http::page) nothing_yet: &'static str,
    /// With `{shown}` and `{all}`, for the script.
    pub(in crate::http::page) sampled: &'static str,
    pub(in crate::http::page) lost: &'static str,
    pub(in crate::http::page) inspector_note: &'static str,
    pub(in crate::http::page) no_requests: &'static str,
    pub(in crate::http::page) outcome: &'static str,
    pub(in crate::http::page) kind: &'static str,
    pub(in crate::http::page) source: &'static str,
    pub(in crate::http::page) size: &'static str,
    pub(in crate::http::page) took: &'static str,
    pub(in crate::http::page) body: &'static str,
    pub(in crate::http::page) body_for_admins: &'static str,
    pub(in crate::http::page) body_cut: &'static str,
    pub(in crate::http::page) held: &'static str,
    pub(in crate::http::page) held_note: &'static str,
    pub(in crate::http::page) no_held: &'static str,
    pub(in crate::http::page) retry: &'static str,
    pub(in crate::http::page) not_retried: fn(&str) -> String,
    /// By the class's word in the API.
    pub(in crate::http::page) held_classes: fn(&str) -> &'static str,
    /// By the outcome's word in the API.
    pub(in crate::http::page) outcomes: fn(&str) -> &'static str,
}
