"use strict";
// What figures tell under the pointer. Texts come as data and are set as text, never as markup.
const told = JSON.parse(document.getElementById("told").textContent);
const tip = document.getElementById("tip");
const spot = document.createElement("div");
const NEAR = 26; // pixels from a point within which it is meant

function found(areas, x, y, width, height) {
  for (const one of areas) {
    const [left, top, right, bottom] = one.box;
    if (x < left || x > right || y < top || y > bottom) continue;
    if (one.rows) {
      const column = Math.min(Math.floor((x - left) / (right - left) * one.columns), one.columns - 1);
      const row = Math.min(Math.floor((y - top) / (bottom - top) * one.rows), one.rows - 1);
      const text = one.texts[row * one.columns + column];
      if (!text) continue;
      const w = (right - left) / one.columns, h = (bottom - top) / one.rows;
      return { text, box: [left + column * w, top + row * h, w, h] };
    }
  }
  let best = null, least = NEAR;
  for (const one of areas) {
    (one.places || []).forEach(([a, b], i) => {
      const far = Math.hypot((a - x) * width, (b - y) * height);
      if (far < least) {
        least = far;
        best = { text: one.texts[i], round: true,
          box: [a - 5 / width, b - 5 / height, 10 / width, 10 / height] };
      }
    });
  }
  return best;
}

function hide() {
  tip.hidden = true;
  spot.remove();
}

function point(event) {
  const plate = event.currentTarget;
  const frame = plate.getBoundingClientRect();
  const x = (event.clientX - frame.left) / frame.width;
  const y = (event.clientY - frame.top) / frame.height;
  const one = found(told[plate.closest("figure").id], x, y, frame.width, frame.height);
  if (!one) return hide();
  tip.textContent = one.text;
  tip.hidden = false;
  const [left, top, w, h] = one.box.map((share) => `${100 * share}%`);
  Object.assign(spot.style, { left, top, width: w, height: h });
  spot.className = one.round ? "spot round" : "spot";
  plate.append(spot);
  const room = document.documentElement.clientWidth;
  const across = Math.min(event.clientX + 14, room - tip.offsetWidth - 8);
  const above = event.clientY + 18 + tip.offsetHeight > window.innerHeight;
  const down = above ? event.clientY - tip.offsetHeight - 14 : event.clientY + 18;
  tip.style.left = `${Math.max(4, across) + window.scrollX}px`;
  tip.style.top = `${down + window.scrollY}px`;
}

for (const id of Object.keys(told)) {
  const plate = document.querySelector(`#${id} .plate`);
  plate.addEventListener("pointermove", point);
  plate.addEventListener("pointerdown", point);
  plate.addEventListener("pointerleave", hide);
}
document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });

// Tables sort by the number a cell begins with, or by its words; empty cells go last.
function key(row, column) {
  const text = row.cells[column] ? row.cells[column].textContent.trim() : "";
  const number = /^[+\u2212-]?\d[\d,]*(\.\d+)?/.exec(text);
  if (number) return parseFloat(number[0].replace("\u2212", "-").replace(/,/g, ""));
  return text === "" || text === "\u2013" ? null : text;
}

function compare(a, b) {
  if (a === null || b === null) return (a === null) - (b === null);
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  return typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true });
}

function sort(head) {
  const table = head.closest("table");
  const column = head.cellIndex;
  const down = head.getAttribute("aria-sort") === "ascending";
  for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  if (table.dataset.sort === "rows" && !table.classList.contains("sorted")) {
    table.classList.add("sorted");
    for (const body of [...table.tBodies]) {
      for (const row of [...body.rows]) {
        const own = document.createElement("tbody");
        own.append(row);
        table.append(own);
      }
      body.remove();
    }
  }
  const keyed = [...table.tBodies].map((body, at) => [key(body.rows[0], column), at, body]);
  keyed.sort((a, b) => {
    const order = compare(a[0], b[0]);
    const turned = down && a[0] !== null && b[0] !== null ? -order : order;
    return turned || a[1] - b[1];
  });
  table.append(...keyed.map((one) => one[2]));
}

for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => sort(button.parentNode));
}
