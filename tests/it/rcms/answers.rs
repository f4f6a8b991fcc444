//! What RCMS may answer, read as the protocol page says.
use serde_json::{Value, json};
use simdeck::{
    domain::{DeviceState, FleetTotals, ListedDevice, Timestamp},
    rcms::{DevicePage, Page, RcmsError, read_every_way},
};

use super::{
    asking::client,
    stand_in::{Container, Fault, On, Sample, StandIn, Times, device, fleet},
};

const HOUR: std::time::Duration = std::time::Duration::from_secs(3_600);
const FIRST: Page = Page { number: 1, size: 100 };

async fn first_page(rcms: &StandIn) -> DevicePage {
    client(rcms).devices(FIRST).await.unwrap()
}

async fn only_device(rcms: &StandIn, item: Value) -> ListedDevice {
    rcms.set_fleet(vec![item]);
    first_page(rcms).await.devices.remove(0)
}

/// Answers this once to the next question, whatever it is.
fn answer(rcms: &StandIn, data: &Value) {
    let body = json!({"msg": "Success", "code": 0, "data": data}).to_string();
    rcms.fault(On::Any, Fault::Body(body), Times::Once);
}

#[tokio::test]
async fn a_list_is_read_from_each_of_its_containers() {
    let rcms = StandIn::start().await;
    rcms.set_fleet(fleet(3));
    for container in [Container::Bare, Container::List, Container::Records, Container::Data] {
        rcms.edit(|world| world.container = container);
        let page = first_page(&rcms).await;
        let states: Vec<_> = page.devices.iter().map(|device| device.state).collect();
        assert_eq!(page.items, 3, "{container:?}");
        assert_eq!(states, [DeviceState::Online, DeviceState::Offline, DeviceState::Online]);
        assert_eq!(page.devices[2].sn.as_str(), "RB0000000000003");
    }
    for container in ["list", "records", "data", "rows", "items", "content", "result"] {
        answer(&rcms, &json!({container: [{"sn": "RB1"}], "total": 1}));
        assert_eq!(first_page(&rcms).await.devices[0].sn.as_str(), "RB1", "{container}");
    }
    answer(&rcms, &json!({"sn": "RB1", "onlineStatus": 1}));
    let page = first_page(&rcms).await;
    assert_eq!((page.items, page.devices[0].sn.as_str()), (1, "RB1"), "one that is no list");
    for nothing in [json!(null), json!([]), json!({"list": []}), json!({"list": null, "data": []})]
    {
        answer(&rcms, &nothing);
        assert_eq!(first_page(&rcms).await, DevicePage::default(), "{nothing}");
    }
    for no_list in [json!("x"), json!(3), json!({}), json!({"others": []}), json!({"list": {}})] {
        answer(&rcms, &no_list);
        let error = client(&rcms).devices(FIRST).await.unwrap_err();
        assert!(matches!(error, RcmsError::Unreadable(_)), "{no_list}: {error}");
    }
}

#[tokio::test]
async fn the_online_flag_has_two_names_and_what_it_does_not_say_is_unknown() {
    let rcms = StandIn::start().await;
    let cases = [
        (json!({"onlineStatus": 1}), DeviceState::Online),
        (json!({"onlineStatus": "1"}), DeviceState::Online),
        (json!({"deviceOnLineStatus": 1}), DeviceState::Online),
        (json!({"onlineStatus": null, "deviceOnLineStatus": 0}), DeviceState::Offline),
        (json!({"onlineStatus": "0"}), DeviceState::Offline),
        (json!({}), DeviceState::Unknown),
        (json!({"onlineStatus": null}), DeviceState::Unknown),
        (json!({"onlineStatus": true}), DeviceState::Online),
        (json!({"onlineStatus": false}), DeviceState::Offline),
        (json!({"onlineStatus": "Online"}), DeviceState::Online),
        (json!({"onlineStatus": " offline "}), DeviceState::Offline),
        (json!({"onlineStatus": 1.0}), DeviceState::Online),
        (json!({"onlineStatus": 2}), DeviceState::Unknown),
        (json!({"onlineStatus": "sleeping"}), DeviceState::Unknown),
        (json!({"onlineStatus": {"value": 1}}), DeviceState::Unknown),
    ];
    for (mut item, state) in cases {
        item["sn"] = json!("RB1");
        let read = only_device(&rcms, item.clone()).await;
        assert_eq!(read.state, state, "{item}");
        let extra = read.extra.unwrap_or_default();
        let said = [item["onlineStatus"] == 2, item["onlineStatus"] == "sleeping"].contains(&true);
        assert_eq!(
            extra.contains("onlineStatus"),
            said || item["onlineStatus"].is_object(),
            "{item}"
        );
    }
}

#[tokio::test]
async fn a_device_is_read_whatever_is_missing_and_what_is_not_known_is_kept() {
    let rcms = StandIn::start().await;
    let whole = only_device(&rcms, device("RB1", 1)).await;
    let texts = [&whole.name, &whole.model, &whole.group, &whole.firmware_version];
    assert_eq!(texts.map(|text| text.to_string()), ["Router RB1", "R1520", "Default", "5.2.0"]);
    assert_eq!(whole.create_time.to_string(), "2025-01-02 03:04:05");
    assert_eq!(whole.extra, None);

    let long = "x".repeat(257);
    let odd = json!({
        "sn": 1_122_334_455_u64, "deviceName": 7, "deviceGroup": "A", "groupName": "B",
        "deviceModel": null, "deviceDesc": long, "signal": -71.50, "tags": ["a"],
        "createTime": {"at": 1}, "nothing": null, "big": 12_345_678_901_234_567_890_u64,
    });
    let odd = only_device(&rcms, odd).await;
    assert_eq!((odd.sn.as_str(), &*odd.name, &*odd.group), ("1122334455", "7", "A"));
    assert_eq!((&*odd.model, &*odd.description, &*odd.create_time), ("", "", ""));
    let extra: Value = serde_json::from_str(&odd.extra.unwrap()).unwrap();
    let kept = json!({
        "groupName": "B", "deviceDesc": long, "signal": -71.5, "tags": ["a"],
        "createTime": {"at": 1}, "big": 12_345_678_901_234_567_890_u64,
    });
    assert_eq!(extra, kept);

    rcms.set_fleet(vec![json!({}), json!("x"), json!({"sn": "a b"}), json!({"sn": null})]);
    let page = first_page(&rcms).await;
    assert_eq!((page.devices.len(), page.items), (0, 4), "no serial number, no device");
}

#[tokio::test]
async fn counts_are_read_as_numbers_or_texts_and_a_missing_one_is_no_zero() {
    let rcms = StandIn::start().await;
    answer(
        &rcms,
        &json!({
            "deviceTotal": 14, "onlineTotal": "5", "offlineTotal": 9.5, "registeredTotal": null,
            "unRegisteredTotal": true, "new": 1,
        }),
    );
    let totals = client(&rcms).device_total().await.unwrap();
    let expected =
        FleetTotals { device_total: Some(14), online_total: Some(5), ..FleetTotals::default() };
    assert_eq!(totals, expected);
    for odd in [json!(null), json!([]), json!(14), json!({}), json!({"deviceTotal": null})] {
        answer(&rcms, &odd);
        let error = client(&rcms).device_total().await.unwrap_err();
        assert!(matches!(error, RcmsError::Unreadable(_)), "{odd}: {error}");
    }
}

#[tokio::test]
async fn a_sample_is_kept_whole_and_believed_about_its_time_only_within_reason() {
    let rcms = StandIn::start().await;
    rcms.set_fleet(vec![device("RB1", 1)]);
    let (begin, end) = (1_760_000_000_000, 1_760_003_600_000);
    let within = 1_760_001_800_000;
    let times = [
        (json!(within), Some(within)),
        (json!("1760001800000"), Some(within)),
        (json!(1_760_001_800), Some(within)),
        (json!("2025-10-09T09:23:20Z"), Some(within)),
        (json!("2025-10-09T17:23:20+08:00"), Some(within)),
        (json!("2025-10-09 09:23:20"), Some(within)),
        (json!("2025/10/09 09:23:20"), Some(within)),
        (json!("2025-10-09T09:23:20.250"), Some(within + 250)),
        (json!("yesterday"), None),
        (json!("1970-01-01T00:00:07Z"), None),
        (json!(begin - 3 * 86_400_000), Some(begin - 3 * 86_400_000)),
        (json!("2000-01-01T00:00:07Z"), None),
        (json!(end + 3_600_001), None),
        (json!(12345), None),
        (json!(null), None),
    ];
    let body = |system_time: &Value| {
        json!({"data": {
            "system": {"system_time": system_time, "uptime": 42, "model": "x"},
            "active_link": {"ip": "10.0.0.1", "link_uptime": "1 day"}, "wifi": {"clients": [1]},
        }})
    };
    let samples = times.iter().map(|(time, _)| Sample { at_ms: within, body: body(time) });
    let samples: Vec<_> = samples.collect();
    rcms.edit(|world| world.samples.insert("RB1".to_owned(), samples));
    let (sn, at) = ("RB1".parse().unwrap(), Timestamp::from_unix_ms);
    let asking = client(&rcms).in_zone(Some(jiff::tz::TimeZone::UTC));
    let page = asking.status_data(&sn, FIRST, at(begin), at(end)).await.unwrap();
    assert_eq!(page.items, times.len());
    for ((time, believed), sample) in times.iter().zip(&page.samples) {
        assert_eq!(sample.sampled_at, believed.map(at), "{time}");
        let whole: Value = serde_json::from_str(&sample.whole).unwrap();
        assert_eq!(whole, body(time));
        let facts = &sample.facts;
        assert_eq!((&*facts.uptime, &*facts.ip, &*facts.gateway), ("42", "10.0.0.1", ""));
        assert_eq!((&*facts.link_uptime, &*facts.device_model), ("1 day", ""));
    }
    for one in [json!({"data": {"system": {"uptime": "7"}}}), json!({"system": {"uptime": "7"}})] {
        answer(&rcms, &one);
        let page = client(&rcms).status_data(&sn, FIRST, at(begin), at(end)).await.unwrap();
        assert_eq!((page.items, &*page.samples[0].facts.uptime), (1, "7"), "{one}");
    }
    let own = json!([{"time": within, "data": {"system": {"system_time": "2025-10-09 09:20:00"}}}]);
    answer(&rcms, &own);
    let page = client(&rcms).status_data(&sn, FIRST, at(begin), at(end)).await.unwrap();
    assert_eq!(page.samples[0].sampled_at, Some(at(within)), "the one that leaves no doubt");
    let bare = json!([{"system": {"uptime": "7"}}, 5, "x", null, {"data": 3}]);
    answer(&rcms, &bare);
    let page = client(&rcms).status_data(&sn, FIRST, at(begin), at(end)).await.unwrap();
    assert_eq!((page.items, page.samples.len()), (5, 5), "whatever it is, it is kept");
    assert_eq!(&*page.samples[0].facts.uptime, "7");
}

#[tokio::test]
async fn times_without_an_offset_are_in_the_zone_that_is_set_or_in_the_one_that_fits() {
    let rcms = StandIn::start().await;
    rcms.set_fleet(vec![device("RB1", 1)]);
    let (sn, end) = ("RB1".parse().unwrap(), Timestamp::from_unix_ms(1_760_003_600_000));
    let begin = end.minus(std::time::Duration::from_secs(3600));
    let read = async |client: &simdeck::rcms::Client, zone: &str| {
        let zone = jiff::tz::TimeZone::get(zone).unwrap();
        let samples = (1..60).map(|minute| {
            let at_ms = begin.unix_ms() + minute * 60_000;
            let at = jiff::Timestamp::from_millisecond(at_ms).unwrap().to_zoned(zone.clone());
            let time = at.strftime("%F %T").to_string();
            json!({"data": {"system": {"system_time": time}}})
        });
        answer(&rcms, &json!(samples.collect::<Vec<_>>()));
        let page = client.status_data(&sn, FIRST, begin, end).await.unwrap();
        page.samples.iter().map(|sample| sample.sampled_at).collect::<Vec<_>>()
    };
    let right: Vec<_> = (1..60)
        .map(|minute| Some(Timestamp::from_unix_ms(begin.unix_ms() + minute * 60_000)))
        .collect();
    let asking = client(&rcms);
    for zone in ["Asia/Shanghai", "America/New_York", "Asia/Kolkata", "UTC"] {
        assert_eq!(read(&asking, zone).await, right, "{zone}");
    }
    let set = client(&rcms).in_zone(Some(jiff::tz::TimeZone::get("Asia/Shanghai").unwrap()));
    assert_eq!(read(&set, "Asia/Shanghai").await, right);
    let earlier = |at: &Option<Timestamp>| at.map(|at| at.minus(8 * HOUR));
    assert_eq!(read(&set, "UTC").await, right.iter().map(earlier).collect::<Vec<_>>(), "as set");
}

#[tokio::test]
async fn in_a_long_span_a_time_without_an_offset_is_left_open_until_the_zone_is_known() {
    let rcms = StandIn::start().await;
    rcms.set_fleet(vec![device("RB1", 1)]);
    let (sn, end) = ("RB1".parse().unwrap(), Timestamp::from_unix_ms(1_760_003_600_000));
    let back = |hours: u32| end.minus(hours * HOUR);
    let asking = client(&rcms);
    // The first 59 minutes of the span, in Shanghai.
    let read = async |begin: Timestamp| {
        let shanghai = jiff::tz::TimeZone::get("Asia/Shanghai").unwrap();
        let samples = (1..60).map(|minute| {
            let at_ms = begin.unix_ms() + minute * 60_000;
            let at = jiff::Timestamp::from_millisecond(at_ms).unwrap().to_zoned(shanghai.clone());
            json!({"data": {"system": {"system_time": at.strftime("%F %T").to_string()}}})
        });
        answer(&rcms, &json!(samples.collect::<Vec<_>>()));
        let page = asking.status_data(&sn, FIRST, begin, end).await.unwrap();
        page.samples.iter().map(|sample| sample.sampled_at).collect::<Vec<_>>()
    };
    let right = |begin: Timestamp| -> Vec<_> {
        let at = |minute: i64| Timestamp::from_unix_ms(begin.unix_ms() + minute * 60_000);
        (1..60).map(|minute| Some(at(minute))).collect()
    };
    assert!(read(back(8)).await.iter().all(Option::is_none), "others would fit, too");
    assert_eq!(read(back(1)).await, right(back(1)));
    assert_eq!(read(back(8)).await, right(back(8)));
}

#[tokio::test]
async fn one_router_without_a_clock_takes_the_time_of_no_other_sample() {
    let rcms = StandIn::start().await;
    let (sn, end) = ("RB1".parse().unwrap(), Timestamp::from_unix_ms(1_760_003_600_000));
    let begin = end.minus(HOUR);
    let text = |at_ms: i64| {
        let zone = jiff::tz::TimeZone::get("Asia/Kolkata").unwrap();
        let at = jiff::Timestamp::from_millisecond(at_ms).unwrap().to_zoned(zone);
        at.strftime("%F %T").to_string()
    };
    let sample = |time: &str| json!({"data": {"system": {"system_time": time}}});
    let minutes = || (1..60).map(|minute| begin.unix_ms() + minute * 60_000);
    // The clock of one of them is three minutes fast, and one has just been switched on.
    let mut times: Vec<_> = minutes().map(|at_ms| text(at_ms + 180_000)).collect();
    times.push("1970-01-01 00:00:30".to_owned());
    let asking = client(&rcms);
    let (mut pages, mut told) = (Vec::new(), Vec::new());
    for page in times.chunks(10) {
        answer(&rcms, &json!(page.iter().map(|time| sample(time)).collect::<Vec<_>>()));
        pages.extend(asking.status_data(&sn, FIRST, begin, end).await.unwrap().samples);
    }
    for sample in asking.date(pages, begin, end).await {
        told.push(sample.sampled_at.map(|at| at.unix_ms() - 180_000));
    }
    let right: Vec<_> = minutes().map(Some).chain([None]).collect();
    assert_eq!(told, right, "half an hour is an offset like any other, and pages are not enough");
}

#[tokio::test]
async fn one_name_in_another_encoding_hides_no_other_router() {
    let rcms = StandIn::start().await;
    let latin = b"{\"code\":0,\"data\":[{\"sn\":\"RB1\",\"deviceName\":\"Caf\xe9\"}]}";
    let at = Timestamp::from_unix_ms(0);
    assert_eq!(read_every_way(latin, at, at).unwrap(), 2, "as routers and as samples");
    for nothing in [json!({"list": null, "total": 30}), json!({"records": null})] {
        answer(&rcms, &nothing);
        assert_eq!(first_page(&rcms).await.items, 0, "{nothing}");
    }
}
