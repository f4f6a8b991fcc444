//! A fault of ours is answered 500 or 503, so that SmartHub sends again, and is told as what it is.
use std::{fs, net::Ipv4Addr};

use serde_json::Value;

use crate::program::{Line, Program, now_s, panicking, proof};

/// Says where the clock of the control panics; everywhere else it goes on.
fn break_in(program: &Program, place: &str) {
    // At once: an empty file means all listeners.
    let whole = program.data().join("panic.whole");
    fs::write(&whole, place).unwrap();
    fs::rename(whole, program.data().join("panic")).unwrap();
}

fn mend(program: &Program) {
    fs::remove_file(program.data().join("panic")).unwrap();
}

fn push(program: &Program, body: &str) -> u16 {
    let mut line = Line::to(program.public).unwrap();
    line.push("data-usage", Ipv4Addr::LOCALHOST, body.as_bytes()).unwrap().status
}

/// What the internal listener answers, and what it says of it.
fn post(program: &Program, path: &str) -> (u16, String) {
    let answer = Line::to(program.internal).unwrap().post(path).unwrap();
    (answer.status, answer.text())
}

#[test]
fn a_reader_that_panics_is_no_fault_of_the_push_nor_a_stop() {
    let program = Program::of(panicking());
    let server = program.start();
    let blanks = " ".repeat(100_000);
    let record = r#""giccid":"8944501503181377993","data_usage":7,"start_time":1713888842473"#;
    let large = format!("{{{},{record},\"x\":\"{blanks}\"}}", proof(now_s()));
    break_in(&program, "intake/large.rs");
    assert_eq!(push(&program, &large), 500);
    let newest = &program.ask("/v1/pushes")[0];
    assert_eq!((&newest["outcome"], &newest["reason"]), (&"unavailable".into(), &"failed".into()));
    mend(&program);
    assert_eq!(program.ask("/v1/held"), Value::Array(vec![]), "it is not held as one without JSON");
    assert_eq!(push(&program, &large), 200, "sent again, it is stored");

    // What lies aside is tried again once the fault is gone.
    let unread = format!("{{{},\"giccid\":\"x\"}}", proof(now_s()));
    assert_eq!(push(&program, &unread), 200);
    let id = program.ask("/v1/held")[0]["id"].clone();
    for place in ["intake/large.rs", "intake/retry.rs"] {
        break_in(&program, place);
        let (status, text) = post(&program, &format!("/v1/held/{id}/retry"));
        assert_eq!(status, 500, "{place}: {text}");
        assert!(!text.contains("stopping") && !text.contains("no push"), "{place}: {text}");
    }
    mend(&program);
    assert_eq!(program.ask("/v1/held")[0]["id"], id, "it is still there");
    let audit = program.ask("/v1/audit?action=held.retry");
    let outcomes: Vec<_> = audit.as_array().unwrap().iter().map(|row| &row["outcome"]).collect();
    assert_eq!(outcomes, ["failed", "failed"], "{audit}");
    server.end();
}

#[test]
fn a_writer_that_panics_ends_simdeck_and_nobody_is_told_that_it_was_stopped() {
    // It may end before the answer is on its way.
    const TRIALS: usize = 4;
    let program = Program::of(panicking());
    for _ in 0..TRIALS {
        let mut server = program.start();
        break_in(&program, "simdeck-writer");
        let answer = Line::to(program.internal).unwrap().post("/v1/prune");
        let (code, log) = server.comes_to("nothing says this").unwrap_err();
        assert_eq!(code, Some(1), "{log}");
        assert!(log.contains("the writer broke") && !log.contains("is stopping"), "{log}");
        if let Ok(answer) = answer {
            let text = answer.text();
            assert_eq!(answer.status, 503, "{text}");
            assert!(text.contains("the writer has failed") && !text.contains("stopping"), "{text}");
        }
        mend(&program);
    }
}
