// Lets moments be given in the reader's own zone, and keeps range and moments from contradicting each other.
for (const form of document.querySelectorAll("[data-selection]")) {
  const { range, since, until, zone } = form.elements;
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const isFresh = !since.value && !until.value;
  if (![...zone.options].some((option) => option.value === own)) zone.add(new Option(`${own} (yours)`, own));
  if (isFresh) zone.value = own;
  range.addEventListener("change", () => { since.value = until.value = ""; });
}
