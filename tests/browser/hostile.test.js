// What others push is text, whatever it looks like: it runs nothing, hides nothing and moves nothing.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { fits, isFollowing, launch, open, signIn } from "./browser.js";
import { Simdeck } from "./simdeck.js";

const RUN = "globalThis.ranHostile=1";
// What would run, if it were more than text, ...
const LIVE = [
  `<script>${RUN}</script>`,
  `<script src=data:,${RUN}></script>`,
  `<img src=x onerror=${RUN}>`,
  `<img src=x onerror="alert(1)">`,
  `<svg onload=${RUN}>`,
  `<svg><animate onbegin=${RUN} attributeName=x dur=1s>`,
  `<svg><use href="data:image/svg+xml,<svg id=x onload=${RUN}>#x">`,
  `<svg><script>${RUN}</script></svg>`,
  `<math><mtext><img src=x onerror=${RUN}>`,
  `<body onload=${RUN}>`,
  `<iframe srcdoc="<script>parent.${RUN}</script>">`,
  `<object data="javascript:${RUN}">`,
  `<embed src="javascript:${RUN}">`,
  `<a href="javascript:${RUN}">x</a>`,
  `<details open ontoggle=${RUN}>`,
  `<input autofocus onfocus=${RUN}>`,
  `<video><source onerror=${RUN}>`,
  `<meta http-equiv=refresh content="0;url=/sign-in">`,
  "<base href=//example.org/>",
  "<style>*{display:none}</style>",
  "<link rel=stylesheet href=data:text/css,*{display:none}>",
  "<form action=//example.org><input name=key>",
];
// ... and what would let it out of where it stands.
const ENDS = ["", `">`, "'>", "</title>", "</textarea>", "</script>", "</template>", "-->"];
const HOSTILE = [
  ...ENDS.flatMap((end) => LIVE.map((live) => end + live)),
  `" onmouseover=${RUN} autofocus onfocus=${RUN} x="`,
  `' autofocus onfocus=${RUN} x='`,
  "`onerror=alert(1)`",
  `javascript:${RUN}`,
  `<!--><script>${RUN}</script>-->`,
  `<![CDATA[><script>${RUN}</script>]]>`,
  `&lt;script&gt;${RUN}&lt;/script&gt;`,
  "&#60;img src=x onerror=alert(1)&#62;",
  "\u202Egnp.exe\u202C \u2066isolated",
  "\u200F\u202B\u202E\u2067 abc",
  "=1+1", "=cmd|' /C calc'!A0", "@SUM(1)", "+1-1", "-2+3", "\t=1+1",
  "\u0000\u0001\u001B[31m\u0007",
  "{{7*7}}{% include 'x' %}${7*7}#{7*7}<%= 7*7 %>",
  "\"'`\\",
  "../../etc/passwd?a=b&c=d#e",
  "Z\u0351\u0352\u0353\u0354\u0355\u0356".repeat(19),
  "W".repeat(256),
  "W".repeat(10_000),
  `<b>${"<".repeat(10_000)}`,
  "\uFEFF\u200B\u200D\u2028\u2029",
  "__proto__", "constructor",
];
const NOTIFICATIONS = [
  "mt-sms-status", "cycle-usage", "imei-change", "no-session", "package-expiry", "package-usage",
  "sim-status", "apn-status",
];
const giccid = (number) => String(8986001234567890000n + BigInt(number));
// What is too long for its field is held back, and what holds a NUL.
const isStored = (evil) => Buffer.byteLength(evil) <= 256 && !evil.includes("\0");
const STORED = [...HOSTILE.keys()].filter((number) => isStored(HOSTILE[number]));

let simdeck;
let browser;

/// Pushes each of them in every field that may hold it, and as the name of one.
async function pushAll() {
  const start_time = Date.now();
  const push = async (evil, number) => {
    const sim = { giccid: giccid(number), imsi: evil, sim_group: evil };
    await simdeck.push("data-usage", {
      ...sim, country_code: evil, apn: evil, mcc: evil, mnc: evil, data_usage: 1000 + number, start_time, duration: 0,
    });
    await simdeck.push("mo-sms", {
      ...sim, event_time: start_time, to_msisdn: evil, from_msisdn: evil, text: evil,
    });
    const kind = NOTIFICATIONS[number % NOTIFICATIONS.length];
    await simdeck.push(kind, { ...sim, event_time: start_time, status: evil, [`x ${evil}`]: evil });
  };
  const numbers = [...HOSTILE.entries()];
  while (numbers.length > 0) {
    await Promise.all(numbers.splice(0, 20).map(([number, evil]) => push(evil, number)));
  }
}

before(async () => {
  const settings = { SIMDECK_SMS_TEXT_FIELD: "text" };
  [simdeck, browser] = await Promise.all([Simdeck.start({ settings }), launch()]);
  await pushAll();
  for (const [number, evil] of HOSTILE.entries()) {
    // A person's name for a SIM, where the API takes it.
    const body = JSON.stringify({ name: evil.slice(0, 60), device_sn: null });
    const headers = { "Content-Type": "application/json" };
    await simdeck.ask(`/v1/sims/${giccid(number)}`, { method: "PUT", body, headers });
  }
});

after(async () => {
  await browser?.close();
  await simdeck?.end();
});

/// A tab that is signed in, and notes what it must not do. Where its heading stands is `page.frame`.
async function openWatched(width) {
  const page = await open(browser, { width });
  page.on("dialog", async (dialog) => {
    page.troubles.push(`dialog: ${dialog.message()}`);
    await dialog.dismiss();
  });
  await signIn(page, simdeck, "/api");
  page.frame = await frame(page);
  return page;
}

/// Where the head of a page ends and its content begins.
const frame = (page) => page.evaluate(() => [
  document.querySelector("main").getBoundingClientRect().left,
  document.querySelector("main").getBoundingClientRect().width,
]);

async function isHarmless(page, what) {
  const found = await page.evaluate(() => ({
    ran: globalThis.ranHostile ?? 0,
    scripts: document.scripts.length,
    made: document.querySelectorAll("iframe, object, embed, base, style, math, video, meta[http-equiv], main img, [onload], [onerror], [onfocus]").length,
    led: [...document.links].filter(({ protocol }) => !/^https?:$/.test(protocol)).length,
  }));
  assert.deepEqual(found, { ran: 0, scripts: 1, made: 0, led: 0 }, what);
  assert.deepEqual(await frame(page), page.frame, what);
  await fits(page, what);
}

/// Every page of a list.
async function turned(page, path, look) {
  await page.goto(simdeck.url + path);
  for (let turn = 1; ; turn += 1) {
    await look(`${path}, its page ${turn}`);
    const next = page.locator("a[rel=next]");
    if (await next.count() === 0) return;
    await page.goto(simdeck.url + await next.getAttribute("href"));
  }
}

for (const width of [1440, 390]) {
  test(`what is hostile is shown as text at ${width} px`, async () => {
    assert.ok(STORED.length >= 200, `${STORED.length} of ${HOSTILE.length} are stored`);
    const page = await openWatched(width);
    const splits = ["country_code", "network", "apn", "sim_group"].map((split) => `/?split=${split}`);
    // The SIM pages tell the same of all; the long run looks at every one.
    const every = process.env.SIMDECK_TEST_LONG ? 1 : 16;
    const sims = STORED.filter((number) => number % every === 0).map((number) => `/sims/${giccid(number)}`);
    const paths = ["/", ...splits, "/live", "/live?tab=requests", "/live?tab=held", ...sims];
    for (const path of paths) {
      await page.goto(simdeck.url + path);
      await isHarmless(page, `${path}, ${width} px`);
    }
    const shown = [];
    await turned(page, "/sims?size=100", async (what) => {
      await isHarmless(page, `${what}, ${width} px`);
      shown.push(await page.locator("#sims").textContent());
    });
    for (const number of STORED) {
      const evil = HOSTILE[number].trim();
      assert.ok(shown.some((text) => text.includes(evil)), `as text: ${JSON.stringify(evil)}`);
    }
    for (const list of ["/messages?size=100", "/messages?tab=reports&size=100"]) {
      await turned(page, list, (what) => isHarmless(page, `${what}, ${width} px`));
    }
    await page.goto(`${simdeck.url}/live?tab=held`);
    const held = await page.locator("#held tr[data-row] a").evaluateAll((links) => links.map(({ href }) => href));
    assert.ok(held.length > 0, "what is too long is held");
    // What was pushed is told by the API as it is, which a browser must not take for a page.
    const raw = await page.context().newPage();
    for (const address of held) {
      const answer = await raw.goto(address);
      assert.match(answer.headers()["content-type"], /^application\/json/);
      assert.equal(await raw.evaluate(() => globalThis.ranHostile), undefined, address);
    }
    assert.deepEqual([page.troubles, page.errors], [[], []]);
  });

  test(`what is hostile is text where it arrives by itself at ${width} px`, async () => {
    const page = await openWatched(width);
    for (const path of ["/", "/live"]) {
      await isFollowing(page, () => page.goto(simdeck.url + path));
      await pushAll();
      // Where much arrives, the page shows a part of it: the last is sent until it is among that.
      const last = `<b>the last on ${path}, ${width} px</b>`;
      const seen = page.locator(".rows .arrive").filter({ hasText: last });
      const sim = { giccid: giccid(999), start_time: Date.now(), duration: 0, sim_group: last };
      for (let data_usage = 1; await seen.count() === 0; data_usage += 1) {
        assert.ok(data_usage < 1_000, "it never came");
        await simdeck.push("data-usage", { ...sim, data_usage });
      }
      await isHarmless(page, `${path}, ${width} px`);
    }
    assert.deepEqual([page.troubles, page.errors], [[], []]);
  });
}
