// Where the report is served: each rating goes to the server, which writes it to disk. What did not arrive goes with the next.
const unsent = new Set(rows.filter((row) => {
  const rating = row.dataset.images ? ownRating(row) : null;
  return rating !== null && !(row.dataset.date >= rating.date);
}));
let sending = Promise.resolve();

async function send(row) {
  const rating = ownRating(row);
  unsent.delete(row);
  try {
    const body = JSON.stringify({ format: "srreg-ratings", version: 1, ratings: [saved(row, rating)] });
    const answer = await fetch("ratings", { method: "POST", headers: { "Content-Type": "application/json" }, body, keepalive: true });
    if (!answer.ok) throw new Error(await answer.text());
    said.textContent = `${row.dataset.subject}: ${rating.decision}, on disk`;
  } catch (error) {
    unsent.add(row);
    const why = error instanceof TypeError ? "srreg qc serve does not answer: save ratings.tsv here" : error.message;
    said.textContent = `${row.dataset.subject}: not on disk. ${why}`;
  }
}

// One after another, so that what is said later arrives later.
function sendAll() {
  sending = sending.then(async () => { for (const row of [...unsent]) await send(row); });
}

document.addEventListener("rated", (event) => { unsent.add(event.target); sendAll(); });
window.addEventListener("beforeunload", (event) => { if (unsent.size > 0) event.preventDefault(); });
sendAll();
