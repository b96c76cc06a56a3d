// Keyboard-wedge scanners: a scan typed as keys, put back together as the bytes that the barcode holds.
//
// Read from keydown, because an input's value drops the control characters (GS, RS) that a license barcode is made of.
// Scanners send a control character as Ctrl+letter ("Ctrl+X mode"), as Alt and digits, or as Enter, Tab and Escape.
// A scan is told from a person by its speed: at least MIN keys, MEAN ms apart on average, none more than GAP ms after the
// one before; a slow scanner (Bluetooth, or a busy machine) is told by what a license or badge begins with. Anything else that
// is slower is a person typing, or a stray key, and is left alone.
//
// Times are those of the keys (timeStamp), which the browser notes when they are pressed. The timer only guesses that no more will come:
// a page or a machine that stood still hands keys over late, and those belong where they were pressed.

const GAP = 400;   // ms: longer than a Bluetooth scanner's hiccup, shorter than two scans
const LEAD = 120;  // ms: before a scan has shown its speed
const LATE = 50;   // ms: a timer as late as this tells of a page that stood still
const KEPT = 3000; // ms: how long keys may come late; no page keeps a license longer
const MEAN = 60;   // ms a key on average; a fast typist needs 90
const MIN = 8;     // keys; with a terminator MIN_ENDED will do
const MIN_ENDED = 5;
const ENDS = [9, 13]; // what scanners end a scan with
const OURS = /^V[BI]1:|^@.{0,12}(ANSI|AAMVA)/s;

// What Ctrl+key means as a control character (ASCII column 0): letters, and the six signs beyond them. Shift is often lost.
const SIGNS = { "[": 27, "\\": 28, "]": 29, "^": 30, "6": 30, "_": 31, "-": 31, "@": 0, "2": 0, "/": 31 };
const NAMED = { Enter: 13, Tab: 9, Escape: 27, Backspace: 8 };

export function keyCode(event) {
  const { key } = event;
  if (key in NAMED) return NAMED[key];
  if (key.length !== 1) return key.startsWith("F") && event.ctrlKey ? null : undefined;
  if (event.ctrlKey && !event.altKey) {
    const lower = key.toLowerCase();
    if (lower >= "a" && lower <= "z") return lower.charCodeAt(0) & 31;
    return key in SIGNS ? SIGNS[key] : undefined;
  }
  return key.codePointAt(0);
}

export function bytesOf(codes) {
  if (codes.every((c) => c < 256)) return Uint8Array.from(codes); // Latin-1, as AAMVA barcodes are
  return new TextEncoder().encode(codes.map((c) => String.fromCodePoint(c)).join(""));
}

export class Wedge {
  constructor({ onFrame, onStart = () => {} }) {
    this.onFrame = onFrame;
    this.onStart = onStart;
    this.over = null; // the burst that ended last, should a key of it still come
    this.clear();
  }

  clear() {
    this.codes = [];
    this.first = this.last = 0;
    this.alt = "";
    this.field = null;
    this.told = false;
    clearTimeout(this.timer);
  }

  attach(target = document) {
    target.addEventListener("keydown", (e) => this.down(e), true);
    target.addEventListener("keyup", (e) => this.up(e), true);
    return this;
  }

  get mean() {
    return (this.last - this.first) / Math.max(1, this.codes.length - 1);
  }

  get fast() {
    return this.codes.length > 1 && this.mean <= MEAN;
  }

  get ours() {
    return OURS.test(String.fromCharCode(...this.codes.slice(0, 24).filter((c) => c < 65536)));
  }

  down(event) {
    if (event.repeat || event.isComposing) return; // a held key is no scanner
    if (event.altKey && /^(Numpad|Digit)\d$/.test(event.code)) { // Alt and a character's decimal number
      this.alt += event.code.at(-1);
      event.preventDefault();
      return;
    }
    const code = keyCode(event);
    if (code === undefined || code === null) return;
    this.take(code, event);
  }

  up(event) {
    if (event.key === "Alt" && this.alt) {
      const code = Number(this.alt);
      this.alt = "";
      if (code < 0x110000) this.take(code, event);
    }
  }

  take(code, event) {
    const { over } = this;
    const late = over && !this.codes.length ? event.timeStamp - over.last : -1; // ms after the burst that ended last
    this.over = null;
    if (late >= 0 && late <= over.gap) {
      if (over.scan && ENDS.includes(code)) { // its end, late: nothing new is said, and no button may be pressed by it
        event.preventDefault();
        event.stopPropagation();
        this.keep({ ...over, last: event.timeStamp });
        return;
      }
      Object.assign(this, over.burst);
    }
    const gap = event.timeStamp - this.last;
    if (this.codes.length && gap > (this.told || this.ours ? GAP : LEAD)) this.end(); // what a person typed just before is no part of the scan
    if (!this.codes.length) {
      this.first = event.timeStamp;
      const field = event.target;
      this.field = field instanceof HTMLInputElement || field instanceof HTMLTextAreaElement ? { field, value: field.value } : null;
    }
    this.codes.push(code);
    this.last = event.timeStamp;
    // From the third quick key on this is a scanner: nothing else on the page, and no shortcut of the browser, may act on it.
    const scanning = this.codes.length >= 3 && (this.fast || this.ours);
    const control = code < 32 && (event.ctrlKey || this.fast); // Enter as a second quick key must not press a button
    if (scanning || control) {
      event.preventDefault();
      event.stopPropagation();
    }
    if (scanning && !this.told) {
      this.told = true;
      this.onStart();
    }
    this.gap = this.codes.length > 8 && this.mean <= 20 ? GAP / 2 : GAP; // a quick scanner has no hiccups
    this.wait(this.gap);
  }

  wait(ms, again = false) {
    clearTimeout(this.timer);
    const due = performance.now() + ms;
    this.timer = setTimeout(() => {
      // Keys that wait are handed over before a timer set now. Once is enough: in a tab behind others every timer is late.
      if (!again && performance.now() - due > LATE) this.wait(LATE, true);
      else this.end();
    }, ms);
  }

  keep(over) {
    this.over = over;
    clearTimeout(this.forget);
    this.forget = setTimeout(() => { this.over = null; }, KEPT);
  }

  end() {
    const { codes, field, first, last, told } = this;
    const ended = ENDS.includes(codes.at(-1));
    const scan = (this.fast && codes.length >= (ended ? MIN_ENDED : MIN)) || (this.ours && codes.length > 24);
    this.keep({ last, scan, gap: told || this.ours ? this.gap : LEAD, burst: { codes, field, first, last, told } });
    this.clear();
    if (!scan) return;
    if (field) field.field.value = field.value; // what the first keys left in a field is no typing
    this.onFrame(bytesOf(codes));
  }
}
