// The command palette: Ctrl K, or "/", opens it; words narrow it, arrows choose, Enter goes.
const palette = document.getElementById("palette");
const paletteWords = document.getElementById("palette-words");
const paletteItems = [...palette.querySelectorAll(".palette-item")];
const paletteButton = document.querySelector("[data-palette]");
const paletteShown = () => paletteItems.filter((item) => !item.hidden);

function choosePaletteItem(chosen) {
  for (const item of paletteItems) item.setAttribute("aria-selected", item === chosen);
  paletteWords.setAttribute("aria-activedescendant", chosen?.id ?? "");
  chosen?.scrollIntoView({ block: "nearest" });
}

function narrowPalette() {
  const words = paletteWords.value.toLowerCase().split(/\s+/);
  for (const item of paletteItems) item.hidden = !words.every((word) => item.dataset.words.includes(word));
  choosePaletteItem(paletteShown()[0]);
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

paletteItems.forEach((item, number) => { item.id = `palette-item-${number}`; });
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
    openPalette();
  }
});
