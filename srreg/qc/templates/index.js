"use strict";
const table = document.getElementById("subjects");
const body = table.tBodies[0];
const rows = Array.from(body.rows);
const heads = Array.from(table.tHead.rows[0].cells);
const filter = document.getElementById("filter");
const chips = Array.from(document.querySelectorAll("[data-show].chip, [data-rated].chip"));
const byZ = document.getElementById("by-z");
let only = "", rated = "";

function valueOf(row, column) {
  const cell = row.cells[column];  // none where a reason stands instead of numbers
  if (cell === undefined) return "";
  return (byZ.checked ? cell.dataset.z : undefined) ?? cell.dataset.value ?? cell.textContent.trim();
}

// Numbers by size, text by letters; what is empty stands last in either direction.
function compare(a, b, column, direction) {
  const x = valueOf(a, column), y = valueOf(b, column);
  if (x === "" || y === "") return (x === "") - (y === "");
  const numbers = [Number(x), Number(y)];
  const order = numbers.some(Number.isNaN) ? x.localeCompare(y, "en", { numeric: true }) : numbers[0] - numbers[1];
  return direction * order;
}

function sortBy(column) {
  const isRising = heads[column].getAttribute("aria-sort") !== "ascending";
  heads.forEach((head, n) => {
    if (n === column) head.setAttribute("aria-sort", isRising ? "ascending" : "descending");
    else head.removeAttribute("aria-sort");
  });
  body.append(...rows.sort((a, b) => compare(a, b, column, isRising ? 1 : -1)));
}

function show() {
  const wanted = filter.value.trim().toLowerCase().split(/\s+/);
  let count = 0;
  for (const row of rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = (only !== "" && row.dataset.show !== only) || (rated !== "" && row.dataset.rated !== rated) || !wanted.every((word) => text.includes(word));
    count += row.hidden ? 0 : 1;
  }
  document.getElementById("shown").textContent = count === rows.length ? "" : `${count} of ${rows.length} shown`;
}

heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => sortBy(column)));
filter.addEventListener("input", show);
chips.forEach((chip) => chip.addEventListener("click", () => {
  const isOn = chip.getAttribute("aria-pressed") !== "true" || chip.dataset.show === "";
  const group = Array.from(chip.parentElement.querySelectorAll(".chip"));
  if ("show" in chip.dataset) only = isOn ? chip.dataset.show : "";
  else rated = isOn ? chip.dataset.rated : "";
  group.forEach((other) => other.setAttribute("aria-pressed", String(other === chip ? isOn : only === other.dataset.show)));
  show();
}));
