// From nothing to the overview: what a person sees who has just installed it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { fits, isFollowing, isForEverybody, launch, open, signIn } from "./browser.js";
import { Simdeck } from "./simdeck.js";

let browser;

before(async () => {
  browser = await launch();
});

after(async () => {
  await browser?.close();
});

const usage = (giccid, data_usage) => ({
  giccid, data_usage, sim_group: "first", country_code: "CN", mcc: "460", mnc: "10", apn: "apn1",
  start_time: Date.now(), duration: 0,
});

/// With a server of its own, on which nothing has happened yet.
async function withEmpty(run) {
  const simdeck = await Simdeck.start();
  try {
    const page = await open(browser);
    await signIn(page, simdeck);
    await page.locator("#first-run").waitFor();
    await run(page, simdeck);
    assert.deepEqual([page.troubles, page.errors], [[], []]);
  } finally {
    await simdeck.end();
  }
}

test("the first push turns the page into the overview, and the next is on it within a second", async () => {
  await withEmpty(async (page, simdeck) => {
    for (const [width, height] of [[1440, 900], [390, 844]]) {
      await page.setViewportSize({ width, height });
      await isForEverybody(page, `the first run, ${width} px`);
      await fits(page, `the first run, ${width} px`);
    }
    assert.equal(await page.locator("#figures").count(), 0);
    await isFollowing(page, async () => {
      await simdeck.push("data-usage", usage("8986001234567890001", 1302));
      await page.locator("#figures").waitFor({ timeout: 5_000 });
    });
    assert.equal(await page.locator("#first-run").count(), 0);
    await page.locator(".rows li").filter({ hasText: "+1.27 KB" }).waitFor();
    // The page itself notes when the row came.
    const cameAt = (tail) => page.evaluate((tail) => new Promise((resolve) => {
      const list = document.querySelector(".live .rows");
      const has = () => [...list.querySelectorAll("a")].some((link) => link.textContent === tail);
      new MutationObserver(() => has() && resolve(Date.now())).observe(list, { childList: true });
      globalThis.isLooking = true;
    }), tail);
    const came = cameAt("0002");
    await page.waitForFunction(() => globalThis.isLooking);
    const sent = Date.now();
    await simdeck.push("data-usage", usage("8986001234567890002", 5));
    const took = await came - sent;
    assert.ok(took < 1_000, `${took} ms`);
    assert.equal(await page.evaluate(() => globalThis.isLooking), true, "without a reload");
  });
});

test("the button sends a test push, and the page goes on waiting for a real one", async () => {
  await withEmpty(async (page, simdeck) => {
    await page.getByRole("button", { name: "Send test push" }).click();
    await page.getByRole("status").filter({ hasText: /^Stored, answered in \d+ ms\.$/ }).waitFor();
    assert.equal(await page.locator("#first-run .rows .chip.test").count(), 1);
    const { tests } = await simdeck.ask("/v1/status");
    assert.equal(tests, 1);
    await simdeck.push("data-usage", usage("8986001234567890001", 1302));
    await page.locator("#figures").waitFor({ timeout: 5_000 });
    assert.equal(await page.locator("#offline").isVisible(), false);
    assert.equal((await simdeck.ask("/v1/status")).tests, 1, "the test was not sent again");
  });
});
