// What the AI SDK does with any of its providers; `modelOf(name, apiKey)` makes a model of one.
import { generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";

import { API_KEY, CITY, TOO_HOT, WRONG_KEY, answerAll, collect, getWeather } from "./asking.mjs";

const tools = {
  get_weather: tool({
    description: "Tell the weather in a city.",
    inputSchema: jsonSchema(CITY),
    execute: async (input) => getWeather(input),
  }),
};

const seen = async (reply) => {
  const [text, usage] = await Promise.all([reply.text, reply.totalUsage]);
  return { text, input: usage.inputTokens, output: usage.outputTokens };
};

const callsOf = async (reply) =>
  (await reply.steps)
    .flatMap((step) => step.toolCalls)
    .map((call) => ({ name: call.toolName, arguments: call.input }));

// A stream that fails hands its error to `onError` and otherwise stays silent.
async function streamed(fields) {
  const errors = [];
  const reply = streamText({ ...fields, onError: ({ error }) => errors.push(error) });
  const pieces = await collect(reply.textStream);
  if (errors.length) throw errors[0];
  return { reply, pieces };
}

export const answerWith = (modelOf, text) => {
  const ask = async (name, prompt, fields = {}, apiKey = API_KEY) =>
    seen(await generateText({ model: modelOf(name, apiKey), prompt, ...fields }));

  return answerAll({
    text: async (name, prompt) => seen(await text(name, prompt)),
    async stream(name, prompt) {
      const { reply, pieces } = await streamed({ model: modelOf(name, API_KEY), prompt });
      return { ...(await seen(reply)), text: pieces.join(""), pieces: pieces.length };
    },
    async tools(name, prompt) {
      const model = modelOf(name, API_KEY);
      const reply = await generateText({ model, prompt, tools, stopWhen: stepCountIs(3) });
      return { ...(await seen(reply)), calls: await callsOf(reply) };
    },
    async streamed_tools(name, prompt) {
      const model = modelOf(name, API_KEY);
      const { reply } = await streamed({ model, prompt, tools, stopWhen: stepCountIs(3) });
      return { ...(await seen(reply)), calls: await callsOf(reply) };
    },
    wrong_key: (name, prompt) => ask(name, prompt, {}, WRONG_KEY),
    unknown_model: (name, prompt) => ask(name, prompt),
    bad_request: (name, prompt) => ask(name, prompt, { topP: TOO_HOT }),
  });
};
