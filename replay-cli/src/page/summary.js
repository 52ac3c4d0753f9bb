// The static parts of the page of `replay inspect`: models, prompt, answers, curves over the layers, tables, explanation.

function statusText(report) {
  if (!report) return ["off", "Not replayed", "replay was off"];
  const rows = (report.layers ?? []).reduce((sum, layer) => sum + layer.selected, 0);
  switch (report.status) {
    case "replayed":
      return [
        "good",
        "Replayed",
        `${plural(rows, "row")} selected over ${plural(report.layers.length, "policy layer")}, of ${plural(report.visual_rows, "visual row")} in a prompt of ${number(report.rows)}${report.cache_hits ? "; from the cache" : ""}`,
      ];
    case "nothing_selected":
      return ["warn", "Nothing selected", "the rule keeps no row: the answer is the engine's own"];
    default:
      return ["warn", "Passed through", report.reason ?? "no reason given"];
  }
}

function modelCard(role, model) {
  const layers =
    model.loaded_layers === model.decoder_layers
      ? `${number(model.decoder_layers)} decoder layers`
      : `${number(model.loaded_layers)} of ${number(model.decoder_layers)} decoder layers loaded`;
  const facts = [model.architecture, layers, `hidden ${number(model.hidden)}`, `vocabulary ${number(model.vocabulary)}`, model.dtype];
  return h(
    "div",
    { class: "model card" },
    h("p", { class: "overline" }, role),
    h("p", { class: "mono id" }, model.id),
    h(
      "p",
      { class: "soft small facts" },
      facts.map((fact) => h("span", null, fact)),
    ),
  );
}

function header(data) {
  const { report, pair, prompt } = data;
  const [tone, status, detail] = statusText(report);
  const facts = report
    ? [
        ["strategy", report.strategy],
        ["alignment", report.alignment],
        ["fingerprint", String(report.fingerprint ?? "").slice(0, 12), report.fingerprint],
      ]
    : [];
  return h(
    "header",
    null,
    h("p", { class: "overline" }, "Activation Replay · inspect"),
    h("h1", null, data.title),
    h("p", { class: "status" }, h("strong", { class: `badge ${tone}` }, status), h("span", null, detail)),
    h(
      "dl",
      { class: "facts" },
      facts.map(([name, value, full]) => h("div", null, h("dt", null, name), h("dd", { class: "mono", title: full }, value))),
    ),
    h(
      "div",
      { class: "models" },
      modelCard("Base", pair.base),
      h("span", { class: "arrow", "aria-hidden": "true" }, "→"),
      modelCard("RLVR, the model that answers", pair.rlvr),
    ),
    h(
      "div",
      { class: "prompt" },
      h("p", { class: "overline" }, "Prompt"),
      h("blockquote", null, prompt.text),
      prompt.system && h("details", null, h("summary", null, "System prompt"), h("blockquote", null, prompt.system)),
    ),
  );
}

/** Charts over the policy layers. onPick and the returned mark() connect them with the layer slider. */
function layerCharts(data, onPick) {
  const { layers, learned } = data;
  const x = layers.map((layer) => layer.layer);
  const meanOver = (layer, values, which) => mean((values ?? []).filter((_, i) => which(layer.selected[i])));
  const all = () => true;
  const common = { xLabel: "decoder layer", x, onPick, xName: (value) => `Layer ${value}` };
  const percent = (value) => (finite(value) ? `${number(100 * value)} %` : "–");
  const means = (values, which) => layers.map((layer) => meanOver(layer, layer[values], which));
  const measured = layers.some((layer) => extent(layer.kl_before ?? []) || extent(layer.kl_after ?? []));
  const charts = [
    lineChart({
      ...common,
      title: "Mean entropy of the base",
      yLabel: "nats",
      series: [
        { name: "all visual tokens", y: means("entropy", all), hue: 5 },
        { name: "selected", y: means("entropy", Boolean), hue: 2 },
      ],
    }),
    lineChart({
      ...common,
      title: "Selected share of the visual tokens",
      yLabel: "share",
      zero: true,
      top: 1,
      format: percent,
      tick: (v) => `${Number((100 * v).toPrecision(4))} %`,
      series: [{ name: "selected", y: means("selected", all), hue: 2 }],
    }),
    measured &&
      lineChart({
        ...common,
        title: "Mean KL over the selected tokens",
        yLabel: "nats",
        logY: "auto",
        zero: true,
        series: [
          { name: "before", y: means("kl_before", Boolean), hue: 0 },
          { name: "after", y: means("kl_after", Boolean), hue: 1 },
        ],
      }),
  ].filter(Boolean);
  const loss =
    learned &&
    lineChart({
      title: "Loss while learning",
      hint: `${learned.solver}, ${plural(learned.iterations, "pass", "passes")}; ended: ${words(learned.stop)}`,
      xLabel: "pass",
      yLabel: "loss",
      logY: "auto",
      x: learned.losses.map((_, i) => i + 1),
      series: [{ name: "loss", y: learned.losses, hue: 1 }],
    });
  return {
    nodes: [...charts, ...(loss ? [loss] : [])].map((chart) => chart.node),
    mark: (index) => charts.forEach((chart) => chart.mark(index)),
  };
}

const words = (name) => String(name ?? "").replaceAll("_", " ");

function answers(data) {
  const { off, on } = data.answers ?? {};
  if (!off && !on) return null;
  const diff = off && on ? wordDiff(off.text ?? "", on.text ?? "") : null;
  const hint =
    !off || !on
      ? null
      : off.text === on.text
        ? "The two answers are the same, word for word."
        : diff
          ? `Marked: ${plural(diff.leftOnly, "word")} only without replay, ${plural(diff.rightOnly, "word")} only with it.`
          : "Too long to compare word by word.";
  const side = (name, mode, answer, pieces) =>
    h(
      "article",
      { class: `answer card ${mode}` },
      h(
        "h3",
        null,
        name,
        answer &&
          finite(answer.time_to_first_token_ms) &&
          h("span", { class: "soft" }, `first token after ${milliseconds(answer.time_to_first_token_ms)}`),
      ),
      answer
        ? h(
            "p",
            { class: "text" },
            pieces
              ? pieces.map(([piece, own]) => (own && piece.trim() ? h("mark", null, piece) : piece))
              : answer.text || h("em", { class: "soft" }, "empty"),
          )
        : h("p", { class: "text soft" }, "not asked"),
    );
  return section(
    "Answers",
    hint,
    h("div", { class: "answers" }, side("Replay off", "off", off, diff?.left), side("Replay on", "on", on, diff?.right)),
  );
}

const STEPS = [
  ["capture_base", "Pass through the base"],
  ["capture_rlvr", "Clean pass through the RLVR model"],
  ["rank", "Lens and ranking"],
  ["targets", "Likeliest tokens of the base"],
  ["learn", "Learning the delta"],
  ["substitute", "Building the edits"],
  ["measure_kl", "Measuring divergences"],
];

function tables(data) {
  const { report, answers: both, settings, learned } = data;
  const timings = report?.milliseconds ?? {};
  const named = [
    ...STEPS,
    ...Object.keys(timings)
      .filter((key) => !STEPS.some(([known]) => known === key))
      .map((key) => [key, words(key)]),
  ];
  const steps = named.filter(([key]) => timings[key] > 0);
  const longest = Math.max(1e-9, ...steps.map(([key]) => timings[key]));
  const bar = (value) =>
    h(
      "span",
      { class: "time" },
      h("span", { class: "amount" }, milliseconds(value)),
      h("span", { class: "track", "aria-hidden": "true" }, h("span", { style: `width: ${(100 * value) / longest}%` })),
    );
  const rows = steps.map(([key, name]) => [name, bar(timings[key])]);
  for (const [mode, answer] of Object.entries(both ?? {})) {
    if (finite(answer?.time_to_first_token_ms))
      rows.push([
        `Time to first token, replay ${mode}`,
        h("span", { class: "time" }, h("span", { class: "amount" }, milliseconds(answer.time_to_first_token_ms))),
      ]);
  }
  const timed = h(
    "div",
    null,
    h("h3", null, "Timings"),
    rows.length ? dataTable(["step", "wall clock"], rows, "Timings") : h("p", { class: "soft small" }, "Nothing was computed."),
  );
  const learning =
    learned &&
    h(
      "div",
      null,
      h("h3", null, "Learning"),
      dataTable(
        ["", ""],
        [
          ["solver", learned.solver],
          ["passes", number(learned.iterations)],
          ["loss, first to final", `${number(learned.losses?.[0])} to ${number(learned.final_loss)}`],
          ["norm of the delta", number(learned.delta_norm)],
          ["added at", finite(learned.inject) ? `residual[${learned.inject}]` : null],
          ["ended", words(learned.stop)],
        ],
        "Learning",
      ),
    );
  const set =
    settings?.length > 0 &&
    h(
      "div",
      null,
      h("h3", null, "Settings"),
      dataTable(
        ["key", "value"],
        settings.map(([key, value]) => [
          h(
            "code",
            null,
            key.split(/(?<=[._])/).map((piece) => [piece, h("wbr")]),
          ),
          h("code", { class: "value" }, value),
        ]),
        "Settings",
      ),
    );
  const perLayer =
    report?.layers?.length > 0 &&
    h(
      "details",
      { class: "perlayer" },
      h("summary", null, "Every layer in numbers, as in the report"),
      dataTable(
        ["layer", "edited residual", "ranked rows", "not finite", "selected", "entropy min", "mean", "max", "KL before", "KL after"],
        report.layers.map((l) =>
          [
            l.layer,
            l.edited_residual,
            l.ranked,
            l.not_finite,
            l.selected,
            l.entropy?.min,
            l.entropy?.mean,
            l.entropy?.max,
            l.kl?.before,
            l.kl?.after,
          ].map((value) => (Number.isInteger(value) ? String(value) : number(value))),
        ),
        "Every layer in numbers",
      ),
    );
  return section("Settings and timings", null, h("div", { class: "tables" }, h("div", { class: "stack" }, timed, learning), set), perLayer);
}

function explanation(data) {
  const learnedNow = data.report?.strategy === "learned";
  const vocabulary = data.pair?.base?.vocabulary;
  const entry = (term, ...paragraphs) => [
    h("dt", null, term),
    h(
      "dd",
      null,
      paragraphs.filter(Boolean).map((text) => h("p", null, text)),
    ),
  ];
  const node = section(
    "How to read this",
    null,
    h(
      "dl",
      { class: "howto" },
      entry("Token", "Each square is one visual token: the patch of the picture that the decoder reads as one position of the prompt."),
      entry(
        "Entropy",
        "At the output of every decoder layer a logit lens (the model's own final norm and head) turns the residual stream into a distribution over the vocabulary. Its entropy says how spread out that distribution is, in nats: 0 is certain" +
          (vocabulary > 1 ? `, ${number(Math.log(vocabulary))} (the logarithm of the vocabulary) knows nothing.` : "."),
        "It is the base model's that is drawn. It reads an unfinished state; it is not the confidence of the answer.",
      ),
      entry(
        "Selection",
        "Outlined tokens are those that the configured rule keeps in this layer, ordinarily where the base is most certain. " +
          (learnedNow
            ? "Strategy learned compares the two models at these tokens; the delta it learns is added to every visual token."
            : "Strategy substitute puts the base's hidden states in their place."),
        "residual[j] is the stream that enters decoder layer j. The bar names the one that is read here: the output of the layer.",
      ),
      entry(
        "KL before and after",
        "KL(base || RLVR) at one token, in nats over the whole vocabulary: how far the RLVR model's reading is from the base's. Before is a clean pass of both; after has every edit in it, so what is edited early shows in later layers too." +
          " The numbers in the table of every layer are the report's: " +
          (learnedNow
            ? "there the KL is taken over the base's likeliest entries, as in the loss."
            : "there each layer is measured with its own edit alone."),
        "It falls because replay is built to make it fall. A lower KL after does not by itself mean a better answer: that takes right answers counted over many questions, which one page about one prompt cannot give.",
      ),
      learnedNow &&
        entry(
          "Delta norm",
          "The length of the vector that was learned for this visual token. It is the same in every layer, since the delta is added once.",
        ),
      entry(
        "Colours",
        "Dark is low, light is high; KL change runs from blue (fell) over white to orange (rose). Squares with a stroke across have no finite value.",
      ),
      (data.notes ?? []).map((text) => entry("Note", text)),
    ),
  );
  node.id = "how-to-read";
  return node;
}
