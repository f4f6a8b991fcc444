//! Whose request it is, behind which proxies.
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use axum::http::{HeaderMap, HeaderValue};
use ipnet::IpNet;
use proptest::prelude::*;
use simdeck::http::client_ip::{SourceBlock, client_ip, is_within};

fn forwarded(values: &[&[u8]]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append("x-forwarded-for", HeaderValue::from_bytes(value).unwrap());
    }
    headers
}

fn networks(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn the_client_is_the_first_untrusted_address_from_the_right() {
    let trusted = networks(&["10.0.0.0/8", "fd00::/8", "192.0.2.7/32"]);
    let cases: &[(&str, &[&str], &str)] = &[
        // Who is not trusted is the client, whatever it writes.
        ("203.0.113.9", &["1.2.3.4"], "203.0.113.9"),
        ("203.0.113.9", &[], "203.0.113.9"),
        ("::ffff:203.0.113.9", &["1.2.3.4"], "203.0.113.9"),
        // Who is trusted is believed as far as the trust goes.
        ("10.0.0.1", &[], "10.0.0.1"),
        ("10.0.0.1", &["198.51.100.4"], "198.51.100.4"),
        ("::ffff:10.0.0.1", &["198.51.100.4"], "198.51.100.4"),
        ("10.0.0.1", &["6.6.6.6, 198.51.100.4"], "198.51.100.4"),
        ("10.0.0.1", &["6.6.6.6, 198.51.100.4, 10.9.9.9"], "198.51.100.4"),
        ("10.0.0.1", &["6.6.6.6, 198.51.100.4,fd00::2 , 192.0.2.7"], "198.51.100.4"),
        ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("fd00::1", &["2001:db8::5"], "2001:db8::5"),
        // Several headers are one list.
        ("10.0.0.1", &["6.6.6.6", "198.51.100.4", "10.0.0.2"], "198.51.100.4"),
        ("10.0.0.1", &["198.51.100.4", "6.6.6.6, 10.0.0.2"], "6.6.6.6"),
        // Ports, brackets, mapped addresses, empty pieces.
        ("10.0.0.1", &["198.51.100.4:5123"], "198.51.100.4"),
        ("10.0.0.1", &["[2001:db8::5]:443"], "2001:db8::5"),
        ("10.0.0.1", &["[2001:db8::5]"], "2001:db8::5"),
        ("10.0.0.1", &["::ffff:198.51.100.4"], "198.51.100.4"),
        ("10.0.0.1", &["[::ffff:10.0.0.2]:80"], "10.0.0.2"),
        ("10.0.0.1", &["198.51.100.4, , ,"], "198.51.100.4"),
        // A piece that is no address ends the walk at the last good one.
        ("10.0.0.1", &["198.51.100.4, unknown"], "10.0.0.1"),
        ("10.0.0.1", &["198.51.100.4, unknown, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", &["198.51.100.4 10.0.0.2"], "10.0.0.1"),
        ("10.0.0.1", &["198.51.100.4.5"], "10.0.0.1"),
        ("10.0.0.1", &["[198.51.100.4]"], "10.0.0.1"),
        ("10.0.0.1", &["fe80::1%eth0"], "10.0.0.1"),
    ];
    for (peer, values, expected) in cases {
        let values: Vec<&[u8]> = values.iter().map(|value| value.as_bytes()).collect();
        assert_eq!(
            client_ip(peer.parse().unwrap(), &forwarded(&values), &trusted),
            expected.parse::<IpAddr>().unwrap(),
            "{peer} {values:?}"
        );
    }
}

#[test]
fn a_network_holds_an_address_in_either_spelling() {
    let holds =
        |network: &str, address: &str| is_within(address.parse().unwrap(), &networks(&[network]));
    assert!(holds("10.0.0.0/8", "::ffff:10.1.2.3"));
    assert!(holds("::ffff:10.0.0.0/104", "10.1.2.3"));
    assert!(!holds("::ffff:10.0.0.0/104", "11.1.2.3"));
    assert!(!holds("::/0", "10.1.2.3"));
    assert!(holds("::/0", "2001:db8::1"));
    assert!(!is_within(Ipv4Addr::LOCALHOST.into(), &[]));
}

#[test]
fn a_source_is_an_ipv4_address_or_a_64_of_ipv6() {
    let block = |address: &str| SourceBlock::from(address.parse::<IpAddr>().unwrap());
    assert_eq!(block("192.0.2.1"), block("::ffff:192.0.2.1"));
    assert_ne!(block("192.0.2.1"), block("192.0.2.2"));
    assert_eq!(block("2001:db8::1"), block("2001:db8::ffff:ffff:ffff:ffff"));
    assert_ne!(block("2001:db8::1"), block("2001:db8:0:1::1"));
    assert_eq!(block("192.0.2.1").to_string(), "192.0.2.1");
    assert_eq!(block("2001:db8:1:2:3::").to_string(), "2001:db8:1:2::/64");
}

proptest! {
    #[test]
    fn nothing_a_client_writes_changes_who_it_is(
        written in proptest::collection::vec(proptest::collection::vec(0x20_u8..=0x7e, 0..40), 0..4),
        client in any::<u128>().prop_map(Ipv6Addr::from),
        proxies in proptest::collection::vec(any::<[u8; 3]>(), 0..4),
    ) {
        let trusted = networks(&["10.0.0.0/8"]);
        let client = IpAddr::V6(client).to_canonical();
        prop_assume!(!is_within(client, &trusted));
        let hops = proxies.iter().map(|[b, c, d]| Ipv4Addr::new(10, *b, *c, *d).to_string());
        let added: Vec<String> = std::iter::once(client.to_string()).chain(hops).collect();
        let mut values = written.clone();
        values.push(added.join(", ").into_bytes());
        let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
        let peer = Ipv4Addr::new(10, 0, 0, 1).into();
        prop_assert_eq!(client_ip(peer, &forwarded(&values), &trusted), client);
    }

    #[test]
    fn any_header_gives_an_address(
        written in proptest::collection::vec(
            proptest::collection::vec((0x20_u8..=0xff).prop_filter("no header", |b| *b != 0x7f), 0..60),
            0..4,
        ),
    ) {
        let values: Vec<&[u8]> = written.iter().map(Vec::as_slice).collect();
        let trusted = networks(&["0.0.0.0/0", "::/0"]);
        let client = client_ip(Ipv4Addr::LOCALHOST.into(), &forwarded(&values), &trusted);
        prop_assert_eq!(client, client.to_canonical());
    }
}
