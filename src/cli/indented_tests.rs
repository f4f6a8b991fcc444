use serde_json::Value;

use super::indented;

#[test]
fn it_is_set_out_as_is_usual() {
    for json in [
        "null",
        "[]",
        "{}",
        "[[],{}]",
        r#"{"a":{},"b":[],"c":[1,[2,{"d":null}]]}"#,
        r#"{"a":"{[,:]} \" \\","b":"\\\"","c":""}"#,
        r#"["a b",true,false,-1,{"":[[]]}]"#,
    ] {
        let value: Value = serde_json::from_str(json).expect("JSON");
        let usual = serde_json::to_string_pretty(&value).expect("JSON");
        assert_eq!(indented(json), usual);
        assert_eq!(indented(&usual), usual, "blanks outside of texts do not count");
    }
}

#[test]
fn digits_order_and_escapes_stay_as_they_came() {
    let json = r#"{"z":1.10,"a":12345678901234567890123,"z":"\u00e9  é"}"#;
    let expected = "{\n  \"z\": 1.10,\n  \"a\": 12345678901234567890123,\n  \
                    \"z\": \"\\u00e9  é\"\n}";
    assert_eq!(indented(json), expected);
}
