// The page: which phone, its conversation, the composer. The server is the truth; an event says "look again".

import { bubble, el, rows } from "/bubble.js";
import * as levers from "/levers.js";
import { call } from "/net.js";

const $ = (id) => document.getElementById(id);
const SHOWN = 300; // newest messages of a conversation on the page
const LOOK_AGAIN_MS = 5000; // a typing indicator ends without an event

let phones = [];
let current = decodeURIComponent(location.hash.slice(1)) || null;
const drawn = new Map(); // wamid → {signature, element}

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
  await levers.draw();
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
  levers.turned();
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
  const shown = phone.hides_number ? " as someone without a number" : "";
  $("number").textContent = `+${phone.wa_id} writes to +${business.display_phone_number}${shown}`;
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
      element = bubble(entry, emojis, { press: (id) => say({ press: id }), open: openSheet, listen });
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

function listen(wamid) {
  call("POST", at(`play?${new URLSearchParams({ wamid })}`)).catch(complain);
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
$("attach").addEventListener("click", () => $("file").click());
$("file").addEventListener("change", async () => {
  const [file] = $("file").files;
  $("file").value = "";
  if (!file || current === null) return;
  const caption = $("typed").value.trim();
  const query = new URLSearchParams({ wait: "0", filename: file.name, ...(caption ? { caption } : {}) });
  const type = { "Content-Type": file.type || "application/octet-stream" };
  try {
    await call("POST", at(`media?${query}`), file, type);
    $("typed").value = "";
    complain(null);
    await look();
  } catch (error) {
    complain(error);
  }
});
$("sheet-close").addEventListener("click", () => $("sheet").close());
$("sheet").addEventListener("click", (event) => {
  if (event.target === $("sheet")) $("sheet").close();
});
document.addEventListener("visibilitychange", look);

const events = new EventSource("/events");
events.addEventListener("message", look);
events.addEventListener("error", () => lose("Is it still running?"));
levers.start(
  () => phones.find((phone) => phone.wa_id === current) ?? null,
  complain,
  (wa_id) => choose(wa_id),
);
look().then(() => $("typed").focus());
