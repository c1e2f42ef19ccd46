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

const percent = (share) => `${Math.round(100 * share)} %`;

/** Five columns, one per level; `levels` are probabilities that sum to 1. */
function levelBars(levels, task) {
  const spoken = LEVELS.map((level, i) => `${level} ${percent(levels[i])}`).join(", ");
  const columns = LEVELS.map((level, i) => {
    const bar = element("i");
    bar.style.setProperty("--share", levels[i] / Math.max(...levels, 0.4)); // full height is the likeliest level, or 40 %
    return element("span", {}, element("span", { text: percent(levels[i]) }), bar, element("span", { text: level }));
  });
  return element("div", { class: `levels ${task}`, role: "img", "aria-label": `${task} levels: ${spoken}` }, ...columns);
}

/** One task's answer: name, number, level bars and, where the model gave one, the reason. */
function verdict(task, score, levels, reason) {
  return element("div", { class: `verdict ${task}` },
    element("div", {}, element("span", { class: "name", text: task }),
      element("span", { class: "number", text: score === null ? "no score" : score.toFixed(1) })),
    levels ? levelBars(levels, task) : null,
    reason ? element("p", { class: "reason", text: reason }) : null);
}

/** A thin bar from 0 to 100; decoration beside the number, so it is hidden from screen readers. */
function meter(task, score) {
  const fill = element("i");
  fill.style.setProperty("--score", score ?? 0);
  return element("div", { class: `meter ${task}`, "aria-hidden": "true" }, fill);
}
