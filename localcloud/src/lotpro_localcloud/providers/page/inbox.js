"use strict";
// Lists the newest messages, opens one as its reader sees it, and asks again only when the server says one came.
const list = document.getElementById("list");
const reader = document.getElementById("reader");
const search = document.getElementById("search");
let kind = "";
let open = "";

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function when(seconds) {
  const at = new Date(seconds * 1000);
  const today = at.toDateString() === new Date().toDateString();
  return today ? at.toLocaleTimeString() : at.toLocaleString();
}

async function refresh() {
  const query = new URLSearchParams({ kind, q: search.value.trim(), limit: "200" });
  const messages = await (await fetch("/inbox/messages?" + query)).json();
  document.getElementById("count").textContent = messages.length ? "(" + messages.length + ")" : "";
  list.replaceChildren(...messages.map(row));
  if (!messages.length) list.append(element("li", "empty", search.value ? "Nothing matches." : "Nothing came yet."));
}

function row(message) {
  const item = element("li");
  const button = element("button");
  const top = element("div", "top");
  top.append(element("span", "to", "to " + message.to), element("time", "", when(message.at)));
  button.append(top);
  button.append(element("div", "subject", message.kind === "sms" ? "Text message" : message.subject));
  button.append(element("div", "preview", message.text.slice(0, 140)));
  button.setAttribute("aria-current", String(message.id === open));
  button.addEventListener("click", () => { open = message.id; show(message); refresh(); });
  item.append(button);
  return item;
}

function show(message) {
  const head = [element("h2", "", message.kind === "sms" ? "Text message" : message.subject)];
  head.push(element("p", "meta", "from " + message.from + " to " + message.to + ", " + when(message.at)));
  if (message.kind === "sms") {
    reader.replaceChildren(...head, element("div", "bubble", message.text));
    return;
  }
  const body = element("div");
  body.style.display = "contents";
  const tabs = element("div", "tabs");
  const views = { Mail: () => frame(message), Text: () => element("pre", "", message.text) };
  for (const [name, make] of Object.entries(views)) {
    const tab = element("button", "", name);
    tab.addEventListener("click", () => choose(tab, make));
    tabs.append(tab);
  }
  function choose(tab, make) {
    for (const other of tabs.children) other.setAttribute("aria-pressed", String(other === tab));
    body.replaceChildren(make());
  }
  reader.replaceChildren(...head, tabs, body);
  choose(tabs.children[message.html ? 0 : 1], message.html ? views.Mail : views.Text);
}

function frame(message) {
  const made = element("iframe");
  made.setAttribute("sandbox", "");
  made.title = message.subject;
  made.src = "/inbox/messages/" + message.id + "/html";
  return made;
}

for (const button of document.querySelectorAll("nav button")) {
  button.addEventListener("click", () => {
    kind = button.dataset.kind;
    for (const other of document.querySelectorAll("nav button")) {
      other.setAttribute("aria-pressed", String(other === button));
    }
    refresh();
  });
}
let pause;
search.addEventListener("input", () => { clearTimeout(pause); pause = setTimeout(refresh, 150); });
new EventSource("/inbox/events").addEventListener("arrived", refresh);
refresh();
