// The openai package: the Responses API.
import { API_KEY, BASE_URL, CITY, TOO_HOT, WRONG_KEY, answerAll, collect, getWeather, sum } from "./asking.mjs";
// Documented from here.
import OpenAI from "openai";

const client = new OpenAI({ baseURL: BASE_URL, apiKey: API_KEY });
// Documented until here.

const TOOLS = [{ type: "function", name: "get_weather", parameters: CITY, strict: false }];

const seen = (replies) => ({
  text: replies.at(-1).output_text,
  input: sum(replies, (reply) => reply.usage.input_tokens),
  output: sum(replies, (reply) => reply.usage.output_tokens),
});

const ask = async (asked, model, input, fields = {}) =>
  seen([await asked.responses.create({ model, input, ...fields })]);

const callsOf = (reply) => reply.output.filter((item) => item.type === "function_call");

const namesOf = (reply) =>
  callsOf(reply).map((call) => ({ name: call.name, arguments: JSON.parse(call.arguments) }));

const told = (reply) =>
  callsOf(reply).map((call) => ({
    type: "function_call_output",
    call_id: call.call_id,
    output: getWeather(JSON.parse(call.arguments)),
  }));

const streamed = (fields) => client.responses.stream(fields).finalResponse();

await answerAll({
  async text(model, prompt) {
    // Documented from here.
    const reply = await client.responses.create({ model: model, input: prompt });
    console.log(reply.output_text);
    // Documented until here.
    return seen([reply]);
  },
  async stream(model, prompt) {
    const events = await collect(await client.responses.create({ model, input: prompt, stream: true }));
    const pieces = events.filter((event) => event.type === "response.output_text.delta").map((event) => event.delta);
    const { input_tokens: input, output_tokens: output } = events.at(-1).response.usage;
    return { text: pieces.join(""), pieces: pieces.length, input, output };
  },
  async tools(model, prompt) {
    const history = [{ role: "user", content: prompt }];
    const first = await client.responses.create({ model, input: history, tools: TOOLS });
    history.push(...first.output, ...told(first));
    const last = await client.responses.create({ model, input: history, tools: TOOLS });
    return { ...seen([first, last]), calls: namesOf(first) };
  },
  async streamed_tools(model, prompt) {
    const first = await streamed({ model, input: prompt, tools: TOOLS });
    const last = await streamed({ model, input: told(first), tools: TOOLS, previous_response_id: first.id });
    return { ...seen([first, last]), calls: namesOf(first) };
  },
  wrong_key: (model, prompt) => ask(new OpenAI({ baseURL: BASE_URL, apiKey: WRONG_KEY }), model, prompt),
  unknown_model: (model, prompt) => ask(client, model, prompt),
  bad_request: (model, prompt) => ask(client, model, prompt, { temperature: TOO_HOT }),
});
