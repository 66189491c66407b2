// One live figure: its controls, its panels, and the loop that asks a backend for answers.
import { makeControl } from "./sliders.mjs";
import { makePanel } from "./panels.mjs";

const PROGRESS_MS = 60; // how often an iterative figure is drawn on its way
const SPEAK_MS = 700; // rest before the read-outs are spoken
const PATIENCE_MS = 800; // before the reader is told that something is being waited for

let mounted = 0;

const make = (tag, properties) => Object.assign(document.createElement(tag), properties);

/**
 * Build the figure inside `root`, before its caption.
 *
 * `backend` is {warm(), answer(request, first, last) -> promise of outputs, invitation, computes, waiting}, where a
 * request is {values, seed, fresh}; `fresh` begins anew. `root.liveOutputs` and `root.liveRequest` are the last outputs
 * and what they answer; `root.dataset.state` is "idle", "computing", "ready" or "error".
 */
export function mountFigure(root, manifest, backend) {
  const id = `live-${manifest.name}-${++mounted}`;
  let seed = 0;
  let shown = null; // outputs on the screen
  let wanted = null; // the request that waits; a newer one replaces it
  let busy = false;
  let speaking;

  const controls = manifest.sliders.map((spec, i) => makeControl(spec, `${id}-${i}`, ask));
  const panels = manifest.panels.map((spec) => makePanel(spec, manifest));
  const title = make("p", { className: "live-title", id: `${id}-title`, textContent: manifest.title });
  const reset = make("button", { type: "button", textContent: "Reset" });
  const renew = make("button", { type: "button", textContent: "New noise" });
  const status = make("p", { className: "live-status", textContent: backend.invitation });
  const spoken = make("p", { className: "live-spoken" });
  spoken.setAttribute("aria-live", "polite");

  const buttons = make("div", { className: "live-buttons" });
  buttons.append(...(manifest.draws.length > 0 ? [renew] : []), reset);
  const head = make("div", { className: "live-head" });
  head.append(title, buttons);
  const sliders = make("div", { className: "live-sliders" });
  sliders.append(...controls.map((control) => control.element));
  const grid = make("div", { className: "live-panels" });
  grid.style.setProperty("--live-columns", panels.length === 4 ? 2 : Math.min(panels.length, 3));
  grid.append(...panels.map((panel) => panel.element));
  const body = make("div", { className: "live-body" });
  body.setAttribute("role", "group");
  body.setAttribute("aria-labelledby", title.id);
  body.append(head, sliders, grid, status, spoken);
  root.prepend(body);
  root.dataset.state = "idle";

  const values = () => Object.fromEntries(controls.map((control, i) => [manifest.sliders[i].name, control.get()]));

  function setValues(given, newSeed = seed) {
    controls.forEach((control, i) => control.set(given[manifest.sliders[i].name]));
    seed = newSeed;
    ask();
  }

  function ask() {
    wanted = { values: values(), seed };
    root.dataset.state = "computing";
    if (!busy) work();
  }

  async function work() {
    busy = true;
    const patience = setTimeout(() => tell(backend.waiting), PATIENCE_MS);
    try {
      while (wanted) {
        const request = wanted;
        wanted = null;
        const begun = performance.now();
        const steps = await compute(request);
        tell(`${steps}${Math.max(1, Math.round(performance.now() - begun))} ms ${backend.computes()}`);
      }
      root.dataset.state = "ready";
    } catch (error) {
      wanted = null;
      root.dataset.state = "error";
      tell(`This did not work: ${error.message}`);
    } finally {
      clearTimeout(patience);
      busy = false;
    }
  }

  async function compute(request) {
    const total = manifest.steps ? request.values[manifest.steps] : 1;
    const atOnce = Object.entries(manifest.at_once).some(([name, words]) => words.includes(request.values[name]));
    if (!manifest.steps || atOnce) {
      show(await backend.answer({ ...request, fresh: true }, total - 1, total), request);
      return "";
    }
    let done = 0;
    for (let chunk = 1; done < total && !wanted; ) {
      const begun = performance.now();
      const last = Math.min(total, done + chunk);
      show(await backend.answer({ ...request, fresh: done === 0 }, done, last), request);
      const perStep = (performance.now() - begun) / (last - done);
      chunk = Math.max(1, Math.round(PROGRESS_MS / perStep));
      done = last;
      tell(`Step ${done} of ${total}`);
    }
    return `${done} steps, `;
  }

  function show(outputs, request) {
    shown = outputs;
    draw();
    root.liveOutputs = outputs;
    root.liveRequest = request;
    clearTimeout(speaking);
    speaking = setTimeout(() => {
      spoken.textContent = panels.filter((panel) => panel.speak).map((panel) => panel.speak(outputs)).join(", ");
    }, SPEAK_MS);
  }

  function draw() {
    if (!shown || grid.clientWidth === 0) return;
    const ink = readInk(root);
    const setting = controls.map((control) => control.text()).join(", ");
    for (const panel of panels) {
      panel.draw(shown, ink);
      const label = panel.canvas?.getAttribute("aria-label");
      panel.canvas?.setAttribute("aria-label", `${label}. Sliders: ${setting}.`);
    }
  }

  function tell(text) {
    status.textContent = text;
  }

  reset.addEventListener("click", () => setValues(Object.fromEntries(manifest.sliders.map((s) => [s.name, s.value])), 0));
  renew.addEventListener("click", () => setValues(values(), seed + 1));
  body.addEventListener("pointerdown", (event) => {
    if (event.target.closest("input, select, button")) backend.warm();
  });
  const resized = new ResizeObserver(draw);
  resized.observe(grid);
  const themed = new MutationObserver(draw);
  themed.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  themed.observe(document.body, { attributeFilter: ["data-jp-theme-light"] });
  document.fonts.ready.then(draw); // the canvases write with the page's fonts

  return {
    ask,
    setValues,
    values,
    tell,
    /** Draw outputs that were computed when the book was built. */
    preview(outputs) {
      if (shown) return;
      shown = outputs;
      draw();
    },
    dispose() {
      resized.disconnect();
      themed.disconnect();
      clearTimeout(speaking);
    },
  };
}

function readInk(root) {
  const style = getComputedStyle(root);
  const color = (name) => style.getPropertyValue(`--live-${name}`).trim();
  return {
    text: color("text"),
    soft: color("soft"),
    grid: color("grid"),
    series: ["series-1", "series-2", "series-3", "series-4"].map(color),
  };
}
