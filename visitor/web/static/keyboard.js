// A keyboard on the screen, for a kiosk without one. Types into the field that has focus; physical keys go on working.

const ROWS = ["qwertyuiop", "asdfghjklñ", "zxcvbnm"];
const ACCENTS = "áéíóúü";

export class ScreenKeyboard {
  constructor(root, { onChange = () => {} } = {}) {
    this.root = root;
    this.onChange = onChange;
    this.field = null;
    root.addEventListener("pointerdown", (e) => e.preventDefault()); // focus stays in the field
    root.addEventListener("click", (e) => {
      const key = e.target.closest("button")?.dataset.key;
      if (key !== undefined) this.press(key);
    });
    document.addEventListener("focusin", (e) => {
      if (e.target.matches?.("input[data-keys]")) this.use(e.target);
    });
  }

  use(field) {
    const kind = field.dataset.keys;
    if (this.field === field && this.kind === kind) return;
    this.field = field;
    if (this.kind !== kind) {
      this.kind = kind;
      this.draw();
    }
  }

  draw() {
    const key = (k, label = k, extra = "") => `<button type="button" tabindex="-1" class="key ${extra}" data-key="${k}">${label}</button>`;
    const back = key("back", '<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M9 5h12v14H9l-6-7zM12 9l6 6M18 9l-6 6" fill="none" stroke="currentColor" stroke-width="2" stroke-linejoin="round"/></svg><span class="unseen">Delete</span>', "wide");
    this.root.dataset.kind = this.kind;
    if (this.kind === "digits") {
      this.root.innerHTML = ["123", "456", "789"].map((r) => `<div>${[...r].map((k) => key(k)).join("")}</div>`).join("") + `<div><span class="key none"></span>${key("0")}${back}</div>`;
      return;
    }
    this.root.innerHTML = `<div class="accents">${[...ACCENTS].map((k) => key(k)).join("")}</div>`
      + ROWS.map((r, i) => `<div>${[...r].map((k) => key(k)).join("")}${i === 2 ? back : ""}</div>`).join("")
      + `<div>${key("'")}${key(" ", '<span class="unseen">Space</span>', "space")}${key("-")}</div>`;
  }

  press(key) {
    const f = this.field;
    if (!f) return;
    const [from, to] = [f.selectionStart ?? f.value.length, f.selectionEnd ?? f.value.length];
    let text = key;
    if (key === "back") {
      f.setRangeText("", from === to ? Math.max(0, from - 1) : from, to, "end");
    } else {
      const before = f.value.slice(0, from);
      if (this.kind !== "digits" && f.autocapitalize !== "off" && (before === "" || /[\s'-]$/.test(before))) text = key.toUpperCase();
      if (f.maxLength > 0 && f.value.length - (to - from) >= f.maxLength) return;
      f.setRangeText(text, from, to, "end");
    }
    f.dispatchEvent(new Event("input", { bubbles: true }));
    this.onChange(f);
  }
}
