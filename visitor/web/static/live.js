// Live boards. Catch-up is by state: on `sync`, after any gap, or when a topic's event comes, the part is fetched again.
// Shows in .heard when the page last heard from the server, and sets body[data-link] to "live" or "lost".

import { fragment } from "./api.js";

const SILENCE = 40000; // the server beats every 15 s; two missed beats and a half are a lost connection

export function connect(url, { topics = [], onChange, onLink = () => {} }) {
  let source;
  let heard = 0;
  let retry = 1000;
  let waiting;
  let state = "";
  const label = document.querySelector(".heard");

  const show = () => {
    const silent = Date.now() - heard;
    const next = heard === 0 ? "waiting" : silent > SILENCE || !source || source.readyState !== EventSource.OPEN ? "lost" : "live";
    if (next !== state) {
      state = next;
      document.body.dataset.link = next;
      onLink(next);
    }
    if (!label) return;
    label.dataset.state = next;
    const said = next === "waiting" ? label.dataset.waiting : next === "live" ? label.dataset.live : label.dataset.lost;
    label.textContent = (said || "").replace("{time}", clock(heard));
  };
  const hear = () => {
    heard = Date.now();
    retry = 1000;
    show();
  };
  const changed = (topic, subject) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => Promise.resolve(onChange(topic, subject)).then(hear, (error) => {
      if (error?.status === 401 && document.querySelector('meta[name="csrf"]')) location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
      show();
    }), 60);
  };
  const open = () => {
    source = new EventSource(url);
    source.addEventListener("open", hear);
    source.addEventListener("beat", hear);
    source.addEventListener("sync", () => { hear(); changed("sync", ""); });
    for (const topic of topics) source.addEventListener(topic, (e) => { hear(); changed(topic, e.data); });
    source.addEventListener("error", () => {
      show();
      if (source.readyState === EventSource.CLOSED) { // the server answered with an error: the browser gives up, we do not
        setTimeout(open, retry);
        retry = Math.min(retry * 2, 15000);
      }
    });
  };
  open();
  setInterval(show, 1000);
  addEventListener("online", show);
  addEventListener("pageshow", (e) => { if (e.persisted) changed("sync", ""); });
  return { close: () => source.close(), get state() { return state; } };
}

// Times are the school's, wherever the device thinks it is.
export const zone = document.documentElement.dataset.zone || undefined;
export const clock = (ms) => new Date(ms).toLocaleTimeString(document.documentElement.lang === "es" ? "es-US" : "en-US", { hour: "numeric", minute: "2-digit", timeZone: zone });

// Put new HTML in place of a part's, keeping focus, scroll and what is being typed. Rows that were not there before arrive.
export function swap(container, html) {
  if (container.dataset.html === html) return false;
  const first = container.dataset.html === undefined;
  container.dataset.html = html;
  const known = new Set([...container.querySelectorAll("[data-key]")].map((e) => e.dataset.key));
  const focused = container.contains(document.activeElement) ? document.activeElement : null;
  const key = focused && (focused.id ? `#${CSS.escape(focused.id)}` : focused.dataset.key ? `[data-key="${CSS.escape(focused.dataset.key)}"]` : "");
  const scroll = container.scrollTop;
  container.innerHTML = html;
  container.scrollTop = scroll;
  if (!first) for (const e of container.querySelectorAll("[data-key]")) if (!known.has(e.dataset.key)) e.classList.add("arrives");
  if (key) container.querySelector(key)?.focus({ preventScroll: true });
  times(container);
  return true;
}

export async function refresh(container, url = container.dataset.part) {
  return swap(container, await fragment(url));
}

// Relative times: <time datetime="…" data-rel> "4 min"; data-until "48 min left"; data-clock counts "6 min 12 s".
export function times(root = document) {
  const now = Date.now();
  for (const t of root.querySelectorAll("time[data-rel], time[data-until], time[data-since]")) {
    const at = Date.parse(t.dateTime);
    if (!t.title) t.title = new Date(at).toLocaleString("en-US", { timeZone: zone });
    if ("since" in t.dataset) {
      const s = Math.max(0, Math.floor((now - at) / 1000));
      t.textContent = s >= 3600 ? `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min` : `${Math.floor(s / 60)} min ${String(s % 60).padStart(2, "0")} s`;
    } else if ("until" in t.dataset) {
      const m = Math.round((at - now) / 60000);
      t.textContent = m >= 0 ? `${span(m)} left` : `${span(-m)} over`;
    } else {
      const m = Math.floor((now - at) / 60000);
      t.textContent = m < 1 ? "now" : span(m);
    }
  }
}
const span = (m) => (m < 60 ? `${m} min` : m < 600 ? `${Math.floor(m / 60)} h ${String(m % 60).padStart(2, "0")}` : m < 2880 ? `${Math.round(m / 60)} h` : `${Math.round(m / 1440)} days`);

setInterval(() => times(), 1000);
times();
