// The kiosk: one visitor's way through the screens. What a visitor gave is kept in `flow` only, and forgotten with it.

import { Unreachable, base64, call, fragment, uuid } from "./api.js";
import { Camera } from "./camera.js";
import { ScreenKeyboard } from "./keyboard.js";
import { connect, zone } from "./live.js";
import { Wedge } from "./wedge.js";

const QUIET = 20000;   // ms without a touch until the kiosk asks whether someone is there; it clears itself 10 s later
const LAST = 10000;
const TRIES = 4;       // a check-in is sent again under the same key while the network hiccups

const body = document.body;
const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const words = new Map($$("#words").flatMap((t) => [...t.content.children]).map((e) => [e.dataset.word, { en: e.dataset.en, es: e.dataset.es }]));
const lang = () => document.documentElement.lang;
const word = (key, name = "") => words.get(key)[lang()].replace("{name}", name).replace("{comma_name}", name ? `, ${name}` : "");

let flow = {};
let linked = true;
let idle;
const section = (name) => $(`section[data-screen="${name}"]`);

// ── screens ─────────────────────────────────────────────────────────────────────────────────────────────────

const ENDINGS = new Set(["ready", "wait", "already", "left", "trouble"]);
const SHUT = new Set(["closed", "offline"]);

function show(name, { oops = "" } = {}) {
  if (name !== "camera" && name !== "photo") cameras.stop();
  delete body.dataset.reading;
  for (const s of $$("main > section")) s.hidden = s.dataset.screen !== name;
  body.dataset.screen = name;
  const here = section(name);
  const box = $(".oops", here);
  if (box) { box.hidden = !oops; box.textContent = oops; }
  const field = name === "host" ? null : $("input[data-keys]", here); // hosts are looked at first; the search waits for a touch
  keys.root.hidden = !field || !touch;
  if (field) field.focus();
  else $("h1", here)?.focus({ preventScroll: true });
  rest();
}

function home(oops = "") {
  flow = {};
  for (const i of $$("input")) i.value = "";
  for (const e of $$("[data-hello], [data-title], [data-lead]")) e.textContent = ""; // nothing of the last visitor stays, seen or not
  $("img", section("photo")).removeAttribute("src");
  filterHosts("");
  if (body.dataset.state !== "normal") return show("closed");
  if (!linked) return show("offline");
  show(body.dataset.kind === "exit" ? "leave" : "scan", { oops });
}

// After 20 s without a touch the kiosk asks; after 30 s it forgets everything and starts again.
function rest() {
  clearTimeout(idle);
  $(".still").hidden = true;
  const name = body.dataset.screen;
  if (SHUT.has(name) || name === "working") return;
  if (name === "scan" || (name === "leave" && body.dataset.kind === "exit")) {
    if (!$(".oops", section(name)).hidden || lang() !== "en") idle = setTimeout(() => { setLanguage("en"); home(); }, QUIET + LAST);
    return;
  }
  if (ENDINGS.has(name)) { idle = setTimeout(start, QUIET + LAST); return; }
  idle = setTimeout(() => {
    $(".still").hidden = false;
    idle = setTimeout(start, LAST);
  }, QUIET);
}
function start() {
  setLanguage("en");
  home();
}
for (const kind of ["pointerdown", "keydown"]) document.addEventListener(kind, () => rest(), true);

function setLanguage(to) {
  document.documentElement.lang = to;
  for (const b of $$("[data-lang]")) b.setAttribute("aria-pressed", String(b.dataset.lang === to));
  $("[data-hello]").textContent = flow.name ? word("purpose.hello", flow.name) : "";
  $(".search input").placeholder = word("host.search");
  const heard = $(".heard");
  heard.dataset.waiting = word("live.waiting");
  heard.dataset.live = word("live.live");
  heard.dataset.lost = word("live.lost");
  tick();
}
function tick() {
  const said = new Date().toLocaleString(lang() === "es" ? "es-US" : "en-US", { weekday: "long", hour: "numeric", minute: "2-digit", timeZone: zone });
  $("[data-clock]").textContent = said[0].toUpperCase() + said.slice(1);
}

// ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────

// What a scan says, asked of the server: {kind: "document", given_name} | {kind: "badge", token} | {kind: "other"}.
async function read(scan) {
  const answer = await call("POST", "/api/v1/decode", { json: scan, timeout: 10000 });
  return answer.reading;
}

async function scanned(scan) {
  const name = body.dataset.screen;
  if (SHUT.has(name) || name === "working") return;
  const leaving = name === "leave";
  body.dataset.reading = "";
  let reading;
  try {
    reading = await read(scan);
  } catch (error) {
    delete body.dataset.reading;
    if (error instanceof Unreachable || error.status >= 500) return show("offline");
    return show(leaving ? "leave" : ["scan", "camera"].includes(name) ? name : "scan", { oops: word("scan.again") });
  }
  delete body.dataset.reading;
  if (reading.kind === "badge") {
    flow = { token: reading.token };
    return leaving ? leave() : show("leave-ask");
  }
  if (leaving) return show("leave", { oops: word("leave.license") });
  if (reading.kind !== "document") return show("scan", { oops: word("scan.card") });
  begin({ scan }, reading.given_name);
}

function begin(who, given) {
  // Letters in capitals come from the barcode, not from the person.
  const name = given && given === given.toUpperCase() ? given.toLowerCase().replace(/(^|[\s'-])\p{L}/gu, (c) => c.toUpperCase()) : given;
  flow = { ...who, name: name || "", key: uuid() };
  $("[data-hello]").textContent = flow.name ? word("purpose.hello", flow.name) : "";
  show("purpose");
}

const wedge = new Wedge({
  onStart: () => { if (["scan", "leave", "camera"].includes(body.dataset.screen)) body.dataset.reading = ""; },
  onFrame: (bytes) => scanned({ data: base64(bytes), source: "barcode" }),
}).attach();

// ── cameras ─────────────────────────────────────────────────────────────────────────────────────────────────

const cameras = {
  now: null,
  async open(name, facing) {
    this.stop();
    const camera = new Camera($("video", section(name)));
    this.now = camera;
    await camera.start(facing);
    if (this.now !== camera) { camera.stop(); throw new DOMException("closed", "AbortError"); }
    return camera;
  },
  stop() {
    this.now?.stop();
    this.now = null;
  },
};

async function openCamera() {
  show("camera");
  let camera;
  try {
    camera = await cameras.open("camera", "environment");
  } catch (error) {
    if (error.name !== "AbortError") show("camera", { oops: word("camera.none") });
    return;
  }
  let last;
  const found = await camera.read(async (blob) => {
    const answer = await call("POST", "/api/v1/decode", { body: blob, headers: { "content-type": "image/jpeg" } });
    if (answer.reading) last = blob;
    return answer.reading;
  });
  if (!found || body.dataset.screen !== "camera") return;
  cameras.stop();
  if (found.kind === "badge") { flow = { token: found.token }; return show("leave-ask"); }
  if (found.kind !== "document") return show("scan", { oops: word("scan.card") });
  begin({ scan: { data: base64(new Uint8Array(await last.arrayBuffer())), source: "camera" } }, found.given_name);
}

async function openPhoto() {
  const here = section("photo");
  show("photo");
  photoButtons(here, false);
  try {
    await cameras.open("photo", "user");
  } catch {
    if (body.dataset.screen === "photo") checkIn(); // no camera, no photo: it is optional
  }
}
function photoButtons(here, taken) {
  $("img", here).hidden = !taken;
  for (const b of $$("[data-do^='photo-']", here)) b.hidden = b.dataset.do === "photo-skip" ? false : (b.dataset.do === "photo-take") === taken;
}
async function takePhoto() {
  const blob = await cameras.now?.frame(640, 0.85);
  if (!blob) return checkIn();
  flow.photo = base64(new Uint8Array(await blob.arrayBuffer()));
  const picture = $("img", section("photo"));
  picture.src = `data:image/jpeg;base64,${flow.photo}`;
  photoButtons(section("photo"), true);
}

// ── the questions ───────────────────────────────────────────────────────────────────────────────────────────

const fold = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
function filterHosts(text) {
  const wanted = fold(text).split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const li of $$("[data-hosts] > li")) {
    const find = li.firstElementChild.dataset.find;
    li.hidden = !wanted.every((w) => find.includes(w));
    shown += !li.hidden;
  }
  $("[data-nobody]").hidden = shown > 0 || !wanted.length;
}

function purposeChosen(tile) {
  flow.purpose = tile.dataset.purpose;
  if (!$("[data-hosts] > li")) return photoOrGo();
  $(".unsure").hidden = tile.dataset.needsHost === "yes";
  show("host");
}
function photoOrGo() {
  if (Camera.possible && !flow.photo) openPhoto();
  else checkIn();
}

function nameDone(form) {
  const given = form.given_name.value.trim();
  const family = form.family_name.value.trim();
  if (!given || !family) return show("name", { oops: word("name.missing") });
  flow = { document: { given_name: given, family_name: family } };
  show("born");
}
function bornDone(form) {
  const [y, m, d] = ["year", "month", "day"].map((n) => Number(form[n].value));
  const date = new Date(Date.UTC(y, m - 1, d));
  const right = y >= 1900 && date.getTime() < Date.now() && date.getUTCMonth() === m - 1 && date.getUTCDate() === d;
  if (!right) return show("born", { oops: word("born.wrong") });
  const birth = date.toISOString().slice(0, 10);
  begin({ document: { ...flow.document, birth_date: birth } }, flow.document.given_name);
}

async function checkIn() {
  show("working");
  $('[data-slow="no"]').hidden = false;
  $('[data-slow="yes"]').hidden = true;
  const slow = setTimeout(() => { $('[data-slow="no"]').hidden = true; $('[data-slow="yes"]').hidden = false; }, 4000);
  const { scan, document: typed, purpose, host, photo, key, name } = flow;
  const json = { station_id: body.dataset.station, purpose, language: lang(), ...(host && { host_id: host }), ...(scan ? { scan } : { document: typed }), ...(photo && { photo }) };
  try {
    for (let attempt = 1; ; attempt++) {
      try {
        const { visit } = await call("POST", "/api/v1/check-ins", { json, headers: { "idempotency-key": key } });
        return ending(visit, name);
      } catch (error) {
        // Whether the first one arrived is not known; under the same key it is the same visit.
        if (!(error instanceof Unreachable || error.status >= 502) || attempt === TRIES) throw error;
        await new Promise((r) => setTimeout(r, attempt * 1500));
      }
    }
  } catch (error) {
    if (error instanceof Unreachable) return show("offline");
    if (error.type === "already-on-site") return show("already");
    if (error.type === "site-closed") return show("closed");
    if (photo && error.type.startsWith("photo-")) { delete flow.photo; flow.photo = ""; return checkIn(); }
    if (error.type === "unreadable-scan" || error.type === "not-a-document") return home(word("scan.again"));
    show("trouble");
  } finally {
    clearTimeout(slow);
  }
}

function ending(visit, name) {
  const inside = visit.status === "on_site" || visit.status === "awaiting_escort" || visit.status === "approved";
  const screen = section(inside ? "ready" : "wait");
  const [, title, lead] = /^(.*?[.!?])\s+(.*)$/.exec(visit.message || "") || [null, word("wait.title", name), word("wait.lead")];
  $("[data-title]", screen).textContent = title;
  $("[data-lead]", screen).textContent = lead;
  flow = { visit: visit.id, name };
  show(screen.dataset.screen);
}

// Someone who waits before the screen sees at once that the front office has decided.
async function decided(id) {
  if (body.dataset.screen !== "wait" || flow.visit !== id) return;
  const { visit } = await call("GET", `/api/v1/visits/${id}`).catch(() => ({}));
  if (visit && flow.visit === id && visit.status !== "held" && visit.status !== "refused") ending(visit, flow.name);
}

async function leave() {
  show("working");
  try {
    await call("POST", "/api/v1/check-outs", { json: { station_id: body.dataset.station, token: flow.token, language: lang() } });
    show("left");
  } catch (error) {
    if (error instanceof Unreachable) return show("offline");
    if (body.dataset.kind !== "exit" && (error.type === "not-on-site" || error.type === "checked-out")) return home(word("scan.badge-old"));
    show("leave", { oops: word("leave.unknown") });
  }
}

// ── touch and keys ──────────────────────────────────────────────────────────────────────────────────────────

const touch = matchMedia("(any-pointer: coarse)").matches || new URLSearchParams(location.search).has("keyboard");
const keys = new ScreenKeyboard($(".keyboard"), {
  onChange: (field) => { if (field.maxLength > 0 && field.value.length >= field.maxLength) nextField(field); },
});
document.addEventListener("focusin", (event) => {
  if (touch && event.target.matches("input[data-keys]")) keys.root.hidden = false;
});
function nextField(field) {
  const all = $$("input[data-keys]", field.closest("section"));
  all[all.indexOf(field) + 1]?.focus();
}

const DO = {
  camera: openCamera,
  name: () => { flow = {}; show("name"); },
  leave: () => show("leave"),
  "leave-yes": leave,
  over: start,
  stay: rest,
  back: () => {
    const name = body.dataset.screen;
    if (name === "born") show("name");
    else if (name === "host") show("purpose");
    else start();
  },
  "host-unsure": () => { delete flow.host; photoOrGo(); },
  "photo-take": takePhoto,
  "photo-keep": () => checkIn(),
  "photo-again": () => { delete flow.photo; photoButtons(section("photo"), false); },
  "photo-skip": () => { delete flow.photo; checkIn(); },
};
document.addEventListener("click", (event) => {
  const target = event.target.closest("[data-do], [data-purpose], button[data-host], [data-lang]");
  if (!target) return;
  if (target.dataset.lang) setLanguage(target.dataset.lang);
  else if (target.dataset.do) DO[target.dataset.do]();
  else if (target.dataset.purpose) purposeChosen(target);
  else { flow.host = target.dataset.host; photoOrGo(); }
});
document.addEventListener("submit", (event) => {
  event.preventDefault();
  ({ name: nameDone, born: bornDone })[event.target.dataset.form]?.(event.target);
});
document.addEventListener("input", (event) => {
  if (event.target.matches(".search input")) filterHosts(event.target.value);
  else if (event.target.dataset.keys === "digits") {
    event.target.value = event.target.value.replace(/\D/g, "");
    if (event.isTrusted && event.target.value.length === event.target.maxLength) nextField(event.target);
  }
});
document.addEventListener("contextmenu", (event) => event.preventDefault());

// ── the station's line to the server ────────────────────────────────────────────────────────────────────────

async function refresh() {
  const page = new DOMParser().parseFromString(await fragment("/kiosk/choices"), "text/html");
  const root = $("[data-state]", page.body);
  body.dataset.state = root.dataset.state;
  $("[data-drill]").hidden = root.dataset.exercise !== "yes";
  if (body.dataset.screen !== "host" && body.dataset.screen !== "purpose") {
    for (const part of ["[data-purposes]", "[data-hosts]"]) $(part).innerHTML = $(part, page.body).innerHTML;
  }
  if (body.dataset.state !== "normal") { if (body.dataset.screen !== "closed") home(); }
  else if (SHUT.has(body.dataset.screen)) home();
}
connect(`/api/v1/stations/${body.dataset.station}/events`, {
  topics: ["site_state", "sites", "policies", "visits", "readings"],
  onChange: (topic, id) => {
    if (topic === "visits") return decided(id);
    if (topic === "readings") return scanned({ reading_id: id });
    return refresh();
  },
  onLink: (state) => {
    linked = state !== "lost";
    // A visitor in the middle goes on: what they gave is sent when the line is back. The start screen says it at once.
    if (!linked && ["scan", "leave"].includes(body.dataset.screen)) home();
    if (linked && body.dataset.screen === "offline") home();
  },
});

setLanguage("en");
setInterval(tick, 5000);
home();
