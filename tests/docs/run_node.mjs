// Runs snippets one after the other in one process: their names on its input, each a module beside this one.
import { readFileSync } from "node:fs";

const write = process.stdout.write.bind(process.stdout);
let printed = "";
process.stdout.write = (text) => {
  printed += text;
  return true;
};
console.log = (...values) => {
  printed += `${values.join(" ")}\n`;
};

const told = [];
for (const name of JSON.parse(readFileSync(0, "utf8"))) {
  printed = "";
  try {
    await import(`./${name}.mjs`);
    told.push({ name, printed });
  } catch (error) {
    told.push({ name, failed: String(error.stack) });
  }
}
write(`${JSON.stringify(told)}\n`);
process.exit(0);
