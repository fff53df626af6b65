// Ratings: kept in this browser under the images they are of, saved as files that `srreg qc import` takes.
const viewer = document.getElementById("viewer");
const frame = document.getElementById("page");
const rater = document.getElementById("rater");
const comment = document.getElementById("comment");
const said = document.getElementById("said");
const decisions = Array.from(document.querySelectorAll("[data-decide]"));
const reasons = Array.from(document.querySelectorAll("[data-reason]"));
const marks = { accept: "✓ accept", reject: "✕ reject", unsure: "? unsure" };
const unsaved = new Map();  // stands in where the browser keeps nothing
let opened = null;
let opener = null;

function kept(name) {
  try { return localStorage.getItem(name); } catch { return unsaved.get(name) ?? null; }
}

function keep(name, text) {
  try { localStorage.setItem(name, text); } catch {
    unsaved.set(name, text);
    said.textContent = "This browser keeps no ratings: save them before you close the page.";
  }
}

const place = (row) => `srreg-qc/${row.dataset.images}/${row.dataset.subject}`;

function ownRating(row) {
  try {
    const rating = JSON.parse(kept(place(row)) ?? "null");
    return rating !== null && rating.decision in marks && Array.isArray(rating.reasons) ? rating : null;
  } catch { return null; }
}

// The newer of what this browser keeps and what the data set has taken.
function ratingOf(row) {
  const own = ownRating(row), { decision, reasons: given, comment: text, date } = row.dataset;
  if (!decision || (own !== null && own.date >= date)) return own;
  return { decision, reasons: given.split(",").filter(Boolean), comment: text, date, rater: row.dataset.rater };
}

function showRating(row) {
  const rating = ratingOf(row), cell = row.querySelector(".rating");
  if (cell === null) return;
  cell.textContent = rating ? marks[rating.decision] : "";
  cell.title = rating ? `${rating.rater}, ${rating.date} ${rating.reasons.join(", ")} ${rating.comment}` : "";
  row.dataset.rated = rating ? rating.decision : "unrated";
}

function showForm() {
  const rating = ratingOf(opened);
  for (const button of decisions) button.setAttribute("aria-pressed", String(rating?.decision === button.dataset.decide));
  for (const button of reasons) button.setAttribute("aria-pressed", String(rating?.reasons.includes(button.dataset.reason) ?? false));
  comment.value = rating?.comment ?? "";
}

function rate(change) {
  if (opened === null) return;
  const old = ratingOf(opened);
  const rating = { decision: "unsure", reasons: [], comment: "", ...old, ...change };
  rating.rater = rater.value.trim();
  if (rating.rater === "") {
    said.textContent = "Who rates? Type a name first.";
    rater.focus();
    return;
  }
  rating.date = new Date().toISOString().slice(0, 19) + "Z";
  said.textContent = `${opened.dataset.subject}: ${rating.decision}`;
  keep(place(opened), JSON.stringify(rating));
  keep("srreg-qc/rater", rating.rater);
  showRating(opened);
  showForm();
  count();
  opened.dispatchEvent(new Event("rated", { bubbles: true }));  // heard where the report is served
}

function toggleReason(button) {
  if (button === undefined) return;
  const held = new Set(ratingOf(opened)?.reasons);
  if (!held.delete(button.dataset.reason)) held.add(button.dataset.reason);
  rate({ reasons: reasons.map((b) => b.dataset.reason).filter((name) => held.has(name)) });
}

// --- the viewer ---

const withPage = () => Array.from(body.rows).filter((row) => !row.hidden && row.dataset.page);

function open(row) {
  opener ??= document.activeElement;
  opened = row;
  const order = withPage();
  document.getElementById("whose").textContent = `${row.dataset.subject}  (${order.indexOf(row) + 1} of ${order.length})`;
  frame.src = row.dataset.page;
  frame.title = row.dataset.subject;
  viewer.hidden = false;
  document.body.classList.add("viewing");
  showForm();
}

function close() {
  viewer.hidden = true;
  document.body.classList.remove("viewing");
  frame.removeAttribute("src");
  (opened?.querySelector("a") ?? opener)?.focus();
  opened = opener = null;
}

function step(by) {
  const order = withPage(), next = order[order.indexOf(opened) + by];
  if (next !== undefined) open(next);
}

const keys = {
  a: () => rate({ decision: "accept" }), r: () => rate({ decision: "reject" }), u: () => rate({ decision: "unsure" }),
  j: () => step(1), k: () => step(-1), t: () => comment.focus(), Escape: close,
};

function pressed(key) {
  if (opened === null) return false;
  if (/^[1-9]$/.test(key)) toggleReason(reasons[Number(key) - 1]);
  else if (Object.hasOwn(keys, key)) keys[key]();
  else return false;
  return true;
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target instanceof HTMLInputElement) {
    if (event.key !== "Enter" && event.key !== "Escape") return;
    event.target.blur();
    event.preventDefault();
  } else if (pressed(event.key)) event.preventDefault();
});
// The page in the frame may be of no origin (files are): only the window itself can be told apart.
window.addEventListener("message", (event) => {
  if (event.source === frame.contentWindow && typeof event.data?.key === "string") pressed(event.data.key);
});
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-open]");
  const row = link && rows.find((r) => r.dataset.subject === link.dataset.open);
  if (!row || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  open(row);
});
for (const button of decisions) button.addEventListener("click", () => rate({ decision: button.dataset.decide }));
for (const button of reasons) button.addEventListener("click", () => toggleReason(button));
comment.addEventListener("change", () => rate({ comment: comment.value.replace(/\s+/g, " ").trim() }));
rater.addEventListener("change", () => keep("srreg-qc/rater", rater.value.trim()));
document.getElementById("next").addEventListener("click", () => step(1));
document.getElementById("previous").addEventListener("click", () => step(-1));
document.getElementById("close").addEventListener("click", close);

// --- saving ---

const columns = ["participant_id", "decision", "reasons", "comment", "rater", "date", "images"];

function saved(row, rating) {
  return { participant_id: `sub-${row.dataset.subject}`, ...rating, images: row.dataset.images };
}

const own = () => rows.filter((row) => row.dataset.images && ownRating(row)).map((row) => saved(row, ownRating(row)));

// No cell begins a formula or ends a line.
function cell(value) {
  const plain = String(value).replace(/\s+/g, " ").trim();
  return plain === "" ? "n/a" : /^[=+\-@|%]/.test(plain) ? `'${plain}` : plain;
}

function save(name, type, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

document.getElementById("save-tsv").addEventListener("click", () => {
  const lines = own().map((rating) => columns.map((name) => cell(rating[name])).join("\t"));
  save("ratings.tsv", "text/tab-separated-values", [columns.join("\t"), ...lines].join("\n") + "\n");
});
document.getElementById("save-json").addEventListener("click", () => {
  save("ratings.json", "application/json", JSON.stringify({ format: "srreg-ratings", version: 1, ratings: own() }, null, 2));
});

function count() {
  const made = rows.filter((row) => row.dataset.page && row.dataset.rated !== "unrated").length;
  document.getElementById("rated").textContent = `${made} of ${rows.filter((row) => row.dataset.page).length} rated`;
}

rater.value = kept("srreg-qc/rater") ?? "";
rows.forEach(showRating);
count();
