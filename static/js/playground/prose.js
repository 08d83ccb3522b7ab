// An answer as text: what stands between fences of three backticks is code. Never read as HTML.
function writeProse(into, text) {
  const parts = text.split(/^```/m);
  into.replaceChildren(...parts.map((part, number) => (number % 2 ? codeBlock(part) : textBlock(part))).filter(Boolean));
}

function textBlock(text) {
  if (!text.trim()) return null;
  const block = document.createElement("p");
  block.className = "pg-prose";
  block.textContent = text.trim();
  return block;
}

function codeBlock(text) {
  const [language, ...lines] = text.split("\n");
  const block = document.createElement("pre");
  block.className = "pg-block";
  block.textContent = lines.join("\n").replace(/\n$/, "");
  if (language.trim()) block.dataset.language = language.trim().slice(0, 20);
  return block;
}
