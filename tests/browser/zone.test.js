// The zone in which a reader is told times: found, chosen, and the same on every page from then on.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { fits, isForEverybody, launch, open, signIn } from "./browser.js";
import { Simdeck } from "./simdeck.js";

const SIM = "8986001234567890441";
let simdeck;
let browser;

before(async () => {
  [simdeck, browser] = await Promise.all([Simdeck.start(), launch()]);
  await simdeck.push("data-usage", { giccid: SIM, data_usage: 5, start_time: Date.now() - 60_000 });
  await simdeck.until("/v1/sims", (sims) => sims.length === 1);
});

after(async () => {
  await browser?.close();
  await simdeck?.end();
});

/// The day and the time of this zone, as the page writes them.
const told = (at, timeZone) => new Intl.DateTimeFormat("sv-SE", {
  timeZone, year: "numeric", month: "2-digit", day: "2-digit",
  hour: "2-digit", minute: "2-digit", second: "2-digit",
}).format(new Date(at));

/// Every time of the page, whole, is of this zone.
async function areOf(page, zone) {
  const times = await page.locator("main time[title]").evaluateAll((times) =>
    times.map(({ dateTime, title }) => [dateTime, title]));
  assert.ok(times.length > 0, page.url());
  for (const [at, title] of times) assert.equal(title, told(at, zone), page.url());
}

test("a zone is found by typing, and times are told in it on every page and after a reload", async () => {
  const page = await open(browser, { timezoneId: "Europe/Berlin" });
  await signIn(page, simdeck, "/audit");
  await page.locator("html[data-zone='Europe/Berlin']").waitFor();
  await areOf(page, "Europe/Berlin");
  await page.getByRole("link", { name: /^Time zone: Europe\/Berlin \(UTC\+0[12]:00\)$/ }).click();
  await page.waitForURL(/\/time-zone\?/);
  await isForEverybody(page, "the choice of a zone");
  const zones = page.getByRole("listbox", { name: "Time zone" });
  assert.ok(await zones.locator("option").count() > 400);
  assert.match(await zones.locator("option:checked").textContent(), /^This browser’s · UTC/);
  const search = page.getByRole("main").getByRole("searchbox");
  await search.fill("kathmandu");
  await search.press("Enter");
  await page.waitForURL(/q=kathmandu/);
  assert.equal(await zones.locator("option:checked").textContent(), "UTC+05:45 · Asia/Kathmandu");
  await page.getByRole("button", { name: "Apply" }).click();
  await page.waitForURL(`${simdeck.url}/audit`);
  await areOf(page, "Asia/Kathmandu");
  await page.reload();
  await areOf(page, "Asia/Kathmandu");
  await page.goto(`${simdeck.url}/sims`);
  await areOf(page, "Asia/Kathmandu");
  // And back to what the browser has.
  await page.getByRole("link", { name: "Time zone: Asia/Kathmandu (UTC+05:45)" }).click();
  await zones.selectOption({ index: 0 });
  await page.getByRole("button", { name: "Apply" }).click();
  await page.waitForURL(`${simdeck.url}/sims`);
  await areOf(page, "Europe/Berlin");
  assert.deepEqual([page.troubles, page.errors], [[], []]);
});

test("on a phone, in Chinese, the choice of a zone fits", async () => {
  const page = await open(browser, { lang: "zh", width: 390, timezoneId: "Asia/Shanghai" });
  await signIn(page, simdeck, "/time-zone");
  await fits(page, "/time-zone, 390 px");
  await page.getByRole("button", { name: "应用" }).waitFor();
  assert.deepEqual([page.troubles, page.errors], [[], []]);
});

test("on a phone the audit tells of each row also where it came from and its details", async () => {
  const page = await open(browser, { width: 390 });
  await signIn(page, simdeck, "/audit?action=start");
  await fits(page, "/audit, 390 px");
  const [row] = await simdeck.ask("/v1/audit?action=start");
  const body = page.locator("#audit tbody");
  for (const part of [row.subject, told(row.at, "UTC").slice(0, 10)]) {
    await body.getByText(part).filter({ visible: true }).first().waitFor();
  }
  await page.goto(`${simdeck.url}/audit?action=sign_in`);
  await body.getByText("127.0.0.1").filter({ visible: true }).first().waitFor();
  assert.deepEqual([page.troubles, page.errors], [[], []]);
});
