"use strict";

/* Drawing a score and its level probabilities; shared by every page. Text goes in as text, never as markup. */

const LEVELS = ["bad", "poor", "fair", "good", "perfect"];

/** A new HTML element: attributes by name, `class` and `text` included; null and false attributes are left out. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") made.textContent = value;
    else if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

function svgElement(tag, attributes, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  return made;
}

const percent = (share) => `${Math.round(100 * share)} %`;

/** Five columns, one per level; `levels` are probabilities that sum to 1. */
function levelBars(levels, task) {
  const width = 240, height = 64, base = height - 14, step = width / LEVELS.length;
  const spoken = LEVELS.map((level, i) => `${level} ${percent(levels[i])}`).join(", ");
  const drawing = svgElement("svg", {
    class: `levels ${task}`, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${task} levels: ${spoken}`,
  });
  const tallest = Math.max(...levels, 0.4);
  levels.forEach((share, i) => {
    const tall = (base - 12) * share / tallest, x = i * step;
    drawing.append(
      svgElement("rect", { class: "bar", x: x + 4, y: base - tall, width: step - 8, height: tall, rx: 1.5 }),
      svgElement("text", { x: x + step / 2, y: base - tall - 3 }, percent(share)),
      svgElement("text", { x: x + step / 2, y: height - 3 }, LEVELS[i]),
    );
  });
  drawing.append(svgElement("line", { class: "floor", x1: 0, x2: width, y1: base + 0.5, y2: base + 0.5 }));
  return drawing;
}

/** One task's answer: name, number, level bars and, where the model gave one, the reason. */
function verdict(task, score, levels, reason) {
  return element("div", { class: `verdict ${task}` },
    element("span", { class: "name", text: task }),
    element("span", { class: "number", text: score === null ? "no score" : score.toFixed(1) }),
    levels ? levelBars(levels, task) : null,
    reason ? element("p", { class: "reason", text: reason }) : null);
}

/** A thin bar from 0 to 100; decoration beside the number, so it is hidden from screen readers. */
function meter(task, score) {
  const fill = element("i");
  fill.style.setProperty("--score", score ?? 0);
  return element("div", { class: `meter ${task}`, "aria-hidden": "true" }, fill);
}
