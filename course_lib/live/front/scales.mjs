// Round numbers: ticks, lengths and how numbers are written.

/** A number for people: at most four digits that matter, a true minus sign, powers of ten where they are shorter. */
export function formatNumber(value) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  let text;
  if (size !== 0 && (size >= 1e6 || size < 1e-3)) {
    const [digits, power] = value.toExponential(2).split("e");
    text = `${Number(digits)}×10${superscript(Number(power))}`;
  } else {
    text = String(Number(value.toPrecision(4)));
  }
  return text.replaceAll("-", "−");
}

export function superscript(power) {
  return [...String(power)].map((sign) => (sign === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(sign)])).join("");
}

/** The largest of 1, 2 or 5 times a power of ten that is at most `longest`. */
export function niceLength(longest) {
  const power = 10 ** Math.floor(Math.log10(longest));
  return [5, 2, 1].find((digit) => digit * power <= longest * (1 + 1e-9)) * power;
}

/** About `count` round numbers from `low` to `high`. */
export function linearTicks(low, high, count) {
  if (!(high > low)) return [low];
  const wished = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(wished));
  const step = power * [1, 2, 5, 10].find((digit) => digit * power >= wished * (1 - 1e-9));
  const ticks = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++)
    ticks.push(Number((k * step).toPrecision(12)));
  return ticks;
}

/** The powers of ten from `low` to `high`; on less than two decades also 2 and 5 times these. */
export function logTicks(low, high) {
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++)
    for (const digit of high / low < 100 ? [1, 2, 5] : [1]) ticks.push(digit * 10 ** power);
  return ticks.filter((tick) => tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9));
}

/** An axis: `place(value)` is its pixel, between `from` at `low` and `to` at `high`. */
export function makeAxis(kind, [low, high], [from, to]) {
  const map = kind === "log" ? Math.log10 : (value) => value;
  const place = (value) => from + ((map(value) - map(low)) / (map(high) - map(low))) * (to - from);
  const ticks = kind === "log" ? logTicks(low, high) : linearTicks(low, high, Math.abs(to - from) > 240 ? 5 : 4);
  return { low, high, place, ticks };
}
