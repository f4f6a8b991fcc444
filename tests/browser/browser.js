// Chromium, and what every page has to keep.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

import { API_KEY } from "./simdeck.js";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const COMMAND = process.env.SIMDECK_TEST_CHROMIUM ?? "chromium";

/// How people look at a page: in both colours and both languages.
export const LOOKS = ["light", "dark"].flatMap((theme) =>
  ["en", "zh"].map((lang) => ({ theme, lang })));

/// Debian's, never a downloaded one.
export function launch() {
  const executablePath = execFileSync("sh", ["-c", `command -v ${COMMAND}`], { encoding: "utf8" });
  return chromium.launch({ executablePath: executablePath.trim() });
}

/// A tab as a person has it who set colours and language in their system. What breaks in it is kept in
/// `page.troubles`; what its console calls an error, as a page that is not there is, in `page.errors`.
export async function open(browser, { theme = "light", lang = "en", width = 1440, ...more } = {}) {
  const locale = lang === "zh" ? "zh-CN" : "en-GB";
  const viewport = { width, height: width < 600 ? 844 : 900 };
  const context = await browser.newContext({ colorScheme: theme, locale, viewport, ...more });
  const page = await context.newPage();
  page.troubles = [];
  page.errors = [];
  page.on("pageerror", (error) => page.troubles.push(`script: ${error.message}`));
  page.on("console", (message) => {
    if (/Content Security Policy|Refused to/.test(message.text())) page.troubles.push(message.text());
    if (message.type() === "error") page.errors.push(`${page.url()}: ${message.text()}`);
  });
  // What the policy stops is not always told to the console.
  await page.addInitScript(() => addEventListener("securitypolicyviolation", (event) =>
    console.error(`Content Security Policy: ${event.violatedDirective} ${event.blockedURI}`)));
  return page;
}

/// Opens a page of the server, by way of the sign-in where there is no session yet.
export async function signIn(page, simdeck, path = "/", key = API_KEY) {
  await page.goto(simdeck.url + path);
  await page.locator("#key").fill(key);
  await Promise.all([page.waitForURL(simdeck.url + path), page.locator("#key").press("Enter")]);
}

/// What axe finds that keeps people out: nothing.
export async function isForEverybody(page, what) {
  await page.evaluate(AXE);
  const options = { preload: false, resultTypes: ["violations"] };
  const { violations } = await page.evaluate((options) => globalThis.axe.run(options), options);
  const grave = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  const node = ({ html, failureSummary }) => `  ${html}\n  ${failureSummary}`;
  const told = grave.map(({ id, help, nodes }) =>
    `${id}: ${help} (${nodes.length} times)\n${nodes.slice(0, 3).map(node).join("\n")}`);
  if (told.length > 0) assert.fail(`${what}\n${told.join("\n")}`);
}

/// Does what leads to a page with live rows, and waits until they can come.
export async function isFollowing(page, lead) {
  const stream = page.waitForResponse((answer) => new URL(answer.url()).pathname === "/v1/stream");
  await Promise.all([stream, lead()]);
}

/// The page fits its window: nothing makes it scroll sideways.
export async function fits(page, what) {
  const [needs, has] = await page.evaluate(() =>
    [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  assert.ok(needs <= has, `${what}: ${needs} of ${has} pixels`);
}
