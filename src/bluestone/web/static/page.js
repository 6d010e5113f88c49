// What needs a script: the live tail, dragging over the histogram, keys, and fields unfolded in place.
// What a line says only ever becomes text (textContent): it cannot become markup.
"use strict";

const one = (selector, below = document) => below.querySelector(selector);
const SEVERITIES = ["emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"];

// --- dragging over the histogram ---
const plot = one("#plot");
if (plot) {
  const selection = one("#selection");
  const begin = Number(plot.dataset.begin), end = Number(plot.dataset.end);
  let from = null, dragged = false;
  const share = (event) => {
    const box = plot.getBoundingClientRect();
    return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
  };
  const moment = (part) => new Date((begin + (end - begin) * part) * 1000).toISOString();
  plot.classList.add("drags");
  one(".dragging").hidden = false;
  plot.addEventListener("dragstart", (event) => event.preventDefault());
  plot.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    from = share(event);
    dragged = false;
  });
  plot.addEventListener("pointermove", (event) => {
    if (from === null) return;
    const to = share(event);
    if (!dragged && Math.abs(to - from) * plot.clientWidth < 5) return;
    if (!dragged) plot.setPointerCapture(event.pointerId);
    dragged = true;
    selection.hidden = false;
    selection.style.left = `${Math.min(from, to) * 100}%`;
    selection.style.width = `${Math.abs(to - from) * 100}%`;
  });
  plot.addEventListener("pointerup", (event) => {
    if (from !== null && dragged) {
      const [low, high] = [from, share(event)].sort((a, b) => a - b);
      const address = new URL(location.href);
      address.searchParams.set("since", moment(low));
      address.searchParams.set("until", moment(high));
      address.searchParams.delete("before");
      location.assign(address);
    }
    from = null;
  });
  plot.addEventListener("pointercancel", () => { from = null; selection.hidden = true; });
  plot.addEventListener("click", (event) => { if (dragged) event.preventDefault(); }, true);
}

// --- lines: moving among them, and their fields in place ---
const list = one("#lines");
let current = null;

function choose(line) {
  if (!line) return;
  current?.classList.remove("current");
  current = line;
  line.classList.add("current");
  line.focus({ preventScroll: true });
  line.scrollIntoView({ block: "nearest" });
}

function step(by) {
  const lines = [...document.querySelectorAll(".line")];
  const at = lines.indexOf(current);
  choose(lines[at < 0 ? 0 : Math.min(lines.length - 1, Math.max(0, at + by))]);
}

async function unfold(line) {
  const open = one(".fields", line);
  if (open) return open.remove();
  const answer = await fetch(`/logs/lines/${encodeURIComponent(line.dataset.name)}?part=fields`);
  if (!answer.ok || one(".fields", line)) return;
  const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
  line.append(document.importNode(one(".fields", parsed), true));
}

list?.addEventListener("click", (event) => {
  const line = event.target.closest(".line");
  if (!line || event.target.closest(".fields") || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const link = event.target.closest("a");
  if (link && !link.classList.contains("at")) return;
  if (!link && String(getSelection())) return; // somebody marks text
  event.preventDefault();
  choose(line);
  unfold(line);
});

// --- the live tail ---
const live = one("#live");
const MOST_SHOWN = 2000, MOST_WAITING = 5000, MOST_KNOWN = 50000;

class Tail {
  constructor(element) {
    this.address = element.dataset.address;
    this.position = element.dataset.position;
    this.go = one("#go");
    this.pauser = one("#pause");
    this.said = one("#said");
    this.template = one("#line-template");
    this.known = new Set([...document.querySelectorAll(".line")].map((line) => line.dataset.name));
    this.waiting = [];
    this.on = this.paused = false;
    this.source = null;
    this.go.addEventListener("click", () => this.toggle());
    this.pauser.addEventListener("click", () => this.pause());
    element.hidden = false;
  }

  toggle() {
    this.on = !this.on;
    this.go.setAttribute("aria-pressed", this.on);
    this.pauser.hidden = !this.on;
    if (this.on) this.connect();
    else { this.paused = false; this.disconnect(); this.flush(); }
    this.tell();
  }

  pause() {
    if (!this.on) return;
    this.paused = !this.paused;
    if (!this.paused) { this.flush(); if (!this.source) this.connect(); }
    this.tell();
  }

  connect() {
    this.disconnect();
    const address = new URL(this.address, location.href);
    address.searchParams.set("after", this.position);
    const source = this.source = new EventSource(address);
    source.onopen = () => this.tell();
    source.onmessage = (event) => { this.reached(event); this.take(JSON.parse(event.data)); };
    source.addEventListener("alive", (event) => this.reached(event));
    source.addEventListener("trouble", (event) => this.again(source, `${JSON.parse(event.data)}; trying again …`));
    source.onerror = () => this.again(source, "The connection is lost; trying again …");
  }

  // A new connection, at the position that was reached; not the browser's own way, as that knows no pause.
  again(source, why) {
    if (this.source !== source) return;
    this.disconnect();
    this.said.textContent = why;
    setTimeout(() => { if (this.on && !this.source && this.waiting.length < MOST_WAITING) this.connect(); }, 2000);
  }

  disconnect() {
    this.source?.close();
    this.source = null;
  }

  reached(event) {
    if (event.lastEventId) this.position = event.lastEventId;
  }

  take(line) {
    if (this.known.has(line.name)) return;
    this.known.add(line.name);
    if (this.known.size > MOST_KNOWN) this.known.delete(this.known.values().next().value);
    this.waiting.push(line);
    if (!this.paused) this.soon();
    // Beyond, the store keeps them for us: we come back for them at the position that we have reached.
    else if (this.waiting.length >= MOST_WAITING) this.disconnect();
    this.tell();
  }

  soon() {
    if (this.due) return;
    this.due = setTimeout(() => { this.due = null; if (!this.paused) this.flush(); this.tell(); }, 60);
  }

  flush() {
    for (const line of this.waiting.splice(0)) this.show(line);
    const lines = list.querySelectorAll(".line");
    for (let place = MOST_SHOWN; place < lines.length; place++) lines[place].remove();
  }

  show(line) {
    const made = this.template.content.firstElementChild.cloneNode(true);
    const at = new Date(line.at);
    made.dataset.name = line.name;
    made.classList.add(`s${line.severity}`, "fresh");
    one(".at", made).href = `/logs/lines/${encodeURIComponent(line.name)}`;
    one("time", made).dateTime = line.at;
    one("time", made).textContent = this.clock(at);
    one(".severity", made).textContent = SEVERITIES[line.severity];
    one(".server", made).textContent = line.server;
    one(".server", made).href = this.only(line.server);
    one(".unit", made).textContent = one(".unit", made).title = line.unit;
    one(".message", made).textContent = visible(line.message);
    this.dayOf(at).after(made);
  }

  // In the zone of the page, which is the server's.
  local(at) {
    return new Date(at.getTime() + Number(live.dataset.offset) * 1000).toISOString();
  }

  clock(at) {
    return this.local(at).slice(11, 23);
  }

  // The heading of a day, at the top of the list.
  dayOf(at) {
    const day = this.local(at).slice(0, 10);
    const first = list.firstElementChild;
    if (first?.dataset.day === day) return first;
    const made = document.createElement("li");
    made.className = "day";
    made.dataset.day = made.textContent = day;
    list.prepend(made);
    return made;
  }

  only(server) {
    const address = new URL(location.href);
    const query = address.searchParams.get("q") ?? "";
    address.searchParams.set("q", `${/\bOR\b/.test(query) ? `(${query})` : query} server:="${server}"`.trim());
    address.searchParams.delete("before");
    return address.pathname + address.search;
  }

  tell() {
    this.pauser.textContent = this.paused ? "Go on" : "Pause";
    if (!this.on) this.said.textContent = "";
    else if (this.paused) {
      const more = this.source ? "" : " or more";
      const count = this.waiting.length;
      this.said.textContent = `Paused: ${count}${more} ${count === 1 ? "line waits" : "lines wait"}`;
    } else if (this.source) this.said.textContent = "Lines are shown as they arrive";
  }
}

// As the server does it (render.py): control characters and those that turn the direction are shown, not obeyed.
function visible(text) {
  return text
    .replace(/[\u0000-\u0008\u000b-\u001f]/g, (c) => String.fromCodePoint(0x2400 + c.codePointAt(0)))
    .replace(/[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g,
      (c) => `\u27e8U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}\u27e9`);
}

const tail = live ? new Tail(live) : null;

// --- keys ---
const keys = one("#keys"), help = one("#help");
if (help) {
  help.hidden = false;
  help.addEventListener("click", () => keys.showModal());
}

const ACTIONS = {
  "/": () => one("#q")?.focus(),
  "j": () => step(1),
  "k": () => step(-1),
  "Enter": () => current && unfold(current),
  "c": () => current && location.assign(one(".at", current).href),
  "l": () => tail?.toggle(),
  "p": () => tail?.pause(),
  "o": () => one("#older")?.click(),
  "?": () => keys.showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.matches("input, select, textarea");
  if (event.key === "Escape") {
    if (typing) event.target.blur();
    else if (!keys.open) { one(".fields", current ?? document.createElement("i"))?.remove(); }
    return;
  }
  if (typing || keys.open || !(event.key in ACTIONS)) return;
  if (event.key === "Enter" && event.target.matches("a, button, summary")) return;
  event.preventDefault();
  ACTIONS[event.key]();
});
