"use strict";
const page = JSON.parse(document.getElementById("page").textContent);
const titles = new Map(page.methods.map(method => [method.name, method.title]));
const tables = Object.fromEntries(Object.entries(page.tables).map(([name, table]) => [name, unpack(table)]));
const form = document.getElementById("filters");
const KEYS = ["dataset", "method", "epsilon"];
const MINUS = "\u2212";
const SIGNED = /^(difference|low|high|prediction)_.*points$/;

function unpack(packed) {
  const columns = Object.keys(packed);
  const values = columns.map(column => packed[column].places?.map(i => packed[column].distinct[i]) ?? packed[column]);
  const rows = (values[0] ?? []).map((_, i) => Object.fromEntries(columns.map((column, j) => [column, values[j][i] ?? null])));
  for (const row of rows) {
    for (const column of ["method", "reference"]) if (titles.has(row[column])) row[`${column}_title`] = titles.get(row[column]);
    if (row.dataset in page.datasets) row.dataset_title = page.datasets[row.dataset];
  }
  return {columns, rows};
}

// An element; text in it stays text, whatever it holds.
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function swatch(index, dashes) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
  for (const [name, value] of Object.entries({x2: "100%", y1: "50%", y2: "50%", "stroke-dasharray": dashes}))
    line.setAttribute(name, value);
  line.style.stroke = `var(--method-${index})`;
  svg.setAttribute("class", "swatch");
  svg.setAttribute("aria-hidden", "true");
  svg.append(line);
  return svg;
}

function choices(title, name, options) {
  const labels = options.map(({value, text, shown = true, mark = ""}) =>
    element("label", {}, element("input", {type: "checkbox", name, value, ...(shown && {checked: ""})}), mark, text));
  return element("fieldset", {}, element("legend", {}, title), ...labels);
}

function dropdown(options, attributes, first) {
  const made = Object.entries(options).map(([value, text]) => element("option", {value, ...(value === first && {selected: ""})}, text));
  return element("select", attributes, ...made);
}

const infinity = value => value === "inf" ? "∞" : String(value);

// A value as people read it: by title, where it has one, and to the hundredth of a percent.
function label(row, column) {
  const value = row[column];
  if (value == null) return "";
  if (column === "epsilon") return infinity(value);
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "number" && /_(percent|points)$/.test(column)) {
    const sign = SIGNED.test(column) && Number(value.toFixed(2)) > 0 ? "+" : "";
    const half = row[`${column}_half`];
    return sign + fixed(value) + (half == null ? "" : ` ± ${fixed(half)}`);
  }
  if (typeof value === "number" && value < 0) return MINUS + -value;
  return String(row[`${column}_title`] ?? value);
}

function fixed(value) {
  const text = value.toFixed(2);
  return Number(text) === 0 ? "0.00" : text.replace("-", MINUS);
}

function range(values) {
  return values.reduce(([least, most], value) => [Math.min(least, value), Math.max(most, value)], [Infinity, -Infinity]);
}

// What is chosen, by key. A row passes that says nothing of a key, as the audit does of data sets.
function filtered(name) {
  const data = new FormData(form);
  const wanted = KEYS.map(key => [key, new Set(data.getAll(key))]);
  return tables[name].rows.filter(row => wanted.every(([key, values]) => row[key] == null || values.has(String(row[key]))));
}

// All that can be chosen, by name: boxes to tick, and options of dropdowns in and outside of the form.
function choosable() {
  const found = [...form.elements].flatMap(control => control.options ? [...control.options] : control.type === "checkbox" ? [control] : []);
  return Map.groupBy(found, one => one.name ?? one.closest("select").name);
}

// The address says of every name whose choice is not the one at first what is chosen; nothing, where nothing is.
function writeAddress() {
  const address = new URLSearchParams();
  for (const [name, all] of choosable()) {
    if (all.every(one => (one.selected ?? one.checked) === (one.defaultSelected ?? one.defaultChecked))) continue;
    const values = all.filter(one => one.selected ?? one.checked).map(one => one.value);
    for (const value of values.length ? values : [""]) address.append(name, value);
  }
  history.replaceState(null, "", `#${address}`);
}

// What the address does not say, or says of what there is not, stays as it is at first.
function readAddress() {
  const address = new URLSearchParams(location.hash.slice(1));
  form.reset();
  for (const [name, all] of choosable()) {
    const values = address.getAll(name).filter(value => value === "" || all.some(one => one.value === value));
    if (values.length) for (const one of all) one["selected" in one ? "selected" : "checked"] = values.includes(one.value);
  }
}

function download(name, columns, rows) {
  const quote = value => /[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
  const lines = [columns, ...rows.map(row => columns.map(column => row[column] ?? ""))];
  const text = lines.map(line => line.map(value => quote(String(value))).join(",") + "\n").join("");
  const link = element("a", {download: `${name}.csv`, href: URL.createObjectURL(new Blob([text], {type: "text/csv"}))});
  link.click();
  URL.revokeObjectURL(link.href);
}

function section(title, name, ...controls) {
  const button = element("button", {type: "button", "aria-label": `Download the data of: ${title}`}, "Download CSV");
  button.addEventListener("click", () => download(name, tables[name].columns, filtered(name)));
  return element("section", {"aria-label": title}, element("div", {class: "heading"}, element("h2", {}, title), ...controls, button));
}

function addFigure(figure) {
  const metrics = Object.keys(figure.metrics);
  const select = dropdown(figure.metrics, {name: figure.name, form: form.id, "aria-label": `Quantity shown in: ${figure.title}`}, metrics[0]);
  const quantity = element("h3"), panels = element("div", {class: "panels"});
  const empty = element("p", {class: "quiet", hidden: ""}, "Nothing that is chosen above has this quantity.");
  const parent = section(figure.title, figure.table, ...(metrics.length > 1 ? [select] : []));
  parent.id = `figure-${figure.name}`;
  parent.append(element("figure", {}, quantity, empty, panels, element("figcaption", {}, figure.caption)));
  document.getElementById("figures").append(parent);
  const drawn = new Map();

  async function draw(about, datasets) {
    const chart = element("div");
    const panel = {root: element("div", {}, ...(about ? [element("h4", {}, about)] : []), chart)};
    panels.append(panel.root);
    const spec = {...figure.spec, description: [figure.title, about].filter(Boolean).join(", "), datasets};
    panel.view = (await vegaEmbed(chart, spec, {actions: false, renderer: "svg", ast: true})).view;
    return panel;
  }

  async function update() {
    const metric = select.value;
    const before = drawn.size;
    const measured = name => filtered(name).filter(row => row[metric] != null)
      .map(row => ({...row, value: row[metric], half: row[`${metric}_half`] ?? 0}));
    const rows = measured(figure.table);
    const points = figure.points ? measured(figure.points) : [];
    const groups = Map.groupBy(rows, row => figure.by ? row[figure.by] : "");
    for (const [value, panel] of drawn) if (!groups.has(value)) {
      panel.view.finalize();
      panel.root.remove();
      drawn.delete(value);
    }
    const reach = row => figure.whole ? [row.value - row.half, row.value + row.half] : [row.value];
    const [least, most] = range([...rows.flatMap(reach), ...figure.includes]);
    for (const [value, group] of groups) {
      const about = figure.by === "epsilon" ? `ε = ${infinity(value)}` : value;
      if (!drawn.has(value)) drawn.set(value, await draw(about, {rows: group, points}));
      const {root, view} = drawn.get(value);
      panels.append(root);
      if (figure.spec.params?.some(param => param.name === "least")) view.signal("least", least).signal("most", most);
      if (figure.points) view.data("points", points);
      await view.data("rows", group).runAsync();
    }
    quantity.textContent = figure.metrics[metric];
    empty.hidden = rows.length > 0;
    if (drawn.size !== before) {  // panels beside a new one are narrower than they were drawn
      window.dispatchEvent(new Event("resize"));
      await Promise.all([...drawn.values()].map(({view}) => view.runAsync()));
    }
  }
  let due = Promise.resolve();
  const enqueue = () => due = due.then(update);
  select.addEventListener("change", enqueue);
  return enqueue;
}

// Numbers as such, infinity last of them, and anything else as text.
function order(a, b) {
  const [x, y] = [a, b].map(value => value === "inf" ? Infinity : value === "" ? NaN : Number(value));
  return Number.isNaN(x) || Number.isNaN(y) ? String(a).localeCompare(String(b)) : x === y ? 0 : x - y;
}

const MOST_ROWS = 500;

function addTable(name, title) {
  const columns = tables[name].columns.filter(column => !column.endsWith("_half"));
  const named = columns.includes("method") ? "method" : columns[0];
  const parent = section(title, name);
  parent.id = `table-${name}`;
  const note = element("p", {class: "quiet"});
  const body = element("tbody");
  const heads = columns.map(column => {
    const button = element("button", {type: "button"}, page.headings[column]);
    const head = element("th", {scope: "col", ...(column === named && {class: "row-name"})}, button);
    button.addEventListener("click", () => {
      const direction = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", direction);
      update();
    });
    return head;
  });
  const table = element("table", {}, element("thead", {}, element("tr", {}, ...heads)), body);
  parent.append(note, element("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": `Table: ${title}`}, table));
  document.getElementById("tables").append(parent);

  function cell(row, column) {
    const text = label(row, column);
    if (column === named) return element("th", {scope: "row", class: "row-name", title: text}, text);
    return element("td", typeof row[column] === "number" ? {class: "number"} : {title: text}, text);
  }

  function update() {
    const rows = filtered(name);
    const by = heads.findIndex(head => head.hasAttribute("aria-sort"));
    if (by >= 0) {
      const sign = heads[by].getAttribute("aria-sort") === "ascending" ? 1 : -1;
      const [empty, full] = [rows.filter(row => row[columns[by]] == null), rows.filter(row => row[columns[by]] != null)];
      rows.splice(0, rows.length, ...full.sort((a, b) => sign * order(a[columns[by]], b[columns[by]])), ...empty);
    }
    note.textContent = `${rows.length} rows` + (rows.length > MOST_ROWS ? `, the first ${MOST_ROWS} shown; the download has all` : "");
    body.replaceChildren(...rows.slice(0, MOST_ROWS).map(row => element("tr", {}, ...columns.map(column => cell(row, column)))));
  }
  return update;
}

const again = element("button", {type: "button"}, "Reset");
form.append(
  element("label", {}, element("b", {}, "Data set"), dropdown(page.datasets, {name: "dataset"}, page.first)),
  choices("Methods", "method", page.methods.map(({name, title, shown, dashes}, i) =>
    ({value: name, text: title, shown, mark: swatch(i, dashes)}))),
  choices("ε", "epsilon", page.epsilons.map(epsilon => ({value: epsilon, text: infinity(epsilon)}))),
  again,
);
document.getElementById("configuration").textContent = page.configuration;
const updates = [
  ...page.figures.map(addFigure),
  ...Object.entries(page.listed).map(([name, title]) => addTable(name, title)),
];

async function refresh() {
  const runs = filtered("runs");
  document.getElementById("count").textContent =
    `${runs.length} of ${tables.runs.rows.length} runs are chosen, ${runs.filter(run => run.status === "done").length} of them finished.`;
  await Promise.all(updates.map(update => update()));
  document.body.dataset.ready = "";
}
form.addEventListener("submit", event => event.preventDefault());
form.addEventListener("change", refresh);
again.addEventListener("click", () => { form.reset(); writeAddress(); refresh(); });
document.addEventListener("change", writeAddress);
window.addEventListener("hashchange", () => { readAddress(); refresh(); });
readAddress();
refresh();
