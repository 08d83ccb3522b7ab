// Calls the running product with the official Node SDK and prints what each case saw as one JSON object a line.
// Environment: BASE_URL, GOOD_KEY, POOR_KEY, NARROW_KEY, LIMITED_KEY, BROKEN_MODEL, DEAD_MODEL.
import OpenAI from "openai";

const { BASE_URL, GOOD_KEY, POOR_KEY, NARROW_KEY, LIMITED_KEY, BROKEN_MODEL, DEAD_MODEL } = process.env;

const clientWith = (apiKey) => new OpenAI({ apiKey, baseURL: BASE_URL, maxRetries: 0 });
const client = clientWith(GOOD_KEY);

const ask = (content, fields = {}) => ({ model: "gpt-4o", messages: [{ role: "user", content }], ...fields });
const tool = (name, properties) => ({
  type: "function",
  function: { name, parameters: { type: "object", properties, required: Object.keys(properties) } },
});
const TOOLS = [tool("get_weather", { city: { type: "string" } }), tool("get_time", {})];

async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

const textOf = (chunks) => chunks.map((chunk) => chunk.choices[0]?.delta?.content ?? "").join("");

async function thrownBy(call) {
  try {
    await call();
    return null;
  } catch (error) {
    const { status, code, type, param, requestID } = error;
    return {
      name: error.constructor.name,
      status,
      code,
      type,
      param,
      requestID,
      retryAfter: error.headers?.get("retry-after") ?? null,
      shouldRetry: error.headers?.get("x-should-retry") ?? null,
    };
  }
}

const chatWith = (key, fields) => () => clientWith(key).chat.completions.create(ask("Hello.", fields));

const cases = {
  async list() {
    return { ids: (await collect(client.models.list())).map((model) => model.id) };
  },
  async retrieve() {
    return await client.models.retrieve("gpt-4o");
  },
  async chat() {
    const reply = await client.chat.completions.create(ask("[[sandbox tokens=9]] Explain ledgers."));
    return { ...reply, requestID: reply._request_id };
  },
  async stream() {
    const whole = await client.chat.completions.create(ask("Explain ledgers."));
    const chunks = await collect(await client.chat.completions.create(ask("Explain ledgers.", { stream: true })));
    return {
      isSame: textOf(chunks) === whole.choices[0].message.content,
      chunks: chunks.length,
      finish: chunks.at(-1).choices[0].finish_reason,
      hasUsage: chunks.some((chunk) => chunk.usage),
    };
  },
  async stream_usage() {
    const fields = { stream: true, stream_options: { include_usage: true } };
    const chunks = await collect(await client.chat.completions.create(ask("[[sandbox tokens=9]] Hello.", fields)));
    return { last: chunks.at(-1), before: chunks.slice(0, -1).map((chunk) => chunk.usage) };
  },
  async stream_helper() {
    const runner = client.chat.completions.stream(ask("[[sandbox tokens=9]] Explain ledgers."));
    const reply = await runner.finalChatCompletion();
    return { content: reply.choices[0].message.content };
  },
  async tools() {
    const reply = await client.chat.completions.create(ask("Weather in Paris?", { tools: TOOLS }));
    return reply.choices[0];
  },
  async streamed_tools() {
    const runner = client.chat.completions.stream(ask("Use get_weather and get_time for Paris.", { tools: TOOLS }));
    const reply = await runner.finalChatCompletion();
    return reply.choices[0];
  },
  async structured() {
    const schema = { type: "object", properties: { name: { type: "string" }, age: { type: "integer" } } };
    const response_format = { type: "json_schema", json_schema: { name: "person", schema } };
    const reply = await client.chat.completions.create(ask("Describe Ada.", { response_format }));
    return JSON.parse(reply.choices[0].message.content);
  },
  bad_request: () => thrownBy(chatWith(GOOD_KEY, { temperature: 5 })),
  wrong_key: () => thrownBy(chatWith("fa_live_none")),
  poor: () => thrownBy(chatWith(POOR_KEY)),
  forbidden_model: () => thrownBy(chatWith(NARROW_KEY)),
  unknown_model: () => thrownBy(chatWith(GOOD_KEY, { model: "gpt-none" })),
  too_large: () => thrownBy(chatWith(GOOD_KEY, { messages: [{ role: "user", content: "x".repeat(33 << 20) }] })),
  async too_often() {
    await chatWith(LIMITED_KEY)();
    return await thrownBy(chatWith(LIMITED_KEY));
  },
  broken_upstream: () =>
    thrownBy(() =>
      new OpenAI({ apiKey: GOOD_KEY, baseURL: BASE_URL }).chat.completions.create(
        ask("[[sandbox error=500]] Hello.", { model: BROKEN_MODEL }),
      ),
    ),
  dead_upstream: () => thrownBy(chatWith(GOOD_KEY, { model: DEAD_MODEL })),
  async broken_stream() {
    let received = "";
    const thrown = await thrownBy(async () => {
      const fields = { stream: true };
      const stream = await client.chat.completions.create(ask("[[sandbox tokens=9 close_after=5]] Hello.", fields));
      for await (const chunk of stream) received += chunk.choices[0]?.delta?.content ?? "";
    });
    return { ...thrown, received };
  },
  async abort() {
    const fields = { stream: true };
    const prompt = "[[sandbox nonce=node-abort tokens=40 delay_ms=10]] Hello.";
    const stream = await client.chat.completions.create(ask(prompt, fields));
    let chunks = 0;
    for await (const _ of stream) {
      chunks += 1;
      if (chunks === 5) stream.controller.abort();
    }
    return { chunks };
  },
};

for (const [name, run] of Object.entries(cases)) {
  let saw;
  try {
    saw = await run();
  } catch (error) {
    saw = { failed: String(error?.stack ?? error) };
  }
  console.log(JSON.stringify({ name, saw }));
}
