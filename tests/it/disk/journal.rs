use std::{fs, ops::Range, path::Path};

/// What the disk was told, in the order in which it was told.
pub(crate) struct Journal {
    bytes: Vec<u8>,
    pub(crate) events: Vec<Event>,
}

/// One thing that the disk was told.
pub(crate) struct Event {
    /// Where it ends in the journal.
    pub(crate) end: u64,
    pub(crate) name: String,
    pub(crate) told: Told,
}

pub(crate) enum Told {
    Create,
    /// At a place, these bytes of the journal.
    Write(u64, Range<usize>),
    Truncate(u64),
    Sync,
    SyncFolder,
    Unlink,
    Rename(String),
}

impl Journal {
    /// Reads it whole; an event that a kill has cut short at its end was not told.
    pub(crate) fn read(path: &Path) -> Self {
        let bytes = fs::read(path).unwrap();
        let (mut events, mut at) = (Vec::new(), 0);
        while let Some((event, end)) = event(&bytes, at) {
            events.push(event);
            at = end;
        }
        assert!(!events.is_empty(), "the library was not loaded: nothing is in the journal");
        Self { bytes, events }
    }

    /// What a write brought.
    pub(crate) fn data(&self, range: &Range<usize>) -> &[u8] {
        &self.bytes[range.clone()]
    }
}

fn event(bytes: &[u8], at: usize) -> Option<(Event, usize)> {
    let (head, _) = bytes.get(at..at + 32)?.as_chunks::<8>();
    let number = |nth: usize| u64::from_ne_bytes(head[nth]);
    let size = |nth: usize| usize::try_from(number(nth)).unwrap();
    let name = at + 32..at + 32 + size(1);
    let has_data = matches!(number(0), 2 | 7);
    let data = name.end..name.end + if has_data { size(3) } else { 0 };
    let text = |range: &Range<usize>| String::from_utf8(bytes[range.clone()].to_vec()).unwrap();
    if data.end > bytes.len() {
        return None;
    }
    let told = match number(0) {
        1 => Told::Create,
        2 => Told::Write(number(2), data.clone()),
        3 => Told::Truncate(number(2)),
        4 => Told::Sync,
        5 => Told::SyncFolder,
        6 => Told::Unlink,
        7 => Told::Rename(text(&data)),
        other => panic!("no event is called {other}"),
    };
    Some((Event { end: data.end as u64, name: text(&name), told }, data.end))
}
