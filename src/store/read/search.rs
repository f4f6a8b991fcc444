//! Finds what somebody has a number or a name of.
use sqlx::{Connection, SqliteConnection};

use super::{READ_TIME_MAX, Store};
use crate::{
    domain::{Hit, HitOf, Matched, ShortText},
    store::{StoreError, card::reversed, error::of_read},
};

/// How many hits are told.
const HITS_MAX: usize = 20;
/// Fewer last characters of a number than these would match too many.
const CHARACTERS_MIN: usize = 4;
/// No number that is found by its last characters is longer.
const CHARACTERS_MAX: usize = 22;

/// Where each kind of text is looked for. A statement gives what is found, its name, whether the
/// text, `$1`, is all of what was looked through, and the SIM of a message; `$2` is what a number
/// should end with, backwards. `{` is the character behind `z`, the last that a number may have.
const PLACES: [(Matched, &str); 8] = [
    (
        Matched::Giccid,
        "select card.giccid, coalesce(name, ''), card.giccid = $1, ''
        from card left join sim_label on sim_label.giccid = card.giccid
        where giccid_reversed >= $2 and giccid_reversed < $2 || '{'
        order by giccid_reversed limit 20",
    ),
    (
        Matched::Imsi,
        "select sim.giccid, coalesce(name, ''), sim.imsi = $1, ''
        from sim left join sim_label on sim_label.giccid = sim.giccid
        where imsi_reversed >= $2 and imsi_reversed < $2 || '{'
        order by imsi_reversed limit 20",
    ),
    (
        Matched::FromMsisdn,
        "select from_msisdn, coalesce(name, ''), true, sim.giccid
        from sms join sim on sim.id = sms.sim_id
        left join sim_label on sim_label.giccid = sim.giccid
        where from_msisdn in ($1, '+' || $1) order by sms.id desc limit 1",
    ),
    (
        Matched::ToMsisdn,
        "select to_msisdn, coalesce(name, ''), true, sim.giccid
        from sms join sim on sim.id = sms.sim_id
        left join sim_label on sim_label.giccid = sim.giccid
        where to_msisdn in ($1, '+' || $1) order by sms.id desc limit 1",
    ),
    (
        Matched::Sn,
        "select sn, name, lower(sn) = lower($1), '' from device
        where instr(lower(sn), lower($1)) > 0 order by 3 desc, id limit 20",
    ),
    (
        Matched::Name,
        "select sn, name, lower(name) = lower($1), '' from device
        where instr(lower(name), lower($1)) > 0 order by 3 desc, id limit 20",
    ),
    // An index finds a SIM's name by its beginning …
    (
        Matched::Name,
        "select giccid, name, lower(name) = lower($1), '' from sim_label
        where name <> '' and lower(name) >= lower($1) and lower(name) < lower($1) || char(1114111)
        order by lower(name) limit 20",
    ),
    // … and the first so many are also looked through.
    (
        Matched::Name,
        "select giccid, name, false, ''
        from (select giccid, name from sim_label where name <> '' limit 4000)
        where instr(lower(name), lower($1)) > 0 limit 20",
    ),
];

/// Which of the places give routers and not SIMs.
const DEVICES: std::ops::Range<usize> = 4..6;

impl Store {
    /// What a text names, whole or by its last characters, what it is all of first: at most 20.
    pub async fn search(&self, text: &str) -> Result<Vec<Hit>, StoreError> {
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let mut moment = reader.begin().await?;
        let mut hits: Vec<Hit> = Vec::new();
        for (place, (matched, sql)) in PLACES.into_iter().enumerate() {
            let is_device = DEVICES.contains(&place);
            for ending in endings(matched, text) {
                for hit in look(&mut moment, sql, (text, &ending), matched, is_device).await? {
                    match hits.iter_mut().find(|known| known.of == hit.of) {
                        Some(known) if hit.is_whole && !known.is_whole => *known = hit,
                        Some(_) => (),
                        None => hits.push(hit),
                    }
                }
            }
        }
        hits.sort_by_key(|hit| !hit.is_whole);
        hits.truncate(HITS_MAX);
        Ok(hits)
    }
}

/// What to look for the ends of, where numbers are found by their ends; elsewhere the text itself.
/// People type small letters, and no `F` where one only fills up a number.
fn endings(matched: Matched, text: &str) -> Vec<String> {
    let is_long_enough = (CHARACTERS_MIN..=CHARACTERS_MAX).contains(&text.len());
    match matched {
        Matched::Giccid if is_long_enough && text.bytes().all(|it| it.is_ascii_alphanumeric()) => {
            let mut endings = vec![text.to_owned()];
            for typed in [text.to_owned(), text.to_ascii_uppercase(), text.to_ascii_lowercase()] {
                for ending in [typed.clone(), format!("{typed}F"), format!("{typed}f")] {
                    if !endings.contains(&ending) {
                        endings.push(ending);
                    }
                }
            }
            endings
        }
        Matched::Imsi if is_long_enough && text.bytes().all(|it| it.is_ascii_digit()) => {
            vec![text.to_owned()]
        }
        Matched::Giccid | Matched::Imsi => Vec::new(),
        _ => vec![text.to_owned()],
    }
}

async fn look(
    moment: &mut SqliteConnection,
    sql: &'static str,
    (text, ending): (&str, &str),
    matched: Matched,
    is_device: bool,
) -> Result<Vec<Hit>, StoreError> {
    let rows: Vec<(String, String, bool, String)> = sqlx::query_as(sql)
        .bind(text)
        .bind(reversed(ending, usize::MAX))
        .fetch_all(moment)
        .await
        .map_err(of_read)?;
    rows.into_iter()
        .map(|(found, name, is_whole, giccid)| {
            let corrupt = || StoreError::Corrupt { table: "device or card", id: 0 };
            let short = |text: &str| ShortText::try_from(text).map_err(|_| corrupt());
            let of = match matched {
                _ if is_device => HitOf::Device(found.parse().map_err(|_| corrupt())?),
                Matched::FromMsisdn | Matched::ToMsisdn => HitOf::Msisdn {
                    msisdn: short(&found)?,
                    giccid: giccid.parse().map_err(|_| corrupt())?,
                },
                _ => HitOf::Sim(found.parse().map_err(|_| corrupt())?),
            };
            Ok(Hit { of, name: short(&name)?, matched, is_whole })
        })
        .collect()
}
