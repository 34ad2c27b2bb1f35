// Shows the OpenAPI document of this server. Everything of it is put into the page as text, never as markup.

const DOCUMENT = "/api/whatsapp/openapi.json";
const DEEPEST = 8;

const at = (id) => document.getElementById(id);
let spec = {};

function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== undefined && child !== null && child !== ""));
  return node;
}

/** Text in which `words` between backticks are code. */
function words(text = "") {
  return text.split("`").map((part, i) => (i % 2 ? el("code", {}, part) : part));
}

function paragraphs(text = "") {
  return text.split(/\n\s*\n/).map((part) => el("p", {}, words(part)));
}

function resolve(thing) {
  let seen = 0;
  while (thing && thing.$ref && seen++ < DEEPEST) {
    thing = thing.$ref.split("/").slice(1).reduce((inner, key) => inner?.[key], spec);
  }
  return thing ?? {};
}

function nameOf(schema) {
  return schema?.$ref ? schema.$ref.split("/").pop() : "";
}

/** What a schema allows, in a few words. */
function kind(schema) {
  const name = nameOf(schema);
  schema = resolve(schema);
  if (schema.oneOf) {
    const parts = schema.oneOf.map(kind).filter((part, i, all) => all.indexOf(part) === i);
    return name && parts.length > 3 ? name : parts.join(" or ");
  }
  if (schema.type === "array") return `list of ${kind(schema.items)}`;
  const type = [schema.type ?? (schema.allOf ? "object" : "anything")].flat().join(" or ");
  return name && (schema.properties || schema.allOf) ? name : type;
}

/** What a field is about, and what holds of it. */
function sentence(field) {
  const held = limits(field);
  return [about(field), held && `(${held})`].filter(Boolean).join(" ");
}

/** A schema without the word that it may be null. */
function present(schema) {
  const several = resolve(schema).oneOf?.filter((one) => one.type !== "null");
  return several?.length === 1 ? several[0] : schema;
}

/** What else holds of a value. */
function limits(schema) {
  schema = resolve(present(schema));
  const told = [];
  if (schema.enum) told.push(schema.enum.map((word) => `\`${word}\``).join(", "));
  if (schema.format === "date-time") told.push("RFC 3339");
  if (schema.minLength !== undefined && schema.maxLength !== undefined) {
    told.push(`${schema.minLength} to ${schema.maxLength} characters`);
  } else if (schema.maxLength !== undefined) told.push(`up to ${schema.maxLength} characters`);
  if (schema.minimum !== undefined || schema.maximum !== undefined) {
    told.push(schema.maximum === undefined ? `${schema.minimum} or more` : `${schema.minimum ?? "…"} to ${schema.maximum}`);
  }
  if (schema.maxItems !== undefined) told.push(`${schema.minItems ?? 0} to ${schema.maxItems} entries`);
  if (schema.default !== undefined) told.push(`\`${schema.default}\` when left out`);
  const example = schema.examples?.[0] ?? schema.example;
  if (example !== undefined && typeof example !== "object") told.push(`like \`${example}\``);
  return told.join("; ");
}

/** The object inside: behind references, in lists, one of several. */
function inner(schema) {
  schema = resolve(schema);
  if (schema.type === "array") return inner(schema.items);
  if (schema.oneOf) {
    const objects = schema.oneOf.map(inner).filter(Boolean);
    return objects.length === 1 ? objects[0] : undefined;
  }
  return schema.properties || schema.allOf ? schema : undefined;
}

function fieldsOf(schema) {
  schema = resolve(schema);
  if (schema.allOf) return schema.allOf.flatMap(fieldsOf);
  const needed = schema.required ?? [];
  return Object.entries(schema.properties ?? {}).map(([name, field]) => [name, field, needed.includes(name)]);
}

/** One of which groups of fields has to be there. */
function choices(schema) {
  const all = resolve(schema).allOf ?? [];
  return all.filter((part) => part.oneOf?.every((one) => one.required)).map((part) => part.oneOf.flatMap((one) => one.required));
}

function fields(schema, told, deep = 0) {
  const list = el("ul", { class: "fields" });
  for (const group of choices(schema)) {
    list.append(el("li", { class: "soft" }, "Exactly one of ", words(group.map((name) => `\`${name}\``).join(", ")), "."));
  }
  for (const [name, field, needed] of fieldsOf(schema)) {
    const head = [
      el("code", {}, name), " ", el("span", { class: "type" }, kind(field)), " ",
      needed && told ? el("span", { class: "must" }, "needed") : "",
      el("div", { class: "soft" }, words(sentence(field))),
    ];
    const within = inner(field);
    if (within && deep < DEEPEST && fieldsOf(within).length) {
      const open = el("details", {}, el("summary", {}, head));
      // Filled when it is opened: a schema may be deep.
      open.addEventListener("toggle", () => open.append(fields(within, told, deep + 1)), { once: true });
      list.append(el("li", {}, open));
    } else {
      list.append(el("li", {}, head));
    }
  }
  return list;
}

function shown(value) {
  return el("pre", {}, el("code", {}, typeof value === "string" ? value : JSON.stringify(value, null, 2)));
}

/** The examples of a body, one at a time. */
function examples(content) {
  const all = content.examples ? Object.entries(content.examples).map(([name, example]) => [name, resolve(example).value]) : [];
  if (content.example !== undefined) all.unshift(["example", content.example]);
  if (!all.length) return "";
  const place = el("div", {}, shown(all[0][1]));
  if (all.length === 1) return place;
  const choose = el("select", { "aria-label": "Example" }, all.map(([name], i) => el("option", { value: i }, name)));
  choose.addEventListener("change", () => place.replaceChildren(shown(all[choose.value][1])));
  return el("div", {}, choose, place);
}

function variants(schema) {
  const one = resolve(schema).oneOf;
  if (!one || one.length < 2 || !one.every((part) => part.$ref)) return fields(inner(schema) ?? schema, true);
  return el("div", {}, one.map((part) => {
    const open = el("details", { class: "answer" }, el("summary", {}, el("code", {}, nameOf(part)), " ", el("span", { class: "soft" }, about(part))));
    open.addEventListener("toggle", () => open.append(fields(part, true)), { once: true });
    return open;
  }));
}

function about(schema) {
  const given = schema.description ?? present(schema).description;
  if (given) return given;
  schema = resolve(present(schema));
  return schema.description ?? schema.allOf?.map(resolve).find((part) => part.description)?.description ?? "";
}

function curl(method, path, operation) {
  const body = operation.requestBody && Object.entries(operation.requestBody.content)[0];
  const parts = ["curl -s"];
  if (method !== "GET" && !(method === "POST" && body)) parts.push(`-X ${method}`);
  parts.push(`'${location.origin}${path}'`);
  if (operation.security?.length) parts.push("-H \"Authorization: Bearer $KEY\"");
  if (body?.[0] === "application/json") {
    const example = body[1].example ?? Object.values(body[1].examples ?? {}).map((one) => one.value)[0] ?? {};
    parts.push("-H 'Content-Type: application/json'", `-d '${JSON.stringify(example).replaceAll("'", "'\\''")}'`);
  } else if (body) {
    parts.push("-H 'Content-Type: application/pdf'", "--data-binary @offer.pdf");
  }
  return parts.join(" \\\n  ");
}

function answers(operation) {
  return Object.entries(operation.responses).map(([status, answer]) => {
    answer = resolve(answer);
    const open = el("details", { class: "answer" }, el("summary", {}, el("code", {}, status), " ", words(answer.description)));
    open.addEventListener("toggle", () => {
      const body = el("div", { class: "body" });
      for (const [name, header] of Object.entries(answer.headers ?? {})) {
        body.append(el("p", { class: "soft" }, "Header ", el("code", {}, name), ": ", words(resolve(header).description)));
      }
      for (const [type, content] of Object.entries(answer.content ?? {})) {
        body.append(el("p", { class: "soft" }, el("code", {}, type), " ", nameOf(content.schema)));
        const within = inner(content.schema);
        if (within) body.append(fields(within, false));
        body.append(examples(content));
      }
      open.append(body);
    }, { once: true });
    return open;
  });
}

function endpoint(path, method, operation) {
  const scope = operation.security?.flatMap((one) => Object.values(one).flat())[0];
  const card = el("details", { class: "endpoint", id: operation.operationId },
    el("summary", {},
      el("span", { class: `method ${method}` }, method),
      el("span", { class: "path" }, path),
      el("span", { class: "soft" }, words(operation.summary)),
      el("span", { class: "scope" }, scope ?? "no key")));
  card.addEventListener("toggle", () => {
    // The summary stands above already.
    const more = (operation.description ?? "").replace(operation.summary ?? "", "").trim();
    const inside = el("div", { class: "inside" }, more && el("div", {}, paragraphs(more)));
    if (operation.parameters?.length) {
      const list = el("ul", { class: "fields" }, operation.parameters.map(resolve).map((parameter) => el("li", {},
        el("code", {}, parameter.name), " ",
        el("span", { class: "type" }, `${kind(parameter.schema)}, in ${parameter.in === "query" ? "the query" : `the ${parameter.in}`}`), " ",
        parameter.required ? el("span", { class: "must" }, "needed") : "",
        el("div", { class: "soft" }, words([parameter.description, limits(parameter.schema) && `(${limits(parameter.schema)})`].filter(Boolean).join(" "))))));
      inside.append(el("h3", {}, "Parameters"), list);
    }
    const body = Object.entries(operation.requestBody?.content ?? {});
    if (body.length) {
      inside.append(el("h3", {}, "Body"), el("p", { class: "soft" }, words(operation.requestBody.description)));
      for (const [type, content] of body) {
        inside.append(el("p", { class: "soft" }, el("code", {}, type)));
        if (inner(content.schema) || resolve(content.schema).oneOf) inside.append(variants(content.schema));
        inside.append(examples(content));
      }
    }
    inside.append(el("h3", {}, "Answers"), ...answers(operation));
    inside.append(el("h3", {}, "In a shell"), shown(curl(method, path, operation)));
    card.append(inside);
  }, { once: true });
  return card;
}

function operations() {
  return Object.entries(spec.paths).flatMap(([path, item]) =>
    Object.entries(item).filter(([, one]) => one.operationId).map(([method, one]) => [path, method.toUpperCase(), one]));
}

function render() {
  at("version").textContent = `${spec.info.title} ${spec.info.version}, OpenAPI ${spec.openapi}`;
  at("about").replaceChildren(...paragraphs(spec.info.description));
  const all = operations();
  const groups = spec.tags.map((tag) => [tag, all.filter(([, , one]) => one.tags?.includes(tag.name))]);
  at("groups").replaceChildren(...groups.filter(([, ours]) => ours.length).map(([tag, ours]) =>
    el("section", { class: "group" }, el("h2", {}, tag.name), el("p", {}, words(tag.description)), ours.map((one) => endpoint(...one)))));
  at("contents").replaceChildren(...groups.filter(([, ours]) => ours.length).map(([tag, ours]) =>
    el("div", {}, el("h2", {}, tag.name), ours.map(([path, method, one]) =>
      el("a", { href: `#${one.operationId}`, "data-of": one.operationId },
        el("span", { class: `method ${method}` }, method), el("span", {}, path.replace("/api/whatsapp", "")))))));
  at("search").hidden = false;
  find();
  openNamed();
}

/** Hides what has not all of the words that are looked for. */
function find() {
  const wanted = at("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  let left = 0;
  for (const [path, method, one] of operations()) {
    const scope = one.security?.flatMap((security) => Object.values(security).flat()).join(" ");
    const text = [path, method, one.summary, one.description, one.operationId, scope].join(" ").toLowerCase();
    const fits = wanted.every((word) => text.includes(word));
    left += fits ? 1 : 0;
    at(one.operationId).hidden = !fits;
    at("contents").querySelector(`[data-of="${one.operationId}"]`).hidden = !fits;
  }
  for (const group of document.querySelectorAll(".group")) {
    group.hidden = !group.querySelector(".endpoint:not([hidden])");
  }
  at("nothing").hidden = left > 0;
}

function openNamed() {
  const card = location.hash && at(decodeURIComponent(location.hash.slice(1)));
  if (card) {
    card.open = true;
    card.scrollIntoView();
  }
}

at("open").addEventListener("submit", async (event) => {
  event.preventDefault();
  const problem = at("problem");
  problem.hidden = true;
  try {
    const answer = await fetch(DOCUMENT, { headers: { Authorization: `Bearer ${at("key").value}` }, cache: "no-store" });
    const body = await answer.json();
    if (!answer.ok) throw new Error(body.detail ?? answer.statusText);
    spec = body;
    at("open").hidden = true;
    at("key").value = "";
    render();
    at("main").focus();
  } catch (error) {
    problem.textContent = error.message;
    problem.hidden = false;
  }
});
at("filter").addEventListener("input", find);
addEventListener("hashchange", openNamed);
