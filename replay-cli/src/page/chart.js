// Line charts as inline SVG. A chart is redrawn when its width changes, so that text keeps its size.

const DASHES = ["", "6 4", "2 3", "9 3 2 3", "1 4", "12 4"];
const SHAPES = ["circle", "square", "triangle", "diamond", "circle", "square"];

// Each series has its own hue, dash and shape, so that one of the three is enough to distinguish it. A chart may choose the hue; dash and
// shape follow the order of the series.
function dot(index, x, y, size) {
  const full = index % 2 === 1 ? "point full" : "point";
  switch (SHAPES[index % SHAPES.length]) {
    case "square":
      return svg("rect", { class: full, x: x - size, y: y - size, width: 2 * size, height: 2 * size });
    case "triangle":
      return svg("path", { class: full, d: `M${x} ${y - size * 1.2}l${size * 1.2} ${size * 2.2}h${-size * 2.4}z` });
    case "diamond":
      return svg("path", {
        class: full,
        d: `M${x} ${y - size * 1.4}l${size * 1.4} ${size * 1.4}l${-size * 1.4} ${size * 1.4}l${-size * 1.4} ${-size * 1.4}z`,
      });
    default:
      return svg("circle", { class: full, cx: x, cy: y, r: size * 1.1 });
  }
}

function swatch(index, hue) {
  return svg(
    "svg",
    { class: `hue-${hue % 6}`, viewBox: "0 0 26 10", "aria-hidden": "true" },
    svg("path", { class: "line", d: "M0 5H26", "stroke-dasharray": DASHES[index % DASHES.length] }),
    dot(index, 13, 5, 3),
  );
}

function niceTicks(low, high, count) {
  const rough = (high - low) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((candidate) => candidate >= rough * 0.75);
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) ticks.push(i * step);
  return ticks;
}

function logTicks(low, high, count) {
  const decades = Math.log10(high / low);
  const steps = decades < 1.2 ? [1, 2, 3, 5, 7] : decades < 2.5 ? [1, 2, 5] : [1];
  const stride = Math.max(1, Math.ceil(decades / count));
  const ticks = [];
  for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e += steps.length > 1 ? 1 : stride) {
    for (const step of steps) {
      const tick = step * 10 ** e;
      if (tick >= low * 0.999 && tick <= high * 1.001) ticks.push(tick);
    }
  }
  return ticks;
}

function tickLabel(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text = size < 1e-3 || size >= 1e6 ? value.toExponential(1).replace(".0e", "e") : String(Number(value.toPrecision(6)));
  return text.replaceAll("-", "−");
}

/**
 * Draws a line chart. spec: title, hint, xLabel, yLabel, x, series [{name, y, low, high, hue}], logX, logY ("auto": logarithmic if the
 * values span more than a decade), zero (the axis starts at 0), height, format, xName (text for one x value in the tooltip),
 * onPick(index). Returns {node, mark(index), update(series)}.
 */
function lineChart(spec) {
  const { x, height = 210, format = number, xName = (value) => `${spec.xLabel} = ${number(value)}` } = spec;
  let series = spec.series;
  let marked = null;
  let hovered = null;
  let layout = null;

  const plot = svg("svg", { class: "plot", role: "img", tabindex: "0" });
  const tip = h("div", { class: "tip", hidden: true, "aria-live": "polite" });
  const keys = h("ul", { class: "keys" });
  const empty = h("p", { class: "empty soft small", hidden: true }, "No finite value to draw.");
  const node = h(
    "figure",
    { class: `chart card${spec.onPick ? " pick" : ""}` },
    h("figcaption", null, h("h3", null, spec.title), spec.hint && h("p", { class: "soft small" }, spec.hint)),
    keys,
    plot,
    empty,
    tip,
  );

  const hue = (i) => series[i].hue ?? i;
  const order = x
    .map((_, i) => i)
    .filter((i) => finite(x[i]))
    .sort((a, b) => x[a] - x[b]);
  const logX = Boolean(spec.logX) && order.every((i) => x[i] > 0);
  const place = (i) => (logX ? Math.log(x[i]) : x[i]);

  function yScale() {
    const all = series.flatMap((one) => [...one.y, ...(one.low ?? []), ...(one.high ?? [])]).filter(finite);
    const range = extent(all);
    if (!range) return null;
    let [low, high] = range;
    const log = spec.logY === true ? low > 0 : spec.logY === "auto" && low > 0 && high / low > 10;
    if (log) {
      if (high / low < 1.5) {
        low /= 1.5;
        high *= 1.5;
      }
      const pad = (high / low) ** 0.06;
      low /= pad;
      high *= pad;
      return { low, high, log, at: (v) => (v > 0 ? Math.log(v / low) / Math.log(high / low) : null) };
    }
    if (spec.zero) low = Math.min(0, low);
    if (high === low) {
      const pad = Math.abs(high) * 0.1 || 1;
      high += pad;
      if (!(spec.zero && low >= 0)) low -= pad;
    }
    const pad = (high - low) * 0.06;
    high = spec.top !== undefined && high <= spec.top ? Math.min(spec.top, high + pad) : high + pad;
    if (!(spec.zero && low === 0)) low -= pad;
    return { low, high, log, at: (v) => (v - low) / (high - low) };
  }

  function describe() {
    const parts = series.map((one) => {
      const range = extent(one.y);
      return range ? `${one.name}: ${format(range[0])} to ${format(range[1])}` : `${one.name}: no value`;
    });
    return `${spec.title}. ${spec.yLabel} over ${spec.xLabel}. ${parts.join("; ")}. Left and right arrow keys read single points.`;
  }

  function draw() {
    const width = Math.max(240, Math.round(plot.getBoundingClientRect().width || 480));
    const scale = yScale();
    const drawable = scale !== null && order.length > 0;
    plot.style.display = drawable ? "" : "none";
    empty.hidden = drawable;
    keys.replaceChildren(
      ...(series.length > 1 || spec.alwaysKeys ? series.map((one, i) => h("li", null, swatch(i, hue(i)), one.name)) : []),
    );
    if (!drawable) {
      tip.hidden = true;
      layout = null;
      return;
    }

    const yTicks = scale.log ? logTicks(scale.low, scale.high, 5) : niceTicks(scale.low, scale.high, height > 150 ? 5 : 3);
    const yText = yTicks.map(spec.tick ?? tickLabel);
    const left = Math.max(...yText.map((text) => text.length), 2) * 6.6 + 12;
    const [top, right, bottom] = [22, 14, 40];
    const inner = { width: width - left - right, height: height - top - bottom };
    const [first, last] = extent(order.map(place));
    const span = last - first;
    const px = (i) => left + (span > 0 ? (place(i) - first) / span : 0.5) * inner.width;
    const py = (value) => {
      const t = finite(value) ? scale.at(value) : null;
      return t === null ? null : top + (1 - t) * inner.height;
    };
    layout = { px, py, top, left, right: width - right, bottom: top + inner.height, width };

    plot.setAttribute("viewBox", `0 0 ${width} ${height}`);
    plot.setAttribute("aria-label", describe());
    const parts = [];
    yTicks.forEach((tick, i) => {
      const y = py(tick);
      parts.push(svg("line", { class: "grid", x1: left, x2: width - right, y1: y, y2: y }));
      parts.push(svg("text", { x: left - 8, y: y + 4, "text-anchor": "end" }, yText[i]));
    });
    parts.push(svg("text", { x: 0, y: 10 }, `${spec.yLabel}${scale.log ? " (log scale)" : ""}`));
    parts.push(svg("line", { class: "axis", x1: left, x2: width - right, y1: layout.bottom, y2: layout.bottom }));
    for (const [position, text] of xTicks(px, inner.width, first, last, left)) {
      parts.push(svg("line", { class: "axis", x1: position, x2: position, y1: layout.bottom, y2: layout.bottom + 4 }));
      parts.push(svg("text", { x: position, y: layout.bottom + 16, "text-anchor": "middle" }, text));
    }
    parts.push(
      svg("text", { x: left + inner.width / 2, y: height - 4, "text-anchor": "middle" }, `${spec.xLabel}${logX ? " (log scale)" : ""}`),
    );
    series.forEach((one, i) => parts.push(bandOf(one, i)));
    series.forEach((one, i) => parts.push(lineOf(one, i)));
    if (marked !== null) parts.push(svg("line", { class: "marker", x1: px(marked), x2: px(marked), y1: top - 4, y2: layout.bottom }));
    if (hovered !== null) parts.push(svg("line", { class: "cross", x1: px(hovered), x2: px(hovered), y1: top - 4, y2: layout.bottom }));
    plot.replaceChildren(...parts.filter(Boolean));
    showTip();
  }

  function xTicks(px, width, first, last, left) {
    const text = (i) => tickLabel(x[i]);
    const longest = Math.max(...order.map((i) => text(i).length));
    const room = Math.max(1, Math.floor(width / (longest * 6.6 + 12)));
    if (order.length <= Math.min(room, 16) || logX) {
      // One tick per point, without those whose label would touch the previous one.
      const kept = [];
      for (const i of order) {
        if (!kept.length || px(i) - kept.at(-1)[0] >= longest * 6.6 + 8) kept.push([px(i), text(i)]);
      }
      return kept;
    }
    let ticks = niceTicks(first, last, Math.min(room, 8));
    if (order.every((i) => Number.isInteger(x[i]))) ticks = ticks.filter(Number.isInteger);
    return ticks.map((tick) => [left + ((tick - first) / (last - first)) * width, tickLabel(tick)]);
  }

  // Runs of consecutive points that have a value.
  function runs(one, hasValue) {
    const all = [];
    let run = [];
    for (const i of order) {
      if (hasValue(one, i)) run.push(i);
      else if (run.length) {
        all.push(run);
        run = [];
      }
    }
    if (run.length) all.push(run);
    return all;
  }

  function lineOf(one, i) {
    const { px, py } = layout;
    const group = svg("g", { class: `hue-${hue(i) % 6}` });
    for (const run of runs(one, (s, k) => py(s.y[k]) !== null)) {
      const d = run.map((k, n) => `${n ? "L" : "M"}${px(k).toFixed(1)} ${py(one.y[k]).toFixed(1)}`).join("");
      group.append(svg("path", { class: "line", d, "stroke-dasharray": DASHES[i % DASHES.length] }));
      if (run.length === 1 || x.length <= 40) group.append(...run.map((k) => dot(i, px(k), py(one.y[k]), x.length > 20 ? 2.2 : 3)));
    }
    return group;
  }

  function bandOf(one, i) {
    if (!one.low || !one.high) return null;
    const { px, py } = layout;
    const group = svg("g", { class: `hue-${hue(i) % 6}` });
    const hasBand = (s, k) => py(s.low[k]) !== null && py(s.high[k]) !== null;
    for (const run of runs(one, hasBand)) {
      if (run.length === 1) {
        const k = run[0];
        group.append(svg("line", { class: "whisker", x1: px(k), x2: px(k), y1: py(one.low[k]), y2: py(one.high[k]) }));
        continue;
      }
      const upper = run.map((k) => `${px(k).toFixed(1)} ${py(one.high[k]).toFixed(1)}`);
      const lower = run.toReversed().map((k) => `${px(k).toFixed(1)} ${py(one.low[k]).toFixed(1)}`);
      group.append(svg("path", { class: "band", d: `M${upper.join("L")}L${lower.join("L")}Z` }));
    }
    return group;
  }

  function showTip() {
    tip.hidden = hovered === null;
    if (hovered === null) return;
    const rows = series.map((one, i) => {
      const interval = one.low && one.high && finite(one.low[hovered]) ? `${format(one.low[hovered])} to ${format(one.high[hovered])}` : "";
      return h(
        "tr",
        { class: `hue-${hue(i) % 6}` },
        h("td", null, swatch(i, hue(i)), one.name),
        h("td", null, format(one.y[hovered])),
        h("td", null, interval),
      );
    });
    tip.replaceChildren(h("strong", null, xName(x[hovered], hovered)), h("table", null, h("tbody", null, rows)));
    const box = plot.getBoundingClientRect();
    const outer = node.getBoundingClientRect();
    const factor = box.width / layout.width;
    const at = box.left - outer.left + layout.px(hovered) * factor;
    const beside = at + 14 + tip.offsetWidth <= outer.width - 4 ? at + 14 : at - 14 - tip.offsetWidth;
    tip.style.left = `${Math.max(4, Math.min(beside, outer.width - tip.offsetWidth - 4))}px`;
    tip.style.top = `${Math.max(4, box.top - outer.top + layout.top - 6)}px`;
  }

  function nearest(event) {
    const box = plot.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * layout.width;
    return order.reduce((best, i) => (Math.abs(layout.px(i) - at) < Math.abs(layout.px(best) - at) ? i : best), order[0]);
  }

  function hover(index) {
    if (index === hovered) return;
    hovered = index;
    draw();
  }

  plot.addEventListener("pointermove", (event) => layout && hover(nearest(event)));
  plot.addEventListener("pointerleave", () => hover(null));
  plot.addEventListener("blur", () => hover(null));
  plot.addEventListener("click", (event) => layout && spec.onPick?.(nearest(event)));
  plot.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step && layout) {
      event.preventDefault();
      const now = order.indexOf(hovered ?? marked ?? -1);
      hover(order[now < 0 ? (step > 0 ? 0 : order.length - 1) : Math.max(0, Math.min(order.length - 1, now + step))]);
    } else if (event.key === "Escape") hover(null);
    else if (event.key === "Enter" && hovered !== null) spec.onPick?.(hovered);
  });

  let drawn = 0;
  new ResizeObserver(() => {
    const width = Math.round(node.clientWidth);
    if (width && width !== drawn) {
      drawn = width;
      draw();
    }
  }).observe(node);

  return {
    node,
    mark(index) {
      if (index !== marked) {
        marked = index;
        if (layout) draw();
      }
    },
    update(next) {
      series = next;
      if (drawn) draw();
    },
  };
}
