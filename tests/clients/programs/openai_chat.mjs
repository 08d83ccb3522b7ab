// The openai package: chat completions.
import { API_KEY, BASE_URL, CITY, TOO_HOT, WRONG_KEY, answerAll, collect, getWeather, sum } from "./asking.mjs";
// Documented from here.
import OpenAI from "openai";

const client = new OpenAI({ baseURL: BASE_URL, apiKey: API_KEY });
// Documented until here.

const TOOLS = [{ type: "function", function: { name: "get_weather", parameters: CITY } }];

const seen = (replies) => ({
  text: replies.at(-1).choices[0].message.content,
  input: sum(replies, (reply) => reply.usage.prompt_tokens),
  output: sum(replies, (reply) => reply.usage.completion_tokens),
});

const ask = async (asked, model, content, fields = {}) =>
  seen([await asked.chat.completions.create({ model, messages: [{ role: "user", content }], ...fields })]);

async function withTools(model, prompt, complete) {
  const messages = [{ role: "user", content: prompt }];
  const first = await complete({ model, messages, tools: TOOLS });
  const asked = first.choices[0].message;
  const calls = asked.tool_calls.map((call) => ({
    name: call.function.name,
    arguments: JSON.parse(call.function.arguments),
  }));
  messages.push(asked);
  asked.tool_calls.forEach((call, index) =>
    messages.push({ role: "tool", tool_call_id: call.id, content: getWeather(calls[index].arguments) }),
  );
  const last = await complete({ model, messages, tools: TOOLS });
  return { ...seen([first, last]), calls };
}

await answerAll({
  async text(model, prompt) {
    // Documented from here.
    const reply = await client.chat.completions.create({
      model: model,
      messages: [{ role: "user", content: prompt }],
    });
    console.log(reply.choices[0].message.content);
    // Documented until here.
    return seen([reply]);
  },
  async stream(model, prompt) {
    const chunks = await collect(
      await client.chat.completions.create({
        model,
        messages: [{ role: "user", content: prompt }],
        stream: true,
        stream_options: { include_usage: true },
      }),
    );
    const pieces = chunks.map((chunk) => chunk.choices[0]?.delta?.content).filter(Boolean);
    const { prompt_tokens: input, completion_tokens: output } = chunks.at(-1).usage;
    return { text: pieces.join(""), pieces: pieces.length, input, output };
  },
  tools: (model, prompt) => withTools(model, prompt, (fields) => client.chat.completions.create(fields)),
  streamed_tools: (model, prompt) =>
    withTools(model, prompt, (fields) =>
      client.chat.completions.stream({ ...fields, stream_options: { include_usage: true } }).finalChatCompletion(),
    ),
  wrong_key: (model, prompt) => ask(new OpenAI({ baseURL: BASE_URL, apiKey: WRONG_KEY }), model, prompt),
  unknown_model: (model, prompt) => ask(client, model, prompt),
  bad_request: (model, prompt) => ask(client, model, prompt, { temperature: TOO_HOT }),
});
