// The AI SDK with @ai-sdk/openai, which speaks the Responses API.
import { API_KEY, BASE_URL } from "./asking.mjs";
import { answerWith } from "./ai_sdk.mjs";
// Documented from here.
import { createOpenAI } from "@ai-sdk/openai";
import { generateText } from "ai";

const fastanchor = createOpenAI({ baseURL: BASE_URL, apiKey: API_KEY });
// Documented until here.

const modelOf = (name, apiKey) => createOpenAI({ baseURL: BASE_URL, apiKey })(name);

await answerWith(modelOf, async (model, prompt) => {
  // Documented from here.
  const reply = await generateText({ model: fastanchor(model), prompt: prompt });
  console.log(reply.text);
  // Documented until here.
  return reply;
});
