// The AI SDK with @ai-sdk/openai-compatible.
import { API_KEY, BASE_URL } from "./asking.mjs";
import { answerWith } from "./ai_sdk.mjs";
// Documented from here.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText } from "ai";

const fastanchor = createOpenAICompatible({
  name: "fastanchor",
  baseURL: BASE_URL,
  apiKey: API_KEY,
  includeUsage: true,
});
// Documented until here.

const modelOf = (name, apiKey) =>
  createOpenAICompatible({ name: "fastanchor", baseURL: BASE_URL, apiKey, includeUsage: true })(name);

await answerWith(modelOf, async (model, prompt) => {
  // Documented from here.
  const reply = await generateText({ model: fastanchor(model), prompt: prompt });
  console.log(reply.text);
  // Documented until here.
  return reply;
});
