"use strict";
// Volumes and labels in NiiVue: MR below, CT above it, labels on top.
const scene = document.getElementById("scene");
const place = document.getElementById("place");
const views = Array.from(document.querySelectorAll("[data-view]"));
const colours = Array.from(document.querySelectorAll("[data-index]"));
const sliders = Object.fromEntries(["share", "opacity", "cut"].map((name) => [name, document.getElementById(name)]));
const names = new Map(colours.map((item) => [Number(item.dataset.index), item.textContent]));
const kinds = ["mr", "ct", "labels"];

const viewer = new niivue.Niivue({
  isRadiologicalConvention: true, sagittalNoseLeft: true,  // as the report draws it
  multiplanarLayout: 2, multiplanarShowRender: 1,  // three slices and the 3-D view, two by two
  crosshairWidth: 1, crosshairWidthUnit: "mm",
  isClipAllVolumes: true, clipPlaneColor: [0, 0, 0, 0],  // labels are cut like the images, and the plane itself is not seen
  dragAndDropEnabled: false,
  viewModeHotKey: "", clipPlaneHotKey: "", cycleClipPlaneHotKey: "",  // keys rate
  logLevel: "error",
});

function part(byte) {
  return (item) => parseInt(item.dataset.colour.slice(1 + 2 * byte, 3 + 2 * byte), 16);
}

function labelColours() {
  const [R, G, B] = [0, 1, 2].map((byte) => [0, ...colours.map(part(byte))]);
  return { R, G, B, I: [0, ...names.keys()], labels: ["", ...names.values()] };
}

function tell({ values }) {
  const [mr, ct, label] = values.map(({ value }) => value);
  place.textContent = `MR ${mr.toFixed(2)} · CT ${ct.toFixed(2)} · ${names.get(Math.round(label)) ?? "no label"}`;
}

function show(button) {
  viewer.setSliceType(Number(button.dataset.view));
  for (const other of views) other.setAttribute("aria-pressed", String(other === button));
}

// From no cut (a plane beyond every corner) to all but the back.
function cut() {
  const share = Number(sliders.cut.value) / 100;
  viewer.setClipPlane(share === 0 ? [2, 180, 0] : [0.5 - share, 180, 0]);
}

async function begin() {
  viewer.onLocationChange = tell;
  await viewer.attachToCanvas(scene);
  await viewer.loadVolumes(kinds.map((kind) => ({ url: scene.dataset[kind], colormap: "gray", opacity: kind === "mr" ? 1 : 0 })));
  viewer.volumes[2].setColormapLabel(labelColours());
  viewer.setOpacity(2, Number(sliders.opacity.value) / 100);
  sliders.share.addEventListener("input", () => viewer.setOpacity(1, Number(sliders.share.value) / 100));
  sliders.opacity.addEventListener("input", () => viewer.setOpacity(2, Number(sliders.opacity.value) / 100));
  sliders.cut.addEventListener("input", cut);
  for (const button of views) button.addEventListener("click", () => show(button));
  viewer.setRenderAzimuthElevation(150, 15);  // from the front, where the cut begins
  show(views[0]);
  place.textContent = "";
  scene.dataset.isReady = "yes";
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || parent === window) return;
  parent.postMessage({ key: event.key }, "*");  // a key and nothing of the data
});
if (parent !== window) document.body.classList.add("framed");
if (document.createElement("canvas").getContext("webgl2") === null) place.textContent = "This browser has no WebGL2; the report's pictures need none.";
else begin().catch((error) => { place.textContent = `Cannot be shown: ${error.message}`; });
