// Every page in every state: with nothing in it, with little, with what cannot be shown, and for a key
// that may only look. One look each; with SIMDECK_TEST_LONG, every one.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { LOOKS, fits, isForEverybody, launch, open, signIn } from "./browser.js";
import { API_KEY, Simdeck } from "./simdeck.js";

const GICCID = "8986001234567890001";
const PAGES = [
  "/", "/?range=1h", "/?range=7d", "/?range=30d&view=table", "/?split=network", "/?split=apn",
  "/?split=sim_group", "/?by=change", "/?by=messages", "/?country_code=XX", "/?giccid=8986", "/live",
  "/live?tab=requests", "/live?tab=requests&outcome=refused", "/live?tab=held", "/sims", "/sims?q=nowhere",
  "/sims?sort=last_seen&silent_for=24h", "/sims?silent_for=x", `/sims/${GICCID}`,
  `/sims/${GICCID}?view=table`, "/messages", "/messages?q=nowhere", `/messages?giccid=${GICCID}`,
  "/messages?tab=reports", "/routers", "/routers?state=lost", "/routers/RT9", "/api", "/search",
  "/search?q=nowhere",
];

/// Each with its settings, and what came in.
const STATES = {
  "with nothing in it": { settings: {} },
  "with little in it": { settings: { SIMDECK_SMS_TEXT_FIELD: "text" }, fill: little },
  "with a disk that is full": { settings: { SIMDECK_DISK_RESERVE: "1000TiB" } },
  "with an RCMS that does not answer": {
    settings: {
      SIMDECK_RCMS_ENDPOINT: "http://127.0.0.1:9",
      SIMDECK_RCMS_CLIENT_ID: "id",
      SIMDECK_RCMS_CLIENT_SECRET: "secret-of-the-browser-tests",
    },
    fill: little,
  },
  "for a key that may only look": { settings: {}, fill: little, key: reader },
};

async function little(simdeck) {
  const start_time = Date.now() - 1_000;
  const sim = { giccid: GICCID, sim_group: "group", imsi: "460001234567890" };
  await simdeck.push("data-usage", { ...sim, country_code: "CN", apn: "iot", data_usage: 1302, start_time, duration: 0 });
  await simdeck.push("mo-sms", { ...sim, event_time: start_time, from_msisdn: "1", to_msisdn: "2", text: "hello" });
  await simdeck.push("imei-change", { ...sim, event_time: start_time, old_imei: "1", new_imei: "2" });
  await simdeck.push("mt-sms-status", { ...sim, status: "delivered" });
  await simdeck.push("data-usage", { ...sim, data_usage: "unreadable", start_time });
  await simdeck.push("data-usages", sim);
  await fetch(`${simdeck.publicUrl}/v1/data-usage`, { method: "POST", body: "{}" });
}

/// A key of scope `read`.
async function reader(simdeck) {
  const body = JSON.stringify({ label: "reader", scope: "read" });
  const headers = { "Content-Type": "application/json" };
  return (await simdeck.ask("/v1/keys", { method: "POST", body, headers })).key;
}

let browser;

before(async () => {
  browser = await launch();
});

after(async () => {
  await browser?.close();
});

async function look(simdeck, key, looks, state) {
  const page = await open(browser, looks);
  await signIn(page, simdeck, "/api", key);
  const told = [];
  for (const path of PAGES) {
    const answer = await page.goto(simdeck.url + path);
    if (answer.status() >= 500) told.push(`${path}: ${answer.status()}`);
    for (const [width, height] of [[1440, 900], [390, 844]]) {
      await page.setViewportSize({ width, height });
      for (const keeps of [isForEverybody, fits]) {
        await keeps(page, `${state}: ${path}, ${width} px`).catch(({ message }) => told.push(message));
      }
    }
  }
  assert.deepEqual([...told, ...page.troubles], []);
  await page.context().close();
}

for (const [nth, [state, { settings, fill, key }]] of Object.entries(STATES).entries()) {
  test(`every page is for everybody ${state}`, async () => {
    const simdeck = await Simdeck.start({ settings });
    try {
      await fill?.(simdeck);
      const looks = process.env.SIMDECK_TEST_LONG ? LOOKS : [LOOKS[nth % LOOKS.length]];
      for (const one of looks) await look(simdeck, await key?.(simdeck) ?? API_KEY, one, state);
    } finally {
      await simdeck.end();
    }
  });
}

test("a page says so when its browser is offline, and when it is back", async () => {
  const simdeck = await Simdeck.start();
  try {
    await little(simdeck);
    const page = await open(browser);
    await signIn(page, simdeck);
    const banner = page.locator("#offline");
    assert.equal(await banner.isVisible(), false);
    await page.context().setOffline(true);
    await banner.waitFor();
    await isForEverybody(page, "offline");
    await fits(page, "offline");
    await page.context().setOffline(false);
    await banner.waitFor({ state: "hidden" });
  } finally {
    await simdeck.end();
  }
});
