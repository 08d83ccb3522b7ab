// One model's side of the conversation: its answers, their numbers, and what may be done with them.
const NANO_PLACES = 9;

function exactDollars(nanos) {
  const digits = String(nanos).padStart(NANO_PLACES + 1, "0");
  return `$${digits.slice(0, -NANO_PLACES)}.${digits.slice(-NANO_PLACES)}`;
}

function shortDollars(nanos) {
  if (nanos >= 1e7) return `$${(nanos / 1e9).toFixed(2)}`;
  return nanos ? `$${(nanos / 1e9).toPrecision(2)}` : "$0";
}

const inSeconds = (milliseconds) => (milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`);

class Column {
  static #made = 0;
  #views = new Map();
  answers = new Map(); // by the number of the turn

  constructor({ model, receiptsUrl, onRegenerate, onRemove, onChoose }) {
    this.element = document.getElementById("pg-column").content.firstElementChild.cloneNode(true);
    this.choice = this.element.querySelector(".pg-model-choice");
    this.choice.id = `pg-model-${Column.#made += 1}`;
    this.element.querySelector("label").htmlFor = this.choice.id;
    this.turns = this.element.querySelector(".pg-turns");
    this.receiptsUrl = receiptsUrl;
    this.onRegenerate = onRegenerate;
    if ([...this.choice.options].some((option) => option.value === model)) this.choice.value = model;
    this.choice.addEventListener("change", () => { this.#name(); onChoose(this); });
    this.element.querySelector(".pg-remove").addEventListener("click", () => onRemove(this));
    this.#name();
  }

  #name() { this.element.setAttribute("aria-label", this.model.id); }

  get model() {
    const { value, dataset } = this.choice.selectedOptions[0];
    return {
      id: value,
      input: Number(dataset.input),
      output: Number(dataset.output),
      reasons: "reasons" in dataset,
      sees: "sees" in dataset,
      samples: "samples" in dataset,
    };
  }

  get isRunning() { return [...this.answers.values()].some((answer) => answer.isRunning); }

  // What was said up to a turn and including it; turns that this model never answered are left out.
  messages(turns, upTo) {
    return turns.slice(0, upTo + 1).flatMap((turn, number) => {
      const answer = this.answers.get(number);
      const asked = { role: "user", content: contentOf(turn) };
      if (number === upTo) return [asked];
      return answer?.text ? [asked, { role: "assistant", content: answer.text }] : [];
    });
  }

  begin(number, turn, answer) {
    this.answers.set(number, answer);
    let view = this.#views.get(number);
    if (!view) {
      view = document.getElementById("pg-turn").content.firstElementChild.cloneNode(true);
      this.#views.set(number, view);
      this.turns.querySelector(".pg-empty")?.remove();
      this.turns.append(view);
      this.#showAsked(view, turn);
      view.addEventListener("click", (event) => this.#act(event, number));
    }
    view.querySelector(".pg-answer .pg-who").textContent = answer.model.id;
    this.show(number);
  }

  #showAsked(view, turn) {
    const text = view.querySelector(".pg-asked .pg-text");
    writeProse(text, turn.text);
    text.append(...turn.pictures.map(pictureElement));
  }

  #act(event, number) {
    const wanted = event.target.dataset.do;
    if (wanted === "regenerate") this.onRegenerate(this, number);
    if (wanted === "copy") navigator.clipboard?.writeText(this.answers.get(number).text);
  }

  show(number) {
    const answer = this.answers.get(number);
    const view = this.#views.get(number);
    const isLast = number === Math.max(...this.answers.keys());
    const isLow = this.turns.scrollHeight - this.turns.scrollTop - this.turns.clientHeight < 80;
    view.classList.toggle("is-running", answer.isRunning);
    writeProse(view.querySelector(".pg-said"), answer.text);
    const thoughts = view.querySelector(".pg-thoughts");
    thoughts.hidden = !answer.thoughts;
    writeProse(thoughts.querySelector(".pg-text"), answer.thoughts);
    this.#showError(view.querySelector(".pg-error"), answer.error);
    this.#showNote(view.querySelector(".pg-note"), answer);
    this.#showMeter(view.querySelector(".pg-meter"), answer);
    view.querySelector("[data-do=regenerate]").hidden = answer.isRunning || !isLast;
    view.querySelector("[data-do=copy]").hidden = answer.isRunning || !answer.text;
    const receipt = view.querySelector(".pg-receipt");
    receipt.hidden = answer.isRunning || !answer.requestId || !answer.text;
    receipt.href = this.receiptsUrl.replace("ID", answer.requestId);
    if (isLow) this.turns.scrollTop = this.turns.scrollHeight;
  }

  #showError(into, error) {
    into.hidden = !error;
    if (!error) return;
    into.replaceChildren(error.message, " ");
    if (error.url) into.append(Object.assign(document.createElement("a"), { href: error.url, textContent: error.label }));
  }

  #showNote(into, answer) {
    const notes = { length: "It ended at a limit of tokens.", content_filter: "A filter ended it." };
    const note = answer.isStopped ? "Stopped. What was written until then is paid for; the receipt tells how much." : notes[answer.finish];
    into.hidden = !note;
    into.textContent = note ?? "";
  }

  #showMeter(into, answer) {
    const parts = [];
    if (answer.firstAt) parts.push(`first token ${inSeconds(answer.firstAt - answer.startedAt)}`);
    const about = answer.usage ? "" : "≈ ";
    if (answer.text || answer.thoughts) parts.push(`${about}${answer.inputTokens} in, ${answer.outputTokens} out`);
    if (answer.tokensPerSecond) parts.push(`${Math.round(answer.tokensPerSecond)} tokens/s`);
    if (answer.firstAt || answer.isRunning) parts.push(`${answer.isExact ? "" : "≈ "}${shortDollars(answer.nanos)}`);
    into.textContent = parts.join(" · ");
    into.title = answer.isExact ? `Exactly ${exactDollars(answer.nanos)}` : "Estimated while it runs";
  }

  clear() {
    for (const answer of this.answers.values()) answer.stop();
    this.answers.clear();
    this.#views.clear();
    this.turns.replaceChildren();
  }
}

function contentOf({ text, pictures }) {
  if (!pictures.length) return text;
  return [{ type: "text", text }, ...pictures.map(({ url }) => ({ type: "image_url", image_url: { url } }))];
}
