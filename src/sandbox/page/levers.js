// Everything that sets how this Meta behaves. A form is filled when its part is opened, so that nothing is typed over.

import { el } from "/bubble.js";
import { call } from "/net.js";

const $ = (id) => document.getElementById(id);
const form = (id) => $(id).querySelector("form");
const NAMES = { messages: "sends", receipts: "receipts", uploads: "uploads", media: "questions about files", downloads: "downloads", templates: "template calls" };
const EVENTS = ["APPROVED", "PAUSED", "DISABLED", "REJECTED", "PENDING", "REINSTATED", "FLAGGED", "ARCHIVED", "UNARCHIVED", "DELETED"];

let person = () => null;
let complain = () => {};

// --- rules

function timesOf(value) {
  if (value === "always") return value;
  return value.includes(".") ? { share: Number(value) } : { next: Number(value) };
}

function outcomeOf(value) {
  if (value === "delay") return { delay: { ms: 3000 } };
  if (!/^\d/.test(value)) return value;
  const [code, status] = value.split("/").map(Number);
  return { error: status ? { code, status } : { code } };
}

function many(rule) {
  if (rule.times === "always") return "all";
  return rule.times.next ? `next ${rule.times.next - rule.met}` : `${rule.times.share * 100} % of`;
}

const whose = (rule) => (rule.phone ? ` of +${rule.phone}` : "");

function faultInWords(rule) {
  const { outcome } = rule;
  const what = outcome.error
    ? `error ${outcome.error.code}${outcome.error.status ? ` as ${outcome.error.status}` : ""}`
    : outcome.come_back ? `error ${outcome.come_back.code}, to come back after ${outcome.come_back.after_seconds} s`
      : outcome.delay ? `${outcome.delay.ms} ms later` : outcome.replace("_", " ");
  return `${many(rule)} ${NAMES[rule.at]}${whose(rule)}: ${what} (met ${rule.met})`;
}

function statusInWords(rule) {
  const { effect } = rule;
  // A string has a `repeat` of its own.
  const what = typeof effect === "string" ? effect.replace("_", " ") : effect.delay ? `${effect.delay.ms} ms late`
    : effect.repeat ? `${effect.repeat.more} more, each ${effect.repeat.after_ms} ms later`
      : effect.shuffle ? `shuffled by ${effect.shuffle.window}`
        : `failed with ${effect.fail.code}`;
  const which = effect.fail ? "messages" : `${rule.status ?? ""} statuses`.trim();
  return `${many(rule)} ${which}${whose(rule)}: ${what} (met ${rule.met})`;
}

async function drawRules(id, path, inWords) {
  const { rules } = await call("GET", path);
  const items = rules.map((rule) => {
    const button = el("button", { type: "button", ariaLabel: "Remove this rule" }, "✕");
    button.addEventListener("click", () => call("DELETE", `${path}/${rule.id}`).then(draw).catch(complain));
    return el("li", {}, el("span", {}, inWords(rule)), button);
  });
  $(id).querySelector("ul").replaceChildren(...items);
  const badge = $(id).querySelector(".badge");
  badge.hidden = rules.length === 0;
  badge.textContent = String(rules.length);
}

function about(given, rule) {
  return given.get("whose") === "one" ? { ...rule, phone: person().wa_id } : rule;
}

// --- limits, webhook, templates, person

function fill(id, values) {
  for (const field of form(id).elements) {
    if (!(field.name in values)) continue;
    if (field.type === "checkbox") field.checked = values[field.name];
    else field.value = values[field.name] ?? "";
  }
}

function given(id) {
  const fields = [...form(id).elements].filter((field) => field.name);
  const value = (field) => (field.type === "checkbox" ? field.checked : field.type === "number" ? Number(field.value) : field.value);
  return Object.fromEntries(fields.map((field) => [field.name, value(field)]));
}

async function drawLimits(fresh) {
  const { limits, refusals } = await call("GET", "/limits");
  if (fresh) fill("limits", limits);
  const words = Object.entries(refusals).map(([code, count]) => `${count} × ${code}`);
  $("refusals").textContent = words.length ? `Refused so far: ${words.join(", ")}` : "Nothing was refused so far.";
  const { valid, expired } = await call("GET", "/token");
  $("tokens").textContent = `Tokens: ${valid} valid, ${expired} expired.`;
}

async function drawWebhook(fresh) {
  const { url, delivered, ...posting } = await call("GET", "/webhook");
  if (fresh) fill("webhook", posting);
  const { posts, failed, duplicates, pending } = delivered;
  $("posts").textContent = `${url ?? "No address"}: ${posts} POSTs, ${failed} failed, ${duplicates} twice, ${pending} updates waiting.`;
}

async function drawTemplates(fresh) {
  if (!fresh && $("templates").contains(document.activeElement)) return;
  const { templates } = await call("GET", "/templates");
  const items = templates.map((template) => {
    const label = `${template.name} (${template.language}) is ${template.status.toLowerCase()}`;
    const select = el("select", { ariaLabel: `Tell an event of ${template.name}` }, el("option", { value: "" }, "tell …"));
    select.append(...EVENTS.map((event) => el("option", {}, event)));
    select.addEventListener("change", () => {
      call("POST", `/templates/${template.id}/status`, { event: select.value }).then(() => drawTemplates(true)).catch(complain);
    });
    return el("li", {}, el("span", {}, label), select);
  });
  $("templates").querySelector("ul").replaceChildren(...items);
}

function drawProfile(fresh) {
  const phone = person();
  if (!phone) return;
  if (fresh) fill("profile", { username: phone.username, hides_number: phone.hides_number });
  $("stop-marketing").disabled = phone.stops_marketing;
  $("resume-marketing").disabled = !phone.stops_marketing;
}

const PARTS = {
  faults: () => drawRules("faults", "/rules", faultInWords),
  statuses: () => drawRules("statuses", "/status-rules", statusInWords),
  limits: drawLimits,
  webhook: drawWebhook,
  templates: drawTemplates,
  profile: drawProfile,
};

/** Draws what is open anew; of the rules, also how many there are. */
export async function draw() {
  await PARTS.faults();
  await PARTS.statuses();
  for (const id of ["limits", "webhook", "templates", "profile"]) {
    if ($(id).open) await PARTS[id](false);
  }
}

/** Another phone is looked at. */
export function turned() {
  if ($("profile").open) drawProfile(true);
}

const at = (rest) => `/phones/${encodeURIComponent(person().wa_id)}${rest}`;

function onSubmit(target, act) {
  target.addEventListener("submit", (event) => {
    event.preventDefault();
    Promise.resolve(act(new FormData(target))).then(draw).then(() => complain(null)).catch(complain);
  });
}

function onClick(id, act) {
  $(id).addEventListener("click", () => act().then(draw).catch(complain));
}

/** Begins: `whose()` is the phone that is looked at, `tell(error)` shows what went wrong, `go(wa_id)` looks at another. */
export function start(whosePhone, tell, go) {
  person = whosePhone;
  complain = tell;
  for (const [id, part] of Object.entries(PARTS)) {
    $(id).addEventListener("toggle", () => {
      if ($(id).open) Promise.resolve(part(true)).catch(complain);
    });
  }
  onSubmit(form("faults"), (form) => call("POST", "/rules", about(form, {
    at: form.get("at"), times: timesOf(form.get("times")), outcome: outcomeOf(form.get("outcome")),
  })));
  onSubmit(form("statuses"), (form) => call("POST", "/status-rules", about(form, {
    times: timesOf(form.get("times")), effect: JSON.parse(form.get("effect")),
    ...(form.get("status") ? { status: form.get("status") } : {}),
  })));
  onSubmit(form("limits"), () => call("PUT", "/limits", given("limits")));
  onSubmit(form("webhook"), () => call("PUT", "/webhook", given("webhook")));
  onSubmit(form("profile"), () => call("PUT", at(""), given("profile")));
  onSubmit($("move"), async (form) => {
    const wanted = form.get("wa_id").replace(/[^0-9]/g, "");
    await call("POST", at("/change"), { wa_id: wanted });
    $("move").reset();
    go(wanted);
  });
  onClick("expire", () => call("DELETE", "/token"));
  onClick("renew", () => call("POST", "/token", {}));
  onClick("stop-marketing", () => call("POST", at("/preferences"), { marketing: "stop" }));
  onClick("resume-marketing", () => call("POST", at("/preferences"), { marketing: "resume" }));
}
