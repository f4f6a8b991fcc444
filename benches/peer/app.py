"""The peer in benches/run: what a good FastAPI receiver of the same pushes looks like.

It does simdeck's work: verify in constant time, read and check the fields, know a record again by
the digest of its content, keep it, move the same rollups, and answer after a synced commit. One
commit a request, as such receivers are written. Where a choice was open it took the faster one:
uvloop, httptools, orjson, an `async` handler without a thread pool, prepared statements, WAL.

    PEER_DB=peer.db PEER_KEY=... uvicorn --app-dir benches/peer app:app
"""

import hashlib
import hmac
import os
import sqlite3
import time

import orjson
from fastapi import FastAPI, Request
from fastapi.responses import ORJSONResponse, Response

KEY = os.environ["PEER_KEY"]
QUARTER_MS = 900_000
DAY_MS = 86_400_000
HOUR_MS = 3_600_000

SCHEMA = """
create table if not exists usage (
    id integer primary key, received_ms integer not null, giccid text not null, imsi text not null,
    sim_group text not null, country text not null, mcc text not null, mnc text not null,
    apn text not null, start_ms integer not null, data_usage integer not null, duration integer,
    digest blob not null
) strict;
create unique index if not exists usage_once on usage (start_ms, giccid, digest);
create table if not exists usage_quarter (
    quarter integer, sim_group text, country text, network text, apn text,
    data_usage integer not null, records integer not null,
    primary key (quarter, sim_group, country, network, apn)
) strict, without rowid;
create table if not exists usage_hour (
    hour integer, dimension integer, value text, data_usage integer not null, records integer not null,
    primary key (hour, dimension, value)
) strict, without rowid;
create table if not exists usage_day (
    day integer, giccid text, data_usage integer not null, records integer not null,
    primary key (day, giccid)
) strict, without rowid;
create table if not exists sim (
    giccid text primary key, first_ms integer not null, last_ms integer not null
) strict, without rowid;
"""
RECORD = """insert into usage (received_ms, giccid, imsi, sim_group, country, mcc, mnc, apn, start_ms,
    data_usage, duration, digest) values (?,?,?,?,?,?,?,?,?,?,?,?) on conflict do nothing"""
QUARTER = """insert into usage_quarter values (?,?,?,?,?,?,1)
    on conflict do update set data_usage = data_usage + excluded.data_usage, records = records + 1"""
HOUR = """insert into usage_hour values (?,?,?,?,1)
    on conflict do update set data_usage = data_usage + excluded.data_usage, records = records + 1"""
DAY = """insert into usage_day values (?,?,?,1)
    on conflict do update set data_usage = data_usage + excluded.data_usage, records = records + 1"""
SIM = """insert into sim values (?1, ?2, ?2) on conflict do update set
    first_ms = min(first_ms, excluded.first_ms), last_ms = max(last_ms, excluded.last_ms)"""


def connect() -> sqlite3.Connection:
    db = sqlite3.connect(os.environ["PEER_DB"], isolation_level=None, timeout=30)
    db.execute("pragma journal_mode = wal")
    db.execute("pragma synchronous = full")
    db.execute("pragma cache_size = -16384")
    db.executescript(SCHEMA)
    return db


db = connect()
app = FastAPI(default_response_class=ORJSONResponse)


def authentic(push: dict) -> bool:
    date, signature = push.get("datePush"), push.get("signature")
    if not isinstance(date, int) or not isinstance(signature, str):
        return False
    expected = hashlib.sha256(f"{KEY}{date}".encode()).hexdigest()
    return hmac.compare_digest(expected, signature)


def keep(cursor: sqlite3.Cursor, record: dict, now_ms: int) -> bool:
    """True if the record was new. Raises KeyError or ValueError for one that cannot be read."""
    digest = hashlib.sha256(orjson.dumps(record, option=orjson.OPT_SORT_KEYS)).digest()[:16]
    giccid, used, start_ms = record["giccid"], record["data_usage"], record["start_time"]
    if not (isinstance(giccid, str) and 18 <= len(giccid) <= 22 and giccid.isdigit()):
        raise ValueError("giccid")
    if not (isinstance(used, int) and used >= 0 and isinstance(start_ms, int)):
        raise ValueError("data_usage, start_time")
    group, country = record.get("sim_group", ""), record.get("country_code", "")
    mcc, mnc, apn = record.get("mcc", ""), record.get("mnc", ""), record.get("apn", "")
    cursor.execute(RECORD, (now_ms, giccid, record.get("imsi", ""), group, country, mcc, mnc, apn,
                            start_ms, used, record.get("duration"), digest))
    if cursor.rowcount == 0:
        return False
    network = f"{mcc}-{mnc}"
    cursor.execute(QUARTER, (start_ms // QUARTER_MS, group, country, network, apn, used))
    hour = start_ms // HOUR_MS
    cursor.executemany(HOUR, [(hour, 0, group, used), (hour, 1, country, used),
                              (hour, 2, network, used), (hour, 3, apn, used)])
    cursor.execute(DAY, (start_ms // DAY_MS, giccid, used))
    cursor.execute(SIM, (giccid, start_ms))
    return True


@app.post("/v1/data-usage")
async def data_usage(request: Request) -> Response:
    try:
        push = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        return ORJSONResponse({"title": "Bad Request", "status": 400}, 400)
    if not isinstance(push, dict) or not authentic(push):
        return ORJSONResponse({"title": "Invalid signature", "status": 401}, 401)
    del push["datePush"], push["signature"]
    records = push["records"] if "records" in push else [push]
    cursor = db.cursor()
    cursor.execute("begin immediate")
    try:
        now_ms = time.time_ns() // 1_000_000
        stored = sum(keep(cursor, record, now_ms) for record in records)
        cursor.execute("commit")
    except (KeyError, ValueError):
        cursor.execute("rollback")
        return ORJSONResponse({"title": "Validation Failed", "status": 422}, 422)
    return ORJSONResponse({"stored": stored, "duplicates": len(records) - stored, "quarantined": 0})


@app.get("/healthz")
async def healthz() -> Response:
    return Response()
