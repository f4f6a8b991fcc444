//! What `simdeck rcms` does without an RCMS to ask.
use std::{io::ErrorKind, net::TcpListener, process::Output};

use serde_json::{Value, json};

use crate::commands::{Machine, stderr, stdout};

const ID: &str = "0123456789abcdef0123456789abcdef";
const SECRET: &str = "EXAMPLEsecret0123456789EXAMPLEsecret";
const TIMESTAMP: &str = "1760000000000";
const STATUS_DATA: &str = "/api/link/device/devices/RB0000000000001/statusData";
const GROUP: &str = "/api/link/devices/RB0000000000001/group";
/// Port 9 is for discarding: nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:9";
const DEMO: &str = r#"{"groupName":"Demo"}"#;

/// Endpoint, request, canonical query, signature, request line: what the vendor's own client makes.
type Vector = (&'static str, &'static [&'static str], &'static str, &'static str, &'static str);

const VECTORS: &[Vector] = &[
    (
        "http://127.0.0.1:9",
        &[
            "GET",
            STATUS_DATA,
            "--query=pageNum=1",
            "--query=pageSize=10",
            "--query=beginTime=1759996400000",
            "--query=endTime=1760000000000",
        ],
        "apiVersion=1.0&beginTime=1759996400000&clientId=0123456789abcdef0123456789abcdef\
         &endTime=1760000000000&pageNum=1&pageSize=10&signatureVersion=1.0\
         &timestamp=1760000000000&uniqueCode=0123456789abcdef0123456789abcdef",
        "a6f1120cc9fd1b83442e5541083d3574529f633c2d068e0acb3cacb1f45d2cd7",
        "GET /api/link/device/devices/RB0000000000001/statusData?apiVersion=1.0\
         &beginTime=1759996400000&clientId=0123456789abcdef0123456789abcdef\
         &endTime=1760000000000&pageNum=1&pageSize=10&signatureVersion=1.0\
         &timestamp=1760000000000&uniqueCode=0123456789abcdef0123456789abcdef HTTP/1.1",
    ),
    (
        "http://127.0.0.1:9",
        &["get", STATUS_DATA, "--query=name=南方🙂"],
        "apiVersion=1.0&clientId=0123456789abcdef0123456789abcdef&name=南方🙂\
         &signatureVersion=1.0&timestamp=1760000000000\
         &uniqueCode=0123456789abcdef0123456789abcdef",
        "bf0bcc64f938212274fbbda76b91f63cc40a24921283347d4e0170b48486d115",
        "GET /api/link/device/devices/RB0000000000001/statusData?apiVersion=1.0\
         &clientId=0123456789abcdef0123456789abcdef&name=%E5%8D%97%E6%96%B9%F0%9F%99%82\
         &signatureVersion=1.0&timestamp=1760000000000\
         &uniqueCode=0123456789abcdef0123456789abcdef HTTP/1.1",
    ),
    (
        "http://127.0.0.1:9",
        &["PUT", GROUP, "--query=a=b c", "--body", DEMO],
        "a=b c&apiVersion=1.0&clientId=0123456789abcdef0123456789abcdef&signatureVersion=1.0\
         &timestamp=1760000000000&uniqueCode=0123456789abcdef0123456789abcdef",
        "81cf112a095e6ba78d1f31c61c2dbc53bf025b22fe892bc5dabee6c32bad55c6",
        "PUT /api/link/devices/RB0000000000001/group?a=b%20c&apiVersion=1.0\
         &clientId=0123456789abcdef0123456789abcdef&signatureVersion=1.0\
         &timestamp=1760000000000&uniqueCode=0123456789abcdef0123456789abcdef HTTP/1.1",
    ),
    (
        "http://127.0.0.1:9/gw",
        &["GET", "api/link/dashboard/deviceTotal"],
        "apiVersion=1.0&clientId=0123456789abcdef0123456789abcdef&signatureVersion=1.0\
         &timestamp=1760000000000&uniqueCode=0123456789abcdef0123456789abcdef",
        "ea01599c6cd6dae48ece98e6a7edb920ebffddeb3ce0711a4872cb9f0b682191",
        "GET /gw/api/link/dashboard/deviceTotal?apiVersion=1.0\
         &clientId=0123456789abcdef0123456789abcdef&signatureVersion=1.0\
         &timestamp=1760000000000&uniqueCode=0123456789abcdef0123456789abcdef HTTP/1.1",
    ),
];

/// Runs `simdeck rcms` with an account, an endpoint and further settings.
fn rcms(machine: &Machine, endpoint: &str, args: &[&str], variables: &[(&str, &str)]) -> Output {
    let account = [
        ("SIMDECK_RCMS_ENDPOINT", endpoint),
        ("SIMDECK_RCMS_CLIENT_ID", ID),
        ("SIMDECK_RCMS_CLIENT_SECRET", SECRET),
    ];
    let variables: Vec<_> = account.into_iter().chain(variables.iter().copied()).collect();
    let args: Vec<&str> = ["rcms"].into_iter().chain(args.iter().copied()).collect();
    let output = machine.run_with(&args, &variables, "");
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    assert!(!String::from_utf8(said).unwrap().contains(SECRET), "the secret is told");
    assert!(machine.is_empty(), "{args:?} makes something");
    output
}

fn signed(endpoint: &str, request: &[&str], variables: &[(&str, &str)]) -> Value {
    let args = [&["sign", "--timestamp", TIMESTAMP], request].concat();
    let printed = stdout(&rcms(&Machine::new(), endpoint, &args, variables));
    serde_json::from_str(&printed).unwrap()
}

#[test]
fn sign_shows_what_the_vendors_own_client_makes_of_a_request() {
    for &(endpoint, request, canonical_query, signature, request_line) in VECTORS {
        let shown = signed(endpoint, request, &[]);
        let method = request[0].to_uppercase();
        let path = request[1].trim_start_matches('/');
        let mut headers = json!({
            "apiVersion": "1.0",
            "signatureVersion": "1.0",
            "uniqueCode": ID,
            "clientId": ID,
            "timestamp": TIMESTAMP,
            "signature": signature,
        });
        if method == "PUT" {
            headers["Content-Type"] = "application/json".into();
        }
        let expected = json!({
            "canonical_query": canonical_query,
            "string_to_sign": format!("{method}/{path}{canonical_query}***"),
            "signature": signature,
            "request_line": request_line,
            "headers": headers,
        });
        assert_eq!(shown, expected);
    }
}

#[test]
fn sign_is_a_page_for_people_and_signs_for_now_where_no_time_is_given() {
    let args = ["sign", "GET", "/a", "--output", "table"];
    let page = stdout(&rcms(&Machine::new(), NOWHERE, &args, &[]));
    for line in ["canonical query  apiVersion=1.0&", "request line     GET /a?apiVersion=1.0&"] {
        assert!(page.contains(line), "{page}");
    }
    let timestamp = page.split("timestamp: ").nth(1).unwrap().lines().next().unwrap();
    assert!(timestamp.len() == 13 && timestamp != TIMESTAMP, "{page}");
}

#[test]
fn the_settings_choose_the_variant_of_the_signature() {
    let in_headers = [("SIMDECK_RCMS_PARAMETERS_IN", "headers")];
    let shown = signed(NOWHERE, &["GET", "/a", "--query=b=c"], &in_headers);
    assert_eq!(shown["request_line"], "GET /a?b=c HTTP/1.1");
    let usual = signed(NOWHERE, &["GET", "/a", "--query=b=c"], &[]);
    assert_eq!(shown["signature"], usual["signature"], "they are signed in either case");

    let random = [("SIMDECK_RCMS_UNIQUE_CODE", "random")];
    let code = || signed(NOWHERE, &["GET", "/a"], &random)["headers"]["uniqueCode"].clone();
    let (one, other) = (code(), code());
    assert!(one != other && one != ID, "{one} {other}");

    // As with a flag behind a command, to try it once.
    let args = ["PUT", GROUP, "--body", DEMO, "--rcms-sign-body", "ampersand_json"];
    let shown = signed(NOWHERE, &args, &[]);
    let end = format!("&uniqueCode={ID}&{DEMO}***");
    assert!(shown["string_to_sign"].as_str().unwrap().ends_with(&end), "{shown}");
}

/// One of each command.
const COMMANDS: [&[&str]; 10] = [
    &["total"],
    &["devices"],
    &["device", "RB1"],
    &["status", "RB1"],
    &["group", "RB1", "Demo"],
    &["get", "/a"],
    &["put", "/a", "--body", "{}"],
    &["sign", "GET", "/a"],
    &["probe"],
    &["check"],
];

#[test]
fn without_id_and_secret_each_command_says_what_to_set() {
    let machine = Machine::new();
    for command in COMMANDS {
        let args = [&["rcms"], command].concat();
        let refusal = stderr(&machine.run(&args));
        let expected = "error: RCMS is not set up: set SIMDECK_RCMS_CLIENT_ID and \
                        SIMDECK_RCMS_CLIENT_SECRET to what RCMS gave you\n";
        assert_eq!(refusal, expected, "{command:?}");
    }
    assert!(machine.is_empty());
}

#[test]
fn what_could_not_be_signed_safely_is_refused_and_nothing_is_sent() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    for (args, code, says) in [
        (vec!["get", "/a", "--query", "name=a&b"], 1, "the value of `name` must not hold `&`"),
        (vec!["get", "/a", "--query", "name=a+b"], 1, "the value of `name` must not hold `+`"),
        (vec!["get", "/a", "--query", "name=a\nb"], 1, "must not hold control characters"),
        (vec!["get", "/a", "--query", "timestamp=1"], 1, "is set by the signature itself"),
        (vec!["get", "/a", "--query", "na me=x"], 1, "the key `na me` of a parameter must"),
        (vec!["get", "/a", "--query=b=1", "--query=b=2"], 1, "`b` is given twice"),
        (vec!["get", "/a", "--query", "name"], 2, "a parameter is written key=value"),
        (vec!["get", "/a/../x"], 1, "the path must not hold the segments `.` and `..`"),
        (vec!["get", "/a?b=c"], 1, "the path must not hold `?`"),
        (vec!["put", "/a", "--body", "{\"b\":}"], 1, "is not JSON: look at line 1, column 6"),
        (vec!["put", "/a", "--body", "-"], 1, "the body is not JSON: it ends too early"),
        (vec!["put", "/a"], 2, "--body <JSON>"),
        (vec!["device", "RB_1"], 2, "a serial number has 1 to 50 letters, digits and hyphens"),
        (vec!["put", "/a", "--body", "{"], 1, "the body is not JSON: it ends too early"),
        (vec!["group", "RB1", ""], 2, "a group's name has 1 to 256 characters"),
        (vec!["group", "RB1", " "], 2, "a group's name has 1 to 256 characters"),
        (vec!["group", "RB1", "a\u{202e}b"], 2, "without marks that turn the direction of writing"),
        (vec!["status", "RB1", "--since", "soon"], 2, "must be a span from 1s to 3650d"),
        (vec!["sign", "FETCH", "/a"], 2, "a method is GET, POST, PUT or DELETE"),
        (vec!["sign", "GET", "/a", "--body", "{}"], 1, "a GET takes no body"),
        (vec!["sign", "GET", "/a", "--timestamp=-1"], 2, "-1 is not in"),
    ] {
        let output = rcms(&Machine::new(), &endpoint, &args, &[]);
        let refusal = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {refusal}");
        assert!(refusal.contains(says), "{args:?}: {refusal}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn who_reaches_nobody_is_told_what_to_check() {
    let output = rcms(&Machine::new(), NOWHERE, &["group", "RB1", "Demo"], &[]);
    let refusal = stderr(&output);
    let says = "error: RCMS cannot be reached; check SIMDECK_RCMS_ENDPOINT and the way to it: ";
    assert!(refusal.starts_with(says) && refusal.lines().count() == 1, "{refusal}");
    assert!(output.stdout.is_empty());
}
