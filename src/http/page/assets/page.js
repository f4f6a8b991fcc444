// What a page cannot do by itself: rows as they arrive, figures that stay fresh, keys, copying. All that
// others wrote is set as text, never as markup.
"use strict";

const root = document.documentElement;
const words = JSON.parse(document.getElementById("words")?.textContent || "{}");
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const one = (selector, within = document) => within.querySelector(selector);

// A sign-in link carries its word behind the #, where no server and no log sees it.
const entrance = one("form[data-sign-in]");
if (entrance && location.hash.startsWith("#token=")) {
  entrance.elements.link.value = location.hash.slice("#token=".length);
  history.replaceState(null, "", location.pathname + location.search);
  entrance.submit();
}

// Times of day are the server's, in its zone; how long ago it was changes while one looks.
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

// Copying: the text of what the button names.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  event.preventDefault();
  const text = button.dataset.copy.startsWith("#") ? one(button.dataset.copy).textContent : button.dataset.copy;
  await copy(text);
  say(words.copied);
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
async function refresh() {
  if (document.hidden || !one("[data-fresh]") || one("[data-fresh] :focus")) return;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "error" });
    if (!answer.ok) return offline(true);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of all("[data-fresh]")) {
      const fresh = page.getElementById(part.id);
      if (fresh) part.replaceWith(document.adoptNode(fresh));
    }
    tellAges();
    offline(false);
  } catch {
    offline(true);
  }
}
setInterval(refresh, REFRESH_MS);
const offline = (is) => one("#offline")?.toggleAttribute("hidden", !is);
addEventListener("offline", () => offline(true));
addEventListener("online", refresh);

// Keys
const places = { o: "/", l: "/live", s: "/sims", m: "/messages", r: "/routers", i: "/api" };
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
    if (places[key]) location.assign(places[key]);
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
  if (giccid) copy(giccid).then(() => say(words.copied));
}
