// One request to /v1 and what is known of its answer so far. The secret stays in these objects and nowhere else.
class Purse {
  #secret = "";
  #minting = null;

  constructor(url, token) {
    this.url = url;
    this.token = token;
  }

  // All who ask at once wait for one key.
  async secret() {
    if (this.#secret) return this.#secret;
    this.#minting ??= this.#mint().finally(() => { this.#minting = null; });
    return this.#minting;
  }

  // The key has expired, or another tab has asked for one.
  forget(secret) { if (secret === this.#secret) this.#secret = ""; }

  async #mint() {
    const response = await fetch(this.url, { method: "POST", headers: { "X-CSRFToken": this.token } });
    if (response.redirected || response.status === 401) throw new Refusal("You are logged out. Log in again, then send.", "/accounts/login/", "Log in");
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) throw new Refusal(answer.error?.message ?? "This page has grown old. Load it again, then send.", answer.error?.url, answer.error?.label);
    this.#secret = answer.secret;
    return this.#secret;
  }
}

class Refusal extends Error {
  constructor(message, url = "", label = "") {
    super(message);
    this.url = url;
    this.label = label;
  }
}

const BYTES_PER_TOKEN = 4;
const tokensIn = (text) => Math.ceil(text.length / BYTES_PER_TOKEN);

class Answer {
  text = "";
  thoughts = "";
  finish = "";
  requestId = "";
  error = null;
  usage = null;
  firstAt = 0;
  endedAt = 0;
  isStopped = false;
  #abort = new AbortController();

  constructor({ model, body, purse, baseUrl, billingUrl }) {
    Object.assign(this, { model, body, purse, baseUrl, billingUrl });
    this.startedAt = performance.now();
    this.asked = tokensIn(JSON.stringify(withoutPictures(body.messages)));
  }

  stop() {
    this.isStopped = true;
    this.#abort.abort();
  }

  async run(changed) {
    try {
      const response = await this.#ask();
      this.requestId = response.headers.get("x-request-id") ?? "";
      if (!response.ok) throw await this.#refusal(response);
      for await (const event of eventsOf(response.body)) {
        if (event.data === "[DONE]") break;
        this.#hear(JSON.parse(event.data));
        changed();
      }
      if (!this.finish) throw new Refusal("The answer broke off before its end. What came of it is paid for.");
    } catch (error) {
      if (!this.isStopped) this.error = error instanceof Refusal ? error : new Refusal(`The connection broke: ${error.message}. Try again.`);
    } finally {
      this.endedAt = performance.now();
      changed();
    }
  }

  // A key that works no longer is replaced once.
  async #ask() {
    const secret = await this.purse.secret();
    const response = await this.#post(secret);
    if (response.status !== 401) return response;
    this.purse.forget(secret);
    return this.#post(await this.purse.secret());
  }

  #post(secret) {
    return fetch(`${this.baseUrl}/chat/completions`, {
      method: "POST",
      headers: { Authorization: `Bearer ${secret}`, "Content-Type": "application/json" },
      body: JSON.stringify(this.body),
      signal: this.#abort.signal,
      credentials: "omit",
    });
  }

  async #refusal(response) {
    const answer = await response.json().catch(() => ({}));
    const message = answer.error?.message ?? `The server answered ${response.status}. Try again.`;
    return response.status === 402 ? new Refusal(message, this.billingUrl, "Add credit") : new Refusal(message);
  }

  #hear(chunk) {
    if (chunk.error) throw new Refusal(chunk.error.message ?? "The model’s provider failed.");
    const [choice] = chunk.choices ?? [];
    const said = choice?.delta?.content ?? choice?.delta?.refusal ?? "";
    const thought = choice?.delta?.reasoning_content ?? choice?.delta?.reasoning ?? "";
    if ((said || thought) && !this.firstAt) this.firstAt = performance.now();
    this.text += said;
    this.thoughts += thought;
    if (choice?.finish_reason) this.finish = choice.finish_reason;
    if (chunk.usage) this.usage = chunk.usage;
  }

  get isRunning() { return !this.endedAt; }

  get isExact() { return this.usage?.cost_nano_usd !== undefined; }

  get inputTokens() { return this.usage?.prompt_tokens ?? this.asked; }

  get outputTokens() { return this.usage?.completion_tokens ?? tokensIn(this.text + this.thoughts); }

  get nanos() {
    if (this.isExact) return this.usage.cost_nano_usd;
    return Math.round((this.inputTokens * this.model.input + this.outputTokens * this.model.output) / 1000);
  }

  get tokensPerSecond() {
    const seconds = ((this.endedAt || performance.now()) - this.firstAt) / 1000;
    return this.firstAt && seconds > 0.05 ? this.outputTokens / seconds : 0;
  }
}
