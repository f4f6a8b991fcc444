// What benches/page has a browser do and see; it tells in JSON.
//
//   node measure.js ready URL ROUNDS PATH...   how soon each page is ready, and what it weighs
//   node measure.js live URL SECONDS           how long a tab with live rows is ever busy
import { launch, open, signIn } from "./browser.js";

/// The page keeps nothing longer than this: what is asked later is asked anew.
const KEPT_MS = 5_100;
const [what, url, ...more] = process.argv.slice(2);
const simdeck = { url };
const tell = (told) => console.log(JSON.stringify(told));
const pass = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/// From the first byte asked for to the last event of loading, with the first picture of it.
const timing = (page) => page.evaluate(() => {
  const [loaded] = performance.getEntriesByType("navigation");
  const [painted] = performance.getEntriesByName("first-contentful-paint");
  const parts = performance.getEntriesByType("resource").filter(({ name }) => !name.includes("/v1/"));
  return {
    server_ms: loaded.responseEnd - loaded.requestStart,
    ready_ms: Math.max(loaded.loadEventEnd, painted?.startTime ?? 0),
    bytes: [loaded, ...parts].reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0),
  };
});

async function ready(browser, rounds, ...paths) {
  const page = await open(browser);
  await signIn(page, simdeck);
  const seen = Object.fromEntries(paths.map((path) => [path, []]));
  for (let round = 0; round < rounds; round += 1) {
    await pass(KEPT_MS);
    for (const path of paths) {
      await page.goto(url + path);
      await page.waitForFunction(() =>
        performance.getEntriesByType("navigation")[0].loadEventEnd > 0
          && performance.getEntriesByName("first-contentful-paint").length > 0);
      seen[path].push(await timing(page));
    }
  }
  tell(seen);
}

async function live(browser, seconds) {
  const page = await open(browser);
  await page.addInitScript(() => {
    globalThis.busyMs = [];
    const note = (list) => list.getEntries().forEach(({ duration }) => globalThis.busyMs.push(duration));
    new PerformanceObserver(note).observe({ type: "longtask" });
  });
  await signIn(page, simdeck, "/live");
  await page.locator(".rows .arrive").first().waitFor();
  const pauseMs = [];
  const pause = page.locator("[data-pause]");
  const until = Date.now() + seconds * 1000;
  while (Date.now() < until) {
    // A click as a person makes it, until the picture after it.
    pauseMs.push(await pause.evaluate(async (button) => {
      const began = performance.now();
      await new Promise((resolve) => setTimeout(resolve, 0));
      button.click();
      await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 0)));
      return performance.now() - began;
    }));
    await pass(500);
  }
  const flow = await page.locator(".flow").first().textContent();
  tell({ flow, pause_ms: pauseMs, busy_ms: await page.evaluate(() => globalThis.busyMs) });
}

const browser = await launch();
try {
  const [first, ...rest] = more;
  await { ready, live }[what](browser, Number(first), ...rest);
} finally {
  await browser.close();
}
