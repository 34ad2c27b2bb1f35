// The page: which phone, its conversation, the composer, the faults. The server is the truth; an event says "look again".

import { bubble, el, rows } from "/bubble.js";

const $ = (id) => document.getElementById(id);
const SHOWN = 300; // newest messages of a conversation on the page
const LOOK_AGAIN_MS = 5000; // a typing indicator ends without an event

let phones = [];
let current = decodeURIComponent(location.hash.slice(1)) || null;
const drawn = new Map(); // wamid → {signature, element}

async function call(method, path, body) {
  const answer = await fetch(path, { method, body: body && JSON.stringify(body) });
  const json = await answer.json();
  if (!answer.ok) throw new Error(json.detail ?? answer.statusText);
  return json;
}

const at = (rest) => `/phones/${encodeURIComponent(current)}/${rest}`;

function complain(error) {
  $("problem").hidden = !error;
  $("problem").textContent = error ? String(error.message ?? error) : "";
}

// --- looking

let looking = false;
let again = false;
let lost = false;
let later;

function lose(why) {
  lost = true;
  complain(`The sandbox does not answer. ${why}`);
}

async function look() {
  if (looking) {
    again = true;
    return;
  }
  looking = true;
  try {
    do {
      again = false;
      await lookOnce();
    } while (again);
    if (lost) complain(null);
    lost = false;
  } catch (error) {
    lose(error.message);
  } finally {
    looking = false;
  }
}

async function lookOnce() {
  const state = await call("GET", "/phones");
  phones = state.phones;
  if (!phones.some((phone) => phone.wa_id === current)) current = phones[0]?.wa_id ?? null;
  drawPhones();
  drawTrouble(state.webhook);
  await drawRules();
  if (current === null) return;
  const shown = current;
  const { messages } = await call("GET", at(`messages?last=${SHOWN}`));
  if (shown !== current) return;
  const phone = phones.find((one) => one.wa_id === current);
  drawPerson(phone, state.business);
  drawChat(messages, phone.typing);
  clearTimeout(later);
  if (phone.typing) later = setTimeout(look, LOOK_AGAIN_MS);
  if (phone.unread > 0 && document.visibilityState === "visible") await call("POST", at("open"));
}

function choose(phone) {
  if (phone === current) return;
  current = phone;
  history.replaceState(null, "", `#${encodeURIComponent(phone)}`);
  drawn.clear();
  $("chat").replaceChildren();
  $("typed").focus();
  look();
}

// --- drawing

const hue = (phone) => `face-${[...phone.wa_id].reduce((sum, digit) => sum + Number(digit), 0) % 6}`;
const initial = (phone) => [...phone.name.replace("+", "")][0]?.toUpperCase() ?? "?";

function preview(phone) {
  if (phone.typing) return "typing…";
  const last = phone.last;
  if (!last) return `+${phone.wa_id}`;
  const words = last.text || { image: "📷 Photo" }[last.kind] || last.kind.replaceAll("_", " ");
  return (last.from === "phone" ? "You: " : "") + words.split("\n")[0];
}

function drawPhones() {
  const focused = document.activeElement?.dataset?.phone;
  const items = phones.map((phone) => {
    const unread = phone.unread > 0 && phone.wa_id !== current
      ? el("span", { className: "badge", ariaLabel: `${phone.unread} unread` }, String(phone.unread))
      : null;
    const button = el(
      "button",
      { type: "button" },
      el("span", { className: `avatar ${hue(phone)}`, ariaHidden: "true" }, initial(phone)),
      el("span", { className: "who" }, el("strong", {}, phone.name), el("small", {}, preview(phone))),
      unread,
    );
    button.dataset.phone = phone.wa_id;
    if (phone.wa_id === current) button.setAttribute("aria-current", "true");
    button.addEventListener("click", () => choose(phone.wa_id));
    return el("li", {}, button);
  });
  $("phones").replaceChildren(...items);
  if (focused) $("phones").querySelector(`[data-phone="${CSS.escape(focused)}"]`)?.focus();
}

function drawPerson(phone, business) {
  $("face").textContent = initial(phone);
  $("face").className = `avatar ${hue(phone)}`;
  $("name").textContent = `${phone.name}'s phone`;
  $("number").textContent = `+${phone.wa_id} writes to +${business.display_phone_number}`;
  $("line").textContent = phone.typing ? "the bot is typing…" : "";
}

function drawTrouble(webhook) {
  const { trouble, pending } = webhook.delivered;
  const words = webhook.url === null
    ? "No webhook address is set: what you type waits."
    : trouble && `${pending} waiting: ${trouble}. Trying again.`;
  $("trouble").hidden = !words;
  $("trouble").textContent = words ?? "";
}

function welcome() {
  const chips = ["hi", "menu"].map((word) => {
    const chip = el("button", { type: "button" }, word);
    chip.addEventListener("click", () => say({ text: word }));
    return chip;
  });
  return el("div", { className: "welcome" }, el("p", {}, "Nothing here yet. Say something to the bot:"), ...chips);
}

function drawChat(messages, typing) {
  const chat = $("chat");
  const atEnd = chat.scrollHeight - chat.scrollTop - chat.clientHeight < 80;
  const reactions = new Map();
  for (const { kind, context, from, text } of messages.filter((entry) => entry.kind === "reaction")) {
    reactions.set(context, new Map(reactions.get(context)).set(from, text));
  }
  let grown = false;
  const keep = [];
  for (const entry of messages.filter((one) => one.kind !== "reaction")) {
    const emojis = [...(reactions.get(entry.wamid)?.values() ?? [])].filter(Boolean);
    // What the bot wrote shows no ticks, so its status changes nothing, and a focused button stays focused.
    const signature = `${entry.from === "phone" ? entry.status : ""}${emojis}`;
    const known = drawn.get(entry.wamid);
    let element = known?.element;
    if (known?.signature !== signature) {
      element = bubble(entry, emojis, (id) => say({ press: id }), openSheet);
      if (known) known.element.replaceWith(element);
      else grown = true;
      drawn.set(entry.wamid, { signature, element });
    }
    keep.push(element);
  }
  if (keep.length === 0) keep.push(chat.querySelector(".welcome") ?? welcome());
  if (typing) keep.push(chat.querySelector(".typing") ?? el("div", { className: "typing" }, el("i"), el("i"), el("i")));
  keep.forEach((element, index) => {
    if (chat.children[index] !== element) chat.insertBefore(element, chat.children[index] ?? null);
  });
  while (chat.children.length > keep.length) chat.lastElementChild.remove();
  if (atEnd || grown) chat.scrollTop = chat.scrollHeight;
}

// --- speaking

async function say(what) {
  try {
    await call("POST", at("messages?wait=0"), what);
    complain(null);
    await look();
    return true;
  } catch (error) {
    complain(error);
    return false;
  }
}

async function sendTyped() {
  const field = $("typed");
  const text = field.value.trim();
  if (text === "" || current === null) return;
  field.value = "";
  grow();
  if (!(await say({ text }))) field.value ||= text;
}

function grow() {
  const field = $("typed");
  field.rows = Math.min(6, field.value.split("\n").length);
}

function openSheet(entry) {
  $("sheet-title").textContent = entry.list_button;
  const press = (id) => {
    $("sheet").close();
    say({ press: id });
  };
  $("sheet-rows").replaceChildren(...rows(entry, press));
  $("sheet").showModal();
}

// --- faults

function outcomeOf(value) {
  if (value === "delay") return { delay: { ms: 3000 } };
  return /^\d+$/.test(value) ? { error: { code: Number(value) } } : value;
}

function timesOf(value) {
  if (value === "always") return value;
  return value === "share" ? { share: 0.05 } : { next: Number(value) };
}

function ruleInWords(rule) {
  const { times, outcome } = rule;
  const many = times === "always" ? "all sends" : times.next ? `next ${times.next - rule.met} sends` : `${times.share * 100} % of sends`;
  const what = outcome.error ? `error ${outcome.error.code}` : outcome.delay ? `${outcome.delay.ms} ms later` : outcome.replace("_", " ");
  return `${many}${rule.phone ? ` of +${rule.phone}` : ""}: ${what} (met ${rule.met})`;
}

async function drawRules() {
  const { rules } = await call("GET", "/rules");
  const items = rules.map((rule) => {
    const button = el("button", { type: "button", ariaLabel: "Remove this fault" }, "✕");
    button.addEventListener("click", () => call("DELETE", `/rules/${rule.id}`).then(drawRules, complain));
    return el("li", {}, el("span", {}, ruleInWords(rule)), button);
  });
  $("rules").replaceChildren(...items);
  $("rule-count").hidden = rules.length === 0;
  $("rule-count").textContent = String(rules.length);
}

async function setRule(form) {
  const given = new FormData(form);
  const rule = { times: timesOf(given.get("times")), outcome: outcomeOf(given.get("outcome")) };
  if (given.get("whose") === "one") rule.phone = current;
  await call("POST", "/rules", rule);
  await drawRules();
}

// --- starting

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  sendTyped();
});
$("typed").addEventListener("input", grow);
$("typed").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  sendTyped();
});
$("photo").addEventListener("click", () => {
  const caption = $("typed").value.trim();
  $("typed").value = "";
  say(caption ? { image: true, caption } : { image: true });
});
$("rule").addEventListener("submit", (event) => {
  event.preventDefault();
  setRule(event.target).catch(complain);
});
$("sheet-close").addEventListener("click", () => $("sheet").close());
$("sheet").addEventListener("click", (event) => {
  if (event.target === $("sheet")) $("sheet").close();
});
document.addEventListener("visibilitychange", look);

const events = new EventSource("/events");
events.addEventListener("message", look);
events.addEventListener("error", () => lose("Is it still running?"));
look().then(() => $("typed").focus());
