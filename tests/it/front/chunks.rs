//! The answer to a body is the same however its bytes were cut on their way.
use serde_json::{Value, json};

use crate::server::{Answer, Simdeck, now_s, proof, signed, usage};

const SIM: &str = "8944501503181377993";

fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let marked = |text: String| [b"\xEF\xBB\xBF", text.as_bytes()].concat();
    vec![
        ("data-usage", marked(signed(&usage(SIM)))),
        ("data-usage", signed(&format!(r#""rows":[{{{}}}],"ü":"\u00e9\\""#, usage(SIM))).into()),
        ("sim-status", marked(format!("[{}]", signed(r#""状态":"ACTIVE","n":1.50e3"#)))),
        ("sim-status", b"\xEF\xBB\xBF\xEF\xBB\xBF{}".to_vec()),
        ("sim-status", b"\xEF\xBB\xBF".to_vec()),
        ("sim-status", format!(r#"{{{},"a":"{}"}}"#, proof(now_s()), "x").into_bytes()),
        ("mo-sms", b"{\"datePush\":1,\"signature\":\"".to_vec()),
    ]
}

/// The request in these pieces, each sent by itself.
async fn sent(simdeck: &Simdeck, kind: &str, pieces: &[&[u8]], chunked: bool) -> (String, Value) {
    let mut wire = simdeck.connect().await;
    let whole: usize = pieces.iter().map(|piece| piece.len()).sum();
    let framing = match chunked {
        true => "transfer-encoding: chunked".to_owned(),
        false => format!("content-length: {whole}"),
    };
    wire.send(format!("POST /v1/{kind} HTTP/1.1\r\nhost: x\r\n{framing}\r\n\r\n")).await;
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        match chunked {
            true => {
                let head = format!("{:x};ext=\"a\"\r\n", piece.len());
                wire.send([head.as_bytes(), piece, b"\r\n"].concat()).await;
            }
            false => wire.send(piece).await,
        }
    }
    if chunked {
        wire.send("0\r\n\r\n").await;
    }
    let (head, body) = wire.answer().await;
    let status = head.lines().next().unwrap().to_owned();
    (status, serde_json::from_str(&body).unwrap())
}

#[tokio::test]
async fn the_answer_never_depends_on_how_a_body_was_cut() {
    // So many failures of one source would be 429, which has nothing to do with cuts.
    let simdeck = Simdeck::start(&[]);
    for (kind, body) in bodies() {
        let Answer { status, body: text, .. } = simdeck.post(kind, body.clone()).await;
        let whole: Value = serde_json::from_str(&text).unwrap();
        let again = match whole.get("stored") {
            Some(_) => json!({"stored": 0, "duplicates": 1, "quarantined": 0}),
            None => whole.clone(),
        };
        let cuts = (0..=body.len()).step_by(if status == 200 { 1 } else { 7 });
        for (cut, chunked) in cuts.flat_map(|cut| [(cut, false), (cut, true)]) {
            let (first, second) = body.split_at(cut);
            let middle = second.len() / 2;
            let pieces = [first, &second[..middle], &second[middle..]];
            let (line, answer) = sent(&simdeck, kind, &pieces, chunked).await;
            if line.contains("429") && status != 200 {
                break;
            }
            assert!(line.contains(&status.to_string()), "{kind} {cut} {chunked}: {line}");
            assert_eq!(answer, again, "{kind} {cut} {chunked}");
        }
    }
    simdeck.end();
}

#[tokio::test]
async fn a_byte_order_mark_before_a_body_is_skipped_and_one_inside_is_none() {
    let simdeck = Simdeck::start(&[]);
    let mark = "\u{FEFF}";
    assert_eq!(
        simdeck.push("data-usage", format!("{mark}{}", signed(&usage(SIM)))).await,
        (1, 0, 0)
    );
    assert_eq!(simdeck.push("data-usage", signed(&usage(SIM))).await, (0, 1, 0), "the same record");
    let two = format!("{mark}[{},{}]", signed(r#""n":1"#), signed(r#""n":2"#));
    assert_eq!(simdeck.push("sim-status", two).await, (2, 0, 0));
    // What cannot be read lies in quarantine without it, and is a body of its own.
    assert_eq!(simdeck.push("mo-sms", format!("{mark}{}", signed(r#""a":1"#))).await, (0, 0, 1));
    let held = simdeck.held(1).await.remove(0);
    assert!(held["body"].as_str().unwrap().starts_with('{'), "{held}");
    for bad in [format!("{mark}{mark}{{}}"), format!("{{{mark}}}"), mark.to_owned()] {
        assert_eq!(simdeck.post("sim-status", bad).await.status, 400);
    }
    simdeck.end();
}
