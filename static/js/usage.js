// Draws the chart of the usage page from the table beside it.
const source = document.getElementById("chart-table");
const canvas = document.querySelector("#usage-canvas canvas");
let chart = null;

const token = (name) => getComputedStyle(document.querySelector(name)).color;
const inMillis = (ms) => (ms < 1000 ? `${ms} ms` : `${ms / 1000} s`);
const inDollars = (nanos) => `$${(nanos / 1e9).toLocaleString("en", { maximumSignificantDigits: 6 })}`;
const inShort = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const WRITE = { usd: inDollars, ms: inMillis, count: (number) => inShort.format(number) };

function values(column) {
  return [...source.tBodies[0].rows].map((row) => row.cells[column].dataset.value).map((text) => (text ? Number(text) : null));
}

// What the cell says is what the tool tip says: written once, on the server.
function tip(item) {
  const cell = source.tBodies[0].rows[item.dataIndex].cells[item.datasetIndex + 1];
  return `${item.dataset.label}: ${cell.textContent.trim()}`;
}

function datasets() {
  const swatches = document.querySelectorAll(".legend .swatch");
  return [...swatches].map((swatch, place) => {
    const colour = getComputedStyle(swatch).backgroundColor;
    const common = { label: swatch.parentElement.textContent.trim(), data: values(place + 1), backgroundColor: colour };
    if (source.dataset.kind === "bar") return { ...common, borderWidth: 0, maxBarThickness: 40 };
    return { ...common, borderColor: colour, borderWidth: 2, pointRadius: 2, spanGaps: true };
  });
}

function draw() {
  chart?.destroy();
  const ink = token(".legend");
  const line = getComputedStyle(document.querySelector(".usage-chart")).borderTopColor;
  const isStacked = source.dataset.kind === "bar";
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  chart = new Chart(canvas, {
    type: source.dataset.kind,
    data: { labels: [...source.tBodies[0].rows].map((row) => row.cells[0].textContent), datasets: datasets() },
    options: {
      animation: false,
      maintainAspectRatio: false,
      interaction: { mode: "index", intersect: false },
      plugins: { legend: { display: false }, tooltip: { callbacks: { label: tip }, filter: (item) => item.raw } },
      scales: {
        x: { stacked: isStacked, grid: { display: false }, border: { color: line }, ticks: { color: ink, maxRotation: 0, autoSkipPadding: 16 } },
        y: { stacked: isStacked, beginAtZero: true, grid: { color: line }, border: { display: false }, ticks: { color: ink, maxTicksLimit: 6, precision: 0, callback: WRITE[source.dataset.unit] } },
      },
    },
  });
  canvas.dataset.drawn = String(chart.data.datasets.length);
}

if (source && canvas) {
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  new MutationObserver(draw).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
}
