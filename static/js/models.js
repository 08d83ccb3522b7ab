// Narrows the catalogue while its filters change: the same address that the form would lead to, fetched and swapped in.
const search = document.getElementById("search");
const found = document.getElementById("found");
const count = document.getElementById("count");
const typed = search.querySelector("[type=search]");
let waiting, asked;

function address() {
  const wanted = [...new FormData(search)].filter(([name, value]) => value && !(name === "sort" && value === "name"));
  return `${location.pathname}?${new URLSearchParams(wanted)}`.replace(/\?$/, "");
}

async function narrow() {
  const to = address();
  asked?.abort();
  asked = new AbortController();
  found.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(to, { signal: asked.signal });
    if (!answer.ok) throw new Error(answer.status);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    found.replaceChildren(...page.getElementById("found").childNodes);
    // The status stays the same element, or nobody would hear that it changed.
    count.replaceChildren(...page.getElementById("count").childNodes);
    history.replaceState(null, "", to);
    found.removeAttribute("aria-busy");
  } catch (error) {
    // A newer question has taken over; otherwise the page itself is asked, and says what is wrong.
    if (error.name !== "AbortError") location.assign(to);
  }
}

typed.addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(narrow, 200);
});
search.addEventListener("change", (event) => { if (event.target !== typed) narrow(); });
search.addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(waiting);
  narrow();
});
