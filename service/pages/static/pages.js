// Keeps a page fresh: when the service says that something has changed, the page is asked for again, and those parts of
// it that differ are put in place of the old ones. Everything else works without this script.
"use strict";

const SOON_MILLISECONDS = 700;
const POLL_MILLISECONDS = 5000; // where no event stream can be had, and after an answer that was none
const SLOW_MILLISECONDS = 4000; // between two pictures of the same thing
const placed = new Map(); // by id, when a slow part was last put in place
const seen = new Map(); // by id, what the service last sent for a part: what a visitor opened there is no difference
let waiting = null; // the next refresh, once it is due
let asking = false;
let again = false; // something changed while the page was being asked for
let leaving = false; // a form was sent: where that leads is not to be overtaken

function parts(root) {
  return root.querySelectorAll("[data-live][id]");
}

// Soon, but not more often than people can read and the service likes to be asked.
function refresh(milliseconds = SOON_MILLISECONDS) {
  if (asking) again = true;
  else if (waiting === null) waiting = setTimeout(ask, milliseconds);
}

async function ask() {
  waiting = null;
  if (leaving) return;
  asking = true;
  let well = false;
  try {
    const url = new URL(location.href);
    url.searchParams.delete("done");
    const answer = await fetch(url, { headers: { Accept: "text/html" } });
    if (leaving) return;
    if (answer.redirected || answer.status === 401 || answer.status === 404) {
      const home = document.body.dataset.home;
      location.assign(url.pathname === home ? url : home); // signed out, or the job is gone
      return;
    }
    well = answer.ok;
    if (well) await put(new DOMParser().parseFromString(await answer.text(), "text/html"));
    if (well) await loadFragments();
  } catch {
    // the service does not answer
  } finally {
    asking = false;
    if (!well) refresh(POLL_MILLISECONDS);
    else if (again) refresh();
    again = false;
  }
}

async function put(fresh) {
  const before = states(document);
  for (const part of parts(fresh)) {
    const here = document.getElementById(part.id);
    if (!here || seen.get(part.id) === part.innerHTML) continue;
    const next = document.importNode(part, true);
    if (part.dataset.live === "slow") {
      const early = (placed.get(part.id) ?? 0) + SLOW_MILLISECONDS - Date.now();
      if (early > 0) {
        setTimeout(() => refresh(), early);
        continue;
      }
      placed.set(part.id, Date.now());
      // pictures are fetched before they take the place of those that are there: nothing flickers
      const images = Array.from(next.querySelectorAll("img:not([loading=lazy])"));
      await Promise.all(images.map((image) => image.decode().catch(() => {})));
    }
    const focused = here.contains(document.activeElement) ? document.activeElement.id : null;
    const open = Array.from(here.querySelectorAll("details[open] > summary[id]"), (one) => one.id);
    const typed = Array.from(here.querySelectorAll("input[id]"), (one) => [one.id, one.value, one.checked]);
    seen.set(part.id, part.innerHTML);
    here.replaceChildren(...next.childNodes);
    for (const id of open) if (document.getElementById(id)) document.getElementById(id).parentElement.open = true;
    for (const [id, value, checked] of typed) {
      const input = document.getElementById(id);
      if (input) [input.value, input.checked] = [value, checked];
    }
    if (focused !== null) focus(focused);
  }
  for (const [name, state] of states(document)) {
    if (before.has(name) && before.get(name) !== state) document.getElementById("said").textContent = `${name} ${state}`;
  }
}

// What takes the service a while to work out is asked for by itself, and stays as it is until there is another.
async function loadFragments() {
  for (const part of document.querySelectorAll("[data-fragment]")) {
    const answer = await fetch(part.dataset.fragment, { headers: { Accept: "text/html" } });
    if (!answer.ok) continue; // nothing can be said yet
    const text = await answer.text();
    if (seen.get(part.id) === text) continue;
    seen.set(part.id, text);
    const fresh = new DOMParser().parseFromString(text, "text/html");
    part.replaceChildren(...document.importNode(fresh.body, true).childNodes);
  }
}

function focus(id) {
  document.getElementById(id)?.focus();
  if (document.activeElement.id !== id) document.getElementById("main").focus();
}

// What a screen reader is told, and nothing else: a job has come into another state.
function states(root) {
  const found = new Map();
  for (const badge of root.querySelectorAll(".badge")) {
    const named = badge.parentElement.querySelector("a") ?? badge.parentElement.firstChild;
    found.set(named.textContent.trim(), badge.textContent);
  }
  return found;
}

function follow(path) {
  let stream = null;
  let timer = null;
  const poll = (wanted) => {
    clearInterval(timer);
    timer = wanted ? setInterval(() => refresh(), POLL_MILLISECONDS) : null;
  };
  const begin = () => {
    stream = new EventSource(path);
    stream.addEventListener("changed", () => refresh());
    stream.addEventListener("open", () => poll(false));
    stream.addEventListener("error", () => timer === null && poll(true));
  };
  const end = () => {
    stream.close();
    poll(false);
  };
  // A browser has few connections for each service: a page that nobody looks at needs none.
  document.addEventListener("visibilitychange", () => (document.hidden ? end() : begin()));
  if (!document.hidden) begin();
}

function number(editor) {
  const gutter = document.createElement("pre");
  gutter.className = "gutter";
  gutter.setAttribute("aria-hidden", "true");
  const count = () => {
    const lines = editor.value.split("\n").length;
    gutter.textContent = Array.from({ length: lines }, (_, line) => line + 1).join("\n");
    gutter.scrollTop = editor.scrollTop;
  };
  editor.addEventListener("input", count);
  editor.addEventListener("scroll", () => (gutter.scrollTop = editor.scrollTop));
  editor.before(gutter);
  count();
}

function goTo(editor, line) {
  const lines = editor.value.split("\n");
  const start = lines.slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
  editor.focus();
  editor.setSelectionRange(start, start + lines[line - 1].length);
  editor.scrollTop = Math.max(0, line - 6) * parseFloat(getComputedStyle(editor).lineHeight);
}

document.addEventListener("submit", () => (leaving = true));
for (const part of parts(document)) seen.set(part.id, part.innerHTML);
loadFragments().catch(() => refresh(POLL_MILLISECONDS));
if (document.body.dataset.changes) follow(document.body.dataset.changes);
const editor = document.getElementById("spec");
if (editor) {
  number(editor);
  for (const link of document.querySelectorAll("a[data-line]")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      goTo(editor, Number(link.dataset.line));
    });
  }
}
