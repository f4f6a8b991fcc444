use super::*;

const X: &str = "89860012345678900001";
const Y: &str = "89860012345678900009";
const A: &str = "89860012345678900002";

fn left(text: &str) -> Option<String> {
    let left = without(text.as_bytes(), |number| number == X || number == Y)?;
    Some(String::from_utf8_lossy(&left.text).into_owned())
}

#[test]
fn a_number_is_found_as_a_whole_run_also_behind_letters_and_in_escapes() {
    let finds = |text: &str| mentions(text.as_bytes(), |number| number == X);
    for text in [
        X.to_owned(),
        format!("ICCID{X}"),
        format!("\\n{X}"),
        format!("a{X}, which is one"),
        format!("{X}andmore"),
        format!("\"\\u00389{}\"", &X[2..]),
    ] {
        assert!(finds(&text), "{text}");
    }
    for text in [format!("{X}1"), format!("1{X}"), format!("{X}F"), X[1..].to_owned()] {
        assert!(!finds(&text), "{text}");
    }
    assert!(mentions(b"\\n898604B70000000000FF", |number| number == "898604B70000000000FF"));
}

#[test]
fn records_of_others_stay_whatever_stands_beside_them() {
    let record = |giccid: &str| format!(r#"{{"giccid":"{giccid}","n":1}}"#);
    let (x, y, a) = (record(X), record(Y), record(A));
    let push = |inner: &str| format!(r#"{{"datePush":1,"rows":{inner}}}"#);
    let own = |extra: &str| format!(r#"{{"giccid":"{A}",{extra}"n":1}}"#);
    for (body, wanted) in [
        (format!("[{x}, {a}]"), format!("[{a}]")),
        (push(&format!("[{x},{x},{a}]")), push(&format!("[{a}]"))),
        (push(&format!("[{x},{y},{a},{x}]")), push(&format!("[{a}]"))),
        (push(&format!("[{x},7]")), push("[7]")),
        (
            format!("[{},{}]", push(&x), push(&format!("[{x},{a}]"))),
            format!("[{}]", push(&format!("[{a}]"))),
        ),
        (
            own(&format!(r#""extra":{{"old":"{X}","at":7}},"#)),
            own(r#""extra":{"old":"erased","at":7},"#),
        ),
        (own(&format!(r#""near":["{X}","{Y}",{X}],"#)), own("")),
        (own(&format!(r#""was":{X},"#)), own(r#""was":null,"#)),
        (format!(r#"{{"{X}":1,"{A}":2}}"#), format!(r#"{{"{A}":2}}"#)),
        (
            format!(r#"{{"iccid":"{X}","for":"{A}"}}"#),
            format!(r#"{{"iccid":"erased","for":"{A}"}}"#),
        ),
        (
            format!(r#"{{"note":"{X}","rows":[{a}]}}"#),
            format!(r#"{{"note":"erased","rows":[{a}]}}"#),
        ),
        (
            format!(r#"{{"giccid":"{X}","rows":[{a},{{"near":"{A}"}}]}}"#),
            format!(r#"{{"giccid":"erased","rows":[{a},{{"near":"{A}"}}]}}"#),
        ),
        (format!("no json {X} {A}"), format!("no json erased {A}")),
        (
            push(&format!("[{x},{{\"giccid\":\"{A}\",\"giccid\":\"{A}\"}}]")),
            push(&format!("[{{\"giccid\":\"{A}\",\"giccid\":\"{A}\"}}]")),
        ),
    ] {
        assert_eq!(left(&body).as_deref(), Some(&*wanted), "{body}");
    }
}

#[test]
fn what_is_all_about_them_goes_whole() {
    for body in [
        format!(r#"{{"giccid":"{X}","usage":{{"n":1}}}}"#),
        format!(r#"{{"giccid":"{X}","more":{{"near":["{A}"]}}}}"#),
        format!(r#"[{{"giccid":"{X}"}},{{"giccid":"{Y}"}}]"#),
        format!(r#"{{"datePush":1,"rows":[{{"giccid":"{X}"}}]}}"#),
        format!("no json {X}"),
        format!(r#"{{"a":"{X}","b":["{X}",1]}}"#),
    ] {
        assert_eq!(left(&body), None, "{body}");
    }
}

#[test]
fn a_text_of_any_depth_is_taken_apart_without_end_of_the_stack() {
    let deep = "[".repeat(20_000) + X + &"]".repeat(20_000);
    assert_eq!(left(&deep), None);
    let broken = [&b"[\"\xFF\",\""[..], X.as_bytes(), b"\"]"].concat();
    let left = without(&broken, |number| number == X).map(|left| left.text);
    assert_eq!(left.as_deref(), Some(&b"[\"\xFF\"]"[..]));
}
