// Server-sent events of a response that arrives in pieces: lines end with CRLF, LF or CR, wherever a piece ends.
class EventParser {
  #rest = "";
  #data = [];
  #name = "";

  // Returns the events that are complete with this piece.
  feed(text) {
    const events = [];
    this.#rest += text;
    for (;;) {
      const found = /\r\n|\n|\r/.exec(this.#rest);
      // A CR at the very end may be half of a CRLF.
      if (!found || (found[0] === "\r" && found.index === this.#rest.length - 1)) return events;
      const line = this.#rest.slice(0, found.index);
      this.#rest = this.#rest.slice(found.index + found[0].length);
      const event = this.#take(line);
      if (event) events.push(event);
    }
  }

  #take(line) {
    if (line === "") return this.#end();
    const [, name, value] = /^([^:]*):? ?(.*)$/s.exec(line);
    if (name === "data") this.#data.push(value);
    else if (name === "event") this.#name = value;
    return null; // a comment, or a field that we need not know
  }

  #end() {
    const event = this.#data.length ? { name: this.#name || "message", data: this.#data.join("\n") } : null;
    this.#data = [];
    this.#name = "";
    return event;
  }
}

async function* eventsOf(body) {
  const parser = new EventParser();
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield* parser.feed(value);
  }
}
