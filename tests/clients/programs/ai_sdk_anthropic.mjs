// The AI SDK with @ai-sdk/anthropic, which speaks Messages.
import { API_KEY, BASE_URL } from "./asking.mjs";
import { answerWith } from "./ai_sdk.mjs";
// Documented from here.
import { createAnthropic } from "@ai-sdk/anthropic";
import { generateText } from "ai";

const fastanchor = createAnthropic({ baseURL: BASE_URL, authToken: API_KEY });
// Documented until here.

const modelOf = (name, authToken) => createAnthropic({ baseURL: BASE_URL, authToken })(name);

await answerWith(modelOf, async (model, prompt) => {
  // Documented from here.
  const reply = await generateText({ model: fastanchor(model), prompt: prompt });
  console.log(reply.text);
  // Documented until here.
  return reply;
});
