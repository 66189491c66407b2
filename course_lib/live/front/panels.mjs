// Panels: an image with colour bar and scale bar, curves with axes, read-outs.
import { formatNumber, makeAxis, linearTicks, niceLength } from "./scales.mjs";

const BAR = 62; // width of the colour bar with its numbers, CSS pixels
const DASHES = { line: [], dashed: [7, 4], dotted: [2, 3], points: [], bars: [] };

/** A panel {element, draw(outputs, ink), resize()}; `ink` holds the theme's colours. */
export function makePanel(spec, manifest) {
  const element = document.createElement("div");
  element.className = `live-panel live-panel-${spec.kind}`;
  const title = document.createElement("p");
  title.className = "live-panel-title";
  title.textContent = spec.title;
  if (spec.unit) title.append(Object.assign(document.createElement("span"), { textContent: ` (${spec.unit})` }));
  element.append(title);
  return { image: imagePanel, curves: curvePanel, numbers: numberPanel }[spec.kind](spec, manifest, element);
}

const shapeOf = (manifest, name) => manifest.outputs.find((output) => output.name === name).shape;
const numberFrom = (outputs, source) => (typeof source === "string" ? outputs[source][0] : source);

function extremes(arrays, keep = Number.isFinite) {
  let low = Infinity;
  let high = -Infinity;
  for (const array of arrays)
    for (const value of array)
      if (keep(value)) {
        if (value < low) low = value;
        if (value > high) high = value;
      }
  return low <= high ? [low, high] : [0, 1];
}

/** Size the canvas for the screen's pixels and return its context, in CSS pixels. */
function prepare(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.font = `13px ${getComputedStyle(canvas).fontFamily}`;
  return context;
}

function addCanvas(element) {
  const canvas = document.createElement("canvas");
  canvas.setAttribute("role", "img");
  element.append(canvas);
  return canvas;
}

function imagePanel(spec, manifest, element) {
  const canvas = addCanvas(element);
  const probe = document.createElement("p");
  probe.className = "live-probe";
  probe.setAttribute("aria-hidden", "true");
  element.append(probe);
  const [rows, columns] = shapeOf(manifest, spec.output);
  const pixels = Object.assign(document.createElement("canvas"), { width: columns, height: rows });
  const table = Uint8Array.from(manifest.colors[spec.color_map].match(/../g), (digits) => parseInt(digits, 16));
  let side = 1; // width of the drawn image, CSS pixels
  let shown = null;

  function draw(outputs, ink) {
    const values = outputs[spec.output];
    const [low, high] = spec.value_range
      ? spec.value_range.map((end) => numberFrom(outputs, end))
      : extremes([values]);
    const data = new ImageData(columns, rows);
    const scale = high > low ? 256 / (high - low) : 0;
    for (let i = 0; i < values.length; i++) {
      const color = 3 * Math.max(0, Math.min(255, Math.floor((values[i] - low) * scale)));
      data.data[4 * i] = table[color];
      data.data[4 * i + 1] = table[color + 1];
      data.data[4 * i + 2] = table[color + 2];
      data.data[4 * i + 3] = 255;
    }
    pixels.getContext("2d").putImageData(data, 0, 0);
    const width = canvas.clientWidth;
    side = width - BAR;
    const height = Math.round((side * rows) / columns);
    const context = prepare(canvas, width, height);
    context.imageSmoothingEnabled = columns > side;
    context.drawImage(pixels, 0, 0, side, height);
    const pixelSize = spec.pixel_size_um === null ? null : numberFrom(outputs, spec.pixel_size_um);
    if (pixelSize !== null) drawScaleBar(context, side, height, side / (columns * pixelSize));
    drawColorBar(context, side + 10, height, [low, high], table, ink);
    canvas.setAttribute("aria-label", `${spec.title}: image of ${columns} by ${rows} pixels, ` +
      `values from ${formatNumber(extremes([values])[0])} to ${formatNumber(extremes([values])[1])} ${spec.unit}`);
    shown = { values, pixelSize };
  }

  canvas.addEventListener("pointermove", (event) => {
    const size = side / columns;
    const column = Math.floor(event.offsetX / size);
    const row = Math.floor(event.offsetY / size);
    const inside = shown && column >= 0 && column < columns && row >= 0 && row < rows;
    if (!inside) return void (probe.textContent = "");
    const place = shown.pixelSize === null
      ? `x ${column}, y ${row}`
      : `x ${((column + 0.5) * shown.pixelSize).toFixed(1)}, y ${((row + 0.5) * shown.pixelSize).toFixed(1)} µm`;
    probe.textContent = `${place}: ${formatNumber(shown.values[row * columns + column])} ${spec.unit}`;
  });
  canvas.addEventListener("pointerleave", () => (probe.textContent = ""));
  return { element, canvas, draw };
}

function drawScaleBar(context, width, height, pixelsPerUm) {
  const length = niceLength(width / 4 / pixelsPerUm);
  const text = `${formatNumber(length)} µm`;
  const drawn = length * pixelsPerUm;
  const wide = Math.max(drawn, context.measureText(text).width) + 14;
  const left = 8;
  const top = height - 8 - 28;
  context.fillStyle = "rgba(0, 0, 0, 0.55)";
  context.beginPath();
  context.roundRect(left, top, wide, 28, 4);
  context.fill();
  context.fillStyle = "#fff";
  context.textAlign = "center";
  context.textBaseline = "alphabetic";
  context.fillText(text, left + wide / 2, top + 15);
  context.fillRect(left + (wide - drawn) / 2, top + 20, drawn, 3);
}

function drawColorBar(context, left, height, [low, high], table, ink) {
  for (let y = 0; y < height; y++) {
    const color = 3 * Math.round(255 * (1 - y / Math.max(1, height - 1)));
    context.fillStyle = `rgb(${table[color]}, ${table[color + 1]}, ${table[color + 2]})`;
    context.fillRect(left, y, 10, 1.5);
  }
  context.strokeStyle = ink.grid;
  context.strokeRect(left + 0.5, 0.5, 9, height - 1);
  context.fillStyle = ink.soft;
  context.textAlign = "left";
  context.textBaseline = "middle";
  for (const tick of linearTicks(low, high, 4)) {
    const y = high > low ? height * (1 - (tick - low) / (high - low)) : height / 2;
    context.fillText(formatNumber(tick), left + 15, Math.max(7, Math.min(height - 7, y)));
  }
}

function curvePanel(spec, manifest, element) {
  const canvas = addCanvas(element);
  const keepX = spec.x_scale === "log" ? (v) => Number.isFinite(v) && v > 0 : Number.isFinite;
  const keepY = spec.y_scale === "log" ? (v) => Number.isFinite(v) && v > 0 : Number.isFinite;

  const xOf = (curve, outputs) => outputs[curve.x ?? spec.x];

  function ranges(outputs) {
    const curves = spec.curves.map((curve) => outputs[curve.output]);
    const x = spec.x_range ?? widen(extremes(spec.curves.map((curve) => xOf(curve, outputs)), keepX), spec.x_scale, 0);
    const y = spec.y_range ?? widen(extremes(curves, keepY), spec.y_scale, 0.06);
    if (!spec.y_range && spec.curves.some((curve) => curve.style === "bars") && spec.y_scale === "linear") y[0] = 0;
    return [x, y];
  }

  function draw(outputs, ink) {
    const width = canvas.clientWidth;
    const height = Math.round(Math.max(200, Math.min(360, width - BAR)));
    const context = prepare(canvas, width, height);
    const legend = placeLegend(context, spec, width);
    const [rangeX, rangeY] = ranges(outputs);
    const right = width - 12;
    const top = legend.height + 22;
    const bottom = height - 38;
    const axisY = makeAxis(spec.y_scale, rangeY, [bottom, top]);
    const left = 8 + Math.max(...axisY.ticks.map((tick) => context.measureText(formatNumber(tick)).width), 12);
    const axisX = makeAxis(spec.x_scale, rangeX, [left, right]);
    drawAxes(context, spec, axisX, axisY, { left, right, top, bottom, height }, ink);
    context.save();
    context.beginPath();
    context.rect(left, top - 4, right - left, bottom - top + 4);
    context.clip();
    spec.curves.forEach((curve, index) =>
      drawCurve(context, curve.style, xOf(curve, outputs), outputs[curve.output], axisX, axisY, ink.series[index % 4],
        { keepX, keepY, bottom }));
    context.restore();
    legend.entries.forEach((place, index) => drawLegend(context, spec.curves[index], place, ink, index));
    canvas.setAttribute("aria-label", `${spec.title}: ${spec.y_label} against ${spec.x_label}. ` +
      spec.curves.map((curve) => describeCurve(curve, outputs[curve.output], keepY)).join("; "));
  }
  return { element, canvas, draw };
}

function widen([low, high], scale, share) {
  if (scale === "log") return low < high ? [low, high] : [low / 2, high * 2];
  if (low === high) return [low - 0.5, high + 0.5];
  return [low >= 0 && low < 0.3 * high ? 0 : low - share * (high - low), high + share * (high - low)];
}

function describeCurve(curve, values, keep) {
  const [low, high] = extremes([values], keep);
  return `${curve.label} from ${formatNumber(low)} to ${formatNumber(high)}`;
}

function drawAxes(context, spec, axisX, axisY, { left, right, top, bottom, height }, ink) {
  context.lineWidth = 1;
  context.strokeStyle = ink.grid;
  context.fillStyle = ink.soft;
  context.textBaseline = "middle";
  context.textAlign = "right";
  for (const tick of axisY.ticks) {
    const y = Math.round(axisY.place(tick)) + 0.5;
    line(context, left, y, right, y);
    context.fillText(formatNumber(tick), left - 6, y);
  }
  context.textBaseline = "top";
  context.textAlign = "center";
  for (const tick of axisX.ticks) {
    const x = Math.round(axisX.place(tick)) + 0.5;
    line(context, x, bottom, x, bottom + 4);
    const half = context.measureText(formatNumber(tick)).width / 2;
    context.fillText(formatNumber(tick), Math.min(right + 10 - half, x), bottom + 7);
  }
  context.strokeStyle = ink.soft;
  line(context, left, bottom + 0.5, right, bottom + 0.5);
  context.textAlign = "right";
  context.textBaseline = "bottom";
  context.fillText(spec.x_label, right, height - 1);
  context.textAlign = "left";
  context.fillText(spec.y_label, 0, top - 8);
}

function line(context, x0, y0, x1, y1) {
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
}

function drawCurve(context, style, x, y, axisX, axisY, color, { keepX, keepY, bottom }) {
  context.strokeStyle = context.fillStyle = color;
  context.lineWidth = 2;
  context.lineJoin = "round";
  context.setLineDash(DASHES[style]);
  if (style === "bars") {
    const half = x.length > 1 ? Math.abs(x[1] - x[0]) / 2 : 0.5;
    context.globalAlpha = 0.6;
    for (let i = 0; i < x.length; i++) {
      if (!keepX(x[i]) || !keepY(y[i])) continue;
      const from = axisX.place(x[i] - half);
      const to = axisX.place(x[i] + half);
      context.fillRect(from, axisY.place(y[i]), Math.max(1, to - from - (to - from > 4 ? 1 : 0)),
        bottom - axisY.place(y[i]));
    }
    context.globalAlpha = 1;
  } else if (style === "points") {
    for (let i = 0; i < x.length; i++) {
      if (!keepX(x[i]) || !keepY(y[i])) continue;
      context.beginPath();
      context.arc(axisX.place(x[i]), axisY.place(y[i]), x.length === 1 ? 6 : 3, 0, 2 * Math.PI);
      context.fill();
    }
  } else {
    context.beginPath();
    let drawing = false;
    for (let i = 0; i < x.length; i++) {
      const here = keepX(x[i]) && keepY(y[i]);
      if (here) context[drawing ? "lineTo" : "moveTo"](axisX.place(x[i]), axisY.place(y[i]));
      drawing = here;
    }
    context.stroke();
  }
  context.setLineDash([]);
}

/** Where each entry of the legend goes, wrapped into rows. */
function placeLegend(context, spec, width) {
  const { curves } = spec;
  if (curves.length === 1 && curves[0].label === spec.y_label) return { entries: [], height: 0 };
  const entries = [];
  let x = 0;
  let y = 8;
  for (const curve of curves) {
    const wide = 30 + context.measureText(curve.label).width + 14;
    if (x > 0 && x + wide > width) {
      x = 0;
      y += 18;
    }
    entries.push({ x, y });
    x += wide;
  }
  return { entries, height: y + 10 };
}

function drawLegend(context, curve, { x, y }, ink, index) {
  context.strokeStyle = context.fillStyle = ink.series[index % 4];
  context.lineWidth = 2;
  context.setLineDash(DASHES[curve.style]);
  if (curve.style === "bars") {
    context.globalAlpha = 0.6;
    context.fillRect(x, y - 5, 22, 10);
    context.globalAlpha = 1;
  } else if (curve.style === "points") {
    context.beginPath();
    context.arc(x + 11, y, 3, 0, 2 * Math.PI);
    context.fill();
  } else {
    line(context, x, y, x + 22, y);
  }
  context.setLineDash([]);
  context.fillStyle = ink.text;
  context.textAlign = "left";
  context.textBaseline = "middle";
  context.fillText(curve.label, x + 28, y);
}

function numberPanel(spec, manifest, element) {
  const list = document.createElement("dl");
  list.className = "live-numbers";
  const cells = spec.numbers.map((number) => {
    const row = document.createElement("div");
    const term = Object.assign(document.createElement("dt"), { textContent: number.label });
    const value = document.createElement("dd");
    row.append(term, value);
    list.append(row);
    return value;
  });
  element.append(list);
  const text = (number, outputs) => {
    const value = outputs[number.output][0];
    const digits = Number.isFinite(value) ? value.toFixed(number.digits).replace("-", "−") : "–";
    return number.unit ? `${digits} ${number.unit}` : digits;
  };
  return {
    element,
    draw: (outputs) => spec.numbers.forEach((number, i) => (cells[i].textContent = text(number, outputs))),
    speak: (outputs) => spec.numbers.map((number) => `${number.label} ${text(number, outputs)}`).join(", "),
  };
}
