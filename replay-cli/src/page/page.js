"use strict";
// Prompts, answers and file names may be hostile: elements are built one by one, and strings are inserted as text nodes only.

function build(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") node.addEventListener(name, value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  const present = children.flat(2).filter((child) => child !== null && child !== undefined && child !== false);
  node.append(...present.map((child) => (child instanceof Node ? child : String(child))));
  return node;
}

const h = (tag, attributes, ...children) => build(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) => build(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

const finite = (value) => typeof value === "number" && Number.isFinite(value);

/** A number with four significant digits, or a dash for a missing value. */
function number(value) {
  if (!finite(value)) return "–";
  const size = Math.abs(value);
  let text;
  if (Number.isInteger(value) && size < 1e9) text = value.toLocaleString("en");
  else if (size < 1e-3 || size >= 1e9) text = value.toExponential(2);
  else if (size >= 1000) text = Math.round(value).toLocaleString("en");
  else text = value.toPrecision(4);
  return text.replaceAll("-", "−");
}

function milliseconds(value) {
  if (!finite(value)) return "–";
  return value >= 10 ? `${Math.round(value).toLocaleString("en")} ms` : `${value.toPrecision(2)} ms`;
}

const plural = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;

function mean(values) {
  const finiteValues = values.filter(finite);
  return finiteValues.length ? finiteValues.reduce((sum, value) => sum + value, 0) / finiteValues.length : null;
}

/** The lowest and highest finite value; null if there is none. A loop, since Math.min(...values) overflows the stack for 100,000 values. */
function extent(values) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (!finite(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : null;
}

function section(title, hint, ...children) {
  const heading = h("h2", null, title);
  return h("section", null, h("div", { class: "heading" }, heading, hint && h("p", { class: "soft small" }, hint)), ...children);
}

const looksNumeric = (cell) => finite(cell) || cell === null || (typeof cell === "string" && /^\s*([-−+±]?[\d.]|[-–—]\s*$)/.test(cell));

/** A table whose cells are strings, numbers, null or elements. Columns with numbers only are aligned to the right. */
function dataTable(columns, rows, label) {
  const right = columns.map((_, i) => rows.length > 0 && rows.every((row) => looksNumeric(row[i])));
  const cell = (value, i) => {
    const text = typeof value === "string" ? value : value instanceof Node ? value : number(value);
    const long = typeof text === "string" && text.length > 28;
    const attributes = { class: right[i] ? "right" : long ? "wrap" : null };
    return i === 0 && !right[i] ? h("th", { scope: "row", ...attributes }, text) : h("td", attributes, text);
  };
  const head =
    columns.some(Boolean) &&
    h(
      "thead",
      null,
      h(
        "tr",
        null,
        columns.map((name, i) => h("th", { scope: "col", class: right[i] ? "right" : null }, name)),
      ),
    );
  const body = h(
    "tbody",
    null,
    rows.map((row) =>
      h(
        "tr",
        null,
        columns.map((_, i) => cell(row[i], i)),
      ),
    ),
  );
  // A scrolling region must be reachable by keyboard.
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, h("table", { class: "data" }, head, body));
}

function start(render) {
  const page = document.getElementById("page");
  try {
    page.append(...render(JSON.parse(document.getElementById("data").textContent)).filter(Boolean));
  } catch (error) {
    console.error(error);
    page.prepend(h("p", { class: "problem" }, `This page could not be drawn from its data: ${error.message}`));
  }
}
