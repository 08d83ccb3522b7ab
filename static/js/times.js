// Times are written in UTC; the tool tip adds the reader's own zone.
const zoned = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

function addLocalTimes(within) {
  for (const time of within.querySelectorAll("time:not([data-zoned])")) {
    time.dataset.zoned = "";
    time.title += ` · ${zoned.format(new Date(time.dateTime))}`;
  }
}

addLocalTimes(document);
