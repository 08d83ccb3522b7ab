// The one-line switch of the landing page: choosing a model changes its name in every example, and the cost below.
const part = document.getElementById("switch");

part.addEventListener("change", (event) => {
  if (event.target.name !== "model") return;
  const model = event.target.value;
  for (const mark of part.querySelectorAll("mark[data-model]")) {
    mark.textContent = model;
    // Anew, so that the line lights up each time.
    mark.replaceWith(mark.cloneNode(true));
  }
  for (const cost of part.querySelectorAll("[data-cost-of]")) cost.hidden = cost.dataset.costOf !== model;
  history.replaceState(null, "", `?${new URLSearchParams({ model })}`);
});
