// The pictures with their tokens, the controls that choose what is drawn over them, and the strip of all layers.

const QUANTITIES = [
  { key: "entropy", name: "entropy", title: "Entropy", map: "rising", family: ["entropy"] },
  // Divergences span decades within one picture. Before and after share one scale, so that a lower divergence looks darker after switching.
  {
    key: "kl_before",
    name: "KL before",
    title: "KL before",
    map: "rising",
    fromZero: true,
    decades: true,
    family: ["kl_before", "kl_after"],
  },
  { key: "kl_after", name: "KL after", title: "KL after", map: "rising", fromZero: true, decades: true, family: ["kl_before", "kl_after"] },
  { key: "kl_change", name: "KL change", title: "KL change", map: "zero", decades: true, family: ["kl_change"] },
  { key: "delta", name: "delta norm", title: "Delta norm", map: "rising", fromZero: true, still: true, unit: "", family: ["delta"] },
];

function explorer(data) {
  const { layers, images } = data;
  const total = images.reduce((sum, image) => Math.max(sum, image.first + tokensOf(image)), 0);
  const counts = layers.map((layer) => layer.selected.filter(Boolean).length);
  const state = {
    layer: counts.indexOf(Math.max(...counts)),
    drawn: QUANTITIES[0],
    alpha: 0.6,
    outline: true,
    only: false,
    grey: true,
    perLayer: false,
    log: true,
    pinned: null,
    pointed: null,
  };
  const listeners = [];

  const cache = new Map();
  const cached = (key, compute) => {
    if (!cache.has(key)) cache.set(key, compute());
    return cache.get(key);
  };
  const valuesOf = (key, l) =>
    cached(`${key} ${l}`, () => {
      if (key === "delta") return data.learned?.delta_norms ?? [];
      const layer = layers[l];
      if (key !== "kl_change") return layer[key] ?? [];
      return (layer.kl_before ?? []).map((before, i) =>
        finite(before) && finite(layer.kl_after?.[i]) ? layer.kl_after[i] - before : null,
      );
    });
  const offered = QUANTITIES.filter(({ key }) => layers.some((_, l) => extent(valuesOf(key, l))));
  const order = (l) =>
    cached(`order ${l}`, () => {
      const ranks = new Map();
      const finiteTokens = layers[l].entropy.map((_, i) => i).filter((i) => finite(layers[l].entropy[i]));
      finiteTokens.sort((a, b) => layers[l].entropy[a] - layers[l].entropy[b] || a - b).forEach((token, n) => ranks.set(token, n + 1));
      return ranks;
    });
  function scaleOf(l) {
    const { drawn, perLayer, log } = state;
    return cached(`scale ${drawn.key} ${perLayer ? l : "all"} ${log}`, () => {
      const over = perLayer && !drawn.still ? [l] : layers.map((_, i) => i);
      return colourScale(
        over.flatMap((i) => drawn.family.flatMap((key) => valuesOf(key, i))),
        { ...drawn, log: log && Boolean(drawn.decades) },
      );
    });
  }

  const view = {
    get layer() {
      return state.layer;
    },
    get drawn() {
      return state.drawn;
    },
    get scale() {
      return scaleOf(state.layer);
    },
    values: (l = state.layer) => valuesOf(state.drawn.key, l),
    mean: (l) => cached(`mean ${state.drawn.key} ${l}`, () => mean(valuesOf(state.drawn.key, l))),
    selected: (token) => Boolean(layers[state.layer].selected[token]),
    rank: (token) => {
      const ranks = order(state.layer);
      return ranks.has(token) && [ranks.get(token), ranks.size];
    },
    locate(token) {
      const index = images.findIndex((image) => token >= image.first && token < image.first + tokensOf(image));
      const image = images[index];
      const inside = token - image.first;
      const frame = Math.floor(inside / (image.rows * image.columns));
      const cell = inside % (image.rows * image.columns);
      return { image, index, frame, row: Math.floor(cell / image.columns), column: cell % image.columns };
    },
    setLayer,
  };

  const look = (l, stroke, alpha) => {
    const values = valuesOf(state.drawn.key, l);
    const scale = scaleOf(l);
    const { selected, entropy } = layers[l];
    return {
      colour: (token) => scale.colour(values[token]),
      selected: (token) => Boolean(selected[token]),
      // A missing value is marked only on selected tokens and where the entropy is missing too, since divergences may be measured on
      // selected tokens only.
      hatch: (token) => !finite(values[token]) && (Boolean(selected[token]) || !finite(entropy[token])),
      alpha,
      only: state.only,
      outline: state.outline,
      stroke,
    };
  };

  // Controls

  const slider = h("input", {
    type: "range",
    id: "layer",
    min: 0,
    max: layers.length - 1,
    step: 1,
    value: state.layer,
    disabled: layers.length < 2,
    input: () => setLayer(Number(slider.value)),
  });
  const stepper = (by, label, text) =>
    h("button", { type: "button", class: "step", "aria-label": label, click: () => setLayer(state.layer + by) }, text);
  const [previous, next] = [stepper(-1, "Previous layer", "‹"), stepper(1, "Next layer", "›")];
  const layerText = h("output", { for: "layer", class: "said" });
  const legendTitle = h("span", { class: "what" });
  const legendRamp = h("div", { class: "ramp" });
  const legendEnds = h("div", { class: "ends" });
  const legend = h("div", { class: "legend small", role: "img" }, legendTitle, h("div", { class: "rampbox" }, legendRamp, legendEnds));
  const bar = h(
    "div",
    { class: "bar card" },
    h("div", { class: "layer" }, h("label", { for: "layer" }, "Layer"), previous, slider, next),
    layerText,
    legend,
  );

  const choice = (group, legendText, options, chosen, pick) =>
    h(
      "fieldset",
      { class: "segments" },
      h("legend", null, legendText),
      h(
        "div",
        null,
        options.map(([value, name]) =>
          h(
            "label",
            null,
            h("input", { type: "radio", name: group, value, checked: value === chosen, change: () => pick(value) }),
            h("span", null, name),
          ),
        ),
      ),
    );
  const check = (name, text) =>
    h(
      "label",
      { class: "check" },
      h("input", {
        type: "checkbox",
        checked: state[name],
        change: (event) => {
          state[name] = event.target.checked;
          render();
        },
      }),
      text,
    );
  const opacity = h("input", {
    type: "range",
    min: 0,
    max: 100,
    value: 100 * state.alpha,
    "aria-valuetext": `${100 * state.alpha} %`,
    input: () => {
      state.alpha = opacity.value / 100;
      opacity.setAttribute("aria-valuetext", `${opacity.value} %`);
      render(false);
    },
  });
  const log = check("log", "logarithmic");
  const scaleChoice = choice(
    "scale",
    "Colour scale",
    [
      ["all", "all layers"],
      ["one", "this layer"],
    ],
    "all",
    (value) => {
      state.perLayer = value === "one";
      render();
    },
  );
  const controls = h(
    "div",
    { class: "controls" },
    choice(
      "draw",
      "Draw",
      offered.map(({ key, name }) => [key, name]),
      state.drawn.key,
      (key) => {
        state.drawn = QUANTITIES.find((one) => one.key === key);
        render();
      },
    ),
    scaleChoice,
    log,
    h("label", { class: "opacity" }, h("span", null, "Opacity"), opacity),
    h("div", { class: "checks" }, check("outline", "outline selected"), check("only", "selected only"), check("grey", "picture in grey")),
  );

  // Pictures

  const cards = images.map((image, index) => picture(image, index));

  function picture(image, index) {
    const frames = image.frames ?? 1;
    const name = image.name;
    // Either one source for all frames, or a list with one per frame.
    const sources = [image.src].flat().map((src) => (String(src ?? "").startsWith("data:image/") ? src : null));
    const card = { image, frame: 0 };
    const photo = h("img", { alt: `${name} of the prompt`, draggable: "false", src: sources[0] });
    photo.hidden = !sources[0];
    const canvas = h("canvas", {
      tabindex: "0",
      role: "application",
      "aria-roledescription": "token grid",
      "aria-label": `${name}: ${image.rows} rows by ${image.columns} columns of visual tokens. Arrow keys move from token to token.`,
    });
    const cursor = h("div", { class: "cursor", hidden: true });
    const count = h("span");
    const film =
      frames > 1
        ? h(
            "div",
            { class: "film", role: "group", "aria-label": `Frames of clip ${index + 1}` },
            Array.from({ length: frames }, (_, frame) =>
              h(
                "button",
                {
                  type: "button",
                  "aria-label": `Frame ${frame + 1}`,
                  click: () => {
                    card.frame = frame;
                    render();
                  },
                },
                h("canvas", { style: `aspect-ratio: ${image.width} / ${image.height}` }),
                h("span", null, frame + 1),
              ),
            ),
          )
        : null;
    const node = h(
      "figure",
      { class: "picture card", style: `--ratio: ${image.width / image.height}` },
      h("div", { class: "frame" }, photo, canvas, cursor),
      film,
      h(
        "figcaption",
        { class: "small" },
        h("strong", null, name),
        h("span", null, `${image.width} × ${image.height} px`),
        h("span", null, `${frames > 1 ? `${frames} frames of ` : ""}${image.rows} × ${image.columns} tokens`),
        count,
      ),
    );

    const under = (event) => {
      const box = canvas.getBoundingClientRect();
      const cell = (at, size, n) => Math.max(0, Math.min(n - 1, Math.floor((at / size) * n)));
      return tokenAt(
        image,
        card.frame,
        cell(event.clientY - box.top, box.height, image.rows),
        cell(event.clientX - box.left, box.width, image.columns),
      );
    };
    canvas.addEventListener("pointermove", (event) => point(under(event)));
    canvas.addEventListener("pointerleave", () => point(null));
    canvas.addEventListener("click", (event) => pin(under(event)));
    canvas.addEventListener("focus", () => {
      const here = state.pinned === null ? null : view.locate(state.pinned);
      if (here?.index !== index || here.frame !== card.frame) pin(tokenAt(image, card.frame, 0, 0));
    });
    canvas.addEventListener("keydown", (event) => {
      const [down, right] = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key] ?? [];
      if (down === undefined) return;
      event.preventDefault();
      const { row, column } = view.locate(state.pinned);
      const inside = (at, n) => Math.max(0, Math.min(n - 1, at));
      pin(tokenAt(image, card.frame, inside(row + down, image.rows), inside(column + right, image.columns)));
    });

    card.node = node;
    card.draw = () => {
      if (sources.length > 1) {
        photo.src = sources[card.frame] ?? "";
        photo.hidden = !sources[card.frame];
      }
      photo.classList.toggle("grey", state.grey);
      const target = prepare(canvas);
      if (target)
        paintTokens(target.context, { x: 0, y: 0, ...target }, image, card.frame, look(state.layer, 1.6 * target.density, state.alpha));
      const inImage = layers[state.layer].selected.slice(image.first, image.first + tokensOf(image)).filter(Boolean).length;
      count.textContent = `${inImage} selected`;
      card.place();
      film?.childNodes.forEach((button, frame) => {
        button.setAttribute("aria-pressed", frame === card.frame);
        const small = prepare(button.firstChild);
        if (small) paintTokens(small.context, { x: 0, y: 0, ...small }, image, frame, look(state.layer, 0.9 * small.density, 1));
      });
    };
    card.place = () => {
      const token = state.pointed ?? state.pinned;
      const here = token === null ? null : view.locate(token);
      cursor.hidden = here?.index !== index || here.frame !== card.frame;
      if (cursor.hidden) return;
      cursor.classList.toggle("pinned", state.pointed === null);
      Object.assign(cursor.style, {
        left: `${(100 * here.column) / image.columns}%`,
        top: `${(100 * here.row) / image.rows}%`,
        width: `${100 / image.columns}%`,
        height: `${100 / image.rows}%`,
      });
    };
    return card;
  }

  // Strip of all layers

  const across = images.length <= 3 ? images.length : Math.ceil(Math.sqrt(images.length));
  const down = Math.ceil(images.length / across);
  const tiles = layers.map((layer, l) => {
    const canvas = h("canvas");
    const label = `Layer ${layer.layer}, ${counts[l]} selected`;
    const node = h(
      "button",
      { type: "button", class: "tile", "aria-label": label, title: label, click: () => setLayer(l) },
      canvas,
      h("span", null, h("b", null, layer.layer), h("span", { class: "soft" }, `${counts[l]} sel.`)),
    );
    return { canvas, node };
  });
  const shape = (Math.max(...images.map((i) => i.width / i.height)) * across) / down;
  const strip = h(
    "div",
    { class: "strip", style: `--shape: ${Math.min(2.4, Math.max(0.6, shape))}` },
    tiles.map((tile) => tile.node),
  );

  function drawTile({ canvas }, l) {
    const target = prepare(canvas);
    if (!target) return;
    const [width, height] = [target.width / across, target.height / down];
    const gap = images.length > 1 ? 1.5 * target.density : 0;
    images.forEach((image, i) => {
      // The picture fits into its cell and keeps its proportions.
      const ratio = image.width / image.height;
      const w = Math.min(width - gap, (height - gap) * ratio);
      const box = {
        x: (i % across) * width + (width - w) / 2,
        y: Math.floor(i / across) * height + (height - w / ratio) / 2,
        width: w,
        height: w / ratio,
      };
      paintTokens(target.context, box, image, cards[i].frame, look(l, 0.8 * target.density, 1));
    });
  }

  // Updates

  const panel = readout(data, view);

  function point(token) {
    if (token === state.pointed) return;
    state.pointed = token;
    showToken();
  }

  function pin(token) {
    state.pinned = token;
    showToken();
  }

  function showToken() {
    cards.forEach((card) => card.place());
    panel.show(state.pointed ?? state.pinned);
  }

  function setLayer(index) {
    const to = Math.max(0, Math.min(layers.length - 1, index));
    if (to === state.layer) return;
    state.layer = to;
    slider.value = to;
    render(false);
  }

  function render(stripToo = true) {
    const layer = layers[state.layer];
    const scale = view.scale;
    const { drawn } = state;
    const text = data.report?.layers?.[state.layer];
    const elsewhere = text && text.selected > counts[state.layer] ? `, and ${plural(text.selected - counts[state.layer], "text row")}` : "";
    layerText.textContent = `layer ${layer.layer}, residual[${layer.residual}], ${counts[state.layer]} of ${total} selected${elsewhere}`;
    slider.setAttribute("aria-valuetext", layerText.textContent);
    previous.disabled = state.layer === 0;
    next.disabled = state.layer === layers.length - 1;

    const unit = drawn.unit ?? "nats";
    legendTitle.textContent = [drawn.title, [unit, scale.log && "log"].filter(Boolean).join(", ")].filter(Boolean).join(", ");
    legendRamp.style.background = gradient(scale.map);
    const [low, middle, high] = scale.ends;
    legendEnds.replaceChildren(
      ...(scale.map === "zero" ? [`${low} fell`, middle, `rose ${high}`] : scale.ends).map((end) => h("span", null, end)),
    );
    legend.setAttribute("aria-label", `Colours: ${legendTitle.textContent}, from ${low} to ${high}`);
    log.hidden = !drawn.decades;
    scaleChoice.disabled = Boolean(drawn.still) || layers.length < 2;

    cards.forEach((card) => card.draw());
    if (stripToo) tiles.forEach(drawTile);
    tiles.forEach(({ node }, l) => node.setAttribute("aria-pressed", l === state.layer));
    panel.showHistogram();
    panel.show(state.pointed ?? state.pinned);
    listeners.forEach((listener) => listener(state.layer));
  }

  // The token with the lowest entropy is pinned at the start, so that the panel is not empty, also in print.
  state.pinned =
    [...order(state.layer).keys()].find((token) => images.some((image) => token >= image.first && token < image.first + tokensOf(image))) ??
    null;
  if (state.pinned !== null) {
    const { index, frame } = view.locate(state.pinned);
    cards[index].frame = frame;
  }
  new ResizeObserver(() => render()).observe(strip);
  const gallery = h(
    "div",
    { class: images.length > 3 ? "gallery many" : "gallery" },
    cards.map((card) => card.node),
  );
  new ResizeObserver(() => cards.forEach((card) => card.draw())).observe(gallery);

  // A short strip fits beside a single picture.
  const single = images.length === 1;
  const beside = single && layers.length <= 12;
  const [live, ...curves] = panel.nodes;
  const hint = "The same drawing in every policy layer. Click to go there.";
  const inside = beside && h("div", { class: "layers" }, h("h3", null, "All layers ", h("span", { class: "soft small" }, hint)), strip);
  const tokens = section(
    "Tokens",
    null,
    controls,
    h(
      "div",
      { class: `explorer ${single ? "single" : "several"}`, style: single ? `--ratio: ${images[0].width / images[0].height}` : null },
      gallery,
      h("aside", { "aria-label": "One token, one layer" }, live, inside, curves),
    ),
  );
  tokens
    .querySelector(".heading")
    .append(h("p", { class: "soft small" }, "Point at a token, click to keep it. ", h("a", { href: "#how-to-read" }, "How to read this")));
  return {
    nodes: [bar, tokens, !beside && section("All layers", hint, strip)].filter(Boolean),
    setLayer,
    onLayer: (listener) => listeners.push(listener),
  };
}
