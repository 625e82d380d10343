"use strict";
// Lists messages, newest first, opens one as its reader sees it, and asks again only when the server says so.
const PAGE = 200;
const at = (id) => document.getElementById(id);
const list = at("list"), reader = at("reader"), search = at("search");
const title = document.title;
let kind = "", newest = 0, open = "", unseen = 0;

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function button(className, text, action) {
  const made = element("button", className, text);
  made.type = "button";
  made.addEventListener("click", action);
  return made;
}

function when(seconds, full) {
  const moment = new Date(seconds * 1000);
  const today = moment.toDateString() === new Date().toDateString();
  const time = { hour: "2-digit", minute: "2-digit", second: full ? "2-digit" : undefined };
  return moment.toLocaleString([], today && !full ? time : { day: "numeric", month: "short", ...time });
}

const subject = (message) => (message.kind === "sms" ? "Text message" : message.subject);

async function fetched(after) {
  const query = new URLSearchParams({ kind, q: search.value.trim(), after, limit: PAGE });
  const answer = await fetch("/inbox/messages?" + query);
  return answer.json();
}

// From the beginning: the search or the kind is another, or the inbox was emptied.
let asked = 0;
async function reload() {
  const mine = ++asked;
  const messages = await fetched(0);
  if (mine !== asked) return;
  newest = messages.length ? messages[0].number : 0;
  list.replaceChildren(...messages.map(row));
  counted();
}

// Only what came since; what stands keeps its place, its focus and its scrolling.
let updating = Promise.resolve();
function update() {
  updating = updating.then(async () => {
    if (!newest) return reload();
    const messages = await fetched(newest);
    if (!messages.length || messages.length === PAGE) return reload();
    newest = messages[0].number;
    list.prepend(...messages.map(row));
    while (list.children.length > PAGE) list.lastElementChild.remove();
    if (document.hidden) unseen += messages.length;
    counted();
  }).catch(() => undefined);
}

function counted() {
  const number = list.children.length;
  at("count").textContent = number ? (number < PAGE ? number : PAGE + "+") : "";
  at("nothing").hidden = number > 0;
  at("nothing").textContent = search.value || kind ? "Nothing matches." : "No message has come yet.";
  document.title = unseen ? "(" + unseen + ") " + title : title;
}

function row(message) {
  const chosen = button("", undefined, () => show(message));
  chosen.dataset.id = message.id;
  const top = element("div", "top");
  const time = element("time", "", when(message.at));
  time.dateTime = new Date(message.at * 1000).toISOString();
  top.append(element("span", "to", message.to), time);
  chosen.append(
    element("span", "badge", message.kind === "sms" ? "SMS" : "Mail"), top, element("div", "subject", subject(message)),
    element("div", "preview", message.text.replace(/\s+/g, " ").slice(0, 140)),
  );
  chosen.setAttribute("aria-current", String(message.id === open));
  const item = element("li");
  item.append(chosen);
  return item;
}

function show(message) {
  open = message.id;
  history.replaceState(null, "", "#" + message.id);
  for (const other of list.querySelectorAll("button")) {
    other.setAttribute("aria-current", String(other.dataset.id === open));
  }
  const facts = element("dl");
  for (const [name, value] of [["From", message.from], ["To", message.to], ["Sent", when(message.at, true)]]) {
    facts.append(element("dt", "", name), element("dd", "", value));
  }
  const bar = element("div", "bar");
  const body = message.kind === "sms" ? element("div", "bubble", message.text) : views(message, bar);
  const code = message.text.match(/(?<!\d)\d{6}(?!\d)/);
  if (code) bar.append(copying(code[0]));
  reader.replaceChildren(element("h2", "", subject(message)), facts, bar, body);
  reader.scrollTop = 0;
}

function views(message, bar) {
  let shown = element("div");
  const made = { Mail: () => frame(message), Text: () => element("pre", "", message.text) };
  const tabs = Object.entries(made).map(([name, make]) => button("", name, (event) => choose(event.target, make)));
  function choose(tab, make) {
    for (const other of tabs) other.setAttribute("aria-pressed", String(other === tab));
    const next = make();
    shown.replaceWith(next);
    shown = next;
  }
  bar.append(...tabs);
  const first = message.html ? 0 : 1;
  choose(tabs[first], made[tabs[first].textContent]);
  return shown;
}

function frame(message) {
  const made = element("iframe");
  made.setAttribute("sandbox", "allow-popups allow-popups-to-escape-sandbox");
  made.title = message.subject;
  made.src = "/inbox/messages/" + message.id + "/html";
  return made;
}

function copying(code) {
  const made = button("copy", "Copy ", async () => {
    await navigator.clipboard.writeText(code);
    made.firstChild.textContent = "Copied ";
  });
  made.append(element("b", "", code));
  return made;
}

async function linked() {
  const id = location.hash.slice(1);
  if (!id || id === open) return;
  const answer = await fetch("/inbox/messages/" + encodeURIComponent(id));
  if (answer.ok) show(await answer.json());
}

for (const choice of at("kinds").children) {
  choice.addEventListener("click", () => {
    kind = choice.dataset.kind;
    for (const other of at("kinds").children) other.setAttribute("aria-pressed", String(other === choice));
    reload();
  });
}
let typing;
search.addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(reload, 150); });
at("clear").addEventListener("click", () => {
  if (confirm("Delete every message in this inbox?")) fetch("/inbox/messages", { method: "DELETE" });
});
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && document.activeElement !== search) {
    event.preventDefault();
    search.focus();
    return;
  }
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const rows = [...list.querySelectorAll("button")];
  if (!step || !rows.length || document.activeElement === reader) return;
  event.preventDefault();
  const next = rows[rows.findIndex((one) => one.dataset.id === open) + step];
  if (next) { next.focus(); next.click(); }
});
document.addEventListener("visibilitychange", () => { if (!document.hidden) { unseen = 0; counted(); } });
addEventListener("hashchange", linked);

const events = new EventSource("/inbox/events");
events.addEventListener("open", () => { at("offline").hidden = true; update(); });
events.addEventListener("error", () => { at("offline").hidden = false; });
events.addEventListener("changed", update);
linked();
update();
