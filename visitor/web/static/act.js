// Forms that act on the service: <form data-api="/api/v1/…" [data-method]>. Fields become JSON (data-as="number|bool|list|json|null").
// On success "done" is dispatched on the form with the answer; on refusal its .problem says what happened.

import { call } from "./api.js";

export function values(form) {
  const body = {};
  for (const field of form.elements) {
    if (!field.name || field.disabled || ((field.type === "radio" || field.type === "checkbox") && !field.checked && field.dataset.as !== "bool")) continue;
    if (field.type === "submit" || field.type === "file") continue;
    const as = field.dataset.as;
    let value = field.value;
    if (as === "bool") value = field.type === "checkbox" ? field.checked : value === "true";
    else if (as === "number") value = value === "" ? null : Number(value);
    else if (as === "list") value = value.split(",").map((x) => x.trim()).filter(Boolean);
    else if (as === "null" && value === "") value = null;
    body[field.name] = value;
  }
  // A reason is chosen from the usual ones or written; what is written wins.
  if ("reason_text" in body) {
    if (body.reason_text.trim()) body.reason = body.reason_text.trim();
    delete body.reason_text;
  }
  return body;
}

export async function act(form) {
  const button = form.querySelector("button:not([type=button])");
  const problem = form.querySelector(".problem");
  if (button?.getAttribute("aria-busy") === "true") return;
  if (problem) problem.textContent = "";
  button?.setAttribute("aria-busy", "true");
  try {
    const answer = await call(form.dataset.method || "POST", form.dataset.api, { json: values(form) });
    form.dispatchEvent(new CustomEvent("done", { bubbles: true, detail: answer }));
  } catch (error) {
    if (problem) {
      problem.textContent = error.message;
      problem.setAttribute("role", "alert");
    }
    form.dispatchEvent(new CustomEvent("failed", { bubbles: true, detail: error }));
  } finally {
    button?.removeAttribute("aria-busy");
  }
}

document.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-api]");
  if (!form) return;
  event.preventDefault();
  act(form);
});
