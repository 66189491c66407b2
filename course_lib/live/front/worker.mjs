// The page's worker: loads onnxruntime-web and the figures' graphs, makes the random draws, runs the graphs.
import { fetchBytes, fetchGunzipped, splitArrays } from "./gunzip.mjs";
import { drawNumbers } from "./draws.mjs";

let runtime = null; // promise of the ort module
const figures = new Map(); // address of a figure's folder -> promise of {session, start, initial, state}
let queue = Promise.resolve(); // one graph at a time

function loadRuntime() {
  runtime ??= (async () => {
    const [ort, wasm] = await Promise.all([
      import(new URL("ort/ort.wasm.min.mjs", self.location.href).href),
      fetchGunzipped(new URL("ort/ort-wasm-simd-threaded.wasm.gz", self.location.href), (fraction) =>
        self.postMessage({ progress: `Loading the runtime, once: ${Math.round(100 * fraction)} %` })),
    ]);
    ort.env.wasm.wasmBinary = wasm;
    ort.env.wasm.numThreads = 1;
    return ort;
  })();
  runtime.catch(() => (runtime = null)); // so that the next touch tries again
  return runtime;
}

function loadFigure(base, manifest) {
  if (!figures.has(base)) {
    const loading = (async () => {
      const stored = manifest.state.length > 0 && !manifest.start;
      const [ort, model, starter, state] = await Promise.all([
        loadRuntime(),
        fetchBytes(new URL("model.onnx", base)),
        manifest.start ? fetchBytes(new URL("start.onnx", base)) : null,
        stored ? fetchGunzipped(new URL("state.bin.gz", base)) : null,
      ]);
      self.postMessage({ progress: "Starting the model …" });
      // the exporter has folded the constants already, and the first answer comes a third earlier
      const create = (graph) => ort.InferenceSession.create(graph, { graphOptimizationLevel: "disabled" });
      const session = await create(model);
      const start = starter ? await create(starter) : null;
      return { ort, session, start, initial: stored ? splitArrays(state, manifest.state) : {}, state: {} };
    })();
    loading.catch(() => figures.delete(base));
    figures.set(base, loading);
  }
  return figures.get(base);
}

const number = (ort, value) => new ort.Tensor("float32", Float32Array.of(value), []);

const run = (session, feeds) =>
  session.run(Object.fromEntries(session.inputNames.map((name) => [name, feeds[name]])));

async function advance(figure, manifest, { values, seed, fresh, first, last }) {
  const { ort, session, start } = figure;
  const feeds = {};
  const draw = (step) => manifest.draws.forEach((spec, index) => {
    feeds[`draw_${spec.name}`] = new ort.Tensor("float32", drawNumbers(spec, seed, index, step), spec.shape);
  });
  for (const { name, choices } of manifest.sliders)
    feeds[`slider_${name}`] = number(ort, choices ? choices.indexOf(values[name]) : values[name]);
  if (fresh) {
    figure.state = figure.initial;
    if (start) {
      draw(0);
      const begun = await run(start, feeds);
      figure.state = Object.fromEntries(manifest.state.map(({ name }) => [name, begun[name].data]));
    }
  }
  let results = {};
  for (let step = first; step < last; step++) {
    if (!start) draw(step);
    for (const { name, shape } of manifest.state)
      feeds[`state_${name}`] = new ort.Tensor("float32", figure.state[name], shape);
    if (manifest.steps) feeds.step = number(ort, step);
    results = await run(session, feeds);
    figure.state = Object.fromEntries(manifest.state.map(({ name }) => [name, results[`next_${name}`].data]));
  }
  return Object.fromEntries(manifest.outputs.map(({ name }) => [name, results[`output_${name}`].data.slice()]));
}

async function answer({ id, base, manifest, request }) {
  try {
    const figure = await loadFigure(base, manifest);
    const outputs = request ? await advance(figure, manifest, request) : {};
    self.postMessage({ id, outputs }, Object.values(outputs).map((array) => array.buffer));
  } catch (error) {
    self.postMessage({ id, error: error.message ?? String(error) });
  }
}

self.onmessage = (message) => {
  queue = queue.then(() => answer(message.data));
};
