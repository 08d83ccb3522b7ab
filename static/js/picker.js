// A searchable list of checkboxes beside the text field that holds what is chosen; either may be used.
for (const picker of document.querySelectorAll("[data-picker]")) {
  const text = document.getElementById(picker.dataset.picker);
  const search = picker.querySelector("[type=search]");
  const told = picker.querySelector("[data-picker-count]");
  const items = [...picker.querySelectorAll("li")];
  const boxes = items.map((item) => item.querySelector("input"));
  const written = () => text.value.split(/[\s,]+/).filter(Boolean);

  const tell = () => {
    const number = written().length;
    told.textContent = number ? `· ${number} chosen` : "· all are allowed";
  };

  const read = () => {
    const names = new Set(written());
    for (const box of boxes) box.checked = names.has(box.value);
    tell();
  };

  picker.addEventListener("change", (event) => {
    if (event.target.type !== "checkbox") return;
    const others = written().filter((name) => name !== event.target.value);
    text.value = (event.target.checked ? [...others, event.target.value] : others).join("\n");
    tell();
  });

  search.addEventListener("input", () => {
    const words = search.value.toLowerCase().split(/\s+/);
    for (const item of items) item.hidden = !words.every((word) => item.dataset.words.includes(word));
  });

  // Enter looks for nothing more, and must not send the form around it.
  search.addEventListener("keydown", (event) => { if (event.key === "Enter") event.preventDefault(); });
  text.addEventListener("input", read);
  picker.hidden = false;
  read();
}
