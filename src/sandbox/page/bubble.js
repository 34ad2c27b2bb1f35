// Turns messages into elements. Text only ever becomes text nodes: nothing that a bot writes is read as HTML.

const SVG = "http://www.w3.org/2000/svg";

/** An element with properties and children; a child that is null or undefined is left out. */
export function el(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// WhatsApp's marks, which have to touch their words: *bold* _italic_ ~strike~ ```mono``` `code`; and web addresses.
const MARKS = new RegExp(
  [
    "```(?<pre>[^]+?)```",
    "`(?<code>[^`\\n]+)`",
    "(?<link>https?://[^\\s<>\"]*[^\\s<>\".,;:!?)*_~])",
    "(?<![\\p{L}\\p{N}*])\\*(?<strong>[^\\s*](?:[^*\\n]*[^\\s*])?)\\*(?![\\p{L}\\p{N}*])",
    "(?<![\\p{L}\\p{N}_])_(?<em>[^\\s_](?:[^_\\n]*[^\\s_])?)_(?![\\p{L}\\p{N}_])",
    "(?<![\\p{L}\\p{N}~])~(?<s>[^\\s~](?:[^~\\n]*[^\\s~])?)~(?![\\p{L}\\p{N}~])",
  ].join("|"),
  "gu",
);

/** Text with WhatsApp's marks as a list of nodes. */
export function formatted(text) {
  const nodes = [];
  let from = 0;
  for (const match of text.matchAll(MARKS)) {
    nodes.push(text.slice(from, match.index));
    const [mark, inner] = Object.entries(match.groups).find(([, value]) => value !== undefined);
    if (mark === "link") nodes.push(link(inner, inner));
    else if (mark === "pre" || mark === "code") nodes.push(el("code", {}, inner));
    else nodes.push(el(mark, {}, ...formatted(inner)));
    from = match.index + match[0].length;
  }
  nodes.push(text.slice(from));
  return nodes.filter((node) => node !== "");
}

function link(url, label) {
  return el("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, label);
}

function icon(className, ...paths) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 20 12");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", className);
  for (const path of paths) {
    const stroke = document.createElementNS(SVG, "path");
    stroke.setAttribute("d", path);
    svg.append(stroke);
  }
  return svg;
}

const TICKS = ["M2 6.5 5.5 10 12.5 2", "M8.5 9 9.5 10 16.5 2"];
const STATES = {
  accepted: "waiting for the bot's webhook",
  sent: "sent",
  delivered: "delivered",
  read: "read",
  played: "played",
  failed: "failed",
};

function foot(entry) {
  const at = new Date(entry.at);
  const time = el("time", { dateTime: at.toISOString() }, at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
  if (entry.from === "business") return el("p", { className: "foot", title: entry.wamid }, time);
  const state = STATES[entry.status] ?? entry.status;
  const ticks = ["accepted", "sent"].includes(entry.status) ? TICKS.slice(0, 1) : TICKS;
  const mark = entry.status === "failed" ? el("span", { className: "failed" }, "!") : icon(`ticks ${entry.status}`, ...ticks);
  const words = el("span", { className: "hidden" }, state);
  return el("p", { className: "foot", title: `${state} · ${entry.wamid}` }, time, mark, words);
}

const FILES = { image: "📷 Picture", video: "🎬 Video", audio: "🎤 Voice note", document: "📄 Document", sticker: "💟 Sticker" };
const NOTES = { location: "📍 ", contacts: "👤 ", edit: "✏️ ", revoke: "🗑️ deleted a message", form: "📝 ", order: "🛒 ", system: "ℹ️ ", unsupported: "🚫 " };

/** The file of a message: shown where the sandbox has its bytes, else as words or a link. */
function file(entry, kind, listen) {
  const src = `/files/${entry.media}`;
  const who = entry.from === "phone" ? "you" : "the bot";
  if (!entry.media) return el("p", { className: "file" }, entry.url ? link(entry.url, FILES[kind]) : FILES[kind]);
  if (kind === "image" || kind === "sticker") return el("img", { className: kind, src, alt: `A picture from ${who}`, loading: "lazy" });
  if (kind === "video") return el("video", { src, controls: true, preload: "none", ariaLabel: `A film from ${who}` });
  if (kind === "audio") {
    const audio = el("audio", { src, controls: true, preload: "none", ariaLabel: `A voice note from ${who}` });
    if (entry.from === "business" && entry.voice) audio.addEventListener("play", () => listen(entry.wamid), { once: true });
    return audio;
  }
  return el("p", { className: "file" }, link(src, FILES[kind]));
}

function body(entry, listen) {
  const parts = [];
  const head = /^\[(image|video|document)\]$/.exec(entry.header ?? "");
  if (head) parts.push(file({ ...entry, url: null }, head[1], listen));
  else if (entry.header) parts.push(el("p", { className: "head" }, ...formatted(entry.header)));
  if (FILES[entry.kind]) parts.push(file(entry, entry.kind, listen));
  if (entry.text || NOTES[entry.kind]) parts.push(el("p", { className: "text" }, NOTES[entry.kind] ?? "", ...formatted(entry.text)));
  if (entry.footer) parts.push(el("p", { className: "footer" }, ...formatted(entry.footer)));
  return parts;
}

/** The buttons under a message. `press(id)` is called with the id, `open(entry)` to show a list. */
function actions(entry, press, open) {
  if (entry.kind === "list") {
    const button = el("button", { type: "button" }, el("span", { ariaHidden: "true" }, "☰ "), entry.list_button);
    button.addEventListener("click", () => open(entry));
    return [button];
  }
  const buttons = (entry.options ?? []).map((option) => {
    const button = el("button", { type: "button" }, option.title);
    button.addEventListener("click", () => press(option.id));
    return button;
  });
  if (entry.url && entry.list_button) buttons.push(link(entry.url, `${entry.list_button} ↗`));
  return buttons;
}

/** One message; `reactions` are the emojis on it. `listen(wamid)` is called when its voice note is played. */
export function bubble(entry, reactions, { press, open, listen }) {
  const side = entry.from === "phone" ? "mine" : "theirs";
  const who = el("span", { className: "hidden" }, side === "mine" ? "You: " : "Bot: ");
  const card = el("div", { className: "card" }, who, ...body(entry, listen), foot(entry));
  if (reactions.length > 0) card.append(el("span", { className: "reactions" }, reactions.join(" ")));
  const buttons = entry.from === "business" ? actions(entry, press, open) : [];
  const under = buttons.length > 0 ? el("div", { className: "actions" }, ...buttons) : null;
  return el("article", { className: `bubble ${side}` }, card, under);
}

/** The rows of a list, under their sections. */
export function rows(entry, press) {
  const nodes = [];
  let section = null;
  for (const option of entry.options) {
    if (option.section && option.section !== section) nodes.push(el("h3", {}, option.section));
    section = option.section;
    const more = option.description ? el("small", {}, option.description) : null;
    const row = el("button", { type: "button" }, el("strong", {}, option.title), more);
    row.addEventListener("click", () => press(option.id));
    nodes.push(row);
  }
  return nodes;
}
