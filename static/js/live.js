// Keeps the dashboard current from the server-sent events of data-live; each event carries ready HTML.
const page = document.querySelector("[data-live]");
const rows = document.getElementById("requests");
const state = document.getElementById("live-state");
const spoken = document.getElementById("live-spoken");
const MOST_ROWS = 50;
let unspoken = 0;

function show(name, text) {
  state.className = `badge live is-${name}`;
  state.lastElementChild.textContent = text;
  state.hidden = false;
}

function parse(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  addLocalTimes(template.content);
  return template.content;
}

// Sections are replaced as a whole, except that an open table of hours stays open.
function replace(html) {
  const fresh = parse(html).firstElementChild;
  const old = document.getElementById(fresh.id);
  const details = fresh.querySelector("details");
  if (details) details.open = old.querySelector("details").open;
  old.replaceWith(fresh);
}

// A long request may end after shorter ones that began later: each row goes where its start belongs.
function insert(html) {
  const fresh = [...parse(html).querySelectorAll("tr")].filter((row) => !document.getElementById(row.id));
  if (!fresh.length) return;
  document.getElementById("requests-empty").hidden = true;
  document.getElementById("requests-card").hidden = false;
  for (const row of fresh.reverse()) {
    row.classList.add("is-new");
    const older = [...rows.children].find((other) => Number(other.dataset.at) <= Number(row.dataset.at));
    rows.insertBefore(row, older ?? null);
  }
  while (rows.children.length > MOST_ROWS) rows.lastElementChild.remove();
  unspoken += fresh.length;
}

// A screen reader hears a number now and then, not every row.
setInterval(() => {
  if (unspoken) spoken.textContent = `${unspoken} new ${unspoken === 1 ? "request" : "requests"}`;
  unspoken = 0;
}, 5000);

function listen() {
  const source = new EventSource(page.dataset.live);
  source.addEventListener("open", () => show("live", "Live"));
  source.addEventListener("section", (event) => replace(event.data));
  source.addEventListener("rows", (event) => insert(event.data));
  source.addEventListener("end", () => {
    source.close();
    show("waiting", "Signed out");
  });
  source.addEventListener("error", () => {
    show("waiting", "Reconnecting");
    // A refused stream (too many open tabs) is final for the browser: ask again later.
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 10000);
  });
}

if (page) listen();
