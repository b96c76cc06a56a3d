// Respond: the live plan and list, my credential, light and dark by hand, one printed page.

import { Problem, call } from "./api.js";
import "./act.js";
import { values } from "./act.js";
import { connect, refresh, times } from "./live.js";
import { say } from "./say.js";

const $ = (s, root = document) => root.querySelector(s);
const board = $("#board");
const pass = $("#credential");
const site = document.body.dataset.site;

// ── light and dark ──────────────────────────────────────────────────────────────────────────────────────────

const root = document.documentElement;
try { if (localStorage.getItem("theme")) root.dataset.theme = localStorage.getItem("theme"); } catch { /* private window: the system's choice */ }
function turn() {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try { localStorage.setItem("theme", root.dataset.theme); } catch { /* as above */ }
}

// ── my credential ───────────────────────────────────────────────────────────────────────────────────────────

let shown = "";
function ask() {
  const form = $("[data-credential-form]", board);
  pass.replaceChildren(form.content.cloneNode(true));
  pass.hidden = false;
  $("input[type=password]", pass).focus();
}
async function send(form) {
  const button = $("button:not([type=button])", form);
  const problem = $(".problem", form);
  problem.textContent = "";
  button.disabled = true;
  try {
    const html = await call("POST", "/respond/credential", { json: values(form) });
    shown = $("[data-incident]", board)?.dataset.incident || "";
    pass.innerHTML = html;
    $("h1", pass).focus();
    navigator.wakeLock?.request("screen").catch(() => {});
  } catch (error) {
    problem.textContent = error instanceof Problem ? error.message : "That did not work. Try again.";
    form.password.value = "";
    form.password.focus();
    button.disabled = false;
  }
}
function close() {
  pass.hidden = true;
  pass.replaceChildren();
  shown = "";
  $("[data-credential]", board)?.focus();
}

document.addEventListener("click", (event) => {
  const t = event.target;
  if (t.closest("[data-theme-switch]")) turn();
  else if (t.closest("[data-print]")) print();
  else if (t.closest("[data-credential]")) ask();
  else if (t.closest("[data-credential-close]")) close();
});
document.addEventListener("submit", (event) => {
  if (!event.target.matches("[data-credential-send]")) return;
  event.preventDefault();
  send(event.target);
});
document.addEventListener("keydown", (event) => { if (event.key === "Escape" && !pass.hidden) close(); });
document.addEventListener("change", (event) => { if (event.target.matches("[data-goes]")) event.target.form.submit(); });

// ── live ────────────────────────────────────────────────────────────────────────────────────────────────────

const state = () => $(".what h1", board)?.textContent || "";
async function look() {
  if ($("details[open] form", board)?.contains(document.activeElement)) return; // somebody is filling it in
  const before = state();
  await refresh(board);
  if (state() !== before) say(state());
  // A credential whose incident is over opens nothing: it goes from the screen.
  if (shown && $("[data-incident]", board)?.dataset.incident !== shown) { close(); say("The incident is over. Your credential has ended."); }
}
document.addEventListener("done", () => { for (const d of board.querySelectorAll("details[open]")) d.open = false; document.activeElement?.blur(); look(); });
connect(`/api/v1/sites/${site}/events`, { topics: ["visits", "site_state", "incidents", "credentials", "doors", "sites"], onChange: look });
times();
