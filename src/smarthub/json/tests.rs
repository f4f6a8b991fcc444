use super::*;

/// What is wrong with a whole text; none if it is not JSON.
fn flaws(text: impl AsRef<[u8]>) -> Option<Flaws> {
    let tape = Tape::scan(text.as_ref()).ok()?;
    Some(tape.root(text.as_ref()).flaws())
}

fn unescaped(text: &str) -> Option<Vec<u8>> {
    let tape = Tape::scan(text.as_bytes()).ok()?;
    Some(tape.root(text.as_bytes()).unescaped().into_owned())
}

#[test]
fn a_container_ends_with_the_bracket_that_it_began_with() {
    for text in ["[1]", "[[1]]", r#"{"a":1}"#, r#"[{"a":[1]}]"#] {
        assert_eq!(flaws(text), Some(Flaws::default()), "{text}");
    }
    for text in ["[1}", "[[1}]", r#"{"a":1]"#, r#"[{"a":[1}]]"#, "[}", "{]"] {
        assert_eq!(flaws(text), None, "{text}");
    }
}

#[test]
fn a_text_has_a_flaw_where_its_bytes_are_no_utf_8() {
    for text in ["\"\"", "\"a\"", "\"é\"", "\"aé密🔑\""] {
        assert_eq!(flaws(text), Some(Flaws::default()), "{text}");
    }
    for text in [&b"\"\xFF\""[..], b"\"\xC3\"", b"\"a\xC3\"", b"\"\xED\xA0\x80\"", b"\"\xFFa\""] {
        assert_eq!(flaws(text), Some(Flaws::TEXT), "{text:?}");
    }
}

#[test]
fn a_number_has_a_flaw_where_no_float_holds_it() {
    let of_digits = |count| "9".repeat(count);
    for text in ["0", "-0", "1.5", "1e5", "1e308", "-1E+308", "1e-999", &of_digits(308)] {
        assert_eq!(flaws(text), Some(Flaws::default()), "{text}");
    }
    for text in ["1e309", "-1e309", "1.5E+999", &of_digits(309), &of_digits(400)] {
        assert_eq!(flaws(text), Some(Flaws::NUMBER), "{text}");
    }
}

#[test]
fn only_a_whole_number_without_a_sign_is_digits() {
    let digits = |text: &str| {
        let tape = Tape::scan(text.as_bytes()).ok()?;
        tape.root(text.as_bytes()).as_digits().map(str::to_owned)
    };
    for text in ["0", "7", "1725499848"] {
        assert_eq!(digits(text).as_deref(), Some(text));
    }
    for text in ["-7", "7.0", "7e0", "\"7\"", "true", "[7]"] {
        assert_eq!(digits(text), None, "{text}");
    }
}

#[test]
fn an_escaped_character_is_its_utf_8() {
    for (text, character) in [
        (r#""\u007f""#, "\u{7f}"),
        (r#""\u0080""#, "\u{80}"),
        (r#""\u07fF""#, "\u{7ff}"),
        (r#""\u0800""#, "\u{800}"),
        (r#""\u9aBc""#, "\u{9abc}"),
        (r#""\uffff""#, "\u{ffff}"),
        (r#""\ud83d\ude00""#, "😀"),
        (r#""\uD800\uDC00""#, "\u{10000}"),
        (r#""\udbff\udfff""#, "\u{10ffff}"),
        (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
    ] {
        assert_eq!(unescaped(text).as_deref(), Some(character.as_bytes()), "{text}");
        assert_eq!(flaws(text), Some(Flaws::default()), "{text}");
    }
}

#[test]
fn half_of_a_pair_has_bytes_of_its_own_and_a_flaw() {
    for (text, bytes) in [
        (r#""\ud800""#, &[0xED, 0xA0, 0x80][..]),
        (r#""\ud83d""#, &[0xED, 0xA0, 0xBD]),
        (r#""\uda95""#, &[0xED, 0xAA, 0x95]),
        (r#""\udc00""#, &[0xED, 0xB0, 0x80]),
        (r#""\udfff""#, &[0xED, 0xBF, 0xBF]),
        (r#""\ud83dx""#, &[0xED, 0xA0, 0xBD, b'x']),
        (r#""\ud83d\u0041""#, &[0xED, 0xA0, 0xBD, b'A']),
        (r#""\ud83d\ud83d\ude00""#, &[0xED, 0xA0, 0xBD, 0xF0, 0x9F, 0x98, 0x80]),
    ] {
        assert_eq!(unescaped(text).as_deref(), Some(bytes), "{text}");
        assert_eq!(flaws(text), Some(Flaws::TEXT), "{text}");
    }
}

#[test]
fn a_number_is_written_as_the_grammar_has_it() {
    for text in ["0", "-0", "7", "-7", "10", "0.5", "-0.50", "0e0", "1E+5", "1e-5", "-1.5e05"] {
        assert_eq!(flaws(text), Some(Flaws::default()), "{text}");
    }
    for text in [
        "00", "01", "-01", "-00", "-", "--1", "+1", ".5", "1.", "1.e5", "1.5.5", "1e", "1e+",
        "1e+-5", "1ee5", "0x1", "1 2", "-a", "1a",
    ] {
        assert_eq!(flaws(text), None, "{text}");
    }
}
