// Random numbers that are the same here and in NumPy: see course_lib/live/draws.py for the formulas.

function mix(x) {
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
}

function uniform(seed, index, step, count) {
  const a = mix(mix(mix(seed) + index) + step);
  const b = mix(a + 1);
  const numbers = new Float64Array(count);
  for (let i = 0; i < count; i++) numbers[i] = ((mix(mix(i ^ a) + b) >>> 9) + 0.5) / 2 ** 23;
  return numbers;
}

/** The numbers of one draw, {kind, shape}, as a Float32Array. */
export function drawNumbers(draw, seed, index, step) {
  const count = draw.shape.reduce((product, length) => product * length, 1);
  if (draw.kind === "uniform") return Float32Array.from(uniform(seed, index, step, count));
  const pairs = uniform(seed, index, step, 2 * count);
  const numbers = new Float32Array(count);
  for (let i = 0; i < count; i++)
    numbers[i] = Math.sqrt(-2 * Math.log(pairs[2 * i])) * Math.cos(2 * Math.PI * pairs[2 * i + 1]);
  return numbers;
}
