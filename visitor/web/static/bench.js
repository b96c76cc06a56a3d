// The bench: presses switches, and looks at the devices twice a second while somebody is looking.

import { fragment } from "./api.js";

const devices = document.querySelector("[data-devices]");
const problem = document.querySelector("[data-problem]");
let shown = "";

async function press(path, what) {
  problem.textContent = "";
  try {
    const answer = await fetch(path, { method: "POST", body: new URLSearchParams({ what }), headers: { accept: "application/json" } });
    if (!answer.ok) problem.textContent = (await answer.json()).detail || "That did not work.";
  } catch {
    problem.textContent = "The demo does not answer. Is it still running?";
  }
  look();
}

async function look() {
  if (document.hidden) return;
  try {
    const html = await fragment("/bench/state");
    document.body.dataset.link = "live";
    if (html === shown) return;
    shown = html;
    const focused = document.activeElement?.closest("[data-devices]") ? document.activeElement : null;
    const key = focused && [focused.dataset.post, focused.dataset.what];
    devices.innerHTML = html;
    if (key) [...devices.querySelectorAll("[data-post]")].find((b) => b.dataset.post === key[0] && b.dataset.what === key[1])?.focus();
  } catch {
    document.body.dataset.link = "lost";
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-post]");
  if (button) press(button.dataset.post, button.dataset.what);
});
document.querySelector("[data-station]").addEventListener("change", (event) => press("/bench/station", event.target.value));
setInterval(look, 500);
look();
