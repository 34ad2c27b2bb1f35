// How the page talks to its server.

/** Calls the server; an answer that is no success is an error in its own words. */
export async function call(method, path, body, headers = {}) {
  const answer = await fetch(path, { method, headers, body: body instanceof Blob ? body : body && JSON.stringify(body) });
  const json = await answer.json();
  if (!answer.ok) throw new Error(json.detail ?? answer.statusText);
  return json;
}
