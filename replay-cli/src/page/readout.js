// The panel beside the pictures: the values of one token, a histogram of its layer, and its values over the layers.

const BINS = 32;

/** view: the explorer's view (values, layer, drawn, scale, selected, locate, rank). Call show(token) when the token or the view changes. */
function readout(data, view) {
  const facts = h("dl", { class: "reading" });
  const place = h("p", { class: "place" });
  const live = h("div", { class: "card panel token", role: "status" }, place, facts);
  const bars = h("div", { class: "bars", "aria-hidden": "true" });
  const rampStrip = h("div", { class: "rampstrip", "aria-hidden": "true" });
  const needle = h("div", { class: "needle", hidden: true });
  const ends = h("div", { class: "ends small soft" });
  const histogramTitle = h("h3", null);
  const histogram = h(
    "figure",
    { class: "card panel" },
    histogramTitle,
    h(
      "p",
      { class: "small soft key" },
      h("span", { class: "box selected" }),
      "selected",
      h("span", { class: "box rest" }),
      "other tokens of this layer",
    ),
    h("div", { class: "bins" }, bars, rampStrip, needle),
    ends,
  );
  const through = lineChart({
    title: "This token through the layers",
    xLabel: "decoder layer",
    yLabel: "nats",
    x: data.layers.map((l) => l.layer),
    height: 225,
    xName: (layer) => `Layer ${layer}`,
    onPick: view.setLayer,
    series: [],
    alwaysKeys: true,
  });
  through.node.classList.add("panel");

  const measured = data.layers.some((layer) => extent(layer.kl_before ?? []) || extent(layer.kl_after ?? []));
  const fact = (name, value, kind) => h("div", { class: kind }, h("dt", null, name), h("dd", null, value));

  function show(token) {
    const { layer, drawn, scale } = view;
    const now = data.layers[layer];
    if (token === null) {
      place.replaceChildren("Point at a token, or tab to a picture and use the arrow keys.");
      facts.replaceChildren();
    } else {
      const { image, index, frame, row, column } = view.locate(token);
      const position = [
        data.images.length > 1 && data.images[index].name.toLowerCase(),
        image.frames > 1 && `frame ${frame + 1}`,
        `row ${row + 1} of ${image.rows}`,
        `column ${column + 1} of ${image.columns}`,
      ].filter(Boolean);
      place.replaceChildren(h("strong", null, `Visual token ${token}`), ` ${position.join(", ")}`);
      const rank = view.rank(token);
      const change = finite(now.kl_before?.[token]) && finite(now.kl_after?.[token]) ? now.kl_after[token] - now.kl_before[token] : null;
      facts.replaceChildren(
        ...[
          fact("entropy", number(now.entropy[token])),
          fact("entropy rank", rank ? `${rank[0]} of ${rank[1]}` : "not ranked"),
          fact("selected", now.selected[token] ? "yes" : "no", now.selected[token] ? "yes" : ""),
          measured && fact("KL before", number(now.kl_before?.[token]), "before"),
          measured && fact("KL after", number(now.kl_after?.[token]), "after"),
          measured && fact("KL change", `${change > 0 ? "+" : ""}${number(change)}`),
          data.learned?.delta_norms && fact("delta norm", number(data.learned.delta_norms[token])),
        ].filter(Boolean),
      );
    }
    const value = token === null ? null : view.values()[token];
    needle.hidden = !finite(value);
    if (finite(value)) needle.style.left = `${100 * scale.at(value)}%`;

    through.node.hidden = drawn.still || data.layers.length < 2;
    if (!through.node.hidden) {
      const all = { name: "mean of all tokens", y: data.layers.map((_, l) => view.mean(l)), hue: 5 };
      through.update(
        token === null
          ? [all]
          : [{ name: `token ${token}, ${drawn.name}`, y: data.layers.map((_, l) => view.values(l)[token]), hue: 2 }, all],
      );
      through.mark(layer);
    }
  }

  function showHistogram() {
    const { scale, drawn } = view;
    const counts = Array.from({ length: BINS }, () => [0, 0]);
    view.values().forEach((value, token) => {
      if (finite(value)) counts[Math.min(BINS - 1, Math.floor(scale.at(value) * BINS))][view.selected(token) ? 0 : 1] += 1;
    });
    const tallest = Math.max(1, ...counts.map(([selected, rest]) => selected + rest));
    bars.replaceChildren(
      ...counts.map(([selected, rest]) =>
        h(
          "div",
          null,
          h("span", { class: "rest", style: `height: ${(100 * rest) / tallest}%` }),
          h("span", { class: "selected", style: `height: ${(100 * selected) / tallest}%` }),
        ),
      ),
    );
    rampStrip.style.background = gradient(scale.map);
    histogramTitle.textContent = `${drawn.title} of the tokens${drawn.still ? "" : `, layer ${data.layers[view.layer].layer}`}`;
    ends.replaceChildren(...scale.ends.map((end) => h("span", null, end)));
  }

  return { nodes: [live, histogram, through.node], show, showHistogram };
}
