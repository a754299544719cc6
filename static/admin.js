/** The operator's page: who is here, how it goes, and how it went in the last ten minutes. */

import { age, History } from "./history.js";

/**
 * @typedef {{
 *   id: string, stream: string, address: string | null, age: number, state: string,
 *   fpsIn: number | null, fpsOut: number | null, bitrate: number | null,
 *   latency: [number, number] | null, roundTrip: number | null, dropped: number, errors: number,
 * }} Session
 * @typedef {{
 *   name: string, open: number, opened: number, closed: Record<string, number>, errors: number,
 *   hangs: number, frames: number, bytes: number,
 * }} Stream
 * @typedef {[at: number, sessions: number, fps: number, lag: number, cpu: number]} Sample
 * @typedef {{
 *   now: number, started: number, stopping: boolean, streams: Stream[], sessions: Session[],
 *   history: Sample[],
 * }} State
 */

const INTERVAL = 2000;
const SAMPLES = 300;

const byId = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const token = /** @type {HTMLInputElement} */ (byId("token"));

const CHARTS = [
  new History("Sessions", (value) => [value.toFixed(0), ""], 1),
  new History("Pictures sent", (value) => [value.toFixed(value < 10 ? 1 : 0), "a second"], 10),
  new History("Event loop late by", (value) => [(1000 * value).toFixed(1), "ms"], 0.02),
  new History("Processor", (value) => [(100 * value).toFixed(0), "% of its cores"], 0.2),
];
byId("charts").append(...CHARTS.map((chart) => chart.element));

/** What ends sessions, in words. @type {Record<string, string>} */
const ENDED = {
  page: "by the page",
  peer: "by the browser",
  lost: "connection lost",
  no_path: "never connected",
  refused: "offer refused",
  server: "server stopped",
  operator: "by the operator",
  function: "by the function",
  time_limit: "time limit",
  idle_timeout: "idle",
  shared_run: "shared run over",
  other: "otherwise",
};

/** @type {Sample[]} */
let samples = [];
let started = 0;
/** Sessions that are being closed. @type {Set<string>} */
const closing = new Set();
let timer = 0;

/** @param {string} text empty: none */
function problem(text) {
  byId("problem").textContent = text;
  byId("problem").hidden = !text;
}

/** @param {boolean} signedIn */
function show(signedIn) {
  byId("sign-in").hidden = signedIn;
  byId("operator").hidden = byId("sign-out").hidden = !signedIn;
  if (!signedIn) token.focus();
}

/** What a refusal says. @param {Response} response */
async function said(response) {
  try {
    return String((await response.json()).detail);
  } catch {
    return `The server says ${response.status} ${response.statusText}.`;
  }
}

async function refresh() {
  clearTimeout(timer);
  try {
    const response = await fetch(`./state.json?since=${samples.at(-1)?.[0] ?? 0}`);
    if (response.status === 401) {
      problem("");
      show(false);
      return;
    }
    if (!response.ok) throw new Error(await said(response));
    render(await response.json());
    problem("");
    show(true);
  } catch (error) {
    problem(`The figures did not come from the server (${/** @type {Error} */ (error).message}). Trying again.`);
  }
  clearTimeout(timer); // another's, begun meanwhile
  timer = setTimeout(refresh, INTERVAL);
}

/** @param {State} state */
function render(state) {
  if (state.started !== started) samples = samples.filter(([at]) => at > state.started);
  started = state.started;
  samples = [...samples, ...state.history.filter(([at]) => at > (samples.at(-1)?.[0] ?? 0))].slice(-SAMPLES);
  CHARTS.forEach((chart, number) => chart.show(samples.map((sample) => [sample[0], sample[number + 1]])));
  byId("uptime").textContent = `up for ${age(state.now - state.started)}`;
  byId("stopping").hidden = !state.stopping;
  byId("count").textContent = String(state.sessions.length);
  byId("nobody").hidden = state.sessions.length > 0;
  byId("sessions").hidden = state.sessions.length === 0;
  renderSessions(state.sessions);
  fill(byId("streams"), state.streams.map((stream) => [stream.name, streamRow(stream)]));
}

/** @param {Session[]} sessions */
function renderSessions(sessions) {
  fill(byId("sessions"), sessions.map((session) => [session.id, sessionRow(session)]));
  for (const row of /** @type {HTMLTableElement} */ (byId("sessions")).tBodies[0].rows) {
    const { key } = row.dataset;
    let button = row.querySelector("button");
    if (!button && key) {
      button = document.createElement("button");
      button.addEventListener("click", () => close(key));
      row.insertCell().append(button);
    }
    if (!button || !key) continue;
    button.textContent = closing.has(key) ? "Closing" : "Close";
    button.disabled = closing.has(key);
    button.setAttribute("aria-label", `${button.textContent} session ${key.slice(0, 6)}`);
  }
}

/** @typedef {[text: string, mark?: "number" | "bad" | "state"]} Cell */

/** @param {Session} session @returns {Cell[]} */
function sessionRow(session) {
  const { latency } = session;
  return [
    [session.id.slice(0, 6)],
    [session.stream],
    [session.address ?? "–"],
    [session.state, "state"],
    [age(session.age), "number"],
    [figure(session.fpsIn), "number"],
    [figure(session.fpsOut), "number"],
    [latency ? `${latency[0].toFixed(0)} / ${latency[1].toFixed(0)} ms` : "–", "number"],
    [session.roundTrip === null ? "–" : `${session.roundTrip.toFixed(0)} ms`, "number"],
    [session.bitrate === null ? "–" : rate(session.bitrate), "number"],
    [String(session.dropped), "number"],
    [String(session.errors), session.errors ? "bad" : "number"],
  ];
}

/** @param {Stream} stream @returns {Cell[]} */
function streamRow(stream) {
  const ended = Object.entries(stream.closed).sort(([, a], [, b]) => b - a);
  return [
    [stream.name],
    [String(stream.open), "number"],
    [String(stream.opened), "number"],
    [ended.map(([reason, count]) => `${count} ${ENDED[reason] ?? reason}`).join(", ") || "–"],
    [stream.frames.toLocaleString(), "number"],
    [size(stream.bytes), "number"],
    [String(stream.errors), stream.errors ? "bad" : "number"],
    [String(stream.hangs), stream.hangs ? "bad" : "number"],
  ];
}

/**
 * Brings a table's rows up to date; a row that stays keeps its button, and the focus on it.
 * @param {HTMLElement} table
 * @param {[key: string, cells: Cell[]][]} rows
 */
function fill(table, rows) {
  const body = /** @type {HTMLTableSectionElement} */ (table.querySelector("tbody"));
  const labels = [...table.querySelectorAll("thead th")].map((cell) => cell.textContent ?? "");
  const keys = new Set(rows.map(([key]) => key));
  // First of all: a row that had to be moved would lose the focus.
  for (const row of [...body.rows]) if (!keys.has(row.dataset.key ?? "")) row.remove();
  const had = new Map([...body.rows].map((row) => [row.dataset.key, row]));
  rows.forEach(([key, cells], number) => {
    const row = had.get(key) ?? body.insertRow();
    row.dataset.key = key;
    if (body.rows[number] !== row) body.insertBefore(row, body.rows[number]);
    cells.forEach(([text, mark], column) => {
      const cell = row.cells[column] ?? row.insertCell();
      cell.dataset.label = labels[column];
      cell.className = mark === "bad" ? "number bad" : mark === "number" ? "number" : "";
      if (mark !== "state") {
        if (cell.textContent !== text) cell.textContent = text;
        return;
      }
      const state = cell.querySelector("span") ?? cell.appendChild(document.createElement("span"));
      state.className = "state";
      state.dataset.state = state.textContent = text;
    });
  });
}

/** @param {string} id */
async function close(id) {
  closing.add(id);
  void refresh();
  try {
    const response = await fetch(`./sessions/${encodeURIComponent(id)}`, { method: "DELETE" });
    // One that has ended meanwhile is what was wanted.
    if (!response.ok && response.status !== 404) throw new Error(await said(response));
    await refresh();
  } catch (error) {
    problem(`The session could not be closed (${/** @type {Error} */ (error).message}).`);
  } finally {
    closing.delete(id);
  }
}

/** @param {number | null} value */
const figure = (value) => (value === null ? "–" : value.toFixed(value < 10 ? 1 : 0));

/** @param {number} bits a second */
const rate = (bits) => (bits < 1e6 ? `${Math.round(bits / 1e3)} kbit/s` : `${(bits / 1e6).toFixed(1)} Mbit/s`);

/** @param {number} bytes */
function size(bytes) {
  if (bytes < 1e6) return `${Math.round(bytes / 1e3)} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

byId("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  byId("refused").textContent = "";
  try {
    const response = await fetch("./sign-in", {
      method: "POST",
      headers: { Authorization: `Bearer ${token.value.trim()}` },
    });
    if (!response.ok) throw new Error(await said(response));
    token.value = "";
    await refresh();
  } catch (error) {
    byId("refused").textContent = /** @type {Error} */ (error).message;
    token.select();
  }
});

byId("sign-out").addEventListener("click", async () => {
  await fetch("./sign-out", { method: "POST" });
  samples = [];
  await refresh();
});

await refresh();
