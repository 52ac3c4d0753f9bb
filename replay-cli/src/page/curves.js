// The page of `replay analyse` and `replay eval`.

function curves(data) {
  const charts = (data.charts ?? []).map(
    (chart) =>
      lineChart({
        title: chart.title,
        xLabel: chart.x_label,
        yLabel: chart.y_label,
        x: chart.x,
        series: chart.series,
        logX: chart.log_x,
        logY: chart.log_y ? true : undefined,
        height: 300,
      }).node,
  );
  const hasBand = (data.charts ?? []).some((chart) => chart.series.some((one) => one.low));
  const tables = (data.tables ?? []).map((table) =>
    h("div", { class: "table" }, h("h3", null, table.title), dataTable(table.columns, table.rows, table.title)),
  );
  return [
    h(
      "header",
      null,
      h("p", { class: "overline" }, "Activation Replay"),
      h("h1", null, data.title),
      data.subtitle && h("p", { class: "subtitle soft" }, data.subtitle),
      data.note && h("p", { class: "note prose" }, data.note),
    ),
    charts.length > 0 &&
      section(
        "Curves",
        hasBand
          ? "Shaded: the interval of each value. Point at a chart, or tab to it and use the arrow keys, to read it."
          : "Point at a chart, or tab to it and use the arrow keys, to read it.",
        h("div", { class: "charts large" }, charts),
      ),
    tables.length > 0 && section("Tables", null, h("div", { class: "tables" }, tables)),
    h("footer", null, "Everything is in this one file; it loads nothing from elsewhere."),
  ];
}

start(curves);
