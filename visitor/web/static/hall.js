// The hall: camera → badge → one answer that fills the screen. Somebody without a badge is reported in two taps.

import { Unreachable, base64, call, post } from "./api.js";
import "./act.js";
import { Camera, cameraTrouble } from "./camera.js";
import { clock, connect, refresh, times } from "./live.js";
import { say } from "./say.js";
import { Wedge } from "./wedge.js";

const $ = (s, root = document) => root.querySelector(s);
const $$ = (s, root = document) => [...root.querySelectorAll(s)];
const site = document.body.dataset.site;
const place = $("#place");
const camera = new Camera($("video"));
let reported = "";
let answered = 0;

// Reason → what kind of answer, and four words.
const WORDS = {
  ok: ["ok", "OK, may be here"],
  "with-escort": ["ok", "OK with the escort"],
  "awaiting-escort": ["wait", "Wait for the escort"],
  "outside-zone": ["wait", "Not in this area"],
  expired: ["stop", "Stop. Time is over."],
  void: ["stop", "Stop. Badge was replaced."],
  "checked-out": ["stop", "Stop. Has checked out."],
  removed: ["stop", "Stop. Was sent away."],
  "not-approved": ["stop", "Stop. Was not approved."],
  "other-site": ["stop", "Stop. Another school’s badge."],
  "unknown-badge": ["stop", "Stop. Not our badge."],
  "emergency-credential": ["info", "An officer’s own credential"],
};

function show(name) {
  for (const m of $$("main")) m.hidden = m.dataset.screen !== name;
  document.body.dataset.screen = name;
  scrollTo(0, 0);
  $(`main[data-screen="${name}"] h1`)?.focus({ preventScroll: true });
  if (name === "look") look();
  else camera.stop();
}

// ── looking ─────────────────────────────────────────────────────────────────────────────────────────────────

async function look() {
  const none = $(".no-camera");
  try {
    await camera.start("environment");
    none.hidden = true;
  } catch (error) {
    none.hidden = false;
    $("[data-camera-words]").textContent = {
      insecure: "The camera works only over a secure connection (https). Use a scanner, or paste the code.",
      refused: "The camera is switched off for this page. Allow it in the address bar, then start it here.",
      missing: "No camera was found. Use a scanner, or paste the code.",
    }[cameraTrouble(error)];
    return;
  }
  const found = await camera.read(async (blob) => {
    const { reading } = await call("POST", "/api/v1/decode", { body: blob, headers: { "content-type": "image/jpeg" } });
    hint(reading && reading.kind !== "badge" ? "That is not a visitor badge" : "Point at the square code on the badge");
    return reading?.kind === "badge" ? reading : null;
  }, (error) => hint(error instanceof Unreachable ? "No connection; still trying" : error.message));
  if (found) check(found.token);
}
const hint = (text) => { const h = $("[data-hint]"); if (h.textContent !== text) h.textContent = text; };

async function check(token) {
  try {
    answer(await post("/api/v1/badge-checks", { token, site_id: site, place: place.value }));
  } catch (error) {
    const problem = $(`main[data-screen="${document.body.dataset.screen}"] .problem`);
    if (problem) problem.textContent = error.message;
    else { hint(error.message); say(error.message); setTimeout(look, 2500); }
  }
}

function answer(a) {
  const [kind, words] = WORDS[a.reason] || [a.verdict === "here-legitimately" ? "ok" : "stop", a.verdict === "here-legitimately" ? "OK, may be here" : "Stop. Not valid here."];
  const main = $('main[data-screen="answer"]');
  main.dataset.kind = kind;
  $(".shape", main).className = `shape ${kind}`;
  $("[data-words]", main).textContent = words;
  $("[data-message]", main).textContent = a.message || "";
  const v = a.visitor;
  const face = $("[data-face]", main);
  face.hidden = !v;
  face.replaceChildren();
  if (v?.photo) {
    const image = new Image();
    image.alt = "";
    image.src = v.photo;
    image.onerror = () => face.replaceChildren(v.initials);
    face.append(image);
  } else if (v) face.textContent = v.initials;
  const plain = (name) => (name === name.toUpperCase() ? name.toLowerCase().replace(/(^|[\s'’-])\p{L}/gu, (c) => c.toUpperCase()) : name);
  $("[data-name]", main).textContent = v ? plain(v.name) : "";
  const facts = [];
  if (v) {
    const until = clock(Date.parse(v.valid_until));
    if (a.verdict === "here-legitimately") facts.push(["Until", a.minutes_left != null ? `${until}, ${a.minutes_left < 60 ? `${a.minutes_left} min` : `${Math.floor(a.minutes_left / 60)} h ${a.minutes_left % 60} min`} left` : until]);
    if (v.zones.length) facts.push(["May go to", v.zones.join(", ")]);
    if (a.escort?.required) facts.push(["Escort", a.escort.name || "nobody yet"]);
    if (v.host) facts.push(["Host", v.host_place ? `${v.host}, ${v.host_place}` : v.host]);
    facts.push(["Badge", v.badge_number]);
  }
  $("[data-facts]", main).replaceChildren(...facts.flatMap(([t, d]) => {
    const dt = document.createElement("dt");
    const dd = document.createElement("dd");
    dt.textContent = t;
    dd.textContent = d;
    return [dt, dd];
  }));
  reported = v ? `Badge ${v.badge_number}: ${words}` : words;
  answered = Date.now();
  age();
  navigator.vibrate?.(kind === "ok" ? 60 : [90, 70, 90]);
  show("answer");
}
function age() {
  if (document.body.dataset.screen !== "answer" && !answered) return;
  const s = Math.round((Date.now() - answered) / 1000);
  $("[data-age]").textContent = s < 10 ? "Checked with the office just now" : s < 90 ? `Checked ${s} s ago` : `Checked ${Math.round(s / 60)} min ago; scan again`;
}
setInterval(age, 1000);

// ── reporting ───────────────────────────────────────────────────────────────────────────────────────────────

async function report(outcome) {
  const main = $('main[data-screen="report"]');
  const problem = $(".problem", main);
  problem.textContent = "";
  const description = [$("#description").value.trim(), reported].filter(Boolean).join(" · ") || "No badge";
  for (const b of $$("[data-outcome]", main)) b.disabled = true;
  try {
    await post("/api/v1/challenges", { site_id: site, place: (place.value && place.selectedOptions[0].text) || "Place not given", description, outcome });
    $("#description").value = "";
    $("[data-sent]").textContent = { "walked-to-office": "They expect you both.", "help-needed": "Help is on its way to you. Keep your distance.", left: "It is on the record.", "lost-sight": "They will look for the person." }[outcome];
    show("sent");
  } catch (error) {
    problem.textContent = error instanceof Unreachable ? "No connection: the office was not told. Call them." : error.message;
  } finally {
    for (const b of $$("[data-outcome]", main)) b.disabled = false;
  }
}

// ── taps, keys, live ────────────────────────────────────────────────────────────────────────────────────────

document.addEventListener("click", (event) => {
  const target = event.target.closest("[data-do], [data-outcome]");
  if (!target) return;
  if (target.dataset.outcome) { report(target.dataset.outcome); return; }
  const to = target.dataset.do;
  if (to === "report" && document.body.dataset.screen === "look") reported = "";
  if (to === "camera") look();
  else show(to === "next" ? "look" : to);
});
document.addEventListener("submit", (event) => {
  if (event.target.dataset.form !== "type") return;
  event.preventDefault();
  $(".problem", event.target).textContent = "";
  check(event.target.token.value.trim()).then(() => { event.target.token.value = ""; });
});
document.addEventListener("change", (event) => {
  if (event.target === place) { try { localStorage.setItem(`place ${site}`, place.value); } catch { /* private window: asked again next time */ } }
  if (event.target.id === "school") event.target.form.submit();
  const form = event.target.closest("[data-alarm]");
  if (form) {
    const drill = $("[data-drill]", form).checked;
    form.exercise.value = String(drill);
    const chosen = $("input[name=state]:checked + span b", form)?.textContent;
    const button = $("[data-declare]", form);
    button.disabled = !chosen;
    if (chosen) button.textContent = `Declare ${drill ? "a drill" : "now, for real"}: ${chosen}`;
  }
});
document.addEventListener("done", (event) => {
  if (event.target.matches("[data-alarm]")) location.reload();
  else refresh($("[data-requests]"));
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden) camera.stop(); // the light goes out with the screen
  else if (document.body.dataset.screen === "look") look();
});

new Wedge({
  onFrame: async (bytes) => {
    try {
      const { reading } = await call("POST", "/api/v1/decode", { json: { data: base64(bytes), source: "barcode" } });
      if (reading.kind === "badge") check(reading.token);
      else say("That is not a visitor badge.");
    } catch (error) {
      say(error.message);
    }
  },
}).attach();

try { place.value = localStorage.getItem(`place ${site}`) || ""; } catch { /* private window */ }
if (place.selectedIndex < 0) place.selectedIndex = 0;
const requests = $("[data-requests]");
connect(`/api/v1/sites/${site}/events`, {
  topics: ["visits", "site_state", "incidents", "sites"],
  onChange: async (topic) => {
    const before = $$(".ask", requests).length;
    await refresh(requests);
    const now = $$(".ask", requests).length;
    if (now > before) { navigator.vibrate?.([60, 60, 60]); say("A visitor waits for an escort."); }
    if (topic === "site_state" && document.body.dataset.screen === "alarm") location.reload();
  },
});
times();
show("look");
