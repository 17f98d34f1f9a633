// Draws the curves and keeps them fresh. Pages can be read without it.
"use strict";

const KEPT = 6000; // points of a line, after which the whole of it is asked for, thinned anew
const SECONDS = 2; // between two questions while a run is at work
const COLOURS = ["--blue", "--orange", "--green", "--red", "--amber", "--soft"];
const DASHES = { train: "solid", val: "dot", "each step": "dash" };

document.querySelectorAll("[data-runs]").forEach(watch);
document.querySelectorAll("[data-fresh]").forEach(refresh);

/** A place on the page -> panels in it, drawn again whenever one of its runs has news. */
async function watch(box) {
  const told = JSON.parse(box.dataset.runs);
  const runs = told.map(([name, url]) => ({ name, url, place: "", panels: {} }));
  const show = () => draw(box, runs, log.checked);
  const log = tick("logarithmic", show);
  const said = box.querySelector("[role=status]");
  box.prepend(log.parentElement);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
  let wasRunning = false;
  for (;;) {
    let news = [];
    try {
      news = await Promise.all(runs.map(ask));
      const notes = news.map((one) => one.note).filter(Boolean);
      const isEmpty = !runs.some((run) => Object.keys(run.panels).length);
      said.textContent = notes.join(" ") || (isEmpty ? "No numbers yet." : "");
    } catch (error) {
      said.textContent = `${error.message}: is \`snellen studio\` still running?`;
      return;
    }
    if (news.some((one) => one.anew || Object.keys(one.panels).length)) show();
    if (news.some((one) => one.more)) continue;
    if (!news.some((one) => one.running)) {
      if (wasRunning && runs.length === 1) location.reload(); // now it has findings and a report
      return;
    }
    wasRunning = true;
    do await new Promise((done) => setTimeout(done, 1000 * SECONDS));
    while (document.hidden);
  }
}

/** What came since the last question, added to what a run has. */
async function ask(run) {
  const got = await fetch(`${run.url}?at=${encodeURIComponent(run.place)}`);
  if (!got.ok) throw new Error(`the server answers ${got.status}`);
  const news = await got.json();
  if (news.anew) run.panels = {};
  run.place = news.place;
  for (const [panel, lines] of Object.entries(news.panels)) {
    for (const [name, [steps, values]] of Object.entries(lines)) {
      const line = ((run.panels[panel] ??= {})[name] ??= [[], []]);
      steps.forEach((step) => line[0].push(step));
      values.forEach((value) => line[1].push(typeof value === "number" ? value : null));
      if (line[0].length > KEPT) run.place = "";
    }
  }
  return news;
}

function draw(box, runs, isLog) {
  const grid = box.querySelector(".panels") ?? box.appendChild(element("div", "panels"));
  const names = [...new Set(runs.flatMap((run) => Object.keys(run.panels)))];
  names.sort((a, b) => rank(a) - rank(b));
  const style = getComputedStyle(document.documentElement);
  const ink = (word) => style.getPropertyValue(word).trim();
  const places = names.map((name) => figure(grid, name)); // all, before any is measured to be drawn
  places.forEach((place, i) => drawPanel(place, names[i], runs, isLog, ink));
}

/** The loss first, the scores, and last what is only there to explain them. */
function rank(name) {
  return { loss: 0, "learning rate": 2, "gradient norm": 3 }[name] ?? 1;
}

function drawPanel(place, name, runs, isLog, colour) {
  const lines = runs.flatMap((run, i) =>
    Object.entries(run.panels[name] ?? {}).map(([split, [x, y]], j) => ({
      x, y, type: "scatter", mode: x.length < 3 ? "markers" : "lines",
      name: escaped(runs.length > 1 ? `${run.name} ${split}` : split),
      opacity: split === "each step" ? 0.45 : 1,
      line: { width: 1.6, color: colour(COLOURS[(runs.length > 1 ? i : j) % COLOURS.length]),
              dash: runs.length > 1 ? DASHES[split] ?? "dashdot" : "solid" },
    })));
  const axis = {
    gridcolor: colour("--line"), zeroline: false, automargin: true,
    exponentformat: "e", minexponent: 6,
  };
  Plotly.react(place, lines, {
    margin: { l: 45, r: 8, t: 6, b: 36 }, paper_bgcolor: "transparent", plot_bgcolor: "transparent",
    font: { color: colour("--soft"), size: 12, family: "system-ui, sans-serif" },
    xaxis: { ...axis, title: { text: "step" } }, yaxis: { ...axis, type: isLog ? "log" : "linear" },
    legend: { orientation: "h", y: 1.02, yanchor: "bottom" }, showlegend: lines.length > 1,
    hovermode: "x",
  }, { displayModeBar: false, responsive: true });
  const ends = lines.map((line) => `${line.name} ${line.y.at(-1) ?? "not a number"}`);
  place.setAttribute("aria-label", `${name} by step; last: ${ends.join(", ")}`);
}

function figure(grid, name) {
  const there = [...grid.children].find((one) => one.dataset.name === name);
  if (there) return there.lastElementChild;
  const frame = grid.appendChild(element("figure"));
  frame.dataset.name = name;
  frame.appendChild(element("figcaption")).textContent = name;
  const place = frame.appendChild(element("div", "plot"));
  place.setAttribute("role", "img");
  return place;
}

/** The parts of the page that a mark names again, unless something in them is ticked or focused. */
function refresh(mark) {
  setInterval(async () => {
    if (document.hidden || document.querySelector("tbody input:checked, tbody :focus")) return;
    const got = await fetch(location.href).catch(() => null);
    if (!got?.ok) return;
    const fresh = new DOMParser().parseFromString(await got.text(), "text/html");
    for (const part of mark.dataset.fresh.split(" ")) {
      const now = fresh.querySelector(part);
      if (now) document.querySelector(part)?.replaceWith(now);
    }
  }, 5000);
}

function tick(words, changed) {
  const label = element("label");
  const box = label.appendChild(element("input"));
  box.type = "checkbox";
  box.addEventListener("change", changed);
  label.append(` ${words}`);
  return box;
}

function element(kind, name = "") {
  const made = document.createElement(kind);
  made.className = name;
  return made;
}

/** plotly reads a few tags in its words; a name has none. */
function escaped(words) {
  return words.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
