"""A second client of RCMS, written after the rules of the protocol alone and sharing nothing with simdeck:
where the two disagree about the same server, one of them has read the rules otherwise.

    second_client.py total
    second_client.py devices
    second_client.py status SERIAL BEGIN_MS END_MS

ENDPOINT, CLIENT_ID and CLIENT_SECRET name the server and the account. Writes what was understood as one JSON
value; a failure is an object with the member `failed`.
"""

import hashlib
import hmac
import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.request
import zlib
from urllib.parse import quote

COUNTS = ["deviceTotal", "onlineTotal", "offlineTotal", "registeredTotal", "unRegisteredTotal", "userTotal"]
CONTAINERS = ["list", "records", "data", "rows", "items", "content", "result"]
PAGE_SIZES = [100, 50, 20, 10]


class Failed(Exception):
    """What RCMS, or something between, has said instead of an answer."""


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def ask(path: str, **parameters: int):
    """Signs a read, sends it, and gives the `data` of its answer."""
    client_id, secret = os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"]
    fixed = {"apiVersion": "1.0", "clientId": client_id, "signatureVersion": "1.0",
             "timestamp": str(time.time_ns() // 1_000_000), "uniqueCode": client_id}
    every = sorted((fixed | {name: str(value) for name, value in parameters.items()}).items())
    canonical = "&".join(f"{name}={value}" for name, value in every)
    signature = hmac.new(f"{client_id}{client_id}".encode(), f"GET{path}{canonical}{secret}".encode(), hashlib.sha256)
    on_the_wire = "&".join(f"{quote(name)}={quote(value)}" for name, value in every)
    request = urllib.request.Request(
        f"{os.environ['ENDPOINT'].rstrip('/')}{path}?{on_the_wire}",
        headers=fixed | {"signature": signature.hexdigest(), "Accept-Encoding": "gzip"})
    try:
        answer = urllib.request.build_opener(NoRedirect).open(request, timeout=20)
    except urllib.error.HTTPError as error:
        answer = error
    except OSError as error:
        raise Failed("no answer") from error
    return opened(answer)


def opened(answer):
    """The `data` of an answer, whatever its status was: RCMS's own words go before that."""
    try:
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise Failed("no answer") from error
    packed = answer.headers.get("Content-Encoding")
    if packed in ("gzip", "deflate"):
        body = zlib.decompress(body, wbits=47)  # either has a header that tells which it is
    try:
        envelope = json.loads(body.decode("utf-8-sig"))
        code = int(envelope["code"])
    except (ValueError, TypeError, KeyError) as error:
        raise Failed("unreadable" if answer.status == 200 else f"status {answer.status}") from error
    if code != 0:
        raise Failed(f"code {code} {envelope.get('msg', '')}")
    if answer.status != 200:
        raise Failed(f"status {answer.status}")
    return envelope.get("data")


def items(data, is_item) -> list:
    if data is None:
        return []
    if isinstance(data, dict):
        if is_item(data):
            return [data]
        data = next((data[name] for name in CONTAINERS if data.get(name) is not None), None)
    if not isinstance(data, list):
        raise Failed("unreadable")
    return data


def walk(path: str, is_item, key, **parameters: int) -> list:
    """Every item of every page, each once: to an empty page, or to one that has nothing new."""
    sizes, number, all_items = list(PAGE_SIZES), 1, {}
    while True:
        try:
            page = items(ask(path, pageNum=number, pageSize=sizes[0], **parameters), is_item)
        except Failed as failed:
            if number > 1 or len(sizes) == 1 or not str(failed).startswith("code"):
                raise
            sizes.pop(0)
            continue
        before = len(all_items)
        for item in page:
            all_items.setdefault(key(item), item)
        if len(all_items) == before:
            return list(all_items.values())
        number += 1


def state(device: dict) -> str:
    for name in ("onlineStatus", "deviceOnLineStatus"):
        word = str(device.get(name)).strip().lower()
        if word in ("1", "1.0", "true", "online"):
            return "online"
        if word in ("0", "0.0", "false", "offline"):
            return "offline"
    return "unknown"


def understood(arguments: list[str]):
    match arguments:
        case ["total"]:
            totals = ask("/api/link/dashboard/deviceTotal")
            if not isinstance(totals, dict):
                raise Failed("unreadable")
            return {name: None if totals.get(name) is None else int(totals[name]) for name in COUNTS}
        case ["devices"]:
            is_device = lambda item: "sn" in item
            devices = walk("/api/link/device/devices", is_device, lambda item: item["sn"])
            return [{"sn": device["sn"], "state": state(device)} for device in devices]
        case ["status", serial, begin_ms, end_ms]:
            path = f"/api/link/device/devices/{serial}/statusData"
            is_sample = lambda item: "system" in item or isinstance(item.get("data"), dict)
            return walk(path, is_sample, json.dumps, beginTime=int(begin_ms), endTime=int(end_ms))


try:
    print(json.dumps(understood(sys.argv[1:])))
except Failed as failed:
    print(json.dumps({"failed": str(failed)}))
