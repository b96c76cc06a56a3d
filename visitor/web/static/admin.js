// Admin: what a change would do is shown before it is done.

import { call } from "./api.js";
import "./act.js";
import { times } from "./live.js";
import { say } from "./say.js";

const $ = (s, root = document) => root.querySelector(s);
const $$ = (s, root = document) => [...root.querySelectorAll(s)];
const many = (n, one, more = `${one}s`) => `${n.toLocaleString("en-US")} ${n === 1 ? one : more}`;

function element(tag, text, inner = []) {
  const e = document.createElement(tag);
  if (text) e.textContent = text;
  e.append(...inner);
  return e;
}
function stage(form, previewing) {
  $("[data-preview]", form).hidden = previewing;
  $("[data-apply]", form).hidden = $("[data-again]", form).hidden = !previewing;
  $("[data-effect]", form).hidden = !previewing;
}
async function busy(button, work) {
  const form = button.form;
  const problem = $(".problem", form);
  problem.textContent = "";
  button.setAttribute("aria-busy", "true");
  const words = button.textContent;
  const slow = setTimeout(() => { button.textContent = "Working; a large list takes a minute…"; }, 900);
  try {
    await work();
  } catch (error) {
    problem.textContent = error.message;
    problem.setAttribute("role", "alert");
  } finally {
    clearTimeout(slow);
    button.textContent = words;
    button.removeAttribute("aria-busy");
  }
}

// ── importing a list ────────────────────────────────────────────────────────────────────────────────────────

function upload(form, shrink) {
  const body = new FormData();
  body.append("file", form.file.files[0]);
  body.append("format", form.format.value);
  if (shrink) body.append("allow_shrink", "true");
  return body;
}
async function preview(form) {
  const { preview: p } = await call("POST", `/api/v1/watchlists/${encodeURIComponent(form.name.value)}/imports/preview`, { body: upload(form), timeout: 900000 });
  const effect = $("[data-effect]", form);
  const numbers = element("dl");
  for (const [word, n] of [["Entries after", p.entries], ["Added", p.added], ["Removed", p.removed], ["Changed", p.changed], ["Rows refused", p.refused]]) numbers.append(element("div", "", [element("dt", word), element("dd", n.toLocaleString("en-US"))]));
  effect.replaceChildren(element("b", `As revision ${p.revision} of “${form.name.value}”`), numbers);
  effect.classList.toggle("shrinks", Boolean(p.shrinks));
  if (p.shrinks) {
    const box = element("input");
    box.type = "checkbox";
    box.dataset.shrink = "";
    const label = element("label", "", [box, "The file is right: let the list shrink"]);
    label.className = "check";
    effect.append(element("p", p.shrinks.replace(/ Check the file.*$/, "")), label);
  }
  if (p.problems.length) effect.append(element("p", `The first of the refused rows: ${p.problems.slice(0, 3).join(" ")}`));
  stage(form, true);
  $("[data-apply]", form).disabled = Boolean(p.shrinks);
  say(`${many(p.added, "entry", "entries")} added, ${p.removed} removed, ${p.changed} changed.`);
}
async function apply(form) {
  const shrink = Boolean($("[data-shrink]", form)?.checked);
  await call("POST", `/api/v1/watchlists/${encodeURIComponent(form.name.value)}/imports`, { body: upload(form, shrink), timeout: 900000 });
  location.reload();
}

// ── purposes ────────────────────────────────────────────────────────────────────────────────────────────────

const WORDS = { minutes: "minutes", zones: "may go to", escort: "escort", proof: "ID", label_en: "English", label_es: "Spanish", document_required: "ID needed", host_required: "host needed", auto_approve: "let in without staff", minors_alone: "minors alone" };
const read = (row) => Object.fromEntries($$("input, select, textarea", row).map((f) => [f.name, f.type === "checkbox" ? f.checked : f.name === "minutes" ? Number(f.value) : f.name === "zones" ? f.value.split(",").map((z) => z.trim()).filter(Boolean) : f.value.trim()]));
const purposes = (form) => $$("[data-purpose]", form).map(read);
const plain = (v) => (v === true ? "yes" : v === false ? "no" : Array.isArray(v) ? v.join(", ") || "nowhere" : v);
const form = $("form[data-purposes]");
const before = form && purposes(form);

function changes(now) {
  const was = new Map(before.map((p) => [p.key, p]));
  const said = [];
  for (const p of now) {
    const old = was.get(p.key);
    if (!old) { said.push(`New: ${p.label_en || p.key}`); continue; }
    for (const key of Object.keys(WORDS)) if (JSON.stringify(old[key]) !== JSON.stringify(p[key])) said.push(`${old.label_en}: ${WORDS[key]} ${plain(old[key])} → ${plain(p[key])}`);
    was.delete(p.key);
  }
  for (const [, old] of was) if (!now.some((p) => p.key === old.key)) said.push(`Gone: ${old.label_en}. Visits that were decided by it keep it.`);
  if (!said.length && JSON.stringify(now.map((p) => p.key)) !== JSON.stringify(before.map((p) => p.key))) said.push("Another order on the kiosk");
  return said;
}
function previewPurposes() {
  const said = changes(purposes(form));
  const effect = $("[data-effect]", form);
  if (!said.length) { $(".problem", form).textContent = "Nothing is changed yet."; return; }
  $(".problem", form).textContent = "";
  effect.replaceChildren(element("b", `Version ${Number(form.dataset.version) + 1}, from the next check-in on, at every school:`), element("ul", "", said.map((s) => element("li", s))));
  stage(form, true);
  $("[data-apply]", form).focus();
}

// ── together ────────────────────────────────────────────────────────────────────────────────────────────────

document.addEventListener("submit", (event) => {
  const target = event.target;
  if (target.matches("[data-import]")) { event.preventDefault(); busy($("[data-preview]", target), () => preview(target)); }
  if (target.matches("[data-purposes]")) { event.preventDefault(); previewPurposes(); }
});
document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.matches("[data-again]")) stage(button.form, false);
  else if (button.matches("[data-apply]")) {
    if (button.form === form) busy(button, async () => { await call("PUT", "/api/v1/purposes", { json: { purposes: purposes(form) } }); location.reload(); });
    else busy(button, () => apply(button.form));
  } else if (button.matches("[data-add]")) {
    $("tbody", form).append($("[data-new]", form).content.cloneNode(true));
    $("[data-purpose]:last-child input", form).focus();
  } else if (button.matches("[data-remove]")) button.closest("tr").remove();
});
document.addEventListener("change", (event) => {
  const target = event.target;
  if ("shrink" in target.dataset) $("[data-apply]", target.form).disabled = !target.checked;
  else if (target.form?.matches("[data-import]") && !$("[data-effect]", target.form).hidden) stage(target.form, false); // another file: another preview
});
document.addEventListener("input", () => { if (form && !$("[data-effect]", form).hidden) stage(form, false); });
document.addEventListener("done", (event) => {
  if (event.target.dataset.then === "reload") location.reload();
  if (event.target.matches("[data-pairing]")) {
    const link = $("[data-link]", event.target);
    const a = element("a", event.detail.link);
    a.href = event.detail.link;
    link.replaceChildren("Open this on the device within an hour: ", a);
    link.hidden = false;
    say("The pairing link is ready.");
  }
});
times();
