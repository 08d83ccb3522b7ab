// The command palette: Ctrl K, or "/", opens it; words narrow it, arrows choose, Enter goes.
const palette = document.getElementById("palette");
const paletteWords = document.getElementById("palette-words");
const paletteList = document.getElementById("palette-list");
const paletteButton = document.querySelector("[data-palette]");
const paletteItems = () => [...paletteList.querySelectorAll(".palette-item")];
const paletteShown = () => paletteItems().filter((item) => !item.hidden);
const FIND_AFTER_MS = 150;
let paletteTimer = 0;

function choosePaletteItem(chosen) {
  paletteItems().forEach((item, number) => {
    item.id = `palette-item-${number}`;
    item.setAttribute("aria-selected", item === chosen);
  });
  paletteWords.setAttribute("aria-activedescendant", chosen?.id ?? "");
  chosen?.scrollIntoView({ block: "nearest" });
}

function narrowPalette() {
  const words = paletteWords.value.toLowerCase().split(/\s+/);
  for (const item of paletteList.querySelectorAll("[data-words]")) item.hidden = !words.every((word) => item.dataset.words.includes(word));
  choosePaletteItem(paletteShown()[0]);
  clearTimeout(paletteTimer);
  paletteTimer = setTimeout(findForPalette, FIND_AFTER_MS, paletteWords.value.trim());
}

// What the server knows beside the places: a request, models, the documentation.
async function findForPalette(words) {
  const answer = words && (await fetch(`${palette.dataset.find}?q=${encodeURIComponent(words)}`).catch(() => null));
  const { found } = answer?.ok ? await answer.json() : { found: [] };
  if (words !== paletteWords.value.trim()) return;
  for (const item of paletteList.querySelectorAll("[data-found]")) item.remove();
  paletteList.append(...found.map(paletteItem));
  choosePaletteItem(paletteList.querySelector("[aria-selected=true]") ?? paletteShown()[0]);
}

function paletteItem({ label, group, path }) {
  const item = document.createElement("li");
  const link = document.createElement("a");
  const name = document.createElement("span");
  Object.assign(item, { className: "palette-item", role: "option" });
  Object.assign(link, { className: "palette-link", href: path, tabIndex: -1, textContent: `${label} ` });
  Object.assign(name, { className: "palette-group", textContent: group });
  item.dataset.found = "";
  link.append(name);
  item.append(link);
  return item;
}

function openPalette() {
  paletteWords.value = "";
  narrowPalette();
  palette.showModal();
}

function moveInPalette(step) {
  const shown = paletteShown();
  const at = shown.findIndex((item) => item.ariaSelected === "true");
  choosePaletteItem(shown[(at + step + shown.length) % shown.length]);
}

paletteButton.hidden = false;
paletteButton.addEventListener("click", openPalette);
paletteWords.addEventListener("input", narrowPalette);
palette.addEventListener("click", (event) => { if (event.target === palette) palette.close(); });
paletteWords.addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown" || event.key === "ArrowUp") moveInPalette(event.key === "ArrowDown" ? 1 : -1);
  else if (event.key === "Enter") palette.querySelector("[aria-selected=true] a")?.click();
  else return;
  event.preventDefault();
});
addEventListener("keydown", (event) => {
  const isTyping = event.target.matches("input, textarea, select, [contenteditable]");
  if ((event.key === "k" && (event.ctrlKey || event.metaKey)) || (event.key === "/" && !isTyping)) {
    event.preventDefault();
    if (!palette.open) openPalette();
  }
});
