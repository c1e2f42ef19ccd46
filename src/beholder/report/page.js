
/* The report: a gallery that is sorted and filtered here, a plot to choose from, one picture at a time in a dialog.
   The page holds all rows as columns and all thumbnails as lines of base64; both are drawn only when they are needed. */

const AT_ONCE = 240; // tiles that are added together; more only when asked, so that what is below can be reached

const byId = (id) => document.getElementById(id);
const { tasks = [], folders = [], rows = {} } = JSON.parse(byId("data").textContent);
const nRows = (rows.name ?? []).length;
const everyRow = Array.from({ length: nRows }, (_, i) => i);

let thumbnailLines = null;

/** Address of a picture's thumbnail, or null. */
function thumbnail(row) {
  thumbnailLines ??= byId("thumbnails").textContent.split("\n");
  return thumbnailLines[row] ? `data:image/webp;base64,${thumbnailLines[row]}` : null;
}

const valueOf = (column, row) => rows[column]?.[row] ?? null;
const score = (task, row) => valueOf(task, row);
const nameOf = (row) => rows.name[row];

function pathOf(row) {
  const folder = folders[rows.folder[row]].path;
  return folder === "" || folder.endsWith("/") ? folder + nameOf(row) : `${folder}/${nameOf(row)}`;
}

/** Address of the picture itself, relative to this page. What lies in a tar file has none, nor what has the mark ␛ in
    its name, which is no plain text. */
function originalOf(row) {
  const { path, url } = folders[rows.folder[row]];
  return url === null || `${path}${nameOf(row)}`.match(/␛|\.tar::/i) ? null : `${url}/${encodeURIComponent(nameOf(row))}`;
}

/* Sort and filter. */

const controls = byId("controls");
const collator = new Intl.Collator("en", { numeric: true });
const ORDERS = new Map([["", { label: "order of the table", compare: null }]]);
for (const task of tasks) {
  const lowLast = (row) => score(task, row) ?? -1, lowFirst = (row) => score(task, row) ?? 101;
  ORDERS.set(`-${task}`, { label: `${task}, highest first`, compare: (a, b) => lowLast(b) - lowLast(a) });
  ORDERS.set(task, { label: `${task}, lowest first`, compare: (a, b) => lowFirst(a) - lowFirst(b) });
}
ORDERS.set("path", { label: "name", compare: (a, b) => collator.compare(pathOf(a), pathOf(b)) });
if (tasks.length === 2) {
  const gap = (row) => score("quality", row) - score("aesthetics", row);
  ORDERS.set("flawed", { label: "beautiful, but flawed", compare: (a, b) => gap(a) - gap(b) });
  ORDERS.set("plain", { label: "flawless, but plain", compare: (a, b) => gap(b) - gap(a) });
}
controls.sort.append(...[...ORDERS].map(([value, { label }]) => element("option", { value, text: label })));
controls.folder.append(...folders.map(({ path }, i) => element("option", { value: i, text: path || "." })));
for (const set of controls.querySelectorAll("fieldset")) set.hidden = !tasks.includes(set.dataset.task);
for (const set of controls.querySelectorAll("fieldset[hidden]")) set.remove();
controls.sort.value = `-${tasks[0] ?? ""}`;
controls.sort.querySelector(`[value="${controls.sort.value}"]`)?.setAttribute("selected", ""); // what Clear goes back to

/** Lower and upper limit of a task in the form; null where it is empty. */
function limits(task) {
  const read = (end) => {
    const text = controls[`${task}-${end}`]?.value ?? "";
    return text === "" ? null : Number(text);
  };
  return [read("from"), read("to")];
}

function chosenRows() {
  const text = controls.text.value.trim().toLowerCase();
  const folder = controls.folder.value === "" ? null : Number(controls.folder.value);
  const ranges = tasks.map((task) => [task, ...limits(task)]).filter(([, low, high]) => low !== null || high !== null);
  const chosen = everyRow.filter((row) =>
    (folder === null || rows.folder[row] === folder)
    && (text === "" || pathOf(row).toLowerCase().includes(text))
    && ranges.every(([task, low, high]) => {
      const value = score(task, row);
      return value !== null && (low === null || value >= low) && (high === null || value <= high);
    }));
  const { compare } = ORDERS.get(controls.sort.value);
  return compare ? chosen.sort(compare) : chosen;
}

/* Tiles. */

const tiles = byId("tiles");
let shown = []; // rows in the order of the gallery

const whenSeen = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    whenSeen.unobserve(target);
    target.src = thumbnail(Number(target.dataset.row));
  }
}, { rootMargin: "600px" });

function tile(row, place) {
  let picture;
  if (thumbnail(row) === null) picture = element("span", { class: "none", text: "no thumbnail" });
  else {
    picture = element("img", { alt: "", "data-row": row });
    whenSeen.observe(picture);
  }
  const numbers = element("span", { class: "numbers" }, ...tasks.map((task) => element("span", {},
    element("span", { class: "unseen", text: `${task} ` }),
    element("span", { class: `task ${task}`, text: score(task, row)?.toFixed(0) ?? "–" }), meter(task, score(task, row)))));
  const name = element("span", { class: "line" }, element("span", { class: "name", text: nameOf(row), title: pathOf(row) }));
  const button = element("button", { class: "tile", type: "button", tabindex: place === 0 ? 0 : -1 }, picture, name, numbers);
  button.addEventListener("click", () => openPicture(place, button));
  return element("li", { "aria-setsize": shown.length, "aria-posinset": place + 1 }, button);
}

function addTiles() {
  const from = tiles.childElementCount;
  tiles.append(...shown.slice(from, from + AT_ONCE).map((row, i) => tile(row, from + i)));
  const nLeft = shown.length - tiles.childElementCount;
  byId("more").hidden = nLeft === 0;
  byId("more").textContent = `Show more (${nLeft.toLocaleString("en")} left)`;
}

function draw() {
  shown = chosenRows();
  whenSeen.disconnect();
  tiles.replaceChildren();
  addTiles();
  const all = nRows.toLocaleString("en");
  const some = shown.length.toLocaleString("en");
  byId("count").textContent = shown.length === nRows ? `All ${all} pictures` : `${some} of ${all} pictures`;
  byId("save").disabled = shown.length === 0;
  byId("chosen").hidden = tasks.every((task) => limits(task).every((limit) => limit === null));
  byId("n-chosen").textContent = some;
  drawScatter();
}

controls.addEventListener("input", draw);
controls.addEventListener("submit", (event) => event.preventDefault());
controls.addEventListener("reset", () => setTimeout(draw)); // after the form has its values back
byId("unchoose").addEventListener("click", () => controls.reset());
byId("more").addEventListener("click", () => {
  const next = tiles.childElementCount;
  addTiles();
  focusTile(next);
});

/** One tile is reached with Tab; arrow keys go on from it. */
function focusTile(place) {
  if (place >= tiles.childElementCount) addTiles();
  const button = tiles.children[place]?.firstElementChild;
  if (!button) return;
  tiles.querySelector("button[tabindex='0']")?.setAttribute("tabindex", -1);
  button.tabIndex = 0;
  button.focus();
}

tiles.addEventListener("keydown", (event) => {
  const place = [...tiles.children].indexOf(event.target.closest("li"));
  const nColumns = getComputedStyle(tiles).gridTemplateColumns.split(" ").length;
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: nColumns, ArrowUp: -nColumns, Home: -place, End: tiles.childElementCount - 1 - place };
  if (!(event.key in steps) || place < 0) return;
  event.preventDefault();
  focusTile(Math.max(0, Math.min(shown.length - 1, place + steps[event.key])));
});

for (const button of document.querySelectorAll("button.folder")) {
  button.addEventListener("click", () => {
    controls.folder.value = folders.findIndex(({ path }) => path === button.dataset.folder);
    draw();
    byId("gallery").scrollIntoView();
    controls.folder.focus({ preventScroll: true });
  });
}

byId("save").addEventListener("click", () => {
  const list = new Blob(shown.map((row) => `${pathOf(row)}\n`), { type: "text/plain" });
  const link = element("a", { href: URL.createObjectURL(list), download: "pictures.txt" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
});

/* One picture. */

const dialog = byId("picture");
let open = { list: [], place: 0 };
let opener = null;

function openPicture(place, from, list = shown) {
  open = { list, place };
  opener = from;
  showPicture();
  if (!dialog.open) dialog.showModal();
}

function showPicture() {
  const row = open.list[open.place], small = thumbnail(row), original = originalOf(row), image = byId("picture-image");
  image.hidden = small === null;
  byId("picture-none").hidden = small !== null;
  image.src = small ?? "";
  image.alt = nameOf(row);
  if (original) { // the whole picture takes the thumbnail's place where it is still beside the page
    const whole = new Image();
    whole.onload = () => {
      if (open.list[open.place] !== row) return;
      image.src = whole.src;
      image.hidden = false;
      byId("picture-none").hidden = true;
    };
    whole.src = original;
  }
  byId("picture-name").textContent = nameOf(row);
  byId("picture-place").textContent = `${pathOf(row)}, ${valueOf("width", row)} × ${valueOf("height", row)} pixels`;
  byId("picture-scores").replaceChildren(...tasks.map((task) =>
    verdict(task, score(task, row), valueOf(`${task}_levels`, row), valueOf(`${task}_reason`, row))));
  byId("picture-note").textContent = valueOf("note", row) ?? "";
  byId("picture-link").hidden = original === null;
  byId("picture-link").href = original ?? "#";
  byId("picture-rank").textContent = `${(open.place + 1).toLocaleString("en")} of ${open.list.length.toLocaleString("en")}`;
  byId("previous").disabled = open.place === 0;
  byId("next").disabled = open.place === open.list.length - 1;
}

function turn(step) {
  const place = open.place + step;
  if (place < 0 || place >= open.list.length) return;
  open.place = place;
  showPicture();
}

byId("close").addEventListener("click", () => dialog.close());
byId("previous").addEventListener("click", () => turn(-1));
byId("next").addEventListener("click", () => turn(1));
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
dialog.addEventListener("keydown", (event) => {
  if (event.key === "ArrowLeft") turn(-1);
  if (event.key === "ArrowRight") turn(1);
});
dialog.addEventListener("close", () => {
  if (open.list === shown && tiles.contains(opener)) focusTile(open.place);
  else opener?.focus();
});

const rowByPath = new Map(everyRow.map((row) => [pathOf(row), row]));
for (const list of document.querySelectorAll("ol.extremes")) {
  const links = [...list.querySelectorAll("a")];
  const there = links.map((link) => rowByPath.get(link.dataset.path));
  if (there.includes(undefined)) continue; // a page too small for all rows: the link leads to the picture
  links.forEach((link, place) => {
    if (!link.href) link.href = "#extremes";
    link.addEventListener("click", (event) => {
      event.preventDefault();
      openPicture(place, link, there);
    });
  });
}

/* The plot: quality to the right, aesthetics upwards, both from 0 to 100. */

const canvas = byId("scatter");
const hint = byId("hint");
const MARGIN = { left: 34, right: 8, top: 8, bottom: 34 };
let dragged = null; // corners of the choice, in pixels, while the mouse is down

function scale() {
  const width = canvas.clientWidth - MARGIN.left - MARGIN.right, height = canvas.clientHeight - MARGIN.top - MARGIN.bottom;
  return {
    x: (quality) => MARGIN.left + width * quality / 100,
    y: (aesthetics) => MARGIN.top + height * (1 - aesthetics / 100),
    quality: (x) => 100 * (x - MARGIN.left) / width,
    aesthetics: (y) => 100 * (1 - (y - MARGIN.top) / height),
  };
}

/** What `light-dark(...)` stands for now; a canvas does not know that function. */
function resolved(name) {
  const probe = element("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

function drawScatter() {
  if (tasks.length < 2 || canvas.clientWidth === 0) return;
  const ratio = devicePixelRatio, { x, y } = scale(), pen = canvas.getContext("2d");
  canvas.width = canvas.clientWidth * ratio;
  canvas.height = canvas.clientHeight * ratio;
  pen.scale(ratio, ratio);
  const ink = resolved("--ink"), soft = resolved("--soft"), line = resolved("--line"), dot = resolved("--quality");
  pen.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  pen.lineWidth = 1;
  for (const tick of [0, 25, 50, 75, 100]) {
    pen.strokeStyle = line;
    pen.beginPath();
    pen.moveTo(x(tick), y(0)); pen.lineTo(x(tick), y(100));
    pen.moveTo(x(0), y(tick)); pen.lineTo(x(100), y(tick));
    pen.stroke();
    pen.fillStyle = soft;
    pen.textAlign = tick === 100 ? "right" : "center";
    pen.fillText(tick, x(tick), y(0) + 16);
    pen.textAlign = "right";
    pen.fillText(tick, x(0) - 6, y(tick) + 4);
  }
  pen.textAlign = "center";
  pen.fillText("quality", x(50), y(0) + 30);
  pen.save();
  pen.translate(9, y(50));
  pen.rotate(-Math.PI / 2);
  pen.fillText("aesthetics", 0, 0);
  pen.restore();
  const chosen = new Set(shown), radius = nRows > 3000 ? 1.6 : nRows > 300 ? 2.4 : 4;
  const strength = Math.max(0.25, Math.min(0.85, 40 / Math.sqrt(nRows || 1)));
  for (const isChosen of [false, true]) {
    pen.fillStyle = isChosen ? dot : soft;
    pen.globalAlpha = isChosen ? strength : 0.18;
    for (const row of everyRow) {
      if (chosen.has(row) !== isChosen || score("quality", row) === null || score("aesthetics", row) === null) continue;
      pen.beginPath();
      pen.arc(x(score("quality", row)), y(score("aesthetics", row)), radius, 0, 7);
      pen.fill();
    }
  }
  pen.globalAlpha = 1;
  if (dragged) {
    pen.strokeStyle = ink;
    pen.setLineDash([4, 3]);
    pen.strokeRect(dragged.x0, dragged.y0, dragged.x1 - dragged.x0, dragged.y1 - dragged.y0);
  }
}

/** The picture nearest to a point of the plot, within 12 pixels, or null. */
function nearest(px, py) {
  const { x, y } = scale();
  let best = null, least = 144;
  for (const row of everyRow) {
    const away = (x(score("quality", row) ?? -99) - px) ** 2 + (y(score("aesthetics", row) ?? -99) - py) ** 2;
    if (away < least) [best, least] = [row, away];
  }
  return best;
}

function showHint(row, px, py) {
  hint.hidden = row === null;
  canvas.style.cursor = row === null ? "crosshair" : "pointer";
  if (row === null) return;
  const image = thumbnail(row);
  hint.replaceChildren(
    ...(image ? [element("img", { src: image, alt: "" })] : []),
    element("span", { class: "name", text: nameOf(row) }),
    element("span", { class: "task quality", text: `quality ${score("quality", row).toFixed(0)} ` }),
    element("span", { class: "task aesthetics", text: `aesthetics ${score("aesthetics", row).toFixed(0)}` }));
  const left = px + 16 + hint.offsetWidth > canvas.clientWidth ? px - 16 - hint.offsetWidth : px + 16;
  hint.style.left = `${Math.max(0, left)}px`;
  hint.style.top = `${Math.max(0, Math.min(py - 20, canvas.clientHeight - hint.offsetHeight))}px`;
}

canvas.addEventListener("pointerdown", (event) => {
  if (event.pointerType === "touch") return; // there, a finger scrolls
  dragged = { x0: event.offsetX, y0: event.offsetY, x1: event.offsetX, y1: event.offsetY };
  canvas.setPointerCapture(event.pointerId);
  showHint(null);
});
canvas.addEventListener("pointermove", (event) => {
  if (!dragged) return showHint(nearest(event.offsetX, event.offsetY), event.offsetX, event.offsetY);
  Object.assign(dragged, { x1: event.offsetX, y1: event.offsetY });
  drawScatter();
});
canvas.addEventListener("pointerleave", () => showHint(null));
canvas.addEventListener("pointerup", (event) => {
  if (!dragged) return;
  const { x0, y0, x1, y1 } = dragged, { quality, aesthetics } = scale();
  dragged = null;
  if (Math.hypot(x1 - x0, y1 - y0) < 5) {
    const row = nearest(event.offsetX, event.offsetY);
    if (row !== null) openPicture(0, canvas, [row]);
    return drawScatter();
  }
  const clipped = (value) => Math.round(Math.max(0, Math.min(100, value)));
  controls["quality-from"].value = clipped(quality(Math.min(x0, x1)));
  controls["quality-to"].value = clipped(quality(Math.max(x0, x1)));
  controls["aesthetics-from"].value = clipped(aesthetics(Math.max(y0, y1)));
  controls["aesthetics-to"].value = clipped(aesthetics(Math.min(y0, y1)));
  draw();
});

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawScatter);
new ResizeObserver(drawScatter).observe(canvas);

draw();
