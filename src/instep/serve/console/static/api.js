// The public HTTP API, as every client uses it. Nothing here is known to the service only through this page.

const TIMEOUT_MS = 10_000;
const KEY = "instep.key";

/** What went wrong, in the words of the service's problem document (RFC 9457), or of the network. */
export class Problem extends Error {
  constructor({ title, detail = "", status = 0, kind = "service" }) {
    super(title);
    this.title = title;
    this.detail = detail;
    this.status = status;
    this.kind = kind; // "service" | "timeout" | "network"
  }

  /** Whether doing the same again may succeed. */
  get passing() {
    return this.kind !== "service" || this.status === 429 || this.status >= 500;
  }
}

export function setKey(key) {
  if (key) sessionStorage.setItem(KEY, key);
  else sessionStorage.removeItem(KEY);
}

/** A random id; `crypto.randomUUID` is missing on plain http pages other than localhost. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
}

async function problemOf(response) {
  let document = {};
  try {
    document = await response.json();
  } catch {
    // Not JSON: a proxy's page, say. The status line has to do.
  }
  const { title, detail, field } = document;
  return new Problem({
    title: title || `${response.status} ${response.statusText}`.trim(),
    detail: [field, detail].filter((part) => typeof part === "string").join(": "),
    status: response.status,
  });
}

/**
 * One request. Resolves to `{data, ms}`: the parsed answer and the time it took in milliseconds.
 * Rejects with a Problem, after ten seconds at the latest.
 */
export async function call(method, path, { query = {}, body, keepalive = false } = {}) {
  const address = new URL(path, document.baseURI);
  for (const [name, value] of Object.entries(query)) if (value != null) address.searchParams.set(name, value);
  const headers = { accept: "application/json" };
  const key = sessionStorage.getItem(KEY);
  if (key) headers.authorization = `Bearer ${key}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  const began = performance.now();
  let response, data;
  try {
    response = await fetch(address, {
      method,
      headers,
      keepalive,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_MS),
      credentials: "same-origin",
    });
    if (response.ok) data = response.status === 204 ? null : await response.json();
  } catch (error) {
    const kind = error.name === "TimeoutError" ? "timeout" : "network";
    throw new Problem({ title: kind, kind });
  }
  if (!response.ok) throw await problemOf(response);
  return { data, ms: performance.now() - began };
}

/** Who is asking, as the API names it: a user, or an anonymous visitor's session. */
export const subject = (who) => (who.user ? { user_id: who.user } : { session: who.session });

/** The same as one id, for the addresses under /v1/users. */
export const subjectId = (who) => who.user ?? `session:${who.session}`;

const at = (id) => encodeURIComponent(id);

/** Append one event. A lost answer is asked for once more: the event's id makes that safe. */
export async function sendEvent(body, { keepalive = false } = {}) {
  try {
    return await call("POST", "v1/events", { body, keepalive });
  } catch (problem) {
    if (problem.kind !== "network" || keepalive) throw problem;
    return await call("POST", "v1/events", { body });
  }
}

export const recommend = (who, n, category) =>
  call("POST", "v1/recommendations", {
    body: {
      ...subject(who),
      n,
      explain: true,
      surface: "console",
      context: category ? { category } : {},
    },
  });
export const trending = (n, category) => call("GET", "v1/trending", { query: { n, category } });
export const similar = (id, n) => call("GET", `v1/items/${at(id)}/similar`, { query: { n } });
export const search = (q, n) => call("GET", "v1/search", { query: { q, n } });
export const item = (id) => call("GET", `v1/items/${at(id)}`);
export const categories = () => call("GET", "v1/categories");
export const users = (prefix, limit) => call("GET", "v1/users", { query: { prefix, limit } });
/** What somebody did lately; a viewer whom the service does not know (any more) did nothing. */
export async function history(who, n) {
  try {
    return await call("GET", `v1/users/${at(subjectId(who))}/history`, { query: { n } });
  } catch (problem) {
    if (problem.status === 404) return { data: { items: [] } };
    throw problem;
  }
}

export const experiments = () => call("GET", "v1/experiments");
export const launchExperiment = (definition) => call("POST", "v1/experiments", { body: definition });
export const changeExperiment = (name, verb, body) => call("POST", `v1/experiments/${at(name)}/${verb}`, { body });

export const models = () => call("GET", "v1/models");
export const model = (name) => call("GET", `v1/models/${at(name)}`);
export const promoteModel = (name, anyway) => call("POST", `v1/models/${at(name)}/promote`, { body: { anyway } });
export const rollBackModel = () => call("POST", "v1/models/rollback", { body: {} });

export const merge = (session, user) => call("POST", `v1/sessions/${at(session)}/merge`, { body: { user_id: user } });
export const erase = (who) => call("DELETE", `v1/users/${at(subjectId(who))}`);
