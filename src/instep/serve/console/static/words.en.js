// English. Same keys and kinds as words.zh.js: a test compares them.

const things = (n, one, many) => `${n} ${n === 1 ? one : many}`;

const acts = {
  view: "Viewed",
  click: "Opened",
  like: "Liked",
  dislike: "Disliked",
  skip: "Skipped",
  dwell: "Stayed with",
  rating: "Rated",
  cart: "Put in the cart",
  purchase: "Bought",
  share: "Shared",
};

const because = {
  view: "viewed",
  click: "opened",
  like: "liked",
  dwell: "spent time with",
  rating: "rated",
  cart: "put in your cart",
  purchase: "bought",
  share: "shared",
};

// One entry a signal of the ranker (`instep.score.signals`): its topic, and its words when it rests on an item of the
// history. The topics claim nothing about high or low: a signal may count either way.
const signals = {
  popular_300_events: { alone: "Popularity at this moment" },
  popular_3000_events: { alone: "Popularity just now" },
  popular_hours: { alone: "Popularity in the last hours" },
  popular_day: { alone: "Popularity today" },
  popular_week: { alone: "Popularity this week" },
  popular_month: { alone: "Popularity this month" },
  popular_ever: { alone: "Popularity over all time" },
  popular_stage: { alone: "Popularity with viewers as far along as you" },
  next: { alone: "What follows your history", from: (title) => `Follows ${title}` },
  around: { alone: "What is chosen around your history", from: (title) => `Chosen around ${title}` },
  together: { alone: "What goes with your history", from: (title) => `Goes with ${title}` },
  pattern: { alone: "The pattern of your history", from: (title) => `Fits a pattern with ${title}` },
  sequence: { alone: "The order of your history", from: (title) => `Comes later than ${title}` },
  vectors: { alone: "The taste you share with others", from: (title) => `Shares its audience with ${title}` },
  text_recent: { alone: "Text like your last choices", from: (title) => `Text similar to ${title}` },
  text_profile: { alone: "Text like your whole history", from: (title) => `Text close to ${title}` },
  text: { alone: "What the text says", from: (title) => `Text similar to ${title}` },
  new: { alone: "How long it has been here" },
  idle: { alone: "How lately somebody chose it" },
  momentum: { alone: "Chosen more than expected lately" },
  liked: { alone: "How well others like it" },
  category: { alone: "Your usual categories", from: (title) => `Same categories as ${title}` },
  disliked: { alone: "How near it is to what you declined", from: (title) => `Resembles ${title}, which you declined` },
  again: { alone: "You chose it before", from: (title) => `You chose ${title} before` },
  again_often: { alone: "How often you chose it", from: (title) => `How often you chose ${title}` },
  constant: { alone: "The same for every item" },
  trending: { alone: "Trending now" },
};

// One entry a retriever (`instep.retrieve`): who found the item.
const sources = {
  neighbours: "Goes with your history",
  trending: "Trending now",
  category: "Trending in this category",
  fresh: "New here",
  text: "Close in meaning",
  dense: "Close to your taste",
  again: "You chose it before",
  asked: "Looked up",
  search: "Close in meaning",
  similar: "Often taken with it, or alike in text",
};

export const en = {
  pageTitle: "Instep: live recommendations",
  languageName: "English",
  languageShort: "EN",
  comma: ", ",
  colon: ": ",
  space: " ",
  skipToShelves: "Skip to the shelves",
  retry: "Try again",
  dismiss: "Dismiss",
  close: "Close",
  cancel: "Cancel",
  loading: "Loading",
  justNow: "just now",

  search: "Search by meaning",
  searchHint: "Try “space adventure for kids”",
  searchResults: (q) => `Closest in meaning to “${q}”`,
  searchNothing: (q) => `Nothing found for “${q}”.`,
  clearSearch: "Clear the search",
  switchLanguage: "Language",
  help: "Keyboard shortcuts",

  forYou: "For you",
  becauseYou: (type, title) => `Because you ${because[type] ?? `chose (${type})`} ${title}`,
  trending: "Trending",
  trendingIn: (category) => `Trending in ${category}`,
  browse: "Browse a category",
  allCategories: "Everything",
  moreCategories: (n) => `${n} more`,
  fewerCategories: "Fewer",
  category: (name) => name,
  emptyShelf: "Nothing to show here yet.",
  emptyCatalogue: "The catalogue is empty. Import some items and they will appear here.",
  newcomer: "You are new here. Open, like or skip anything: every act changes this shelf at once.",
  left: "Left the shelf",

  isNew: "New",
  newHere: "new on this shelf",
  wentUp: (n) => `up ${n}`,
  wentDown: (n) => `down ${n}`,
  did: (type, title, value) =>
    ({
      click: `You opened ${title}.`,
      like: `You liked ${title}.`,
      dislike: `You disliked ${title}.`,
      skip: `You skipped ${title}.`,
      rating: `You gave ${title} ${things(value, "star", "stars")}.`,
      dwell: `You spent ${things(value, "second", "seconds")} with ${title}.`,
    })[type] ?? `${type}: ${title}.`,
  moved: (counts) => {
    const parts = [];
    if (counts.new) parts.push(`${counts.new} new`);
    if (counts.up) parts.push(`${counts.up} up`);
    if (counts.down) parts.push(`${counts.down} down`);
    if (counts.gone) parts.push(`${counts.gone} gone`);
    return parts.length ? `For you: ${parts.join(", ")}.` : "For you stayed as it was.";
  },
  browsed: (category) => (category ? `Browsing ${category}.` : "Browsing everything."),
  became: (who) => `Showing what ${who} sees.`,

  open: "Open",
  like: "Like",
  dislike: "Dislike",
  skip: "Skip",
  rate: "Rate",
  stars: (n) => things(n, "star", "stars"),
  act: (verb, title) => `${verb}: ${title}`,
  why: "Why it is here",
  whyOf: (title) => `Why ${title} is here`,
  exactNumbers: "Exact numbers",
  exactNote: "What each signal added to the score, compared with the average candidate.",
  signal: "Signal",
  restsOn: "Rests on",
  contribution: "Contribution",
  score: "Score",
  propensity: "Chance of being shown here",
  foundBy: "Found by",
  noReasons: "No signal stands out.",
  moreLike: (title) => `More like ${title}`,
  dwellNote: (seconds) => `${things(seconds, "second", "seconds")} with it so far. Sent as dwell time when you close.`,
  details: "Details",
  field: (name) => name.replaceAll("_", " "),
  signals,
  reason: (signal, title) => {
    const known = signals[signal];
    if (known) return title && known.from ? known.from(title) : known.alone;
    return title ? `“${signal}” signal, from ${title}` : `“${signal}” signal`;
  },
  against: (reason) => `against: ${reason}`,
  source: (name) => sources[name] ?? name,

  who: "Who is looking",
  visitor: "New visitor",
  visitorShort: (session) => `Visitor ${session.slice(0, 4)}`,
  user: (id) => `User ${id}`,
  pickUser: "See the page as somebody",
  findUser: "Find a user by the beginning of the id",
  noUsers: "No user id begins like this.",
  manyUsers: (n) => `The first ${n}. Type to narrow them down.`,
  beVisitor: "Start as a new visitor",
  logIn: "Log in",
  logInNote: "Pick the user you are. What you did as a visitor becomes part of that user’s history.",
  merged: (who) => `Logged in as ${who}. Your visit is now part of this history.`,
  eraseMe: "Erase me",
  eraseAsk: (who) =>
    `Everything ${who} ever did is deleted from the log, and the model is rebuilt as if it had never been. This cannot be undone.`,
  eraseYes: "Erase everything",
  eraseWait: "Erasing …",
  erased: "Erased",
  certificate: "Certificate of erasure",
  certificateNote: "The state hash is what a clean replay of the remaining log gives. Keep it: it proves the erasure.",
  certificateFields: {
    user_hash: "Hash of the user id",
    records: "Records deleted",
    state_hash: "State hash afterwards",
    offset: "Up to event",
  },
  copy: "Copy",
  copied: "Copied",

  history: "Your history",
  historyOf: (who) => `History of ${who}`,
  noHistory: "Nothing yet.",
  acts,
  acted: (type) => acts[type] ?? type,
  amount: (type, value) =>
    type === "rating" ? `${value} ★` : type === "dwell" ? `${Math.round(value)} s` : value == null ? "" : String(value),
  reward: "Reward",
  noReward: "not learned from",

  answeredIn: (ms) => `answered in ${ms} ms`,
  learnedTo: (n) => `learned up to event ${n}`,
  degraded: (stages) => `Working without: ${stages}`,
  timeout: "The service did not answer within ten seconds",
  timeoutDetail: "It may be busy or starting. What you see is the last answer it gave.",
  network: "The service cannot be reached",
  networkDetail: "Check that it is running and that you are connected. What you see is the last answer it gave.",
  keyTitle: "This service asks for an API key",
  keyNote: "It is kept in this tab only, and sent to this service only.",
  keyLabel: "API key",
  keyUse: "Use this key",

  shortcuts: [
    ["/", "Search"],
    ["U", "Choose who is looking"],
    ["?", "This list"],
    ["← → ↑ ↓", "Move between cards and shelves"],
    ["Home End", "First or last card of a shelf"],
    ["Enter", "Open the card"],
    ["L", "Like the card"],
    ["D", "Dislike it"],
    ["S", "Skip it"],
    ["1 … 5", "Rate it"],
    ["W", "Why it is here"],
    ["Esc", "Close"],
  ],
  shortcutsSwitch: "Single-key shortcuts are on",
};
