// Looks every second after the exports that are being written, and says when one has ended. Without it, reload the page.
const exportsSpoken = document.getElementById("exports-spoken");

async function watchExport(card) {
  const answer = await fetch(card.dataset.watch, { headers: { Accept: "text/html" } });
  if (!answer.ok || answer.redirected) throw new Error(`status ${answer.status}`);
  const template = document.createElement("template");
  template.innerHTML = await answer.text();
  addLocalTimes(template.content);
  const fresh = template.content.firstElementChild;
  // Whoever stands on the button keeps it under the finger.
  if (!fresh.dataset.watch) exportsSpoken.textContent = `Export: ${fresh.dataset.state}`;
  else if (card.contains(document.activeElement)) return keepProgress(card, fresh);
  card.replaceWith(fresh);
}

function keepProgress(card, fresh) {
  for (const part of [".export-facts", ".export-progress", ".badge"]) card.querySelector(part)?.replaceWith(fresh.querySelector(part));
}

async function watchExports() {
  const watched = [...document.querySelectorAll("[data-watch]")];
  const failed = (await Promise.allSettled(watched.map(watchExport))).some((one) => one.status === "rejected");
  if (document.querySelector("[data-watch]")) setTimeout(watchExports, failed ? 5000 : 1000);
}

if (document.querySelector("[data-watch]")) setTimeout(watchExports, 500);
