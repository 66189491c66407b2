// Controls: native range inputs (or a list of words) with label, unit and value.
import { formatNumber } from "./scales.mjs";

const LOG_POSITIONS = 120;

/** The value at a position of the slider, and the nearest position of a value. */
export function sliderScale({ low, high, step, scale, whole }) {
  const round = (value) => Number((whole ? Math.round(value) : value).toPrecision(scale === "log" ? 3 : 12));
  if (scale === "log") {
    const span = Math.log(high / low);
    return {
      positions: LOG_POSITIONS,
      valueAt: (position) => round(low * Math.exp((span * position) / LOG_POSITIONS)),
      positionOf: (value) => Math.round((LOG_POSITIONS * Math.log(value / low)) / span),
    };
  }
  const positions = Math.ceil((high - low) / step - 1e-9);
  return {
    positions,
    valueAt: (position) => round(Math.min(high, low + position * step)),
    positionOf: (value) => Math.round((value - low) / step),
  };
}

/** A control {element, input, get(), set(value)}; `onInput` is called when the reader changes it. */
export function makeControl(spec, id, onInput) {
  return spec.choices ? makeChoice(spec, id, onInput) : makeSlider(spec, id, onInput);
}

function labelled(spec, id, input) {
  const element = document.createElement("div");
  element.className = "live-control";
  const label = document.createElement("label");
  label.htmlFor = id;
  label.textContent = spec.label;
  input.id = id;
  input.name = spec.name;
  element.append(label, input);
  return element;
}

function makeSlider(spec, id, onInput) {
  const { positions, valueAt, positionOf } = sliderScale(spec);
  const input = document.createElement("input");
  Object.assign(input, { type: "range", min: 0, max: positions, step: 1 });
  const element = labelled(spec, id, input);
  const output = document.createElement("output");
  output.htmlFor = id;
  input.before(output);
  let value;
  const show = () => {
    const text = spec.unit ? `${formatNumber(value)} ${spec.unit}` : formatNumber(value);
    output.textContent = text;
    input.setAttribute("aria-valuetext", text);
    input.style.setProperty("--live-filled", `${(100 * input.value) / positions}%`);
  };
  const set = (wanted) => {
    value = wanted;
    input.value = positionOf(value);
    show();
  };
  input.addEventListener("input", () => {
    value = valueAt(Number(input.value));
    show();
    onInput();
  });
  set(spec.value);
  return { element, input, get: () => value, set, text: () => `${spec.label} ${output.textContent}` };
}

function makeChoice(spec, id, onInput) {
  const input = document.createElement("select");
  input.append(...spec.choices.map((choice) => new Option(choice, choice)));
  const element = labelled(spec, id, input);
  input.value = spec.value;
  input.addEventListener("input", onInput);
  const set = (wanted) => (input.value = wanted);
  return { element, input, get: () => input.value, set, text: () => `${spec.label} ${input.value}` };
}
