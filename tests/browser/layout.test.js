// Nothing of the overview is cut off or lies on top of something else, on a screen and on a phone.
import assert from "node:assert/strict";
import { test } from "node:test";

import { open, signIn } from "./browser.js";
import { browser, simdeck } from "./with_demo.js";

/// What lies beyond the panel that it belongs to, and which labels of an axis run together.
const faults = (page) => page.evaluate(() => {
  const found = [];
  for (const part of document.querySelectorAll(".panel .mini, .panel .x-axis text, .panel td, .panel .button")) {
    const box = part.getBoundingClientRect();
    const panel = part.closest(".panel").getBoundingClientRect();
    if (box.width === 0 || part.closest(".scroll, .sheet")) continue;
    if (box.right > panel.right + 0.5 || box.left < panel.left - 0.5) {
      found.push(`${part.closest(".panel").id}: ${part.textContent.trim() || part.className.baseVal} is cut`);
    }
  }
  for (const axis of document.querySelectorAll(".x-axis")) {
    const labels = [...axis.querySelectorAll("text")].map((text) => text.getBoundingClientRect())
      .filter(({ width }) => width > 0);
    labels.forEach((label, nth) => {
      if (nth > 0 && label.left < labels[nth - 1].right + 2) found.push("labels of the axis run together");
    });
  }
  return found;
});

for (const lang of ["en", "zh"]) {
  test(`nothing is cut and nothing overlaps in ${lang}`, async () => {
    const page = await open(browser, { lang });
    await signIn(page, simdeck);
    const [{ giccid }] = await simdeck.ask("/v1/sims?size=1");
    const told = [];
    for (const width of [1440, 1100, 390]) {
      await page.setViewportSize({ width, height: 900 });
      for (const path of ["/", "/?range=1h", "/?range=7d", "/?range=30d", `/sims/${giccid}`]) {
        await page.goto(simdeck.url + path);
        told.push(...(await faults(page)).map((fault) => `${path}, ${width} px: ${fault}`));
      }
    }
    assert.deepEqual([...new Set(told), ...page.troubles, ...page.errors], []);
  });
}
