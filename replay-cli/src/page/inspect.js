// The page of `replay inspect`.

function inspect(data) {
  document.title ||= data.title;
  data.layers ??= [];
  data.images ??= [];
  const footer = h("footer", null, "Written by replay inspect. Everything is in this one file; it loads nothing from elsewhere.");
  if (!data.layers.length || !data.images.length) {
    const why = data.layers.length ? "The prompt has no image." : "No layer was ranked for this prompt.";
    return [header(data), section("Tokens", null, h("p", { class: "soft" }, why)), answers(data), tables(data), explanation(data), footer];
  }
  const tokens = explorer(data);
  const charts = layerCharts(data, tokens.setLayer);
  tokens.onLayer(charts.mark);
  return [
    header(data),
    ...tokens.nodes,
    section(
      "Over the layers",
      data.layers.length > 1 ? "Click a chart to go to a layer." : null,
      h("div", { class: "charts" }, charts.nodes),
    ),
    answers(data),
    tables(data),
    explanation(data),
    footer,
  ];
}

start(inspect);
