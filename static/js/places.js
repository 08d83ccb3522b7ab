// On a phone the places stand in rows that scroll sideways: the present one is brought into view.
for (const place of document.querySelectorAll(".side [aria-current], .section-places [aria-current]")) {
  place.parentElement.scrollLeft = place.offsetLeft - place.parentElement.clientWidth / 2;
}
