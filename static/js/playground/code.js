// A request as programs for curl, Python and JavaScript.
const LONG_PICTURE = 200;

// Pictures would drown the rest: only their beginning is shown.
function withoutPictures(value) {
  return JSON.parse(JSON.stringify(value), (key, each) =>
    key === "url" && typeof each === "string" && each.startsWith("data:") && each.length > LONG_PICTURE
      ? `${each.slice(0, each.indexOf(",") + 1)}…`
      : each);
}

const inShell = (text) => text.replaceAll("'", String.raw`'\''`);

function inPython(value, indent = "") {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value !== "object") return JSON.stringify(value);
  const inner = `${indent}    `;
  const items = Array.isArray(value)
    ? value.map((each) => inner + inPython(each, inner))
    : Object.entries(value).map(([name, each]) => `${inner}${JSON.stringify(name)}: ${inPython(each, inner)}`);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  return items.length ? `${open}\n${items.join(",\n")},\n${indent}${close}` : open + close;
}

function codeOf(body, baseUrl) {
  const shown = withoutPictures(body);
  const json = JSON.stringify(shown, null, 2);
  const named = Object.entries(shown).map(([name, value]) => `    ${name}=${inPython(value, "    ")},`);
  return {
    curl: [
      `curl -N "${baseUrl}/chat/completions" \\`,
      '  -H "Authorization: Bearer $FASTANCHOR_API_KEY" \\',
      '  -H "Content-Type: application/json" \\',
      `  -d '${inShell(json)}'`,
    ].join("\n"),
    python: [
      "import os",
      "",
      "from openai import OpenAI",
      "",
      "client = OpenAI(",
      '    api_key=os.environ["FASTANCHOR_API_KEY"],',
      `    base_url="${baseUrl}",`,
      ")",
      "stream = client.chat.completions.create(",
      ...named,
      ")",
      "for chunk in stream:",
      "    if chunk.choices:",
      '        print(chunk.choices[0].delta.content or "", end="", flush=True)',
    ].join("\n"),
    javascript: [
      'import OpenAI from "openai";',
      "",
      "const client = new OpenAI({",
      "  apiKey: process.env.FASTANCHOR_API_KEY,",
      `  baseURL: "${baseUrl}",`,
      "});",
      `const stream = await client.chat.completions.create(${json});`,
      "for await (const chunk of stream) {",
      '  process.stdout.write(chunk.choices[0]?.delta?.content ?? "");',
      "}",
    ].join("\n"),
  };
}
