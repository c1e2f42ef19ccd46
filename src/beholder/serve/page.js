
/* The page of a server: pictures in, scores out, two side by side, all as CSV. */

const TASKS = ["quality", "aesthetics"];
const AT_ONCE = 4; // requests under way
const COLUMNS = [
  "name", "quality", "aesthetics", ...TASKS.flatMap((task) => LEVELS.map((level) => `${task}_${level}`)),
  "quality_reason", "aesthetics_reason", "width", "height", "status", "error", "note",
];

const byId = (id) => document.getElementById(id);
const pause = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

/** What the page knows of a picture: its file, an address to show it, its answer once it is there, its card. */
let entries = [];
let marked = [];
let waiting = [];
let nUnderWay = 0;
let nLeftOut = 0;
let key = sessionStorage.getItem("key");

class Refused extends Error {}

/** Send files to a route. Waits and tries again while the server is busy, and asks for a key where one is wanted. */
async function send(route, files) {
  for (;;) {
    const form = new FormData();
    for (const file of files) form.append("pictures", file, file.name || "pasted.png");
    const headers = key ? { Authorization: `Bearer ${key}` } : {};
    const response = await fetch(route, { method: "POST", body: form, headers });
    if (response.ok) return response.json();
    if (response.status === 429) {
      tell("The server is busy; waiting for it.");
      await pause(Number(response.headers.get("Retry-After") ?? 1));
    } else if (response.status === 401) await newKey(key);
    else throw new Refused((await response.json().catch(() => ({}))).detail ?? `The server answered ${response.status}.`);
  }
}

/** Wait until there is another key than the one that did not fit. */
async function newKey(old) {
  while (key === old) {
    byId("key-form").hidden = false;
    byId("key").focus();
    await new Promise((done) => byId("key-form").addEventListener("submit", done, { once: true }));
  }
}

byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  key = byId("key").value.trim();
  sessionStorage.setItem("key", key);
  byId("key-form").hidden = true;
  showModel();
}, { capture: true });

async function showModel() {
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  const response = await fetch("v1/models", { headers });
  if (response.status === 401) return newKey(key);
  const { models: [card] } = await response.json();
  byId("model").textContent = `By ${card.name}, ${card.description.charAt(0).toLowerCase()}${card.description.slice(1)}`;
}

function tell(words, isFault = false) {
  byId("news").textContent = words;
  byId("news").classList.toggle("fault", isFault);
}

function tellProgress() {
  const nDone = entries.filter(({ answer }) => answer).length;
  const nScored = entries.filter(({ answer }) => answer?.status === "ok").length;
  const leftOut = nLeftOut ? ` ${nLeftOut} left out: not pictures.` : "";
  const notScored = nScored < nDone ? `, ${nDone - nScored} not` : "";
  tell(nDone < entries.length ? `${nDone} of ${entries.length}` : `${nScored} scored${notScored}.${leftOut}`);
}

/* In. */

function add(files) {
  const pictures = [...files].filter((file) => file.type.startsWith("image/") || file.type === "");
  for (const file of pictures) {
    const entry = { file, address: URL.createObjectURL(file), answer: null, card: null };
    entry.card = newCard(entry);
    entries.push(entry);
    waiting.push(entry);
    byId("cards").append(entry.card);
  }
  byId("results").hidden = entries.length === 0;
  nLeftOut += files.length - pictures.length;
  tellProgress();
  while (nUnderWay < AT_ONCE && waiting.length) work();
}

async function work() {
  nUnderWay += 1;
  for (let entry; (entry = waiting.shift());) {
    try {
      const { pictures: [answer] } = await send("v1/score", [entry.file]);
      entry.answer = answer;
    } catch (error) {
      const words = error instanceof Refused ? error.message : "The server can't be reached.";
      entry.answer = { name: entry.file.name, status: "not scored", error: words };
    }
    fill(entry);
    tellProgress();
  }
  nUnderWay -= 1;
}

/* One picture. */

function newCard(entry) {
  const mark = element("button", { type: "button", "aria-pressed": "false", text: "Compare", disabled: true });
  mark.addEventListener("click", () => toggle(entry));
  const image = element("img", { src: entry.address, alt: "" });
  image.addEventListener("error", () => image.remove()); // a format that the browser can't show
  return element("li", { class: "card" }, image, element("div", { class: "body" },
    element("div", { class: "title" }, element("h3", { text: entry.file.name || "pasted picture", title: entry.file.name }), mark),
    element("p", { class: "soft small waiting", text: "waiting" })));
}

function verdicts(answer) {
  const known = TASKS.filter((task) => typeof answer[task] === "number");
  return element("div", { class: "scores" }, ...known.map((task) =>
    verdict(task, answer[task], answer[`${task}_levels`], answer[`${task}_reason`])));
}

function fill({ card, answer, file }) {
  card.querySelector(".waiting").remove();
  const body = card.querySelector(".body"), button = card.querySelector("button");
  if (answer.status === "ok") {
    body.append(verdicts(answer));
    button.disabled = false;
    button.setAttribute("aria-label", `Compare ${file.name}`);
  } else body.append(element("p", { class: "fault small", text: `${answer.status}: ${answer.error}` }));
  if (answer.note) body.append(element("p", { class: "soft small", text: answer.note }));
}

/* Two side by side. */

function toggle(entry) {
  marked = marked.includes(entry) ? marked.filter((other) => other !== entry) : [...marked.slice(-1), entry];
  for (const { card } of entries) {
    const isMarked = marked.some((one) => one.card === card);
    card.classList.toggle("marked", isMarked);
    card.querySelector("button").setAttribute("aria-pressed", isMarked);
  }
  if (marked.length === 2) compare(...marked);
  else byId("comparison").hidden = true;
}

async function compare(first, second) {
  let answer;
  try {
    answer = await send("v1/compare", [first.file, second.file]);
  } catch (error) {
    return tell(error instanceof Refused ? error.message : "The server can't be reached.", true);
  }
  const section = byId("comparison");
  section.querySelector(".sides").replaceChildren(...[[first, answer.first], [second, answer.second]].map(([entry, scored]) =>
    element("figure", {}, element("img", { src: entry.address, alt: "" }),
      element("figcaption", { text: entry.file.name }), verdicts(scored))));
  section.querySelector(".outcome").textContent = Object.entries(answer.preferences)
    .map(([task, { difference }]) => outcome(task, difference, first.file.name, second.file.name)).join(" ");
  section.hidden = false;
  section.scrollIntoView();
}

function outcome(task, difference, first, second) {
  const points = Math.abs(difference).toFixed(1);
  if (points === "0.0") return `No difference in ${task}.`;
  return `${difference > 0 ? first : second} is ahead in ${task} by ${points}.`;
}

byId("end-comparison").addEventListener("click", () => { for (const entry of marked) toggle(entry); });

/* Out. */

/** Text in a cell. This file is opened by a click, and what begins like a formula a spreadsheet would run. */
const asText = (value) => (/^[=+\-@＝＋－＠\t\r\n]/.test(value) ? `'${value}` : value).replaceAll('"', '""');

function csv() {
  const cell = (value) => value === null || value === undefined ? ""
    : typeof value === "number" ? String(value) : `"${asText(String(value))}"`;
  const lines = entries.filter(({ answer }) => answer).map(({ answer }) => {
    const levels = TASKS.flatMap((task) => LEVELS.map((level, i) => [`${task}_${level}`, answer[`${task}_levels`]?.[i]]));
    const row = { ...answer, ...Object.fromEntries(levels) };
    return COLUMNS.map((column) => cell(row[column])).join(",");
  });
  return [COLUMNS.map(cell).join(","), ...lines, ""].join("\r\n");
}

byId("save").addEventListener("click", () => {
  const link = element("a", { href: URL.createObjectURL(new Blob([csv()], { type: "text/csv" })), download: "scores.csv" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
});

byId("clear").addEventListener("click", () => {
  for (const { address } of entries) URL.revokeObjectURL(address);
  [entries, marked, waiting, nLeftOut] = [[], [], [], 0];
  byId("cards").replaceChildren();
  byId("results").hidden = byId("comparison").hidden = true;
  tell("");
  byId("choose").focus();
});

byId("choose").addEventListener("click", () => byId("files").click());
byId("files").addEventListener("change", (event) => {
  add(event.target.files);
  event.target.value = ""; // so that the same file can be chosen again
});
document.addEventListener("paste", (event) => {
  if (event.clipboardData.files.length) add(event.clipboardData.files);
});
for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    byId("drop").classList.add("over");
  });
}
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) byId("drop").classList.remove("over"); });
document.addEventListener("drop", (event) => {
  event.preventDefault();
  byId("drop").classList.remove("over");
  add(event.dataTransfer.files);
});

showModel();
