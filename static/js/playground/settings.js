// The settings at the side, and the request that they make of a conversation.
class Settings {
  constructor(form) { this.form = form; }

  get(name) { return this.form.elements[name].value.trim(); }

  get keeps() { return this.form.elements.keep.checked; }

  // Only what was set is sent: a model's own defaults stay.
  body(model, turns) {
    const system = this.get("system");
    const stops = this.get("stop").split("\n").map((each) => each.trim()).filter(Boolean);
    const body = { model: model.id, messages: system ? [{ role: "system", content: system }, ...turns] : turns };
    if (model.samples) {
      for (const name of ["temperature", "top_p"]) if (this.get(name)) body[name] = Number(this.get(name));
    }
    if (this.get("max_tokens")) body.max_tokens = Number(this.get("max_tokens"));
    if (stops.length) body.stop = stops.slice(0, 4);
    if (model.reasons && this.get("reasoning_effort")) body.reasoning_effort = this.get("reasoning_effort");
    if (this.form.elements.json.checked) body.response_format = { type: "json_object" };
    return { ...body, stream: true, stream_options: { include_usage: true } };
  }

  saved() {
    const { elements } = this.form;
    return Object.fromEntries([...elements].map((each) => [each.name, each.type === "checkbox" ? each.checked : each.value]));
  }

  restore(saved) {
    for (const each of this.form.elements) {
      if (!(each.name in saved)) continue;
      if (each.type === "checkbox") each.checked = saved[each.name];
      else each.value = saved[each.name];
    }
  }
}
