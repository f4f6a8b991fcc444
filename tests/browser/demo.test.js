// A day with the demo fleet: what a person reads, follows, copies and types.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { LOOKS, fits, isForEverybody, open, signIn } from "./browser.js";
import { API_KEY } from "./simdeck.js";
import { browser, simdeck } from "./with_demo.js";

/// Waits until the page has this address beside what else is asked.
const hasAsked = (page, name, value) =>
  page.waitForURL((url) => url.searchParams.get(name) === value);

test("the overview tells of the fleet, and an incident leads to its SIM", async () => {
  const page = await open(browser);
  await signIn(page, simdeck);
  assert.match(await page.locator(".banner").filter({ visible: true }).textContent(), /^Demo fleet/);
  const figures = await page.locator(".figure .value").allTextContents();
  assert.equal(figures.length, 6);
  for (const figure of figures) assert.match(figure, /\d/);
  const incidents = await page.locator("#attention .what").allTextContents();
  for (const word of [/usual use$/, /^SIM moved/, /went silent together$/, /in a new country$/, /^Router /]) {
    assert.ok(incidents.some((incident) => word.test(incident)), `${word} in ${incidents}`);
  }
  const [thirsty] = (await simdeck.ask("/v1/attention")).filter(({ kind }) => kind === "sim_above_usual");
  await page.getByRole("link", { name: /^SIM at .* its usual use$/ }).click();
  await page.waitForURL(`${simdeck.url}/sims/${thirsty.giccid}`);
  const heading = await page.getByRole("heading", { level: 1 }).textContent();
  assert.equal(heading.replaceAll(/\s/g, ""), thirsty.giccid);
  assert.deepEqual([page.troubles, page.errors], [[], []]);
});

test("a country narrows the overview until its chip is closed, and a range is chosen", async () => {
  const page = await open(browser);
  await signIn(page, simdeck);
  const used = () => page.locator("#usage .about").textContent();
  const ofAll = await used();
  await page.locator("#split .parts a").filter({ hasText: "Germany" }).click();
  await hasAsked(page, "country_code", "DE");
  assert.notEqual(await used(), ofAll);
  assert.equal(await page.locator("#split .parts li").count(), 1);
  await page.getByRole("link", { name: "Remove this filter: Country DE" }).click();
  await hasAsked(page, "country_code", null);
  assert.equal(await page.locator("a.chosen").count(), 0);
  await page.locator("[data-range]").getByRole("link", { name: "7d" }).click();
  await hasAsked(page, "range", "7d");
  assert.equal(await page.locator("[data-range] [aria-current]").textContent(), "7d");
  await page.getByRole("heading", { name: "Data used per hour" }).waitFor();
  await page.goto(`${simdeck.url}/`);
  await page.keyboard.press("t");
  await hasAsked(page, "range", "7d");
  await page.keyboard.press("t");
  await hasAsked(page, "range", "30d");
  assert.deepEqual([page.troubles, page.errors], [[], []]);
});

test("language and colours are changed and stay", async () => {
  const page = await open(browser);
  await signIn(page, simdeck);
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await ground();
  await page.getByRole("button", { name: "中文" }).click();
  await page.locator("html[lang=zh]").waitFor();
  await page.locator("[data-theme-switch]").click();
  await page.locator("html[data-theme=dark]").waitFor();
  const dark = await ground();
  assert.notEqual(dark, light);
  await page.locator("nav a[href='/sims']").first().click();
  await page.waitForURL(`${simdeck.url}/sims`);
  assert.equal(await page.locator("html[lang=zh][data-theme=dark]").count(), 1);
  assert.equal(await ground(), dark);
  await page.locator("[data-theme-switch]").click();
  await page.locator("html[data-theme=light]").waitFor();
  assert.equal(await ground(), light);
  await page.getByRole("button", { name: "English" }).click();
  await page.locator("html[lang=en]").waitFor();
  assert.equal(new URL(page.url()).pathname, "/sims");
  assert.deepEqual([page.troubles, page.errors], [[], []]);
});

test("the curl of the chart answers what the page shows", async () => {
  const page = await open(browser);
  await signIn(page, simdeck);
  const chart = page.locator("#usage");
  await chart.getByRole("link", { name: "Table" }).click();
  await hasAsked(page, "view", "table");
  await chart.getByText("curl", { exact: true }).click();
  await chart.locator("code").filter({ visible: true }).waitFor();
  // Taken at one moment: while a sheet is open, its panel is not made anew.
  const [call, shown] = await chart.evaluate((panel) => [
    panel.querySelector("code").innerText,
    [...panel.querySelectorAll("td[title]")].map((cell) => Number(cell.title.replaceAll(/\D/g, ""))),
  ]);
  assert.ok(!call.includes(API_KEY), call);
  const env = { ...process.env, SIMDECK_API_KEY: API_KEY };
  const answer = JSON.parse(execFileSync("/bin/sh", ["-c", call], { env, encoding: "utf8" }));
  const asked = answer.map(({ data_usage }) => data_usage);
  assert.equal(asked.length, shown.length);
  assert.ok(asked.length > 90, `${asked.length} quarters of an hour`);
  // Of the last two, the fleet goes on using one.
  const complete = (amounts) => amounts.slice(0, -2).reduce((sum, amount) => sum + amount, 0);
  assert.equal(complete(asked), complete(shown));
  assert.ok(complete(asked) > 2 ** 30);
  assert.deepEqual([page.troubles, page.errors], [[], []]);
});

test("the CSV of the chart is a file with its columns", async () => {
  const page = await open(browser);
  await signIn(page, simdeck);
  const link = page.locator("#usage").getByRole("link", { name: "CSV" });
  const [file] = await Promise.all([page.waitForEvent("download"), link.click()]);
  const [columns, ...rows] = readFileSync(await file.path(), "utf8").trim().split(/\r?\n/);
  for (const column of ["start", "end", "data_usage", "records"]) {
    assert.ok(columns.split(",").includes(column), columns);
  }
  assert.ok(rows.length > 90, `${rows.length} rows`);
  assert.match(file.suggestedFilename(), /\.csv$/);
  assert.deepEqual(page.troubles, []);
});

test("keys alone lead everywhere", async () => {
  const page = await open(browser);
  await signIn(page, simdeck);
  await page.goto(`${simdeck.url}/`);
  const focused = () => page.evaluate(() => document.activeElement.id);
  await page.keyboard.press("Tab");
  const skip = page.getByRole("link", { name: "Skip to content" });
  assert.ok(await skip.evaluate((link) => link === document.activeElement));
  assert.ok((await skip.boundingBox()).width > 50, "it is seen while it has the focus");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.activeElement.id === "content");
  await page.keyboard.press("/");
  assert.equal(await focused(), "search");
  const [{ giccid }] = await simdeck.ask("/v1/sims?size=1");
  await page.keyboard.type(giccid.slice(-4));
  await page.keyboard.press("Enter");
  await page.waitForURL(`${simdeck.url}/sims/${giccid}`);
  await page.keyboard.press("g");
  await page.keyboard.press("s");
  await page.waitForURL(`${simdeck.url}/sims`);
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  const second = await page.locator("tr[data-row]").nth(1).getAttribute("data-giccid");
  assert.equal(await page.locator("tr[aria-selected=true]").getAttribute("data-giccid"), second);
  await page.keyboard.press("Enter");
  await page.waitForURL(`${simdeck.url}/sims/${second}`);
  await page.keyboard.press("g");
  await page.keyboard.press("a");
  await page.waitForURL(`${simdeck.url}/audit`);
  const sheet = page.getByRole("dialog", { name: "Keys" });
  await page.keyboard.press("?");
  await sheet.waitFor();
  await page.keyboard.press("Escape");
  await sheet.waitFor({ state: "hidden" });
  assert.deepEqual([page.troubles, page.errors], [[], []]);
});

test("live rows arrive, stop while paused and go on", async () => {
  const page = await open(browser);
  const other = await open(browser);
  await Promise.all([signIn(page, simdeck, "/live"), signIn(other, simdeck, "/live")]);
  // Rows that came after the page did, of which the list keeps 200.
  const came = (at) => at.locator(".rows .arrive").count();
  const brings = async (at, more) => {
    const had = await came(at);
    await at.waitForFunction((count) => document.querySelectorAll(".rows .arrive").length >= count, had + more);
  };
  await brings(page, 2);
  await page.getByRole("button", { name: "Pause" }).click();
  const resume = page.getByRole("button", { name: "Go on" });
  assert.equal(await resume.getAttribute("aria-pressed"), "true");
  const paused = await came(page);
  await brings(other, 4);
  assert.equal(await came(page), paused);
  await resume.click();
  await brings(page, 1);
  assert.ok(await came(page) >= paused + 3, "what came meanwhile is shown too");
  await page.keyboard.press("p");
  await resume.waitFor();
  assert.deepEqual([page.troubles, page.errors], [[], []]);
});

// Two looks; with SIMDECK_TEST_LONG, every one.
const SEEN = process.env.SIMDECK_TEST_LONG ? LOOKS : [LOOKS[0], LOOKS[3]];
for (const look of SEEN) {
  test(`every page is for everybody in ${look.theme} and ${look.lang}`, async () => {
    const [[{ giccid }], [{ sn }]] = await Promise.all([
      simdeck.ask("/v1/sims?size=1"), simdeck.ask("/v1/devices?size=1"),
    ]);
    const paths = [
      "/", "/?range=7d", "/?view=table", "/live", "/live?tab=requests", "/live?tab=held", "/sims",
      "/sims?q=nothing-like-it", `/sims/${giccid}`, "/messages", "/routers", `/routers/${sn}`, "/api",
      "/search?q=890000",
    ];
    const page = await open(browser, look);
    await signIn(page, simdeck);
    const told = [];
    for (const path of paths) {
      await page.goto(simdeck.url + path);
      for (const [width, height] of [[1440, 900], [390, 844]]) {
        await page.setViewportSize({ width, height });
        for (const keeps of [isForEverybody, fits]) {
          await keeps(page, `${path}, ${width} px`).catch(({ message }) => told.push(message));
        }
      }
    }
    assert.deepEqual([...told, ...page.troubles, ...page.errors], []);
  });
}
