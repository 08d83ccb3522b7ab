// What every Node program does around its client: read the plan, take each step, write down what was seen.
// Environment: BASE_URL, API_KEY, WRONG_KEY; PLAN, a list of steps with id, case, model and prompt; SEEN, a file that
// gets one JSON object a line.
import { appendFileSync } from "node:fs";

export const { BASE_URL, API_KEY, WRONG_KEY } = process.env;
export const TOO_HOT = 5;
export const CITY = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };

export const getWeather = ({ city }) => `18 degrees in ${city}`;

export const sum = (replies, tokensOf) => replies.reduce((total, reply) => total + tokensOf(reply), 0);

export async function collect(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return parts;
}

export async function answerAll(cases) {
  for (const step of JSON.parse(process.env.PLAN)) {
    let saw;
    try {
      saw = await cases[step.case](step.model, step.prompt);
    } catch (error) {
      const status = error?.status ?? error?.statusCode ?? null;
      saw = { thrown: error?.constructor?.name, status, trace: String(error?.stack ?? error) };
    }
    appendFileSync(process.env.SEEN, `${JSON.stringify({ id: step.id, saw })}\n`);
  }
}
