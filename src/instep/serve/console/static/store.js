// What the page knows, and the acts that change it. Everything comes from the public API.

import * as api from "./api.js";
import { compare, count } from "./movement.js";

const SHELF_LENGTH = 12;
const HISTORY_LENGTH = 60;
const WHO = "instep.who";

// Acts that a "Because you ..." shelf may rest on, the most telling first.
const TELLING = ["purchase", "like", "rating", "cart", "share", "dwell", "click", "view"];

const emptyShelf = () => ({ status: "loading", items: [], moves: new Map(), gone: [], slate: null });

function rememberedWho() {
  try {
    const who = JSON.parse(localStorage.getItem(WHO));
    if (typeof who?.user === "string" || typeof who?.session === "string") return who;
  } catch {
    // Somebody else's value under our key: start anew.
  }
  return { session: api.newId() };
}

export class Store {
  state = {
    who: rememberedWho(),
    category: null,
    categories: [],
    shelves: { foryou: emptyShelf(), because: emptyShelf(), trending: emptyShelf(), category: emptyShelf() },
    seed: null, // the history entry that the "Because you ..." shelf rests on
    history: null, // newest first; null until known
    catalogue: new Map(), // item id -> item
    ms: null,
    asOf: null,
    degraded: [],
    busy: 0,
    news: null, // what to say aloud: {type, title, value, counts} or {became} or {merged}
    problems: [],
    detail: null,
    search: { text: "", status: "idle", items: [] },
    needsKey: false,
  };
  #listeners = new Set();
  #turn = 0;
  #searchTurn = 0;
  #asked = new Set();

  subscribe(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  set(patch) {
    Object.assign(this.state, patch);
    for (const listener of this.#listeners) listener();
  }

  #setShelf(name, patch) {
    this.set({ shelves: { ...this.state.shelves, [name]: { ...this.state.shelves[name], ...patch } } });
  }

  async start() {
    this.#remember(this.state.who);
    const categories = this.#try(api.categories(), ({ data }) => this.set({ categories: data.categories }), () => this.start());
    await Promise.all([categories, this.refresh({ fresh: true })]);
  }

  /** Wait for an answer while showing that something is under way; a failure is shown, never thrown. */
  async #try(request, then, again = () => this.refresh({ keep: true })) {
    this.set({ busy: this.state.busy + 1 });
    try {
      const answer = await request;
      return await then(answer);
    } catch (error) {
      this.#fail(error, again);
      return undefined;
    } finally {
      this.set({ busy: this.state.busy - 1 });
    }
  }

  #fail(error, again) {
    if (!(error instanceof api.Problem)) throw error;
    error.again = again;
    if (error.status === 401) return this.set({ needsKey: true });
    const same = (p) => p.title === error.title && p.detail === error.detail;
    if (!this.state.problems.some(same)) this.set({ problems: [...this.state.problems, error] });
  }

  dismiss(problem) {
    this.set({ problems: this.state.problems.filter((p) => p !== problem) });
  }

  async useKey(key) {
    api.setKey(key);
    this.set({ needsKey: false, problems: [] });
    await this.start();
  }

  /** Do again what failed; an event keeps its id, so that it cannot count twice. */
  async retry(problem) {
    this.dismiss(problem);
    await problem.again();
  }

  /** Whether the service can know this viewer: a user, or a visitor who has done something. */
  get known() {
    return Boolean(this.state.who.user || this.state.who.acted);
  }

  // ---- items -------------------------------------------------------------------------------------------------

  item(id) {
    return this.state.catalogue.get(id) ?? { item_id: id, title: "", categories: [] };
  }

  title(id) {
    return this.item(id).title || id;
  }

  /** Know these items' fields: slates name items only by id, so each item is asked for once. */
  async #learn(ids) {
    const missing = [...new Set(ids)].filter((id) => id && !this.state.catalogue.has(id) && !this.#asked.has(id));
    if (!missing.length) return;
    missing.forEach((id) => this.#asked.add(id));
    const found = await Promise.allSettled(missing.map((id) => api.item(id)));
    const catalogue = new Map(this.state.catalogue);
    found.forEach((answer, i) => {
      if (answer.status === "fulfilled") catalogue.set(missing[i], answer.value.data);
      else this.#asked.delete(missing[i]);
    });
    this.set({ catalogue });
  }

  async #take(slateItems) {
    await this.#learn(slateItems.map((entry) => entry.item_id));
    // The items that reasons rest on may come later: a card is worth showing before its reason can be worded.
    void this.#learn(slateItems.flatMap((entry) => entry.reasons.map((reason) => reason.because)));
  }

  // ---- shelves -----------------------------------------------------------------------------------------------

  /**
   * Ask for all shelves anew. `fresh`: another viewer, so nothing has moved; `keep`: what moved is still told
   * against the order before the act that came before.
   */
  async refresh({ fresh = false, keep = false } = {}) {
    const turn = ++this.#turn;
    const current = () => turn === this.#turn;
    const { who, category } = this.state;
    if (fresh) {
      const shelves = Object.fromEntries(Object.keys(this.state.shelves).map((name) => [name, emptyShelf()]));
      this.set({ shelves, history: null, seed: null });
    }
    const fill = (name, request, filter) => this.#fill(name, request, { current, keep }, filter);
    await Promise.all([
      fill("foryou", this.#recommend(who, category, current)),
      fill("trending", api.trending(SHELF_LENGTH)),
      category ? fill("category", api.trending(SHELF_LENGTH, category)) : null,
      this.#refreshHistory(who, current, fill),
    ]);
  }

  async #recommend(who, category, current) {
    const answer = await api.recommend(who, SHELF_LENGTH, category);
    if (current()) {
      const { as_of: asOf = null, degraded = [] } = answer.data;
      this.set({ ms: answer.ms, asOf, degraded });
    }
    return answer;
  }

  async #refreshHistory(who, current, fill) {
    // A visitor who has done nothing yet is unknown to the service.
    const request = this.known ? api.history(who, HISTORY_LENGTH) : { data: { items: [] } };
    await this.#try(request, async ({ data }) => {
      if (!current()) return;
      this.set({ history: data.items });
      await this.#learn(data.items.map((entry) => entry.item_id));
      const seed = this.#seedOf(data.items);
      if (!current()) return;
      if (!seed) return this.#setShelf("because", { ...emptyShelf(), status: "ready" });
      // Another seed makes another shelf: there is nothing to compare it with.
      if (seed.item_id !== this.state.seed?.item_id) this.#setShelf("because", { ...emptyShelf() });
      this.set({ seed });
      const seen = new Set(data.items.map((entry) => entry.item_id));
      await fill("because", api.similar(seed.item_id, SHELF_LENGTH * 2), (entry) => !seen.has(entry.item_id));
    });
  }

  /** The newest liked thing among the last ten acts, by how telling the act is; null when nothing was liked. */
  #seedOf(history) {
    const good = history.slice(0, 10).filter((entry) => entry.reward > 0 && TELLING.includes(entry.type));
    const strong = good.filter((entry) => !["view", "click", "dwell"].includes(entry.type));
    return strong[0] ?? good[0] ?? null;
  }

  async #fill(name, request, { current, keep }, filter = () => true) {
    this.set({ busy: this.state.busy + 1 });
    try {
      const { data } = await request;
      await this.#take(data.items);
      if (!current()) return;
      this.#show(name, data, filter, keep);
    } catch (error) {
      if (!current()) return;
      this.#setShelf(name, { status: "failed" });
      this.#fail(error, () => this.refresh({ keep: true }));
    } finally {
      this.set({ busy: this.state.busy - 1 });
    }
  }

  #show(name, data, filter, keep) {
    const shelf = this.state.shelves[name];
    const items = data.items.filter(filter).slice(0, SHELF_LENGTH);
    const now = items.map((entry) => entry.item_id);
    const first = shelf.status === "loading";
    const before = first ? now : keep ? shelf.before : shelf.items.map((entry) => entry.item_id);
    const { moves, gone } = compare(before ?? now, now);
    this.#setShelf(name, { status: "ready", items, slate: data.slate_id ?? null, before, moves, gone });
  }

  async browse(category) {
    this.set({ category });
    this.#setShelf("category", emptyShelf());
    await this.refresh();
    this.set({ news: { browsed: category, counts: count(this.state.shelves.foryou) } });
  }

  // ---- acts --------------------------------------------------------------------------------------------------

  /**
   * Tell the service what the viewer did, then show what it made of it.
   * @param {string} type click, like, dislike, skip, rating, dwell
   * @param {string} id the item
   * @param {{value?: number, slate?: string, position?: number}} place where it was, and how much of it
   */
  async act(type, id, { value, slate, position } = {}) {
    const event = { event_id: api.newId(), ...api.subject(this.state.who), item_id: id, type };
    if (value !== undefined) event.value = value;
    if (slate) Object.assign(event, { slate_id: slate, position });
    await this.#send(event);
  }

  async #send(event) {
    const { type, item_id: id, value } = event;
    const done = await this.#try(api.sendEvent(event, { keepalive: type === "dwell" }), () => true, () => this.#send(event));
    if (!done) return;
    if (!this.known) this.#remember({ ...this.state.who, acted: true });
    // A dwell ends the visit that a click began: what moved is told against the order before that visit.
    await this.refresh({ keep: type === "dwell" });
    this.set({ news: { type, id, value, counts: count(this.state.shelves.foryou) } });
  }

  open(id, place = {}) {
    this.set({ detail: { id, place, similar: null } });
    void this.act("click", id, place);
    void this.#try(api.similar(id, 8), async ({ data }) => {
      await this.#take(data.items);
      if (this.state.detail?.id === id) this.set({ detail: { ...this.state.detail, similar: data.items } });
    });
  }

  close(seconds) {
    const { detail } = this.state;
    if (!detail) return;
    this.set({ detail: null });
    if (seconds >= 0.5) void this.act("dwell", detail.id, { ...detail.place, value: Math.round(seconds * 10) / 10 });
  }

  /** What this viewer last said of an item: {like: bool, dislike: bool, skip: bool, stars: number}. */
  opinion(id) {
    const opinion = { like: false, dislike: false, skip: false, stars: 0 };
    for (const entry of this.state.history ?? []) {
      if (entry.item_id !== id) continue;
      if (entry.type === "rating" && !opinion.stars) opinion.stars = entry.value;
      const said = opinion.like || opinion.dislike || opinion.skip;
      if (!said && ["like", "dislike", "skip"].includes(entry.type)) opinion[entry.type] = true;
    }
    return opinion;
  }

  // ---- search ------------------------------------------------------------------------------------------------

  async search(text) {
    const turn = ++this.#searchTurn;
    const wanted = text.trim();
    if (!wanted) return this.set({ search: { text: "", status: "idle", items: [] } });
    this.set({ search: { ...this.state.search, text: wanted, status: "loading" } });
    try {
      const { data } = await api.search(wanted, SHELF_LENGTH);
      await this.#take(data.items);
      if (turn === this.#searchTurn) this.set({ search: { text: wanted, status: "ready", items: data.items } });
    } catch (error) {
      if (turn !== this.#searchTurn) return;
      this.set({ search: { text: wanted, status: "failed", items: [] } });
      this.#fail(error, () => this.search(wanted));
    }
  }

  // ---- people ------------------------------------------------------------------------------------------------

  #remember(who) {
    localStorage.setItem(WHO, JSON.stringify(who));
    this.set({ who });
  }

  async become(who, news = { became: who }) {
    this.#remember(who);
    this.set({ news });
    await this.refresh({ fresh: true });
  }

  async logIn(user) {
    const { session } = this.state.who;
    const merged = await this.#try(api.merge(session, user), () => true);
    if (merged) await this.become({ user }, { merged: user });
    return Boolean(merged);
  }

  /** Erase the viewer; resolves to the certificate, or undefined when the service refused. */
  async eraseMe() {
    const certificate = await this.#try(api.erase(this.state.who), ({ data }) => data);
    if (certificate) await this.become({ session: api.newId() });
    return certificate;
  }

  findUsers(prefix, limit) {
    return this.#try(api.users(prefix, limit), ({ data }) => data.users);
  }
}
