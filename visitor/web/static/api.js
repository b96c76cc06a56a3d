// Requests to the service: session secret from <meta name="csrf">, problem documents as errors with words for a person.

const meta = (name) => document.querySelector(`meta[name="${name}"]`)?.content ?? "";

export class Problem extends Error {
  constructor(status, body) {
    super(body?.detail || body?.title || "That did not work. Try again.");
    this.status = status;
    this.type = body?.type || "";
    this.body = body || {};
  }
}

// The network failed, or no answer came in time: nothing is known about whether the request was carried out.
export class Unreachable extends Problem {
  constructor() {
    super(0, { type: "unreachable", detail: "The server cannot be reached. Nothing is lost; try again in a moment." });
  }
}

const HEADERS = () => {
  const headers = {};
  if (meta("csrf")) headers["x-csrf-token"] = meta("csrf");
  if (meta("as") === "station") headers["x-visitor-station"] = "1";
  return headers;
};

export async function call(method, path, { json, body, headers = {}, timeout = 20000 } = {}) {
  const options = { method, headers: { accept: "application/json", ...HEADERS(), ...headers }, signal: AbortSignal.timeout(timeout) };
  if (json !== undefined) {
    options.headers["content-type"] = "application/json";
    options.body = JSON.stringify(json);
  } else if (body !== undefined) {
    options.body = body;
  }
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Unreachable();
  }
  const type = answer.headers.get("content-type") || "";
  const data = type.includes("json") ? await answer.json().catch(() => null) : await answer.text();
  if (answer.status === 401 && meta("csrf") && data?.type === "not-signed-in") {
    throw new Problem(401, { type: "not-signed-in", detail: "Your sign-in has ended. Reload this page and sign in again." });
  }
  if (!answer.ok) throw new Problem(answer.status, typeof data === "object" ? data : null);
  return data;
}

export const post = (path, json, more = {}) => call("POST", path, { json: json ?? {}, ...more });

// A part of a page as HTML. A redirect to sign-in comes back as another page: that is an ended session, not a fragment.
export async function fragment(path) {
  let answer;
  try {
    answer = await fetch(path, { headers: { accept: "text/html", ...HEADERS() }, signal: AbortSignal.timeout(15000) });
  } catch {
    throw new Unreachable();
  }
  if (answer.redirected && new URL(answer.url).pathname === "/sign-in") throw new Problem(401, { type: "not-signed-in", detail: "Your sign-in has ended. Reload this page and sign in again." });
  if (!answer.ok) throw new Problem(answer.status, null);
  return answer.text();
}

export function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const b = crypto.getRandomValues(new Uint8Array(16));
  b[6] = (b[6] & 0x0f) | 0x40;
  b[8] = (b[8] & 0x3f) | 0x80;
  const hex = [...b].map((x) => x.toString(16).padStart(2, "0")).join("");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

export function base64(bytes) {
  let text = "";
  for (let i = 0; i < bytes.length; i += 0x8000) text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return btoa(text);
}
