// The door: nothing is seen before a key is shown.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { LOOKS, fits, isForEverybody, launch, open, signIn } from "./browser.js";
import { API_KEY, Simdeck } from "./simdeck.js";

let simdeck;
let browser;

before(async () => {
  [simdeck, browser] = await Promise.all([Simdeck.start(), launch()]);
});

after(async () => {
  await browser?.close();
  await simdeck?.end();
});

test("before the sign-in there is nothing but the form, whatever was asked for", async () => {
  const page = await open(browser);
  for (const path of ["/", "/routers?state=offline", "/api", "/routers/RT1"]) {
    await page.goto(simdeck.url + path);
    assert.equal(new URL(page.url()).pathname, "/sign-in", path);
    assert.equal(await page.locator("form[data-sign-in]").count(), 1, path);
    for (const selector of ["nav", "table", "footer", "form[role=search]"]) {
      assert.equal(await page.locator(selector).count(), 0, `${selector} on ${path}`);
    }
  }
  assert.deepEqual(page.troubles, []);
});

// The page also keeps its reader's time zone in a cookie, signed in or not.
const sessionCookies = async (page) =>
  (await page.context().cookies()).filter(({ name }) => name === "simdeck_session");

test("a wrong key opens nothing and is told so", async () => {
  const page = await open(browser);
  await page.goto(`${simdeck.url}/`);
  await page.locator("#key").fill("sd_wrong");
  await page.locator("#key").press("Enter");
  await page.getByRole("alert").filter({ visible: true }).waitFor();
  assert.equal(await page.locator("nav").count(), 0);
  assert.deepEqual(await sessionCookies(page), []);
});

test("the right key leads to the page that was asked for, and out again", async () => {
  const page = await open(browser);
  await signIn(page, simdeck, "/api");
  assert.equal(await page.locator("nav a[aria-current=page]").textContent(), "API");
  const [cookie] = await sessionCookies(page);
  assert.deepEqual([cookie.httpOnly, cookie.sameSite], [true, "Strict"]);
  assert.equal((await page.content()).includes(API_KEY), false, "no page holds the key");
  await page.locator("form[action='/sign-out'] button").click();
  await page.waitForURL(/\/sign-in/);
  await page.goto(`${simdeck.url}/api`);
  assert.equal(new URL(page.url()).pathname, "/sign-in");
  assert.deepEqual(page.troubles, []);
});

test("a link of `simdeck welcome` opens the page once", async () => {
  const answer = await simdeck.ask("/v1/sign-in-links", { method: "POST" });
  const page = await open(browser);
  await page.goto(answer.url);
  await page.locator("nav").first().waitFor();
  assert.equal(new URL(page.url()).hash, "", "the word is not left in the address");
  const other = await open(browser);
  await other.goto(answer.url);
  await other.getByRole("alert").filter({ visible: true }).waitFor();
  assert.equal(await other.locator("nav").count(), 0);
});

for (const look of LOOKS) {
  test(`the door is for everybody in ${look.theme} and ${look.lang}`, async () => {
    for (const width of [1440, 390]) {
      const page = await open(browser, { ...look, width });
      await page.goto(`${simdeck.url}/`);
      assert.equal(await page.locator("html").getAttribute("lang"), look.lang);
      const what = `${look.theme}, ${look.lang}, ${width} px`;
      await isForEverybody(page, what);
      await fits(page, what);
      await page.locator("#key").fill("sd_wrong");
      await page.locator("#key").press("Enter");
      await page.getByRole("alert").filter({ visible: true }).waitFor();
      await isForEverybody(page, `${what}, wrong key`);
      assert.deepEqual(page.troubles, []);
      await page.context().close();
    }
  });
}
