//! What the fuzz targets feed, and what must hold whatever they feed. `tests/it/fuzz.rs` feeds the
//! same with a simple fuzzer of its own, for as long as a change can wait.
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::LazyLock,
    time::Duration,
};

use axum::http::{HeaderMap, HeaderValue};
use ipnet::IpNet;
use simdeck::{
    domain::{KeptFrom, Kind, Timestamp},
    http::{client_ip::client_ip, read_as_every_list},
    rcms,
    smarthub::{
        AgePolicy, Body, IdentityRule, ReadRules, date_push,
        signature::{self, PushKey, Verifier},
    },
};

const KEY: &str = "UzE4MDkxNDA2MTE1M";
const NOW_S: i64 = 1_725_500_000;
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A target, and something to begin with that it can read.
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Feeds it.
    pub feed: fn(&[u8]),
    /// Where to begin.
    pub seeds: &'static [&'static str],
}

/// All of them.
pub const TARGETS: [Target; 6] = [
    Target {
        name: "envelope",
        feed: envelope,
        seeds: &[
            r#"{"giccid":"8944501503181377993","data_usage":1302,"start_time":1713888842473}"#,
            r#"{"x":[{"giccid":"8944501503181377993","data_usage":"7","start_time":1713888842473,"mcc":"460","apn":"\u4f60"},{"a":[[1.5e3,null,true]]}],"datePush":1725500000}"#,
            r#"[{"datePush":"2024-09-05T01:30:48+0000","signature":"00"},{}]"#,
        ],
    },
    Target {
        name: "date",
        feed: date,
        seeds: &[
            "1725500000",
            "1725500000123",
            "2024-09-05T01:30:48.999+08:00",
            "2024-02-29T23:59:59Z",
        ],
    },
    Target {
        name: "hex",
        feed: hex,
        seeds: &["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00A08"],
    },
    Target {
        name: "forwarded_for",
        feed: forwarded_for,
        seeds: &[
            "203.0.113.7, 10.0.0.1",
            "[2001:db8::7]:443, ::ffff:10.0.0.1\n198.51.100.2:80,127.0.0.1",
        ],
    },
    Target {
        name: "query",
        feed: query,
        seeds: &[
            "giccid=8944501503181377993,8944501503181377994&from=2024-09-05T00:00:00%2B08:00&to=1725500000&size=100",
            "format=csv&raw=true&excel=true&sim_group=a%5C,b+c&page=3",
            "interval=1d&tz=Asia/Shanghai&group_by=country_code,apn&top=5&usual=true",
            "sort=-data_usage&has_usage=false&cursor=&wait=5&after=0200&class=refused&reason=not_json",
        ],
    },
    Target {
        name: "rcms_answer",
        feed: rcms_answer,
        seeds: &[
            r#"{"msg":"success","code":0,"data":{"list":[{"sn":"RT1","deviceName":"a","onlineStatus":1,"deviceModel":"R1520"}]}}"#,
            r#"{"code":"0","data":{"deviceTotal":"14","onlineTotal":3.0}}"#,
            r#"{"code":0,"data":[{"createTime":"1725500000000","data":"{\"system\":{\"uptime\":\"3 days, 04:05:06\",\"system_time\":\"1725500000\"},\"active_link\":{\"ip\":\"10.20.30.40\"}}"}]}"#,
            r#"{"code":40002,"msg":"signature"}"#,
        ],
    },
];

/// The body of a push: as it is, and with two fields that prove it. What cannot be read of an
/// authentic one is kept, never dropped.
pub fn envelope(data: &[u8]) {
    static VERIFIER: LazyLock<Verifier> =
        LazyLock::new(|| Verifier::new(&[PushKey { label: None, key: KEY.to_owned().into() }], 0));
    if let Ok(body) = Body::parse(data) {
        let (kept, _) = body.without_signature();
        assert!(Body::parse(&kept).is_ok(), "what is kept of a refused push can be read again");
        if let Ok(authentic) = body.verify(&VERIFIER) {
            read(&authentic);
        }
    }
    let signature = signature::sign(KEY, NOW_S);
    let proof = format!(r#"{{"datePush":{NOW_S},"signature":"{signature}","#);
    let signed = [proof.as_bytes(), data.strip_prefix(b"{").unwrap_or(data)].concat();
    // One with fields of its own of these names is refused.
    if let Ok(Ok(authentic)) = Body::parse(&signed).map(|body| body.verify(&VERIFIER)) {
        read(&authentic);
    }
}

fn read(authentic: &simdeck::smarthub::Authentic<'_>) {
    for kind in ["data-usage", "mo-sms", "sim-status", "never-heard-of"] {
        let kind: Kind = kind.parse().unwrap();
        let reading = authentic.read(&ReadRules {
            kind: &kind,
            kept_as: None,
            identity: IdentityRule::Content,
            age: Some(AgePolicy {
                max_age: Duration::from_secs(604_800),
                max_ahead: Duration::from_secs(300),
            }),
            retracted: None,
            date_shift_s: 0,
            now: Timestamp::from_unix_ms(NOW_S * 1_000),
            kept_from: KeptFrom::default(),
            refused: None,
        });
        for unread in &reading.unread {
            assert!(Body::parse(&unread.body).is_ok(), "what is quarantined can be tried again");
        }
    }
}

/// The text of `datePush`.
pub fn date(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    for seconds in
        [date_push::parse_text(text), date_push::parse_number(text)].into_iter().flatten()
    {
        assert_eq!(seconds.to_string().len(), 10, "ten digits are hashed");
        assert_eq!(date_push::parse_text(&seconds.to_string()), Some(seconds));
    }
}

/// The text of `signature`.
pub fn hex(data: &[u8]) {
    if let Some(bytes) = signature::decode(data) {
        assert!(::hex::encode(bytes).as_bytes().eq_ignore_ascii_case(data));
    }
}

/// `X-Forwarded-For`, a header a line.
pub fn forwarded_for(data: &[u8]) {
    static TRUSTED: LazyLock<[IpNet; 2]> =
        LazyLock::new(|| ["127.0.0.0/8".parse().unwrap(), "::ffff:10.0.0.0/104".parse().unwrap()]);
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n').take(8) {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append("x-forwarded-for", value);
        }
    }
    assert_eq!(client_ip(PEER, &headers, &[]), PEER, "nobody is trusted");
    let stranger = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9));
    assert_eq!(
        client_ip(stranger, &headers, TRUSTED.as_slice()),
        stranger,
        "not through our proxy"
    );
    let client = client_ip(PEER, &headers, TRUSTED.as_slice());
    assert_eq!(client, client.to_canonical());
}

/// The query string of a list. What it asks for can be asked for again.
pub fn query(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    for (nth, same) in read_as_every_list(text).into_iter().enumerate() {
        let Some(same) = same else { continue };
        let again = read_as_every_list(&same).swap_remove(nth);
        assert_eq!(again.as_ref(), Some(&same), "{text}");
    }
}

/// The body of an answer of RCMS.
pub fn rcms_answer(data: &[u8]) {
    let (begin, end) = (NOW_S * 1_000 - 86_400_000, NOW_S * 1_000);
    let [begin, end] = [begin, end].map(Timestamp::from_unix_ms);
    if let Err(error) = rcms::read_every_way(data, begin, end) {
        assert!(error.to_string().len() < 2_000, "{error}");
    }
}
