/* Samples in conflict: shown all, and filtered and sorted here. */

const rows = JSON.parse(document.getElementById("data").textContent);
const list = document.getElementById("samples");
const controls = document.getElementById("controls");
const items = [...list.children];
const collator = new Intl.Collator("en", { numeric: true });
const ORDERS = {
  "": (a, b) => a - b,
  most: (a, b) => b - a,
  id: (a, b) => collator.compare(rows[a].id, rows[b].id),
};

function isChosen(row) {
  const { text, together, pair, most, known, wrong } = controls.elements;
  return row.text.includes(text.value.trim().toLowerCase())
    && (together.value === "" || row.together === together.value)
    && (pair.value === "" || row.pair === pair.value)
    && (most.value === "" || row.consistency <= Number(most.value))
    && (!known.checked || row.known)
    && (!wrong?.checked || row.wrong)
    && row.shows.every((shown, i) => {
      const wanted = controls.elements[`shows-${i}`].value;
      return wanted === "" || shown === wanted;
    });
}

function draw() {
  const order = rows.map((_, i) => i).sort(ORDERS[controls.elements.sort.value]);
  list.append(...order.map((i) => items[i]));
  let n = 0;
  for (const [i, row] of rows.entries()) {
    items[i].hidden = !isChosen(row);
    n += !items[i].hidden;
  }
  const noun = rows.length === 1 ? "sample" : "samples";
  document.getElementById("count").textContent = n === rows.length ? `All ${n} ${noun}` : `${n} of ${rows.length} ${noun}`;
}

controls.addEventListener("input", draw);
controls.addEventListener("reset", () => setTimeout(draw));
controls.addEventListener("submit", (event) => event.preventDefault());
draw();
