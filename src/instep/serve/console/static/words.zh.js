// 简体中文。键与 words.en.js 一致，由测试对照。

const acts = {
  view: "浏览",
  click: "打开",
  like: "喜欢",
  dislike: "不喜欢",
  skip: "跳过",
  dwell: "停留",
  rating: "评分",
  cart: "加入购物车",
  purchase: "购买",
  share: "分享",
};

const because = {
  view: "看过",
  click: "打开过",
  like: "喜欢",
  dwell: "细看过",
  rating: "给过评分的是",
  cart: "加购了",
  purchase: "买过",
  share: "分享过",
};

// 排序器的每个信号一条：不带依据与带依据（历史中的某一项）的说法。
const signals = {};

const sources = {};

// 常见类目的译名；没有译名的照原样显示。
const categories = {
  Action: "动作",
  Adventure: "冒险",
  Animation: "动画",
  Children: "儿童",
  Comedy: "喜剧",
  Crime: "犯罪",
  Documentary: "纪录片",
  Drama: "剧情",
  Fantasy: "奇幻",
  "Film-Noir": "黑色电影",
  Horror: "恐怖",
  IMAX: "巨幕",
  Musical: "歌舞",
  Mystery: "悬疑",
  Romance: "爱情",
  "Sci-Fi": "科幻",
  Thriller: "惊悚",
  War: "战争",
  Western: "西部",
  "(no genres listed)": "未分类",
};

const fields = {
  year: "年份",
  price: "价格",
  stock: "库存",
  brand: "品牌",
  author: "作者",
  language: "语言",
  published_at: "发布时间",
  expires_at: "到期时间",
};

export const zh = {
  pageTitle: "Instep：实时推荐",
  languageName: "中文",
  languageShort: "中文",
  comma: "，",
  colon: "：",
  space: "",
  skipToShelves: "跳到推荐内容",
  retry: "重试",
  dismiss: "知道了",
  close: "关闭",
  cancel: "取消",
  loading: "加载中",
  justNow: "刚刚",

  search: "按语义搜索",
  searchHint: "试试“适合孩子看的太空冒险”",
  searchResults: (q) => `与“${q}”语义最接近的内容`,
  searchNothing: (q) => `没有找到与“${q}”相关的内容。`,
  clearSearch: "清除搜索",
  switchLanguage: "语言",
  help: "键盘快捷键",

  forYou: "为你推荐",
  becauseYou: (type, title) =>
    type === "rating" ? `因为你给“${title}”打过分` : `因为你${because[type] ?? "选过"}“${title}”`,
  trending: "热门",
  trendingIn: (category) => `${category} · 热门`,
  browse: "按类目浏览",
  allCategories: "全部",
  moreCategories: (n) => `还有 ${n} 个`,
  fewerCategories: "收起",
  category: (name) => categories[name] ?? name,
  emptyShelf: "这里还没有内容。",
  emptyCatalogue: "目录还是空的。导入内容后就会出现在这里。",
  newcomer: "初次见面。随便打开、喜欢或跳过几个，每一步都会立刻改变这里的推荐。",
  left: "已移出",

  isNew: "新",
  newHere: "新出现",
  wentUp: (n) => `上升 ${n} 位`,
  wentDown: (n) => `下降 ${n} 位`,
  did: (type, title, value) =>
    ({
      click: `你打开了“${title}”。`,
      like: `你喜欢“${title}”。`,
      dislike: `你不喜欢“${title}”。`,
      skip: `你跳过了“${title}”。`,
      rating: `你给“${title}”打了 ${value} 星。`,
      dwell: `你在“${title}”停留了 ${value} 秒。`,
    })[type] ?? `${acts[type] ?? "操作"}：“${title}”。`,
  moved: (counts) => {
    const parts = [];
    if (counts.new) parts.push(`新增 ${counts.new} 个`);
    if (counts.up) parts.push(`上升 ${counts.up} 个`);
    if (counts.down) parts.push(`下降 ${counts.down} 个`);
    if (counts.gone) parts.push(`移出 ${counts.gone} 个`);
    return parts.length ? `“为你推荐”${parts.join("，")}。` : "“为你推荐”没有变化。";
  },
  browsed: (category) => (category ? `正在浏览“${category}”。` : "正在浏览全部类目。"),
  became: (who) => `现在看到的是${who} 的页面。`,

  open: "打开",
  like: "喜欢",
  dislike: "不喜欢",
  skip: "跳过",
  rate: "评分",
  stars: (n) => `${n} 星`,
  act: (verb, title) => `${verb}：${title}`,
  why: "为什么推荐它",
  whyOf: (title) => `为什么推荐“${title}”`,
  exactNumbers: "查看精确数值",
  exactNote: "与候选内容的平均水平相比，每个信号给得分带来的增减。",
  signal: "信号",
  restsOn: "依据",
  contribution: "贡献",
  score: "得分",
  propensity: "在此位置展示的概率",
  foundBy: "召回来源",
  noReasons: "没有特别突出的信号。",
  moreLike: (title) => `与“${title}”相似`,
  dwellNote: (seconds) => `已停留 ${seconds} 秒，关闭时会作为停留时长上报。`,
  details: "详情",
  field: (name) => fields[name] ?? name,
  signals,
  reason: (signal, title) => {
    const known = signals[signal];
    if (known) return title ? known.from(title) : known.alone;
    return title ? `信号“${signal}”，来自“${title}”` : `信号“${signal}”`;
  },
  against: (reason) => `不利因素：${reason}`,
  source: (name) => sources[name] ?? name,

  who: "当前身份",
  visitor: "新访客",
  visitorShort: (session) => `访客 ${session.slice(0, 4)}`,
  user: (id) => `用户 ${id}`,
  pickUser: "切换身份",
  findUser: "输入用户编号的开头来查找",
  noUsers: "没有以此开头的用户编号。",
  manyUsers: (n) => `仅列出前 ${n} 位，继续输入可缩小范围。`,
  beVisitor: "以新访客身份开始",
  logIn: "登录",
  logInNote: "选择你的账号。你作为访客留下的记录会并入该用户的历史。",
  merged: (who) => `已登录为${who}，本次访问已并入其历史。`,
  eraseMe: "抹除我的数据",
  eraseAsk: (who) => `${who} 的所有行为记录都会从日志中删除，模型会重建成从未见过这些数据的样子。此操作无法撤销。`,
  eraseYes: "全部抹除",
  eraseWait: "正在抹除……",
  erased: "已抹除",
  certificate: "抹除凭证",
  certificateNote: "状态哈希等于用剩余日志重新回放得到的结果。请妥善保存，它可以证明数据已被抹除。",
  certificateFields: {
    user_hash: "用户编号的哈希",
    records: "已删除的记录数",
    state_hash: "抹除后的状态哈希",
    offset: "截至事件",
  },
  copy: "复制",
  copied: "已复制",

  history: "你的历史",
  historyOf: (who) => `${who} 的历史`,
  noHistory: "还没有记录。",
  acts,
  acted: (type) => acts[type] ?? type,
  amount: (type, value) =>
    type === "rating" ? `${value} ★` : type === "dwell" ? `${Math.round(value)} 秒` : value == null ? "" : String(value),
  reward: "奖励",
  noReward: "未参与学习",

  answeredIn: (ms) => `响应 ${ms} 毫秒`,
  learnedTo: (n) => `已学到第 ${n} 条事件`,
  degraded: (stages) => `暂时缺少：${stages}`,
  timeout: "服务在十秒内没有响应",
  timeoutDetail: "服务可能正忙或正在启动。当前显示的是上一次的结果。",
  network: "无法连接到服务",
  networkDetail: "请确认服务正在运行、网络已连接。当前显示的是上一次的结果。",
  keyTitle: "此服务需要 API 密钥",
  keyNote: "密钥只保存在当前标签页，也只会发送给此服务。",
  keyLabel: "API 密钥",
  keyUse: "使用此密钥",

  shortcuts: [
    ["/", "搜索"],
    ["U", "切换身份"],
    ["?", "显示本列表"],
    ["← → ↑ ↓", "在卡片和各栏之间移动"],
    ["Home End", "跳到本栏第一张或最后一张"],
    ["Enter", "打开卡片"],
    ["L", "喜欢"],
    ["D", "不喜欢"],
    ["S", "跳过"],
    ["1 … 5", "评分"],
    ["W", "为什么推荐它"],
    ["Esc", "关闭"],
  ],
  shortcutsSwitch: "启用单键快捷键",
};
