// The desk: a live board, detail beside it, everything by keyboard.

import { base64, call, fragment } from "./api.js";
import { act } from "./act.js";
import { connect, refresh, swap, times } from "./live.js";
import { say } from "./say.js";
import { Wedge } from "./wedge.js";

const $ = (s, root = document) => root.querySelector(s);
const $$ = (s, root = document) => [...root.querySelectorAll(s)];
const board = $("#board");
const beside = $("#beside");
const site = document.body.dataset.site;
let open = document.body.dataset.visit ? `/desk/visits/${document.body.dataset.visit}` : "";
let visit = document.body.dataset.visit;

// ── beside the board ────────────────────────────────────────────────────────────────────────────────────────

const nothing = `/desk/nothing?site=${site}`;

async function show(path, { focus = true, id = "" } = {}) {
  open = path;
  visit = id;
  mark();
  history.replaceState(null, "", id ? `/desk?site=${site}&visit=${id}` : `/desk?site=${site}`);
  try {
    const html = await fragment(path);
    if (open !== path) return;
    swap(beside, html);
    beside.scrollTop = 0;
    if (focus) $("h1", beside)?.focus();
  } catch (error) {
    say(error.message);
    if (error.status === 404) close();
  }
}
async function close() {
  const back = visit && $(`[data-visit="${visit}"]`, board);
  open = "";
  visit = "";
  mark();
  history.replaceState(null, "", `/desk?site=${site}`);
  swap(beside, await fragment(nothing));
  (back || $("a.row", board) || board).focus();
}
function mark() {
  for (const row of $$("a.row", board)) row.setAttribute("aria-current", String(row.dataset.visit === visit));
}
// While somebody types or has an answer open, what they look at stays as it is.
const busy = () => beside.contains(document.activeElement) && document.activeElement.matches("input:not([type=radio]), textarea, select") || Boolean($("details[open]", beside)) || Boolean($("form[data-steps]", beside));

async function look(topic, subject) {
  await Promise.all([
    refresh(board),
    fragment(`/desk/banner?site=${site}`).then((html) => swap($("[data-banner]"), html)),
    ["visits", "badges"].includes(topic) ? null : fragment(`/desk/summary?site=${site}`).then((html) => swap($("[data-summary]"), html)),
  ]);
  mark();
  filter();
  announce();
  if (open && !busy() && (topic === "sync" || !visit || subject === visit || topic !== "visits")) {
    const path = open;
    const html = await fragment(path).catch((error) => (error.status === 404 ? null : undefined));
    if (open !== path || busy()) return; // while it was on its way, somebody opened another visitor, or an answer
    if (html === null) close();
    else if (html) swap(beside, html);
  }
}
let needs = -1;
function announce() {
  const counts = $("[data-counts]", board);
  const now = Number(counts.dataset.needs);
  if (needs >= 0 && now > needs) say(counts.dataset.says);
  document.title = (now ? `(${now}) ` : "") + document.title.replace(/^\(\d+\) /, "");
  needs = now;
}

// ── finding ─────────────────────────────────────────────────────────────────────────────────────────────────

const fold = (t) => t.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
let wanted = "";
function filter() {
  const field = $("#find");
  if (field && document.activeElement !== field && wanted) field.value = wanted;
  const words = fold(wanted).split(/\s+/).filter(Boolean);
  for (const row of $$("[data-filtered] a.row", board)) row.parentElement.hidden = !words.every((w) => row.dataset.name.includes(w));
}
board.addEventListener("input", (event) => {
  if (event.target.id !== "find") return;
  wanted = event.target.value;
  filter();
});

// ── keys and clicks ─────────────────────────────────────────────────────────────────────────────────────────

const rows = () => $$("a.row", board).filter((r) => r.offsetParent !== null);
function move(by) {
  const all = rows();
  if (!all.length) return;
  const at = all.indexOf(document.activeElement);
  const current = at < 0 ? all.findIndex((r) => r.dataset.visit === visit) : at;
  const next = all[Math.max(0, Math.min(all.length - 1, current + by))] || all[0];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
}
document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.matches?.("input:not([type=radio], [type=checkbox]), textarea, select");
  if (event.key === "Escape") {
    const details = $("details[open]", beside);
    if (event.target.id === "find") { event.target.value = wanted = ""; filter(); event.target.blur(); board.focus(); }
    else if (details) { details.open = false; $("summary", details).focus(); }
    else if (open) close();
    return;
  }
  if (typing) {
    if (event.target.id === "find" && (event.key === "ArrowDown" || event.key === "Enter")) { event.preventDefault(); $$("[data-filtered] a.row", board).find((r) => !r.parentElement.hidden)?.focus(); }
    return;
  }
  if (event.target.matches?.("input[type=radio]") && event.key.startsWith("Arrow")) return;
  if (event.key === "ArrowDown" || event.key === "j") { event.preventDefault(); move(1); return; }
  if (event.key === "ArrowUp" || event.key === "k") { event.preventDefault(); move(-1); return; }
  if (event.key === "p") { event.preventDefault(); show(`/desk/printers?site=${site}`); return; }
  const target = $$(`[data-shortcut="${CSS.escape(event.key.toLowerCase())}"]`).find((e) => e.offsetParent !== null);
  if (!target) return;
  event.preventDefault();
  if (target.matches("input")) { target.focus(); target.select(); return; }
  target.click();
});
beside.addEventListener("toggle", (event) => {
  if (!event.target.open) return;
  $("input[type=radio]:checked, select, button:not([type=button])", event.target)?.focus({ preventScroll: true });
  event.target.scrollIntoView({ block: "nearest" });
}, true);

document.addEventListener("click", (event) => {
  const jump = event.target.closest("[data-to]");
  if (jump) { event.preventDefault(); $(`#${jump.dataset.to}`).scrollIntoView(); $(`#${jump.dataset.to}`).closest("section").querySelector("a.row")?.focus({ preventScroll: true }); return; }
  const row = event.target.closest("a.row");
  if (row && !event.metaKey && !event.ctrlKey) { event.preventDefault(); show(`/desk/visits/${row.dataset.visit}`, { id: row.dataset.visit }); return; }
  const opens = event.target.closest("[data-open]");
  if (opens) { event.preventDefault(); show(opens.dataset.open); return; }
  if (event.target.closest("[data-close]")) { close(); return; }
  if (event.target.closest("[data-ask]")) { ask(event.target.closest("form")); return; }
  if (event.target.closest("[data-unconfirm]")) { const form = event.target.closest("form"); $("[data-confirm]", form).hidden = true; $("[data-ask]", form).hidden = false; $("[data-ask]", form).focus(); }
});
document.addEventListener("change", (event) => { if (event.target.matches("[data-goes]")) event.target.form.submit(); });

// Declaring takes a second look: what will be declared, in words.
function ask(form) {
  if (!form.reportValidity()) return;
  const state = $("input[name=state]:checked + span b", form).textContent;
  const drill = $("input[name=exercise]:checked", form).value === "true";
  $("[data-confirm-words]", form).textContent = `${drill ? "DRILL" : "REAL"}: ${state} at ${$(".bar .name").textContent}.`;
  $("[data-confirm]", form).hidden = false;
  $("[data-ask]", form).hidden = true;
  $("[data-confirm] .button", form).focus();
}
document.addEventListener("keydown", (event) => { // Enter in a step asks first, and never declares by itself
  if (event.key === "Enter" && event.target.closest?.("form[data-steps]") && !event.target.matches("button")) {
    const form = event.target.closest("form");
    if ($("[data-confirm]", form).hidden) { event.preventDefault(); ask(form); }
  }
}, true);

document.addEventListener("done", (event) => {
  const to = event.detail?.visit?.status;
  const who = $(".pair figure:first-child .name, .person .name", beside)?.textContent;
  if (to && who) say({ on_site: `${who} is let in.`, awaiting_escort: `${who} waits for an escort.`, refused: `${who} was not let in.`, checked_out: `${who} is checked out.`, cancelled: "The visit is closed.", removed: "Recorded." }[to] || "Done.");
  for (const d of $$("details[open]", beside)) d.open = false;
  if (event.target.hasAttribute("data-steps")) show(`/desk/incident?site=${site}`);
  if (["checked_out", "cancelled", "refused", "removed"].includes(to)) { close().then(() => look("sync")); return; }
  look("sync").then(() => $("h1", beside)?.focus());
});

// ── the desk's scanner: a visitor's badge opens the visitor ─────────────────────────────────────────────────

new Wedge({
  onFrame: async (bytes) => {
    try {
      const { reading } = await call("POST", "/api/v1/decode", { json: { data: base64(bytes), source: "barcode" } });
      if (reading.kind !== "badge") { say("That is an ID, not a visitor’s badge. Visitors scan an ID at the kiosk."); return; }
      const { id } = await call("POST", "/desk/find", { json: { site_id: site, token: reading.token } });
      show(`/desk/visits/${id}`, { id });
    } catch (error) {
      say(error.message);
    }
  },
}).attach();

connect(`/api/v1/sites/${site}/events`, { topics: ["visits", "badges", "printers", "challenges", "site_state", "incidents", "sites", "doors", "watchlists", "policies"], onChange: look });
setInterval(() => refresh(board).then(() => { mark(); filter(); announce(); }).catch(() => {}), 60000); // a visit grows overdue without an event
mark();
announce();
times();
export { act };
