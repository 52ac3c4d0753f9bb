// Paints the tokens of one image, over the picture or as a thumbnail.

const tokensOf = (image) => (image.frames ?? 1) * image.rows * image.columns;
const tokenAt = (image, frame, row, column) => image.first + (frame * image.rows + row) * image.columns + column;

/** Traces the outline of the selected region, since a box per token would hide the picture under a dense selection. */
function contour(context, image, frame, selected, edge) {
  const { rows, columns } = image;
  const on = (r, c) => r >= 0 && c >= 0 && r < rows && c < columns && selected(tokenAt(image, frame, r, c));
  context.beginPath();
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) {
      if (!on(r, c)) continue;
      const [x0, x1, y0, y1] = [edge.x(c), edge.x(c + 1), edge.y(r), edge.y(r + 1)];
      if (!on(r - 1, c)) {
        context.moveTo(x0, y0);
        context.lineTo(x1, y0);
      }
      if (!on(r + 1, c)) {
        context.moveTo(x0, y1);
        context.lineTo(x1, y1);
      }
      if (!on(r, c - 1)) {
        context.moveTo(x0, y0);
        context.lineTo(x0, y1);
      }
      if (!on(r, c + 1)) {
        context.moveTo(x1, y0);
        context.lineTo(x1, y1);
      }
    }
  }
}

/**
 * Paints the tokens of one frame. box: x, y, width, height in canvas pixels. look: colour(token), selected(token), hatch(token), alpha,
 * only (paint selected tokens only), outline, stroke (the width of the outline).
 */
function paintTokens(context, box, image, frame, look) {
  const { rows, columns } = image;
  // Rounded to pixels, since fractional edges of translucent cells would show as lines.
  const edge = {
    x: (c) => Math.round(box.x + (c * box.width) / columns),
    y: (r) => Math.round(box.y + (r * box.height) / rows),
  };
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) {
      const token = tokenAt(image, frame, r, c);
      if (look.only && !look.selected(token)) continue;
      const [x0, x1, y0, y1] = [edge.x(c), edge.x(c + 1), edge.y(r), edge.y(r + 1)];
      const colour = look.colour(token);
      context.globalAlpha = look.alpha;
      if (colour) {
        context.fillStyle = colour;
        context.fillRect(x0, y0, x1 - x0, y1 - y0);
      } else if (look.hatch(token)) {
        context.fillStyle = "rgb(128 128 128 / 0.45)";
        context.fillRect(x0, y0, x1 - x0, y1 - y0);
        context.globalAlpha = 1;
        context.lineWidth = Math.max(1, look.stroke * 0.6);
        context.strokeStyle = "#fff";
        context.beginPath();
        context.moveTo(x0, y1);
        context.lineTo(x1, y0);
        context.stroke();
      }
    }
  }
  context.globalAlpha = 1;
  if (!look.outline) return;
  // A light line over a wider dark one is visible on any picture and any colour.
  contour(context, image, frame, look.selected, edge);
  context.lineCap = "square";
  context.lineWidth = look.stroke * 2.2;
  context.strokeStyle = "rgb(12 14 20 / 0.9)";
  context.stroke();
  context.lineWidth = look.stroke;
  context.strokeStyle = "#fff";
  context.stroke();
}

/** Sets a canvas to the resolution of the screen, and returns its context and size; null while it has no size. */
function prepare(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  if (!width || !height) return null;
  const density = Math.min(3, window.devicePixelRatio || 1);
  canvas.width = Math.round(width * density);
  canvas.height = Math.round(height * density);
  return { context: canvas.getContext("2d"), width: canvas.width, height: canvas.height, density };
}
