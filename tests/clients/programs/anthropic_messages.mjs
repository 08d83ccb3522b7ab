// The @anthropic-ai/sdk package.
import { API_KEY, BASE_URL, CITY, WRONG_KEY, answerAll, getWeather, sum } from "./asking.mjs";
// Documented from here.
import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic({ baseURL: BASE_URL, apiKey: API_KEY });
// Documented until here.

const TOOLS = [{ name: "get_weather", input_schema: CITY }];

const inputOf = ({ usage }) =>
  usage.input_tokens + (usage.cache_read_input_tokens ?? 0) + (usage.cache_creation_input_tokens ?? 0);

const seen = (replies) => ({
  text: replies
    .at(-1)
    .content.filter((block) => block.type === "text")
    .map((block) => block.text)
    .join(""),
  input: sum(replies, inputOf),
  output: sum(replies, (reply) => reply.usage.output_tokens),
});

const ask = async (asked, model, content, most = 1000) =>
  seen([await asked.messages.create({ model, max_tokens: most, messages: [{ role: "user", content }] })]);

async function withTools(model, prompt, complete) {
  const messages = [{ role: "user", content: prompt }];
  const first = await complete({ model, max_tokens: 1000, messages, tools: TOOLS });
  const calls = first.content.filter((block) => block.type === "tool_use");
  const content = calls.map((call) => ({
    type: "tool_result",
    tool_use_id: call.id,
    content: getWeather(call.input),
  }));
  messages.push({ role: "assistant", content: first.content }, { role: "user", content });
  const last = await complete({ model, max_tokens: 1000, messages, tools: TOOLS });
  return { ...seen([first, last]), calls: calls.map((call) => ({ name: call.name, arguments: call.input })) };
}

await answerAll({
  async text(model, prompt) {
    // Documented from here.
    const reply = await client.messages.create({
      model: model,
      max_tokens: 1000,
      messages: [{ role: "user", content: prompt }],
    });
    console.log(reply.content.at(-1).text);
    // Documented until here.
    return seen([reply]);
  },
  async stream(model, prompt) {
    const pieces = [];
    const reply = await client.messages
      .stream({ model, max_tokens: 1000, messages: [{ role: "user", content: prompt }] })
      .on("text", (piece) => pieces.push(piece))
      .finalMessage();
    return { ...seen([reply]), text: pieces.join(""), pieces: pieces.length };
  },
  tools: (model, prompt) => withTools(model, prompt, (fields) => client.messages.create(fields)),
  streamed_tools: (model, prompt) =>
    withTools(model, prompt, (fields) => client.messages.stream(fields).finalMessage()),
  wrong_key: (model, prompt) => ask(new Anthropic({ baseURL: BASE_URL, apiKey: WRONG_KEY }), model, prompt),
  unknown_model: (model, prompt) => ask(client, model, prompt),
  bad_request: (model, prompt) => ask(client, model, prompt, -1),
});
