// The two runtimes: the page's worker with the exported graphs, and the kernel of a notebook.
import { fetchGunzipped, splitArrays } from "./gunzip.mjs";
import { mountFigure } from "./figure.mjs";

let worker = null;
let asked = 0;
const waiting = new Map(); // number of a question -> {resolve, reject, tell}

function pageWorker() {
  if (worker) return worker;
  worker = new Worker(new URL("worker.mjs", import.meta.url), { type: "module" });
  worker.onmessage = ({ data }) => {
    if (data.progress) return void waiting.forEach((question) => question.tell(data.progress));
    const { resolve, reject } = waiting.get(data.id);
    waiting.delete(data.id);
    if (data.error === undefined) resolve(data.outputs);
    else reject(new Error(data.error));
  };
  worker.onerror = (event) => {
    waiting.forEach(({ reject }) => reject(new Error(event.message || "the worker did not start")));
    waiting.clear();
    worker = null;
  };
  return worker;
}

function pageBackend(base, manifest, tell) {
  let warm = null;
  const question = (request) => new Promise((resolve, reject) => {
    const id = ++asked;
    waiting.set(id, { resolve, reject, tell });
    pageWorker().postMessage({ id, base, manifest, request });
  });
  return {
    invitation: "Move a slider: the model then runs here, in your browser (4 MB, loaded once).",
    waiting: "Loading the model …",
    computes: () => "in your browser",
    // a failure is told by the question that follows
    warm: () => (warm ??= question(null).catch(() => (warm = null))),
    answer: (request, first, last) => question({ ...request, first, last }),
  };
}

async function mountOnPage(root) {
  const base = new URL(`${root.dataset.figure}/`, import.meta.url).href;
  try {
    const response = await fetch(new URL("manifest.json", base));
    if (!response.ok) throw new Error(`${response.url} answered ${response.status}`);
    const manifest = await response.json();
    const figure = mountFigure(root, manifest, pageBackend(base, manifest, (text) => figure.tell(text)));
    const first = await fetchGunzipped(new URL("first.bin.gz", base));
    figure.preview(splitArrays(first, manifest.outputs));
    root.querySelector(".live-poster").remove();
  } catch (error) {
    root.dataset.state = "error";
    const note = document.createElement("p");
    note.className = "live-status";
    note.textContent = `The figure could not be loaded: ${error.message}. You see its still picture.`;
    root.append(note);
  }
}

if (import.meta.url.startsWith("http"))
  for (const root of document.querySelectorAll("figure.live-figure[data-figure]")) mountOnPage(root);

function kernelBackend(model) {
  const view = Math.random(); // several views may share one widget
  const questions = new Map();
  model.on("msg:custom", (content, buffers) => {
    const question = questions.get(content.id);
    if (!question) return; // another view of the same widget asked
    questions.delete(content.id);
    if (content.error !== undefined) return void question.reject(new Error(content.error));
    question.resolve(Object.fromEntries(content.names.map((name, i) => {
      const { buffer, byteOffset, byteLength } = buffers[i];
      return [name, new Float32Array(buffer.slice(byteOffset, byteOffset + byteLength))];
    })));
  });
  return {
    invitation: "Waiting for the kernel …",
    waiting: "Waiting for the kernel …",
    computes: () => model.get("computes"),
    warm: () => {},
    answer: (request, first, last) => new Promise((resolve, reject) => {
      const id = `${view}-${++asked}`;
      questions.set(id, { resolve, reject });
      model.set("values", request.values);
      model.set("seed", request.seed);
      model.save_changes();
      model.send({ id, ...request, first, last });
    }),
  };
}

/** The view of `LiveWidget`. */
function render({ model, el }) {
  const manifest = model.get("manifest");
  const root = document.createElement("figure");
  root.className = "live-figure";
  const caption = document.createElement("figcaption");
  caption.textContent = manifest.caption;
  root.append(caption);
  el.append(root);
  const figure = mountFigure(root, manifest, kernelBackend(model));
  // without this JupyterLab takes the arrow keys for itself
  for (const control of root.querySelectorAll("input, select, button")) control.dataset.lmSuppressShortcuts = "true";
  const follow = () => {
    const given = model.get("values");
    const now = figure.values();
    if (Object.keys(now).some((name) => now[name] !== given[name])) figure.setValues(given, model.get("seed"));
  };
  model.on("change:values", follow);
  figure.setValues(model.get("values"), model.get("seed"));
  return () => {
    model.off("change:values", follow);
    figure.dispose();
  };
}

export default { render };
