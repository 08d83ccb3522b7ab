// Follows the log live: rows come as server-sent events, filtered by the server; paused, they wait to be let in.
const tail = document.getElementById("tail");
const tailRows = document.getElementById("log-rows");
const tailState = document.getElementById("tail-state");
const tailSwitch = document.getElementById("tail-switch");
const tailSpoken = document.getElementById("tail-spoken");
const MOST_TAIL_ROWS = 100;
let tailSource;
let tailIsPaused = false;
const tailWaiting = new Map();
let tailUnspoken = 0;

function showTail() {
  const isOpen = tailSource.readyState === EventSource.OPEN;
  const isLive = isOpen && !tailIsPaused;
  sayTail(isLive ? "live" : "waiting", isLive ? "Live" : isOpen ? "Paused" : "Not connected, trying");
}

function sayTail(name, text) {
  tailState.className = `badge live is-${name}`;
  tailState.lastElementChild.textContent = text;
  tailState.hidden = false;
}

function tailFresh(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  addLocalTimes(template.content);
  return [...template.content.querySelectorAll("tr")].filter((row) => !document.getElementById(row.id));
}

// A long request may end after shorter ones that began later: each row goes where its start belongs.
function letIn(rows) {
  for (const row of rows) {
    const older = [...tailRows.children].find((other) => Number(other.dataset.at) <= Number(row.dataset.at));
    row.classList.add("is-new");
    tailRows.insertBefore(row, older ?? null);
  }
  while (tailRows.children.length > MOST_TAIL_ROWS) tailRows.lastElementChild.remove();
  document.getElementById("log-card").hidden = !tailRows.children.length;
  if (rows.length) document.getElementById("log-empty")?.remove();
  tailUnspoken += rows.length;
}

function hearTail(html) {
  const fresh = tailFresh(html);
  if (!tailIsPaused) return letIn(fresh);
  for (const row of fresh) {
    // A new connection sends again what waits already, in its order.
    tailWaiting.delete(row.id);
    tailWaiting.set(row.id, row);
  }
  while (tailWaiting.size > MOST_TAIL_ROWS) tailWaiting.delete(tailWaiting.keys().next().value);
  if (tailWaiting.size) tailSwitch.textContent = `Resume, ${tailWaiting.size} new`;
}

function followTail() {
  tailSource = new EventSource(tail.dataset.tail);
  tailSource.addEventListener("open", showTail);
  tailSource.addEventListener("rows", (event) => hearTail(event.data));
  tailSource.addEventListener("end", () => {
    tailSource.close();
    tailSwitch.hidden = true;
    sayTail("waiting", "Signed out");
  });
  tailSource.addEventListener("error", () => {
    showTail();
    // A refused stream (too many open tabs) is final for the browser: ask again later.
    if (tailSource.readyState === EventSource.CLOSED) setTimeout(followTail, 10000);
  });
}

function switchTail() {
  if (!tailSource) {
    followTail();
    tailSwitch.textContent = "Pause";
    return;
  }
  tailIsPaused = !tailIsPaused;
  tailSwitch.textContent = tailIsPaused ? "Resume" : "Pause";
  showTail();
  if (tailIsPaused) return;
  letIn([...tailWaiting.values()]);
  tailWaiting.clear();
}

if (tail) {
  tail.hidden = false;
  tailSwitch.addEventListener("click", switchTail);
  // A screen reader hears a number now and then, not every row.
  setInterval(() => {
    if (tailUnspoken) tailSpoken.textContent = `${tailUnspoken} new ${tailUnspoken === 1 ? "request" : "requests"}`;
    tailUnspoken = 0;
  }, 5000);
}
