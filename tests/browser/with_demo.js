// A demo and a browser, for all tests of the file that imports them.
import { after, before } from "node:test";

import { launch } from "./browser.js";
import { Simdeck } from "./simdeck.js";

export let simdeck;
export let browser;

before(async () => {
  [simdeck, browser] = await Promise.all([Simdeck.start({ demo: true }), launch()]);
});

after(async () => {
  await browser?.close();
  await simdeck?.end();
});
