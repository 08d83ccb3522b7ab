// Times are written in UTC; this writes them in the reader's own zone and leaves UTC in the tool tip.
const parts = { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit" };
const zoned = new Intl.DateTimeFormat("en-CA", { ...parts, hourCycle: "h23" });
const zoneName = new Intl.DateTimeFormat("en", { timeZoneName: "short" });

function zone(at) {
  return zoneName.formatToParts(at).find((part) => part.type === "timeZoneName").value;
}

// data-form is made of the letters of strftime that the server uses: %Y %m %d %H %M %S.
function inZone(at, form) {
  const of = Object.fromEntries(zoned.formatToParts(at).map((part) => [part.type, part.value]));
  const letters = { Y: of.year, m: of.month, d: of.day, H: of.hour, M: of.minute, S: of.second };
  return form.replace(/%(.)/g, (_, letter) => letters[letter] ?? letter);
}

function addLocalTimes(within) {
  for (const time of within.querySelectorAll("time[data-form]")) {
    const at = new Date(time.dateTime);
    time.textContent = inZone(at, time.dataset.form);
    time.title = `${inZone(at, "%Y-%m-%d %H:%M:%S")} ${zone(at)} · ${time.title}`;
    delete time.dataset.form;
  }
  for (const named of within.querySelectorAll("[data-zone]")) named.textContent = zone(new Date());
}

addLocalTimes(document);
