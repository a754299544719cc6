/** The page of a stream, made from its `stream.json`: this file only connects the others. */

import { Bar } from "./bar.js";
import { Controls } from "./controls.js";
import { Devices } from "./devices.js";
import { rest, wake } from "./level.js";
import { Lost } from "./lost.js";
import { Notices } from "./notices.js";
import { Readout } from "./readout.js";
import { Results } from "./results.js";
import { RtcStream, StreamError } from "./rtcstream.js";
import { Stage } from "./stage.js";
import { Turns } from "./turns.js";
import { connectView } from "./view.js";
import { connectVolume } from "./volume.js";
import { Waterfall } from "./waterfall.js";
import { LOAD_FAILED, OFFLINE, SHARED, TIME_IS_UP, explain, explainEnd, explainLoss, nameOf } from "./words.js";
import { placeInLine, waitingFor } from "./words.js";

/** @typedef {import("./contract.js").Description} Description */

const find = (/** @type {string} */ id) => /** @type {any} */ (document.getElementById(id));
const startButton = /** @type {HTMLButtonElement} */ (find("start"));

const stream = new RtcStream();
const bar = new Bar(find);
const devices = new Devices(find);
const turns = new Turns(find, stream, devices);
const stage = new Stage(find("stage"));
const notices = new Notices(find("notices"));
const readout = new Readout(find("readout"));
const waterfall = new Waterfall(find("waterfall"));
const showView = connectView(stage, find);
const lost = new Lost(find, bar, () => stream.reconnectNow());
/** @type {Description | null} */
let description = null;
/** @type {Controls | null} */
let controls = null;
/** @type {Results | null} */
let results = null;
/** @type {Promise<void> | null} */
let loading = null;
/** Counts the presses of Start, so that one that was stopped meanwhile goes no further. */
let attempt = 0;
let started = false;
/** What the server's function does, as it says. */
let doing = "";
/** Whether its last call or run has raised, as far as is known. */
let failed = false;
/** Whether this page watches, and there is nobody to be seen. */
let waitsForSource = false;
/** Whether the last session could not begin, since what it needs could not be loaded. */
let unloaded = false;
/** The controls' values with which the session, or another in its place, has begun. */
let first = /** @type {import("./contract.js").Values} */ ({});
/** When the page began to go on by itself after its time was up, or null: in milliseconds. @type {number | null} */
let resumed = null;

/** A word counts after a pause this long, in milliseconds; where it makes a new result, sooner. */
const TYPING = { filter: 500, generator: 150 };

/** What goes on by itself within so many milliseconds has not waited, as people see it. */
const AT_ONCE = 3000;

/** Once, unless that failed. */
function loaded() {
  loading ??= load();
  loading.catch(() => (loading = null));
  return loading;
}

async function load() {
  description = await stream.describe();
  document.title = find("title").textContent = description.title;
  bar.showVisitor(description.signedIn);
  find("all-examples").hidden = !description.gallery;
  find("description").textContent = description.description;
  results = new Results(find("results"), stage.arrange(description, find("results")));
  controls = new Controls(find("controls"), description.controls, TYPING[generates() ? "generator" : "filter"]);
  stage.pointAt(controls.places);
  find("controls-card").hidden = description.controls.length === 0;
  find("everybodys").hidden = !description.shared;
  find("watch").querySelector("span").textContent = SHARED.follow(description.inputs);
  const complaints = controls.take(new URLSearchParams(location.search));
  complaints.forEach((text, index) => {
    notices.show(`query ${index}`, "warning", { title: "In this page’s address", text });
  });

  showView();
  readout.arrange(description);
  bar.inputs = nameOf(description.inputs);
  const plays = description.outputs.includes("audio");
  document.body.dataset.sound = String(plays);
  // A recording is played when the microphone is no longer taken.
  find("headphones").hidden = !plays || !description.inputs.includes("audio") || records();
  turns.arrange(description, find("headphones"));
  connectVolume(stage.player, find("volume"), find("mute"));
  await devices.arrange(description);
  setStarted(started); // now that the words for it are known
}

/** Whether it runs by itself, without a camera or a microphone. */
const generates = () => description?.inputs.length === 0;

/** Whether one sends, and the others watch. */
const hasSource = () => Boolean(description?.shared) && !generates();

/** Whether this page sees what another sends. */
const watches = () => document.body.dataset.watching === "true";

/** Whether the function does its work, by the `state` that the server tells. @param {string} state */
const works = (state) => ["running", "thinking"].includes(state);

/** Whether its function takes a recording, made between two clicks. */
const records = () => description?.take?.kind === "recording";

/**
 * @param {boolean} watch without sending anything
 * @param {boolean} [resuming] after the time was up
 */
async function start(watch, resuming = false) {
  const mine = ++attempt;
  resumed = resuming ? performance.now() : null;
  unloaded = waitsForSource = failed = false;
  doing = "";
  document.body.dataset.watching = String(watch);
  setStarted(true);
  notices.clear(/^(?!query)/);
  wake();
  try {
    await loaded();
    if (mine !== attempt) return;
    const tracks = () => opened(!generates() && !watch, mine);
    const values = () => (first = controls?.values ?? {});
    await stream.start({ tracks, values, watch, reconnect: true, queue: true });
    if (resumed !== null && performance.now() - resumed > AT_ONCE) notices.remove("time");
    else if (resumed !== null) notices.show("time", "info", TIME_IS_UP.on);
    resumed = null; // what it may have to wait for later on is another matter
    attach();
    readout.start(async () => {
      const measured = await stream.getStats();
      stage.overlay?.age?.measured({ roundTrip: measured?.roundTrip });
      return measured;
    });
    devices.enabled = turns.live = true;
    find("record").hidden = !records();
  } catch (error) {
    if (mine !== attempt) return;
    tell(error);
    finish();
  }
}

/** The controls set the values of the session that has begun. */
function attach() {
  controls?.attach((changed) => stream.set(changed), (...upload) => stream.upload(...upload), first);
}

/**
 * What is sent, opened when it is this page's turn and not before.
 * @param {boolean} sends
 * @param {number} mine
 */
async function opened(sends, mine) {
  if (sends) {
    bar.showStatus("camera");
    stage.camera = await devices.open();
  }
  if (mine !== attempt) return [];
  bar.showStatus("connecting");
  stage.placeholder = "Connecting…";
  results?.clear();
  stage.draw(devices.track("audio"), "microphone");
  return devices.tracks;
}

/** @param {unknown} error */
function tell(error) {
  const words = explain(error);
  notices.show(words === OFFLINE ? "offline" : "failure", "error", words);
  return words;
}

async function stop() {
  finish();
  await stream.stop();
}

/** Back to how it was before Start; what came of it stays readable. */
function finish() {
  attempt += 1;
  waitsForSource = false;
  document.body.dataset.watching = "false";
  setStarted(false);
  pause();
  lost.hide();
  readout.stop();
  waterfall.clear();
  devices.close();
  stage.camera = stage.result = null;
  rest();
  bar.showStatus("idle");
}

/** @param {boolean} now */
function showRecording(now) {
  find("record").setAttribute("aria-pressed", String(now));
  find("record").querySelector("span")?.replaceChildren(now ? "Stop recording" : "Record");
}

/** @param {boolean} now */
function setStarted(now) {
  started = now;
  const inputs = description?.inputs ?? [];
  const word = hasSource() ? SHARED.send(inputs) : unloaded ? "Try again" : "Start";
  startButton.querySelector("span")?.replaceChildren(now ? "Stop" : word);
  find("watch").hidden = now || !hasSource();
  startButton.dataset.started = String(now);
  document.body.dataset.live = String(now);
  stage.placeholder = now ? "Connecting…" : hasSource() ? SHARED.choice(inputs) : "Press Start";
  devices.enabled = !now;
}

startButton.addEventListener("click", ({ detail }) => {
  if (detail > 1) return; // a double click means Start once, not Start and Stop
  void (started ? stop() : start(false));
});
find("watch").addEventListener("click", () => void start(true));
find("tap-to-play").addEventListener("click", wake);
find("again").addEventListener("click", () => {
  find("again").hidden = true;
  stream.run();
});
find("record").addEventListener("click", () => {
  stream.record(find("record").getAttribute("aria-pressed") === "false");
});
devices.onswitch = async (/** @type {MediaStreamTrack} */ track) => {
  if (track.kind === "video") stage.camera = new MediaStream([track]);
  else stage.draw(track, "microphone");
  await stream.replaceTrack(track);
  notices.remove("device");
};
devices.onproblem = (/** @type {unknown} */ error) => notices.show("device", "error", explain(error));
devices.onlost = (/** @type {"video" | "audio"} */ kind) => notices.show("device", "error", explainLoss(kind));
find("reset").addEventListener("click", () => controls?.reset());

stream.on("connectionstatechange", (state) => {
  if (state === "connected") waitsForSource = false;
  if (started && !waitsForSource && (!lost.shown || state === "connected")) bar.showStatus(state);
});
stream.on("silence", ({ silent }) => {
  if (started && !lost.shown) bar.showStatus(!silent ? "connected" : navigator.onLine ? "silent" : "offline");
});
stream.on("reconnecting", (attempt) => {
  waitsForSource = false;
  lost.show(attempt);
  pause();
});
stream.on("source", ({ ended }) => {
  waitsForSource = true;
  lost.hide();
  pause();
  stage.result = null;
  bar.showStatus("source");
  stage.placeholder = ended ? SHARED.ended : SHARED.nobody;
});

/** Until there is a session again. */
function pause() {
  stage.overlay?.clear(); // the next one's frames have times of their own
  controls?.detach(); // what is changed meanwhile is what the next session begins with
  turns.live = false;
  find("state").textContent = "";
  bar.showTime(null);
  for (const id of ["progress", "again", "record"]) find(id).hidden = true;
  showRecording(false);
}
stream.on("reconnected", () => {
  lost.hide();
  attach();
  find("record").hidden = !records();
  turns.live = true;
});
stream.on("track", (track) => {
  // Not before: an element that is given nothing at first may stay silent.
  stage.result = stream.media;
  if (track.kind === "audio") stage.draw(track, "result");
  void stage.play();
});
stream.on("controls", ({ values }) => controls?.acknowledge(values));
stream.on("error", ({ seq, control, message }) => {
  if (seq !== null || (control && controls?.complain(control, message))) return;
  notices.show("server", "error", { title: "The server did not understand this page", text: message });
});
stream.on("result", (message) => {
  find("results").closest("#results-card")?.removeAttribute("hidden");
  results?.show(message);
});
stream.on("log", (message) => {
  notices.log(message);
  if (message.level !== "error") return;
  failed = true;
  stage.placeholder = "Nothing to show yet: see the message below";
});
stream.on("stats", (stats) => {
  readout.hear(stats);
  stage.overlay?.age?.measured({ function: stats.function_ms, clock: stats.clock });
  waterfall.show(stats.stages ?? {});
  notices.age(works(doing) && Boolean(stats.fps_out));
});
stream.on("state", ({ value }) => {
  doing = value;
  failed &&= !works(value);
  find("state").textContent = value === "running" && !generates() ? "" : value;
  find("again").hidden = value !== "finished" || !generates();
  showRecording(value === "recording");
  if (works(value) || value === "finished") find("progress").hidden = true;
  if (failed && value === "finished") stage.placeholder = "It failed: see the message below";
  else if (description) stage.placeholder = turns.waiting(value) ?? waitingFor(value, description, watches());
});
stream.on("progress", ({ value, text }) => {
  find("progress").hidden = value >= 1;
  find("progress-bar").value = value;
  find("progress-text").textContent = text;
});
stream.on("time", ({ remaining }) => bar.showTime(remaining, description?.limits.time_limit));
stream.on("queue", (event) => {
  if (!event.position) return;
  if (devices.tracks.length) devices.close(); // it was this page's turn, but no longer is
  stage.camera = stage.result = null;
  lost.hide(); // the server is there again, and this page has no place in it
  bar.showStatus("queue", placeInLine(event));
  stage.placeholder = placeInLine(event);
  if (resumed !== null && performance.now() - resumed > AT_ONCE / 2) notices.show("time", "info", TIME_IS_UP.line);
});
stream.on("end", async ({ reason }) => {
  if (!started) return; // Stop was pressed while this was on its way
  const watched = watches(); // which `finish` forgets
  if (reason === "time_limit") {
    finish();
    await null; // the stream itself ends when all have heard of it
    return start(watched, true);
  }
  unloaded = reason === LOAD_FAILED;
  const words = explainEnd(reason, watched ? [] : description?.inputs ?? [], notices.lastError);
  if (unloaded) notices.clear(/^log error/); // it is among the words
  notices.show("failure", unloaded ? "error" : "info", words);
  finish();
  if (unloaded) bar.showStatus("unloaded");
  stage.placeholder = words.title;
});
stream.on("failure", (error) => {
  const { title } = tell(error);
  finish();
  stage.placeholder = title;
});
// A page that goes to the browser's cache of pages may come back, and then has no session.
addEventListener("pagehide", () => started && finish());

setStarted(false);
bar.showStatus("idle");
delete document.body.dataset.dead; // see broken.js
find("broken").hidden = true;
startButton.disabled = false;

/** What the stream is, before anything is pressed. */
async function look() {
  try {
    await loaded();
  } catch (error) {
    if (!(error instanceof StreamError)) throw error;
    if (!started) tell(error);
  }
}
addEventListener("online", () => {
  if (!description) void look();
  notices.remove("offline");
});
void look();
