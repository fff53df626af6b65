"use strict";
// One picture, blended in many ways: the MR lies below, the CT above it.
const view = document.getElementById("view");
const above = Array.from(view.querySelectorAll(".above"));
const share = document.getElementById("share");
const modes = Array.from(document.querySelectorAll("[data-mode]"));
const overlays = Array.from(document.querySelectorAll("[data-overlay]"));
let mode = "board", timer = 0;

function draw() {
  const part = Number(share.value) / 100;
  for (const image of above) {
    const masks = { board: "url(#checkered)", wipe: image.dataset.wiped };
    if (mode in masks) image.setAttribute("mask", masks[mode]); else image.removeAttribute("mask");
    if (mode === "board") image.setAttribute("filter", "url(#tint)"); else image.removeAttribute("filter");
    image.style.opacity = { mr: 0, fade: part }[mode] ?? 1;
  }
  for (const rect of document.querySelectorAll(".wipe")) rect.setAttribute("width", String(part * Number(rect.dataset.full)));
  share.disabled = mode !== "wipe" && mode !== "fade";
}

function choose(name) {
  mode = name;
  clearInterval(timer);
  if (name === "flicker") {
    let isCt = true;
    timer = setInterval(() => {
      isCt = !isCt;
      view.dataset.seen = isCt ? "ct" : "mr";
      for (const image of above) image.style.opacity = isCt ? 1 : 0;
    }, 500);
  }
  view.dataset.mode = name;
  for (const button of modes) button.setAttribute("aria-pressed", String(button.dataset.mode === name));
  draw();
}

function toggle(button) {
  const isShown = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", String(isShown));
  for (const layer of view.querySelectorAll(`.over-${button.dataset.overlay}`)) layer.style.display = isShown ? "" : "none";
}

function pressed(key) {
  const chosen = modes.find((b) => b.dataset.key === key), toggled = overlays.find((b) => b.dataset.key === key);
  if (chosen) choose(chosen.dataset.mode);
  else if (toggled) toggle(toggled);
  return Boolean(chosen || toggled);
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (pressed(event.key)) event.preventDefault();
  else if (parent !== window) parent.postMessage({ key: event.key }, "*");  // a key and nothing of the data
});
for (const button of modes) button.addEventListener("click", () => choose(button.dataset.mode));
for (const button of overlays) button.addEventListener("click", () => toggle(button));
share.addEventListener("input", draw);
if (parent !== window) document.body.classList.add("framed");
draw();
