// Keeps the first page of the administration current: each event carries one panel as ready HTML.
const board = document.querySelector("[data-operations]");
const state = document.getElementById("operations-state");

function show(tone, text) {
  Object.assign(state, { hidden: false, className: `badge is-${tone}`, textContent: text });
}

// Whoever is on a link, or has scrolled a table aside, stays there.
function replace(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html").body.firstElementChild;
  const old = document.getElementById(fresh.id);
  const href = old.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  const aside = old.querySelector(".table-box")?.scrollLeft ?? 0;
  old.replaceWith(fresh);
  if (href) [...fresh.querySelectorAll("a")].find((link) => link.getAttribute("href") === href)?.focus();
  if (aside) fresh.querySelector(".table-box")?.scrollTo(aside, 0);
}

function listen() {
  const source = new EventSource(board.dataset.operations);
  source.addEventListener("open", () => show("good", "Live"));
  source.addEventListener("section", (event) => replace(event.data));
  source.addEventListener("end", () => [source.close(), show("warn", "Signed out")]);
  source.addEventListener("error", () => {
    show("warn", "Reconnecting");
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 10000);
  });
}

if (board) listen();
