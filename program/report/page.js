// SPDX-License-Identifier: MIT
// Draws the charts of the data block with Chart.js, folds their tables, sorts, and saves CSV. Without it the page
// is the same text and tables.
"use strict";
(() => {
const data = JSON.parse(document.getElementById("data").textContent);
const words = data.words;
const charts = [];

// ---- Theme: the colours are the style sheet's, so that dark and print need no list of their own ----

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
const digits = (value) => Math.abs(value) >= 1e6 ? value.toPrecision(4) : value.toFixed(4);
const minus = (text) => String(text).replace("-", "\u2212");
const plain = (value) => minus(+value.toPrecision(6));

function axis(spec, extra) {
  return {
    type: "linear",
    min: spec.min,
    max: spec.max,
    title: {display: true, text: spec.title, color: style("ink")},
    ticks: {color: style("muted"), callback: plain, maxTicksLimit: spec.ticks ?? 7, maxRotation: 0},
    grid: {color: style("line"), borderColor: style("muted")},
    ...extra,
  };
}

const markers = {hard: "circle", smoothed: "rect", third: "triangle"};

function dataset(series) {
  const color = style(series.color), dashed = series.style.startsWith("dashed"), bare = series.style.endsWith("curve");
  const largest = series.counts ? Math.max(...series.counts) : 0;
  return {
    label: series.name,
    data: series.points.map(([x, y, low, high, from, to]) => ({x, y, low, high, from, to})),
    counts: series.counts,
    showLine: true,
    borderColor: color,
    backgroundColor: dashed ? style("paper") : color,
    borderWidth: 2,
    borderDash: dashed ? [6, 4] : [],
    pointBorderColor: color,
    pointStyle: markers[series.color],
    pointRadius: series.counts ? series.counts.map((n) => 2.5 + 6 * Math.sqrt(n / largest)) : bare ? 0 : 4,
    pointHoverRadius: 6,
    clip: room,
  };
}

// ---- Marks that Chart.js does not have: intervals, margins, bands, lines ----

function stroke(context, color, width, dash, from, to) {
  context.save();
  context.strokeStyle = color;
  context.lineWidth = width;
  context.setLineDash(dash);
  context.beginPath();
  context.moveTo(...from);
  context.lineTo(...to);
  context.stroke();
  context.restore();
}

function write(context, text, x, y, align) {
  context.save();
  context.fillStyle = style("muted");
  context.font = "11px system-ui, sans-serif";
  context.textAlign = align;
  context.fillText(text, x, y);
  context.restore();
}

const room = 10;  // beside the axes, for marks at their ends

function clipped({ctx, chartArea: a}, draw) {
  ctx.save();
  ctx.beginPath();
  ctx.rect(a.left - room, a.top, a.right - a.left + 2 * room, a.bottom - a.top);
  ctx.clip();
  draw();
  ctx.restore();
}

const marks = {
  id: "marks",
  // Arms that share an x step aside, in pixels, so that their whiskers can be told apart.
  afterUpdate(chart) {
    const sets = chart.data.datasets.length;
    if (!chart.options.spec.dodge) return;
    for (let i = 0; i < sets; ++i) {
      for (const point of chart.getDatasetMeta(i).data) point.x += 4 * (i - (sets - 1) / 2);
    }
  },
  beforeDatasetsDraw(chart) {
    const {ctx, chartArea: a, scales: {x, y}} = chart, spec = chart.options.spec;
    clipped(chart, () => {
      if (spec.diagonal) stroke(ctx, style("muted"), 1, [], [x.getPixelForValue(0), y.getPixelForValue(0)],
                                [x.getPixelForValue(1), y.getPixelForValue(1)]);
      if (spec.zero) stroke(ctx, style("ink"), 1, [], [a.left, y.getPixelForValue(0)], [a.right, y.getPixelForValue(0)]);
      for (const [at, low, high] of spec.bands || []) {
        if (low === null) continue;
        stroke(ctx, style("band"), 9, [], [x.getPixelForValue(at), y.getPixelForValue(low)],
               [x.getPixelForValue(at), y.getPixelForValue(high)]);
      }
      if (spec.mark) {
        const at = x.getPixelForValue(spec.mark.at);
        stroke(ctx, style("third"), 2, [2, 3], [at, a.top], [at, a.bottom]);
        write(ctx, spec.mark.name, at - 4, a.bottom - 6, "right");
      }
      for (const [from, to, share] of spec.bars || []) {
        ctx.fillStyle = style(spec.color);
        const left = x.getPixelForValue(from), top = y.getPixelForValue(share);
        ctx.fillRect(left + 1, top, x.getPixelForValue(to) - left - 2, y.getPixelForValue(0) - top);
      }
      (spec.rows || []).forEach((row, i) => {
        if (row.margin === null) return;
        ctx.fillStyle = style("band");
        const left = x.getPixelForValue(-row.margin), top = y.getPixelForValue(i - .4);
        ctx.fillRect(left, top, x.getPixelForValue(row.margin) - left, y.getPixelForValue(i + .4) - top);
      });
      if (spec.rows) stroke(ctx, style("ink"), 1, [], [x.getPixelForValue(0), a.top], [x.getPixelForValue(0), a.bottom]);
    });
  },
  // Whiskers of the points that have an interval: across in a forest plot, upright elsewhere; thick where an inner
  // one is given.
  afterDatasetDraw(chart, {meta, index}) {
    const set = chart.data.datasets[index], {x, y} = chart.scales, across = chart.options.spec.kind === "forest";
    if (!chart.isDatasetVisible(index)) return;
    clipped(chart, () => set.data.forEach((point, i) => {
      if (typeof point.low !== "number" || typeof point.high !== "number") return;
      const {x: px, y: py} = meta.data[i], scale = across ? x : y;
      const [low, high] = [scale.getPixelForValue(point.low), scale.getPixelForValue(point.high)];
      stroke(chart.ctx, set.borderColor, 2, [], across ? [low, py] : [px, low], across ? [high, py] : [px, high]);
      if (typeof point.from !== "number" || typeof point.to !== "number") return;
      stroke(chart.ctx, set.borderColor, 7, [], [px, scale.getPixelForValue(point.from)], [px, scale.getPixelForValue(point.to)]);
    }));
  },
};

// ---- Charts ----

function told(item) {
  const point = item.raw, counts = item.dataset.counts;
  const interval = typeof point.low === "number" ? ` [${digits(point.low)}, ${digits(point.high)}]` : "";
  const rows = counts ? ` (${counts[item.dataIndex]} ${words.rows})` : "";
  return `${item.dataset.label}: ${digits(item.chart.options.spec.kind === "forest" ? point.x : point.y)}${interval}${rows}`;
}

function common(spec) {
  return {
    spec,
    animation: false,
    responsive: true,
    maintainAspectRatio: false,
    plugins: {
      legend: {
        display: spec.legend !== false,
        position: "bottom",
        labels: {color: style("ink"), usePointStyle: true, boxWidth: 24, boxHeight: 8},
      },
      tooltip: {callbacks: {title: () => "", label: told}},
    },
  };
}

// One width, so that a chart and the one beneath share their x.
const afterFit = (scale) => { scale.width = Math.max(scale.width, 66); };

function xy(spec) {
  const sets = spec.series.map(dataset);
  const xs = spec.series.flatMap((series) => series.points.map((point) => point[0]));
  for (const line of spec.lines) {
    const ends = [spec.x.min ?? Math.min(...xs), spec.x.max ?? Math.max(...xs)];
    sets.push({label: line.name, data: ends.map((x) => ({x, y: line.at})), showLine: true, borderColor: style(line.color),
               backgroundColor: "transparent", borderWidth: 2, borderDash: [2, 4], pointRadius: 0, pointStyle: "line"});
  }
  // Room for the whiskers, which Chart.js does not know of.
  const bounds = (low) => spec.series.flatMap((series) => series.points)
      .map((point) => point[low ? 2 : 3] ?? point[1]).filter((value) => typeof value === "number");
  const y = axis(spec.y, {suggestedMin: Math.min(...bounds(true)), suggestedMax: Math.max(...bounds(false)), afterFit});
  return {type: "scatter", data: {datasets: sets}, options: {...common(spec), scales: {x: axis(spec.x), y}}};
}

function bars(spec) {
  const points = spec.bars.map(([from, to, share]) => ({x: (from + to) / 2, y: share}));
  const set = {label: spec.y.title, data: points, counts: spec.bars.map((bar) => bar[3]), pointRadius: 0, pointHitRadius: 8,
               borderColor: style(spec.color), backgroundColor: style(spec.color)};
  return {type: "scatter", data: {datasets: [set]}, options: {...common(spec), scales: {x: axis(spec.x), y: axis(spec.y, {afterFit})}}};
}

function forest(spec) {
  const rows = spec.rows.map((row, i) => ({x: row.value, y: i, low: row.low, high: row.high}));
  const ends = spec.rows.flatMap((row) => [row.value, row.low, row.high, row.margin, row.margin === null ? null : -row.margin])
      .filter((value) => typeof value === "number");
  const names = (i) => spec.rows[i] ? [...spec.rows[i].group.split(/[,\uff0c] ?/), spec.rows[i].name, spec.rows[i].verdict] : [];
  const color = style("smoothed");
  const set = {label: spec.label, data: rows, borderColor: color, backgroundColor: color, pointRadius: 5, pointStyle: "rect"};
  const options = common({...spec, legend: false});
  options.plugins.tooltip.callbacks.title = (items) => names(items[0].raw.y);
  options.scales = {
    x: axis({title: `${spec.label}   ${spec.better}`}, {suggestedMin: Math.min(...ends), suggestedMax: Math.max(...ends)}),
    y: axis({min: -.5, max: rows.length - .5}, {reverse: true, title: {display: false}, grid: {display: false},
      afterBuildTicks: (scale) => { scale.ticks = rows.map((_, i) => ({value: i})); },
      ticks: {color: style("ink"), callback: names, autoSkip: false, font: {size: 11}}}),
  };
  return {type: "scatter", data: {datasets: [set]}, options};
}

const kinds = {xy, bars, forest};

function drawAll() {
  while (charts.length) charts.pop().destroy();
  Chart.defaults.font.family = "system-ui, sans-serif";
  for (const [id, spec] of Object.entries(data.charts)) {
    charts.push(new Chart(document.getElementById(id), {...kinds[spec.kind](spec), plugins: [marks]}));
  }
}

// ---- Tables ----

const rowsOf = (table) => [...table.tBodies[0].rows];
const textOf = (cell) => cell.textContent.replaceAll("\u2212", "-");

function saveCsv(table) {
  const quote = (text) => `"${(/^[=+@\t-]/.test(text) && isNaN(text) ? "'" : "") + text.replaceAll('"', '""')}"`;
  const head = [words.source, ...[...table.tHead.rows[0].cells].map((cell) => cell.textContent)];
  const lines = rowsOf(table).map((row) => [row.dataset.path, ...[...row.cells].map(textOf)]);
  const link = document.createElement("a");
  const text = [head, ...lines].map((line) => line.map(quote).join(",")).join("\r\n") + "\r\n";
  link.href = "data:text/csv;charset=utf-8," + encodeURIComponent("\ufeff" + text);
  link.download = table.id + ".csv";
  link.click();
}

function sortBy(table, column, header) {
  const down = header.getAttribute("aria-sort") === "ascending";
  const key = (row) => textOf(row.cells[column]);
  const compare = (a, b) => {
    const [x, y] = [parseFloat(key(a)), parseFloat(key(b))];
    if (isNaN(x) !== isNaN(y)) return isNaN(x) ? 1 : -1;  // what is unknown comes last
    const order = isNaN(x) ? key(a).localeCompare(key(b)) : x - y;
    return down ? -order : order;
  };
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", down ? "descending" : "ascending");
  table.tBodies[0].append(...rowsOf(table).sort(compare));
}

function makeSortable(table) {
  [...table.tHead.rows[0].cells].forEach((header, column) => {
    const button = document.createElement("button");
    button.textContent = header.textContent;
    button.setAttribute("aria-label", `${words.sort} ${header.textContent}`);
    button.addEventListener("click", () => sortBy(table, column, header));
    header.replaceChildren(button);
  });
}

for (const table of document.querySelectorAll("table")) {
  const button = document.createElement("button");
  button.className = "csv";
  button.textContent = words.csv;
  button.setAttribute("aria-label", `${words.csv}: ${table.caption.textContent}`);
  button.addEventListener("click", () => saveCsv(table));
  table.closest(".table").append(button);
  if ("sortable" in table.dataset) makeSortable(table);
}
for (const details of document.querySelectorAll("details")) details.open = false;
addEventListener("beforeprint", () => { for (const details of document.querySelectorAll("details")) details.open = true; });

document.documentElement.classList.add("js");
drawAll();
for (const query of ["(prefers-color-scheme: dark)", "print"]) matchMedia(query).addEventListener("change", drawAll);
})();
