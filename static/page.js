/** The page of a stream, made from its `stream.json`: this file only connects the others. */

import { Camera, FRAME_RATES, SIZES, hasTwoSides, listCameras } from "./camera.js";
import { Controls } from "./controls.js";
import { Notices } from "./notices.js";
import { Readout } from "./readout.js";
import { Results } from "./results.js";
import { RtcStream, StreamError } from "./rtcstream.js";
import { Stage } from "./stage.js";
import { explain, explainEnd } from "./words.js";

/** @typedef {import("./contract.js").Description} Description */

const find = (/** @type {string} */ id) => /** @type {any} */ (document.getElementById(id));
const startButton = /** @type {HTMLButtonElement} */ (find("start"));
const cameraList = /** @type {HTMLSelectElement} */ (find("camera"));
const sizeList = /** @type {HTMLSelectElement} */ (find("size"));
const rateList = /** @type {HTMLSelectElement} */ (find("rate"));

const stream = new RtcStream();
const camera = new Camera();
const stage = new Stage(find("stage"));
const notices = new Notices(find("notices"));
const readout = new Readout(find("readout"));
/** @type {Description | null} */
let description = null;
/** @type {Controls | null} */
let controls = null;
/** @type {Results | null} */
let results = null;
/** @type {Promise<void> | null} */
let loading = null;
/** @type {"user" | "environment"} */
let facing = "user";
/** Counts the presses of Start, so that one that was stopped meanwhile goes no further. */
let attempt = 0;
let started = false;

/** What the connection's state is called here. @type {Record<string, string>} */
const STATUS = {
  idle: "Ready",
  camera: "Waiting for the camera",
  new: "Connecting",
  connecting: "Connecting",
  connected: "Connected",
  disconnected: "Reconnecting",
  failed: "Disconnected",
  closed: "Ready",
};

/** What is said where the result will appear, by the server's `state`. @type {Record<string, string>} */
const WAITING = {
  waiting: "Waiting for the first frame",
  loading: "Loading…",
  finished: "Finished",
};

/** @param {string} state a key of `STATUS` */
function showStatus(state) {
  find("status").textContent = STATUS[state];
  find("status").dataset.state = state;
}

/** Once, unless that failed. */
function loaded() {
  loading ??= load();
  loading.catch(() => (loading = null));
  return loading;
}

async function load() {
  description = await stream.describe();
  document.title = find("title").textContent = description.title;
  find("description").textContent = description.description;
  results = new Results(find("results"), stage.arrange(description));
  controls = new Controls(find("controls"), description.controls);
  find("controls-card").hidden = description.controls.length === 0;
  const complaints = controls.take(new URLSearchParams(location.search));
  complaints.forEach((text, index) => {
    notices.show(`query ${index}`, "warning", { title: "In this page’s address", text });
  });

  document.body.dataset.camera = String(needs("video"));
  for (const option of Object.keys(SIZES)) sizeList.add(new Option(`${option}p`, option, false, option === "720"));
  const limit = description.maxFps ?? Infinity;
  const rates = FRAME_RATES.filter((rate) => rate <= limit);
  if (!rates.length) rates.push(limit);
  const usual = rates.findLast((rate) => rate <= 30) ?? rates[0];
  for (const rate of rates) rateList.add(new Option(`${rate} fps`, String(rate), false, rate === usual));
  showView();
  find("facing").hidden = !needs("video") || !hasTwoSides();
  await fillCameras();
}

/** @param {"video" | "audio"} kind */
const needs = (kind) => description?.inputs.includes(kind) ?? false;

const wish = () => ({
  deviceId: cameraList.value,
  facing,
  size: sizeList.value,
  frameRate: Number(rateList.value),
  video: needs("video"),
  audio: needs("audio"),
});

async function start() {
  const mine = ++attempt;
  setStarted(true);
  notices.clear(/^(?!query)/);
  try {
    await loaded();
    if (needs("video") || needs("audio")) {
      showStatus("camera");
      if (!(await openCamera())) return;
    }
    if (mine !== attempt) return;
    showStatus("connecting");
    results?.clear();
    stage.result = stream.media;
    const values = controls?.values ?? {};
    await stream.start({ tracks: camera.stream?.getTracks(), values });
    controls?.attach((changed) => stream.set(changed), values);
    readout.start(() => stream.getStats());
    enableCameraChoice(true);
  } catch (error) {
    if (mine !== attempt) return;
    notices.show("failure", "error", explain(error));
    finish();
  }
}

async function stop() {
  finish();
  await stream.stop();
}

/** Back to how it was before Start; what came of it stays readable. */
function finish() {
  attempt += 1;
  setStarted(false);
  controls?.detach();
  readout.stop();
  camera.close();
  stage.camera = stage.result = null;
  find("camera-gives").textContent = "";
  find("progress").hidden = find("remaining").hidden = true;
  showStatus("idle");
}

/** @param {boolean} now */
function setStarted(now) {
  started = now;
  startButton.querySelector("span")?.replaceChildren(now ? "Stop" : "Start");
  startButton.dataset.started = String(now);
  document.body.dataset.live = String(now);
  stage.placeholder = now ? "Connecting…" : "Press Start";
  enableCameraChoice(!now);
}

/** Not while a session is being made: it would end up with neither the one nor the other. @param {boolean} now */
function enableCameraChoice(now) {
  for (const list of [cameraList, sizeList, rateList]) list.disabled = !now;
}

/** @returns {Promise<boolean>} false when Stop came in between */
async function openCamera() {
  const opened = await camera.open(wish());
  stage.camera = opened;
  if (!opened) return false;
  showGiven();
  void fillCameras();
  return true;
}

/** Another camera, size or frame rate in the running session. */
async function switchCamera() {
  if (!started) return;
  try {
    if (!(await openCamera())) return;
    for (const track of camera.stream?.getTracks() ?? []) await stream.replaceTrack(track);
    notices.remove("camera");
  } catch (error) {
    notices.show("camera", "error", explain(error));
  }
}

function showView() {
  find("view").setAttribute("aria-pressed", String(stage.view === "unified"));
}

function showGiven() {
  const given = camera.settings;
  if (!given?.width) return;
  const rate = given.frameRate ? `, ${Math.round(given.frameRate)} fps` : "";
  find("camera-gives").textContent = `${given.width} × ${given.height}${rate}`;
}

async function fillCameras() {
  const chosen = cameraList.value || camera.settings?.deviceId || "";
  const options = (await listCameras()).map(({ label, deviceId }, index) =>
    new Option(label || `Camera ${index + 1}`, deviceId, false, deviceId === chosen));
  if (!options.some((option) => option.value === chosen)) {
    options.unshift(new Option("Default camera", "", false, true));
  }
  cameraList.replaceChildren(...options);
}

startButton.addEventListener("click", () => void (started ? stop() : start()));
for (const list of [cameraList, sizeList, rateList]) list.addEventListener("change", () => void switchCamera());
navigator.mediaDevices?.addEventListener("devicechange", () => void fillCameras());
find("preview").addEventListener("resize", showGiven);
camera.onlost = () => notices.show("camera", "error", {
  title: "The camera has gone",
  text: "It was unplugged or taken away. Choose another one from the list, or plug it in and press Stop, then Start.",
});
find("facing").addEventListener("click", () => {
  facing = facing === "user" ? "environment" : "user";
  cameraList.value = "";
  void switchCamera();
});
find("mirror").addEventListener("click", () => {
  stage.mirrored = !stage.mirrored;
  find("mirror").setAttribute("aria-pressed", String(stage.mirrored));
});
find("view").addEventListener("click", () => {
  stage.view = stage.view === "beside" ? "unified" : "beside";
  showView();
});
find("full-screen").addEventListener("click", () => void stage.toggleFullScreen());
// The way back on a screen that is all picture, where the button is not.
for (const frame of document.querySelectorAll(".frame")) {
  frame.addEventListener("dblclick", () => void stage.toggleFullScreen());
}
find("reset").addEventListener("click", () => controls?.reset());

stream.on("connectionstatechange", (state) => started && showStatus(state));
stream.on("track", () => void stage.play());
stream.on("controls", ({ values }) => controls?.acknowledge(values));
stream.on("error", ({ seq, control, message }) => {
  if (seq !== null || (control && controls?.complain(control, message))) return;
  notices.show("server", "error", { title: "The server did not understand this page", text: message });
});
stream.on("result", (message) => {
  find("results-card").hidden = false;
  results?.show(message);
});
stream.on("log", (message) => {
  notices.log(message);
  if (message.level === "error") stage.placeholder = "No picture yet: see the message below";
});
stream.on("stats", (stats) => readout.hear(stats));
stream.on("state", ({ value }) => {
  find("state").textContent = value === "running" ? "" : value;
  if (value in WAITING) stage.placeholder = WAITING[value];
});
stream.on("progress", ({ value, text }) => {
  find("progress").hidden = value >= 1;
  find("progress-bar").value = value;
  find("progress-text").textContent = text;
});
stream.on("time", ({ remaining }) => {
  find("remaining").hidden = false;
  find("remaining").textContent = `${Math.ceil(remaining)} s left`;
});
stream.on("end", ({ reason }) => {
  notices.show("failure", "info", explainEnd(reason));
  finish();
});
stream.on("failure", (error) => {
  notices.show("failure", "error", explain(error));
  finish();
});
// A page that comes back from the browser's cache of pages has no session any more.
addEventListener("pageshow", ({ persisted }) => persisted && finish());

setStarted(false);
showStatus("idle");
loaded().catch((/** @type {unknown} */ error) => {
  if (!(error instanceof StreamError)) throw error;
  notices.show("failure", "error", explain(error));
});
