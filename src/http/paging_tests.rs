use super::*;

const BINDING: Binding = Binding { epoch: 7, filter: u64::MAX };

fn page(number: u64, place: Place, total: u64) -> Page<i64> {
    let size = PageSize::within(20, 100).expect("a size");
    Page { top: 110, total, number, size, place }
}

fn links(page: Page<i64>, edges: Option<Edges<i64>>) -> Vec<(String, String, At<i64>)> {
    let links = Links {
        url: "http://h/v1/data-usage",
        same_rows: "mcc=460",
        binding: BINDING,
        first_page: 0,
    };
    page.links(edges, &links)
        .split(", ")
        .map(|link| {
            let (url, rel) = link.split_once(">; rel=").expect("a link");
            let (start, at) = url.split_once("&at=").expect("an at");
            let at = At::<i64>::decode(at, BINDING).expect("a token");
            (rel.trim_matches('"').to_owned(), start.trim_start_matches('<').to_owned(), at)
        })
        .collect()
}

fn rels(page: Page<i64>, edges: Option<Edges<i64>>) -> Vec<(String, u64, Place)> {
    links(page, edges).into_iter().map(|(rel, _, at)| (rel, at.page, at.place)).collect()
}

fn rel(name: &str, page: u64, place: Place) -> (String, u64, Place) {
    (name.to_owned(), page, place)
}

#[test]
fn a_token_is_read_back_and_one_of_another_list_is_told_from_one_that_is_none() {
    for place in
        [Place::Newest, Place::OlderThan(5), Place::NewerThan(-5), Place::Skip(9), Place::Oldest]
    {
        let at = At { top: i64::MAX, total: 3, page: u64::MAX, size: 1, place };
        assert_eq!(At::<i64>::decode(&at.encode(BINDING), BINDING), Ok(at));
        for other in [Binding { epoch: 8, ..BINDING }, Binding { filter: 0, ..BINDING }] {
            assert_eq!(At::<i64>::decode(&at.encode(other), BINDING), Err(TokenError::Foreign));
        }
    }
    let cursor = encode_cursor(42, BINDING);
    assert_eq!(decode_cursor::<i64>(&cursor, BINDING), Ok(42));
    let other = Binding { epoch: 8, ..BINDING };
    assert_eq!(decode_cursor::<i64>(&cursor, other), Err(TokenError::Foreign));
    for broken in ["", "x", "00", &cursor[2..], &cursor[..48], &format!("{cursor}00")] {
        assert_eq!(decode_cursor::<i64>(broken, BINDING), Err(TokenError::Unreadable), "{broken}");
        assert_eq!(At::<i64>::decode(broken, BINDING), Err(TokenError::Unreadable), "{broken}");
    }
    // One kind of token is not taken for the other.
    assert_eq!(At::<i64>::decode(&cursor, BINDING), Err(TokenError::Unreadable));
}

#[test]
fn the_vendors_sample_of_110_rows_by_20_ends_at_page_5() {
    let edges = Some(Edges { newest: 110, oldest: 91 });
    assert_eq!(
        rels(page(0, Place::Newest, 110), edges),
        [
            rel("first", 0, Place::Newest),
            rel("next", 1, Place::OlderThan(91)),
            rel("last", 5, Place::Oldest)
        ]
    );
    let (_, url, _) = links(page(0, Place::Newest, 110), edges).remove(1);
    assert_eq!(url, "http://h/v1/data-usage?mcc=460&page=1&size=20");
}

#[test]
fn the_ends_of_a_walk_have_no_neighbour_beyond() {
    let edges = Some(Edges { newest: 10, oldest: 1 });
    assert_eq!(
        rels(page(5, Place::Oldest, 110), edges),
        [
            rel("first", 0, Place::Newest),
            rel("prev", 4, Place::NewerThan(10)),
            rel("last", 5, Place::Oldest)
        ]
    );
    for (total, edges) in [(0, None), (20, edges)] {
        let lone = rels(page(0, Place::Newest, total), edges);
        assert_eq!(lone, [rel("first", 0, Place::Newest), rel("last", 0, Place::Newest)]);
    }
    let beyond = rels(page(9, Place::Skip(180), 110), None);
    assert_eq!(beyond[1], rel("prev", 5, Place::Oldest));
    assert_eq!(beyond.len(), 3);
}

#[test]
fn the_last_page_has_the_rows_that_the_others_leave() {
    assert_eq!(page(5, Place::Oldest, 110).walk().size.rows(), 10);
    assert_eq!(page(4, Place::Oldest, 100).walk().size.rows(), 20);
    assert_eq!(page(1, Place::OlderThan(91), 110).walk().size.rows(), 20);
    // A token that was made up asks for no more than a page.
    assert_eq!(page(u64::MAX, Place::Oldest, 110).walk().size.rows(), 20);
}

#[test]
fn a_place_among_sims_is_read_back_from_its_token() {
    let spot = SimSpot { value: 1_725_499_848_000, number: 7 };
    for place in [Place::Newest, Place::OlderThan(spot), Place::NewerThan(spot), Place::Skip(9)] {
        let at = At { top: 5, total: 3, page: 1, size: 1, place };
        assert_eq!(At::<SimSpot>::decode(&at.encode(BINDING), BINDING), Ok(at));
    }
    assert_eq!(decode_cursor::<SimSpot>(&encode_cursor(spot, BINDING), BINDING), Ok(spot));
    let of_another_list = encode_cursor(7, BINDING);
    assert_eq!(decode_cursor::<SimSpot>(&of_another_list, BINDING), Err(TokenError::Foreign));
}
