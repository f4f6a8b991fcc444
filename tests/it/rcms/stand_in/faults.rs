//! The script of what goes wrong, for which requests and how often.
use std::time::Duration;

use serde_json::Value;

use super::{Seen, answer::Answer, calls::Call, wire::Way};

/// Which requests a fault is meant for.
#[derive(Debug, Clone)]
pub(crate) enum On {
    /// Unknown paths included.
    Any,
    DeviceTotal,
    DeviceList,
    /// By the `pageNum` that is asked for.
    DeviceListPage(usize),
    /// Of every device.
    StatusData,
    StatusOf(String),
    Group,
}

#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// HTTP 200 and code 40002, however well it is signed.
    SignatureRefused,
    /// HTTP 200 and another code.
    Code(i64, String),
    /// A status, headers beside or instead of the usual ones, and a body.
    Status(u16, Vec<(String, String)>, String),
    /// HTTP 200 and this body, whatever it is.
    Body(String),
    /// HTTP 200 and a page of HTML, as a proxy or a login page would send.
    Html,
    /// The right answer, cut in its middle, with a length that agrees.
    CutJson,
    /// The right answer; its body comes a byte at a time with this pause before each.
    Trickle(Duration),
    /// Half of the right answer under the length of the whole, then the end.
    Truncated,
    /// An answer of so many bytes, made as it is sent.
    Huge { bytes: u64, chunked: bool },
    /// An answer of about so many bytes, a thousandth of it on the wire, for whoever asks.
    GzipBomb(u64),
    /// The connection is reset.
    Reset,
    /// No answer until the client leaves.
    Silence,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Times {
    Once,
    Count(usize),
    Always,
}

#[derive(Default)]
pub(super) struct Script(Vec<Scene>);

struct Scene {
    on: On,
    fault: Fault,
    /// `None` is always.
    left: Option<usize>,
}

impl Script {
    pub(super) fn add(&mut self, on: On, fault: Fault, times: Times) {
        let left = match times {
            Times::Once => Some(1),
            Times::Count(count) => Some(count),
            Times::Always => None,
        };
        self.0.push(Scene { on, fault, left });
    }

    pub(super) fn next(&mut self, call: &Call, seen: &Seen) -> Option<Fault> {
        let fits = |scene: &&mut Scene| scene.left != Some(0) && scene.on.means(call, seen);
        let scene = self.0.iter_mut().find(fits)?;
        scene.left = scene.left.map(|left| left - 1);
        Some(scene.fault.clone())
    }
}

impl On {
    fn means(&self, call: &Call, seen: &Seen) -> bool {
        match (self, call) {
            (Self::Any, _)
            | (Self::DeviceTotal, Call::DeviceTotal)
            | (Self::DeviceList, Call::DeviceList)
            | (Self::StatusData, Call::StatusData(_))
            | (Self::Group, Call::Group(_)) => true,
            (Self::DeviceListPage(page), Call::DeviceList) => {
                seen.pair("pageNum") == Some(&page.to_string())
            }
            (Self::StatusOf(own), Call::StatusData(sn)) => own == sn,
            _ => false,
        }
    }
}

/// What is sent and how. The right answer is asked for only where it is sent, since a PUT acts.
pub(super) fn play(fault: Option<Fault>, right: impl FnOnce() -> Answer) -> (Answer, Way) {
    match fault {
        None => (right(), Way::Whole),
        Some(Fault::SignatureRefused) => (Answer::signature_refused(), Way::Whole),
        Some(Fault::Code(code, msg)) => (Answer::envelope(code, &msg, &Value::Null), Way::Whole),
        Some(Fault::Status(status, headers, body)) => {
            (Answer { status, headers, ..Answer::json(body) }, Way::Whole)
        }
        Some(Fault::Body(body)) => (Answer::json(body), Way::Whole),
        Some(Fault::Html) => (Answer::html(200, "Please log in"), Way::Whole),
        Some(Fault::CutJson) => {
            let mut answer = right();
            answer.body.truncate(answer.body.len() / 2);
            (answer, Way::Whole)
        }
        Some(Fault::Trickle(pause)) => (right(), Way::Trickle(pause)),
        Some(Fault::Truncated) => (right(), Way::Truncated),
        Some(Fault::Huge { bytes, chunked }) => (Answer::json(""), Way::Huge { bytes, chunked }),
        Some(Fault::GzipBomb(bytes)) => (Answer::json(""), Way::GzipBomb(bytes)),
        Some(Fault::Reset) => (Answer::default(), Way::Reset),
        Some(Fault::Silence) => (Answer::default(), Way::Silence),
    }
}
