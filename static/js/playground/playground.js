// The playground: one prompt, up to four models side by side.
const KEPT_UNDER = "fastanchor.playground";
const ground = document.getElementById("playground");
const at = (id) => document.getElementById(`pg-${id}`);
const settings = new Settings(at("settings"));
const pictures = new Pictures(at("pictures"), {
  most: Number(ground.dataset.mostPictures),
  mostBytes: Number(ground.dataset.mostPictureBytes),
});
const purse = new Purse(ground.dataset.keyUrl, ground.querySelector("[name=csrfmiddlewaretoken]").value);
const baseUrl = new URL("/v1", location.origin).href;
const columns = [];
let turns = [];

function addColumn(model) {
  const column = new Column({
    model,
    receiptsUrl: ground.dataset.receiptsUrl,
    onRegenerate: (one, number) => ask(one, number),
    onRemove: removeColumn,
    onChoose: () => { tellOfColumns(); keep(); },
  });
  columns.push(column);
  at("columns").append(column.element);
  tellOfColumns();
}

function removeColumn(column) {
  column.clear();
  columns.splice(columns.indexOf(column), 1);
  column.element.remove();
  tellOfColumns();
  keep();
}

function tellOfColumns() {
  at("columns").dataset.count = columns.length;
  at("add").hidden = columns.length >= Number(ground.dataset.mostModels);
  for (const column of columns) column.element.querySelector(".pg-remove").hidden = columns.length === 1;
}

function tellOfRunning() {
  const isRunning = columns.some((column) => column.isRunning);
  at("stop").hidden = !isRunning;
  at("send").disabled = isRunning;
}

function complain(text) {
  at("trouble").textContent = text;
  at("trouble").hidden = !text;
}

const bodyFor = (column, number) => settings.body(column.model, column.messages(turns, number));

async function ask(column, number) {
  const answer = new Answer({ model: column.model, body: bodyFor(column, number), purse, baseUrl, billingUrl: ground.dataset.billingUrl });
  column.begin(number, turns[number], answer);
  tellOfRunning();
  let isDue = false;
  await answer.run(() => {
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => {
      isDue = false;
      if (column.answers.get(number) === answer) column.show(number);
    });
  });
  if (column.answers.get(number) === answer) column.show(number);
  at("spoken").textContent = answer.error
    ? `${answer.model.id}: ${answer.error.message}`
    : `${answer.model.id} has answered: ${answer.outputTokens} tokens, ${shortDollars(answer.nanos)}.`;
  tellOfRunning();
  keep();
}

function send() {
  const text = at("prompt").value.trim();
  if (!text) return at("prompt").focus();
  if (columns.some((column) => column.isRunning)) return null;
  const blind = columns.find((column) => !column.model.sees);
  if (pictures.count && blind) return complain(`${blind.model.id} does not see pictures. Choose another model, or remove the pictures.`);
  complain("");
  turns.push({ text, pictures: pictures.take() });
  at("prompt").value = "";
  return Promise.all(columns.map((column) => ask(column, turns.length - 1)));
}

function clearAll() {
  turns = [];
  for (const column of columns) column.clear();
  tellOfRunning();
  keep();
  at("prompt").focus();
}

function showCode() {
  const shown = at("code-model");
  shown.replaceChildren(...columns.map((column, number) => new Option(column.model.id, number)));
  at("code-of").hidden = columns.length === 1;
  writeCode();
  at("code").showModal();
}

// What the next click on Send would ask; with an empty field, what was asked last.
function writeCode() {
  const column = columns[Number(at("code-model").value)];
  const draft = at("prompt").value.trim() || (turns.length ? "" : "Hello!");
  const asked = draft ? [...turns, { text: draft, pictures: [] }] : turns;
  const body = settings.body(column.model, column.messages(asked, asked.length - 1));
  for (const [language, text] of Object.entries(codeOf(body, ground.dataset.baseUrl))) at(`code-${language}`).textContent = text;
  at("code-cut").hidden = JSON.stringify(withoutPictures(body)) === JSON.stringify(body);
}

// Only if its reader wishes, only in this tab, never the key.
function keep() {
  if (!settings.keeps) return sessionStorage.removeItem(KEPT_UNDER);
  const texts = turns.map(({ text }) => text);
  const said = columns.map((column) => ({ model: column.model.id, answers: turns.map((_, number) => column.answers.get(number)?.text ?? "") }));
  return sessionStorage.setItem(KEPT_UNDER, JSON.stringify({ settings: settings.saved(), texts, columns: said }));
}

function restore() {
  const kept = JSON.parse(sessionStorage.getItem(KEPT_UNDER) ?? "null");
  if (!kept) return addColumn(ground.dataset.first);
  settings.restore(kept.settings);
  turns = kept.texts.map((text) => ({ text, pictures: [] }));
  kept.columns.forEach(({ model, answers }, number) => {
    addColumn(model);
    answers.forEach((text, turn) => text && recall(columns[number], turn, text));
  });
  return null;
}

function recall(column, number, text) {
  const answer = new Answer({ model: column.model, body: { messages: [] }, purse, baseUrl, billingUrl: "" });
  Object.assign(answer, { text, endedAt: answer.startedAt, finish: "stop" });
  column.begin(number, turns[number], answer);
}

at("composer").addEventListener("submit", (event) => { event.preventDefault(); send(); });
at("prompt").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) send();
});
at("files").addEventListener("change", async (event) => {
  complain(await pictures.add([...event.target.files]));
  event.target.value = "";
});
at("stop").addEventListener("click", () => {
  for (const column of columns) for (const answer of column.answers.values()) if (answer.isRunning) answer.stop();
});
at("add").addEventListener("click", () => { addColumn(columns.at(-1).model.id); columns.at(-1).choice.focus(); keep(); });
at("clear").addEventListener("click", clearAll);
at("show-code").addEventListener("click", showCode);
at("code-model").addEventListener("change", writeCode);
at("settings").addEventListener("submit", (event) => event.preventDefault());
at("settings").addEventListener("change", keep);
if (matchMedia("(max-width: 60rem)").matches) at("more").open = false;
restore();
