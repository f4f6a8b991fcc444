// What a page cannot do by itself: rows as they arrive, figures that stay fresh, keys, copying. All that
// others wrote is set as text, never as markup.
"use strict";

const root = document.documentElement;
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const one = (selector, within = document) => within.querySelector(selector);

// No request tells the browser's time zone: it goes along as a cookie from now on. A page that was made
// before it was known is made once more.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const zoneCookie = () => document.cookie.split("; ").find((it) => it.startsWith("simdeck_browser_zone="));
const zoneWas = zoneCookie();
if (/^[\w+/-]{1,64}$/.test(zone) && zoneWas !== "simdeck_browser_zone=" + zone) {
  document.cookie = "simdeck_browser_zone=" + zone + "; Path=/; Max-Age=31536000; SameSite=Lax";
  const isOther = "zoneFollows" in root.dataset && root.dataset.zone !== zone;
  if (isOther && !zoneWas && zoneCookie() && one("nav")) location.reload();
}

// A sign-in link carries its word behind the #, where no server and no log sees it.
const entrance = one("form[data-sign-in]");
if (entrance && location.hash.startsWith("#token=")) {
  entrance.elements.link.value = location.hash.slice("#token=".length);
  history.replaceState(null, "", location.pathname + location.search);
  entrance.submit();
}

// Times of day are the server's, in the reader's zone; how long ago it was changes while one looks.
function ago(element) {
  const seconds = Math.max(0, (Date.now() - Date.parse(element.dateTime)) / 1000);
  const [value, unit] = seconds < 90 ? [seconds, "second"] : seconds < 5400 ? [seconds / 60, "minute"]
    : seconds < 129600 ? [seconds / 3600, "hour"] : [seconds / 86400, "day"];
  element.textContent = new Intl.RelativeTimeFormat(root.lang, { numeric: "always", style: "short" })
    .format(-Math.round(value), unit);
}
const tellAges = () => all("time[data-ago]").forEach(ago);
tellAges();
setInterval(tellAges, 10_000);

// Countries have names in every language, and the browser knows them.
function nameCountries() {
  const names = new Intl.DisplayNames([root.lang], { type: "region", fallback: "none" });
  for (const place of all("[data-country]")) {
    const code = place.dataset.country;
    const name = /^[A-Za-z]{2}$/.test(code) ? names.of(code.toUpperCase()) : undefined;
    if (name) place.textContent = name;
  }
}
nameCountries();

// Copying: the text of what the button names.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  event.preventDefault();
  const text = button.dataset.copy.startsWith("#") ? one(button.dataset.copy).textContent : button.dataset.copy;
  await copy(text);
  say(root.dataset.copied);
});

async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // Plain HTTP has no clipboard to write to but the old way.
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

function say(text) {
  const place = one("#said");
  if (place) place.textContent = text;
}

// Figures: every 15 s while somebody looks, the parts that are marked are taken from the page anew.
const REFRESH_MS = 15_000;
// What answers a form lies where only a form may be sent to; the page says itself where it is.
const here = one(".look [name=next]")?.value ?? location.href;
async function refresh() {
  if (document.hidden || !one("[data-fresh]") || one("[data-fresh] details[open]")) return;
  try {
    const answer = await fetch(here, { headers: { Accept: "text/html" }, redirect: "error" });
    if (!answer.ok) return offline(true);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of all("[data-fresh]")) {
      const fresh = page.getElementById(part.id);
      // What has the focus keeps it, and what did not change stays as it is.
      if (fresh && !part.contains(document.activeElement) && fresh.innerHTML !== part.innerHTML) {
        part.replaceWith(document.adoptNode(fresh));
      }
    }
    tellAges();
    nameCountries();
    offline(false);
    if (one("[data-until-first]") && !page.querySelector("[data-until-first]")) location.replace(here);
  } catch {
    offline(true);
  }
}
// Before the first push somebody waits for it.
setInterval(refresh, one("[data-until-first]") ? 1_000 : REFRESH_MS);
const offline = (is) => one("#offline")?.toggleAttribute("hidden", !is);
addEventListener("offline", () => offline(true));
addEventListener("online", refresh);

// Keys
let leader = false;
addEventListener("keydown", (event) => {
  if (root.dataset.keys === "off" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select, [contenteditable]")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const key = event.key;
  if (leader) {
    leader = false;
    all("[data-letter]").find((link) => link.dataset.letter === key)?.click();
    return;
  }
  const act = {
    "/": () => one("#search")?.focus(),
    g: () => { leader = true; setTimeout(() => { leader = false; }, 1500); },
    t: () => next(all("[data-range] a")),
    j: () => step(1),
    k: () => step(-1),
    Enter: () => event.target === document.body && one("tr[aria-selected=true] a")?.click(),
    c: () => copySim(),
    p: () => one("[data-pause]")?.click(),
    "?": () => one("#keys")?.showModal(),
  }[key];
  if (!act) return;
  if (key !== "Enter") event.preventDefault();
  act();
});

function next(links) {
  const at = links.findIndex((link) => link.hasAttribute("aria-current"));
  links[(at + 1) % links.length]?.click();
}

function step(by) {
  const rows = all("tr[data-row]");
  if (!rows.length) return;
  const at = rows.findIndex((row) => row.ariaSelected === "true");
  const to = rows[Math.min(rows.length - 1, Math.max(0, at + by))];
  rows.forEach((row) => { row.ariaSelected = String(row === to); });
  to.scrollIntoView({ block: "nearest" });
}

function copySim() {
  const giccid = (one("tr[aria-selected=true][data-giccid]") || one("[data-giccid]"))?.dataset.giccid;
  if (giccid) copy(giccid).then(() => say(root.dataset.copied));
}

// Sheets and menus
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-keys-sheet]")) one("#keys")?.showModal();
  if (event.target.closest("[data-close]")) event.target.closest("dialog")?.close();
  for (const open of all("details.curl[open]")) if (!open.contains(event.target)) open.open = false;
});
addEventListener("keydown", (event) => {
  if (event.key === "Escape") all("details.curl[open]").forEach((open) => { open.open = false; });
});

// The colour button asks for the other of what one sees, and only the browser knows that.
const dark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
const themeSwitch = one("[data-theme-switch]");
if (themeSwitch) themeSwitch.value = dark() ? "light" : "dark";

// Live rows. The stream is read by hand: its events have names that nobody knows before, and a session
// that has ended must be told from a line that broke.
const RETRY_MS = [500, 1_000, 2_000, 5_000, 10_000];

function live(place) {
  const list = one("ul", place), flow = one(".flow", place), blank = one("template", place);
  const limit = Number(place.dataset.limit);
  let last = null, tries = 0, isPaused = false, waiting = [], frame = 0;
  const pause = one("[data-pause]", place.closest(".panel"));
  const pauseWord = pause?.textContent;

  pause?.addEventListener("click", () => {
    isPaused = !isPaused;
    pause.textContent = isPaused ? pause.dataset.resume : pauseWord;
    pause.setAttribute("aria-pressed", String(isPaused));
    if (!isPaused) draw();
  });

  function draw() {
    frame = 0;
    const rows = waiting.slice(-limit).map((event) => row(blank, place.dataset, event));
    waiting = [];
    if (!rows.length) return;
    one(".nothing", place)?.remove();
    list.prepend(...rows.reverse());
    while (list.children.length > limit) list.lastElementChild.remove();
  }

  function take(name, id, data) {
    if (id) last = id;
    if (name === "tick") {
      flow.textContent = place.dataset.sampled.replace("{shown}", data.shown).replace("{all}", data.of ?? "?");
      flow.hidden = false;
      return;
    }
    if (["gap", "erased", "retracted"].includes(name)) return;
    waiting.push({ name, data });
    if (waiting.length > limit) waiting.shift();
    if (!isPaused && !frame) frame = requestAnimationFrame(draw);
  }

  async function follow() {
    const address = new URL(place.dataset.stream, location.href);
    if (last) address.searchParams.set("last_event_id", last);
    const answer = await fetch(address, { headers: { Accept: "text/event-stream" } });
    if (answer.status === 401) return location.reload();
    if (answer.status === 409) last = null;
    if (!answer.ok) throw new Error(answer.status);
    tries = 0;
    flow.hidden = true;
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let rest = ""; ;) {
      const { value, done } = await reader.read();
      if (done) return;
      const events = (rest + value).split("\n\n");
      rest = events.pop();
      for (const event of events) read(event);
    }
  }

  function read(event) {
    let name = "message", id = "", data = "";
    for (const line of event.split("\n")) {
      if (line.startsWith("event: ")) name = line.slice(7);
      else if (line.startsWith("id: ")) id = line.slice(4);
      else if (line.startsWith("data: ")) data += line.slice(6);
    }
    if (data) take(name, id, JSON.parse(data));
  }

  (async function forever() {
    for (;;) {
      try { await follow(); } catch { /* told below */ }
      flow.textContent = place.dataset.lost;
      flow.hidden = false;
      await new Promise((go) => setTimeout(go, RETRY_MS[Math.min(tries++, RETRY_MS.length - 1)]));
    }
  })();
}

function row(blank, words, { name, data }) {
  const item = blank.content.cloneNode(true).firstElementChild;
  const [time, chip, sim, text, amount, place] = item.children;
  const at = data.received_at || data.at;
  time.dateTime = at;
  time.textContent = timeOfDay(at);
  const is = (kind, look) => { chip.textContent = words["word" + kind]; if (look) chip.classList.add(look); };
  if (data.giccid) {
    sim.href = "/sims/" + encodeURIComponent(data.giccid);
    sim.dataset.giccid = data.giccid;
    sim.textContent = data.giccid.slice(-4);
  }
  if (data.test) {
    is("Test", "test");
    text.textContent = name;
  } else if (name === "data-usage") {
    is("Data");
    text.textContent = data.sim_group ?? "";
    amount.textContent = "+" + bytes(data.data_usage);
    amount.title = data.data_usage + " B";
    place.textContent = [data.country_code, data.mcc && data.mcc + "-" + (data.mnc ?? "")].filter(Boolean).join(" ");
  } else if (name === "mo-sms") {
    is("Sms", "sms");
    text.textContent = data.text ? "“" + data.text + "”" : "";
    place.textContent = data.to_msisdn ? "→ " + data.to_msisdn : "";
  } else if (name === "device") {
    is("Router", "plain");
    sim.href = "/routers/" + encodeURIComponent(data.sn);
    sim.textContent = data.sn;
    text.textContent = data.state ?? data.what;
  } else {
    is("Notice", "plain");
    text.textContent = name;
  }
  return item;
}

// The reader's zone as the server has it, so that rows of both makers stand in one order.
const clock = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZone: root.dataset.zone || "UTC",
});
const timeOfDay = (at) => clock.format(new Date(at));

const UNITS = ["B", "KB", "MB", "GB", "TB", "PB", "EB"];
function bytes(count) {
  const base = Number(root.dataset.unitBase) || 1024;
  let value = count, unit = 0;
  while (Math.abs(value) >= (unit ? 999.5 : base) && unit < UNITS.length - 1) {
    value /= base;
    unit += 1;
  }
  const digits = unit === 0 || Math.abs(value) >= 99.95 ? 0 : Math.abs(value) >= 9.995 ? 1 : 2;
  return Number(value.toFixed(digits)) + " " + UNITS[unit];
}

all("[data-stream]").forEach(live);
