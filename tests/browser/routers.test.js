// The routers and the page of the API, in every look.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { LOOKS, fits, isForEverybody, launch, open, signIn } from "./browser.js";
import { Rcms } from "./rcms.js";
import { Simdeck } from "./simdeck.js";

let rcms;
let simdeck;
let without;
let browser;

before(async () => {
  rcms = await Rcms.start();
  [simdeck, without, browser] = await Promise.all([
    Simdeck.start({ settings: rcms.settings }), Simdeck.start(), launch(),
  ]);
  await simdeck.until("/v1/devices?size=1", (rows) => rows.length > 0);
});

after(async () => {
  await browser?.close();
  await Promise.all([simdeck, without, rcms].map((it) => it?.end()));
});

test("a router is found, opened by keys alone and left again", async () => {
  const page = await open(browser);
  await signIn(page, simdeck, "/routers");
  assert.equal(await page.locator("tr[data-row]").count(), 20);
  await page.getByRole("link", { name: "Next" }).click();
  assert.match(page.url(), /page=1/);
  await page.locator(".choice").getByRole("link", { name: "offline" }).click();
  assert.match(page.url(), /state=offline/);
  assert.equal(await page.locator("tr[data-row] .chip:not(.alarm)").count(), 0);
  await page.locator("body").press("j");
  await page.locator("body").press("j");
  const sn = await page.locator("tr[aria-selected=true] a .mono").textContent();
  await page.locator("body").press("Enter");
  await page.waitForURL(`${simdeck.url}/routers/${sn}`);
  assert.match(await page.locator("svg.beats title").textContent(), /^Last 24 h: online /);
  await page.locator("body").press("g");
  await page.locator("body").press("r");
  await page.waitForURL(`${simdeck.url}/routers`);
  assert.deepEqual(page.troubles, []);
});

test("a router is moved into another group by its form", async () => {
  const page = await open(browser);
  const [{ sn }] = await simdeck.ask("/v1/devices?size=1");
  await signIn(page, simdeck, `/routers/${sn}`);
  await page.getByLabel("Group in RCMS").fill("Moved <b>here</b>");
  await page.getByRole("button", { name: "Move" }).click();
  await page.getByText("RCMS took it.").waitFor();
  await simdeck.until(`/v1/devices/${sn}`, ({ group }) => group === "Moved <b>here</b>");
  await page.goto(`${simdeck.url}/routers/${sn}`);
  assert.equal(await page.getByText("Moved <b>here</b>", { exact: true }).count(), 1);
});

test("a key is made, works by the copied call, and is revoked", async () => {
  const page = await open(browser);
  await signIn(page, simdeck, "/api");
  await page.getByLabel("Label").fill("grafana");
  await page.getByRole("button", { name: "Make a key" }).click();
  const key = await page.locator("#new-key").textContent();
  const asked = () => fetch(`${simdeck.url}/v1/devices`, { headers: { "X-API-Key": key } });
  assert.equal((await asked()).status, 200);
  await page.goto(`${simdeck.url}/api`);
  assert.equal((await page.content()).includes(key), false, "it is shown once");
  await page.getByRole("button", { name: "Revoke: grafana" }).click();
  await page.getByText(/^revoked /).waitFor();
  assert.equal((await asked()).status, 401);
});

for (const look of LOOKS) {
  test(`the pages are for everybody in ${look.theme} and ${look.lang}`, async () => {
    const [{ sn }] = await simdeck.ask("/v1/devices?size=1");
    for (const width of [1440, 390]) {
      const page = await open(browser, { ...look, width });
      await signIn(page, simdeck, "/routers");
      const paths = [
        "/routers", "/routers?q=nowhere", "/routers?state=lost", `/routers/${sn}`, "/routers/RT9", "/api", "/nowhere",
      ];
      for (const path of paths) {
        await page.goto(simdeck.url + path);
        await isForEverybody(page, `${path}, ${width} px`);
        await fits(page, `${path}, ${width} px`);
      }
      assert.deepEqual(page.troubles, []);
      await page.context().close();
      const off = await open(browser, { ...look, width });
      await signIn(off, without, "/routers");
      await isForEverybody(off, `without RCMS, ${width} px`);
      await fits(off, `without RCMS, ${width} px`);
      await off.context().close();
    }
  });
}
