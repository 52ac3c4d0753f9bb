// Colour maps, as stops [lightness, chroma, hue] in OKLCh. Lightness rises (or falls from the middle) in equal steps, so that equal
// differences of a value look equally large, also to colour-blind readers and in grey print.

const RISING = [
  [0.24, 0.09, 280],
  [0.41, 0.13, 262],
  [0.58, 0.1, 218],
  [0.755, 0.135, 165],
  [0.93, 0.13, 105],
];
const AROUND_ZERO = [
  [0.36, 0.14, 262],
  [0.65, 0.12, 256],
  [0.95, 0.005, 100],
  [0.69, 0.13, 55],
  [0.4, 0.11, 45],
];

function toRgb([lightness, a, b]) {
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const linear = [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
  const channels = linear.map((c) => (c <= 0.0031308 ? 12.92 * c : 1.055 * c ** (1 / 2.4) - 0.055));
  return `rgb(${channels.map((c) => Math.round(255 * Math.min(1, Math.max(0, c)))).join(" ")})`;
}

function ramp(stops, steps = 256) {
  const lab = stops.map(([lightness, chroma, hue]) => [
    lightness,
    chroma * Math.cos((hue * Math.PI) / 180),
    chroma * Math.sin((hue * Math.PI) / 180),
  ]);
  return Array.from({ length: steps }, (_, i) => {
    const at = (i / (steps - 1)) * (lab.length - 1);
    const n = Math.min(lab.length - 2, Math.floor(at));
    return toRgb(lab[n].map((from, k) => from + (lab[n + 1][k] - from) * (at - n)));
  });
}

const MAPS = { rising: ramp(RISING), zero: ramp(AROUND_ZERO) };

const gradient = (map) => `linear-gradient(to right, ${MAPS[map].filter((_, i) => i % 15 === 0).join(", ")})`;

/**
 * Maps a value to its position in 0..1 and its colour. A logarithmic scale covers at most four decades below the highest value, since
 * otherwise a single value near zero would leave few colours for all others.
 */
function colourScale(values, { map, fromZero, log }) {
  const range = extent(values) ?? [0, 0];
  let [low, high] = range;
  let at;
  let ends;
  if (map === "zero") {
    high = Math.max(Math.abs(low), Math.abs(high));
    low = -high;
    // A symmetric logarithm: linear within a thousandth of the largest change, logarithmic outside.
    const symlog = (value) => Math.sign(value) * Math.log1p((1000 * Math.abs(value)) / high);
    if (log && high > 0) at = (value) => 0.5 + symlog(value) / (2 * symlog(high));
  } else if (log && high > 0) {
    low = Math.max(extent(values.filter((value) => value > 0))[0], high / 1e4);
    at = (value) => (value > low ? Math.log(value / low) / Math.log(high / low) : 0);
    ends = [`${range[0] < low ? "≤ " : ""}${number(low)}`, number(Math.sqrt(low * high)), number(high)];
  } else if (fromZero) {
    low = Math.min(0, low);
  }
  at ??= (value) => (high > low ? (value - low) / (high - low) : 0.5);
  const clamped = (value) => Math.min(1, Math.max(0, at(value)));
  return {
    map,
    at: clamped,
    ends: ends ?? [low, map === "zero" ? 0 : (low + high) / 2, high].map(number),
    log: Boolean(log && high > 0),
    colour: (value) => (finite(value) ? MAPS[map][Math.round(255 * clamped(value))] : null),
  };
}
