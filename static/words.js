/** What went wrong, in words, and what to do about it. */

import { CaptureError } from "./capture.js";
import { StreamError } from "./errors.js";

/** @typedef {{ title: string, text: string, details?: [string, string][] }} Words */

/** By the `name` of a `CaptureError`. @type {Record<string, (device: string) => Words>} */
const DEVICE = {
  NotAllowedError: (device) => ({
    title: `The ${device} was refused`,
    text: `Allow the ${device} for this page (the icon in the address bar, or the system's privacy settings), then `
      + "press Start again.",
  }),
  NotFoundError: (device) => ({
    title: `No ${device} found`,
    text: "Plug one in or switch it on, then press Start again.",
  }),
  NotReadableError: (device) => ({
    title: `The ${device} is in use`,
    text: "Another program or tab holds it, or it does not respond. Close that one, then press Start again.",
  }),
  OverconstrainedError: (device) => ({
    title: `That ${device} is no longer there`,
    text: "Choose another one from the list.",
  }),
  InsecurePageError: (device) => ({
    title: `This page may not use the ${device}`,
    text: `Browsers give the ${device} only to pages on HTTPS or localhost. Open this page through https://, or start `
      + "the server with --https; on the server's own machine, http://localhost works too.",
  }),
};
DEVICE.PermissionDeniedError = DEVICE.SecurityError = DEVICE.NotAllowedError;
DEVICE.AbortError = DEVICE.NotReadableError;

const NOUN = { video: "camera", audio: "microphone" };

/** What people call them. @param {import("./capture.js").Kind[]} kinds */
export const nameOf = (kinds) => kinds.map((kind) => NOUN[kind]).join(" or ");

/** What the pages of a stream say that is shared. */
export const SHARED = {
  send: (/** @type {import("./capture.js").Kind[]} */ kinds) => `Send the ${nameOf(kinds)}`,
  follow: (/** @type {import("./capture.js").Kind[]} */ kinds) => (kinds.includes("video") ? "Watch" : "Listen"),
  choice: (/** @type {import("./capture.js").Kind[]} */ kinds) =>
    `Send your ${nameOf(kinds)} to everybody, or ${SHARED.follow(kinds).toLowerCase()}`,
  nobody: "Nobody is sending yet. This begins by itself when somebody does.",
  ended: "The broadcast has ended; waiting for it to begin again",
  results: "What is sent is not shown here, its results are",
};

/** What is said while the connection is made again. */
export const RECONNECTING = {
  offline: {
    title: "You are offline",
    text: "This device has no network just now. As soon as it has, this goes on by itself, with what you have set here.",
  },
  lost: { title: "The connection was lost", text: "It is being made again. There is nothing that you need to do." },
  again: {
    title: "Trying again…",
    text: "The server cannot be reached just now, because of the network or because it is being started again. What "
      + "you have set here is kept. After two minutes nothing more is tried; Stop ends it at once.",
  },
};

/** @param {import("./capture.js").Kind} kind */
export const explainLoss = (kind) => ({
  title: `The ${nameOf([kind])} has gone`,
  text: "It was unplugged or taken away. Plug it in again and this goes on by itself, or choose another one from the list.",
});

const TAKEN = {
  title: "Somebody is sending already",
  text: "One at a time is sent to everybody. Join those who watch or listen instead.",
};

/** What is said when this computer has no network. */
export const OFFLINE = {
  title: "You are offline",
  text: "This device has no network just now. Connect it, then press Start.",
};

/** @type {Partial<Record<import("./errors.js").StreamErrorCode, (error: StreamError) => Words>>} */
const STREAM = {
  "server-gone": (error) => !navigator.onLine ? OFFLINE : ({
    title: "The server is gone",
    text: `${error.message} Check that it runs and that this device reaches its network, then press Start again.`,
  }),
  "http": (error) => error.status === 409 && !error.retryAfter ? TAKEN : ({
    title: error.title && error.title !== error.message ? error.title : "The server said no",
    text: error.message + (error.retryAfter ? ` Try again in ${error.retryAfter} s.` : ""),
  }),
  "no-media-path": (error) => ({
    title: "No path for media",
    text: "The server answers over HTTP, but no media got through within 10 seconds. Usually a firewall or a VPN "
      + "blocks UDP between here and the server: try without it, or on the same network. " + (error.relayFailed
      ? "The server's relay, which is for such networks, is out of order just now: try again later."
      : "Across networks a TURN server is needed: start the server with --ice-server turn:HOST."),
    details: [
      ["Tried from this browser", list(error.candidates?.local)],
      ["Offered by the server", list(error.candidates?.remote)],
    ],
  }),
  "connection-lost": () => ({
    title: "The connection was lost",
    text: "The network changed or the server stopped. Check both, then press Start again.",
  }),
  "channel-closed": () => ({
    title: "The server ended the session",
    text: "It was stopped or restarted, or closed this session. Press Start to begin a new one.",
  }),
  "unsupported": (error) => ({
    title: "No WebRTC here",
    text: `${error.message} Open this page in a current browser.`,
  }),
  "changed": (error) => ({ title: "The program has changed", text: `${error.message} Reload the page.` }),
  "version": (error) => ({ title: "Page and server differ", text: error.message }),
};

/** @param {string[] | undefined} candidates */
function list(candidates) {
  // component, protocol, priority, address, port: RFC 8839, section 5.1
  const lines = (candidates ?? []).map((line) => {
    const [, , protocol, , address, port, , type] = line.split(" ");
    return `${protocol.toLowerCase()} ${address} ${port} (${type})`;
  });
  return [...new Set(lines)].join("\n") || "nothing";
}

/**
 * @param {unknown} error
 * @returns {Words}
 */
export function explain(error) {
  const known = error instanceof StreamError ? STREAM[error.code]?.(error)
    : error instanceof CaptureError ? DEVICE[error.name]?.(nameOf(error.kinds)) : undefined;
  return known ?? { title: "Something broke", text: String(error) };
}

const ORDINAL = new Intl.PluralRules("en", { type: "ordinal" });
/** @type {Record<string, string>} */
const SUFFIX = { one: "st", two: "nd", few: "rd", other: "th" };

/** @param {number} position */
const ordinal = (position) => `${position}${SUFFIX[ORDINAL.select(position)]}`;

/** @param {number} seconds */
function roughly(seconds) {
  if (seconds < 3) return "any moment now";
  if (seconds < 20) return `about ${Math.round(seconds)} s`;
  return seconds < 100 ? `about ${5 * Math.round(seconds / 5)} s` : `about ${Math.round(seconds / 60)} min`;
}

/** @param {import("./contract.js").QueueEvent} event */
export function placeInLine({ position, estimate }) {
  const place = position === 1 ? "You are next in line" : `You are ${ordinal(position)} in line`;
  return estimate === null ? place : `${place}, ${roughly(estimate)}`;
}

/** What is said when a session's time is up and the page goes on by itself. */
export const TIME_IS_UP = {
  line: {
    title: "Time is up",
    text: "Sessions here are limited. You have joined the line again, and go on when it is your turn.",
  },
  on: { title: "Time is up", text: "Sessions here are limited, but nobody else is waiting, so it goes on." },
};

/** The reason of an end that one may try again after. */
export const LOAD_FAILED = "load_failed";

/** @type {Record<string, string>} */
const WAITING = {
  loading: "Loading…",
  finished: "Finished",
  recording: "Recording…",
  listening: "Listening: say something",
  speaking: "Hearing you…",
  thinking: "Working…",
};

/**
 * What is said where the result will appear.
 * @param {string} state the server's
 * @param {import("./contract.js").Description} description
 * @param {boolean} watching without sending
 */
export function waitingFor(state, { inputs, outputs, take }, watching) {
  if (state in WAITING) return WAITING[state];
  if (take?.kind === "recording") return "Press Record when you are ready";
  if (!inputs.length) return "Working…";
  if (watching && outputs[0] === "data") return SHARED.results;
  return inputs.includes("video") ? "Waiting for the first frame" : "Waiting for the first sound";
}

/**
 * Why the server ended a session.
 * @param {string} reason of its `end` message
 * @param {import("./capture.js").Kind[]} sent what was sent to it
 * @param {string} error the last one that it told of
 * @returns {Words}
 */
export function explainEnd(reason, sent, error) {
  if (reason === LOAD_FAILED) {
    const devices = nameOf(sent).replace(" or ", " and ");
    const off = devices && `Your ${devices} ${sent.length > 1 ? "are" : "is"} off, and nothing is sent. `;
    return {
      title: "It could not be loaded",
      text: `Something that this page needs failed to start on the server. ${off}Try again in a while; if it stays, show `
        + "whoever runs the server what it says:",
      details: error ? [["The server’s words", error]] : [],
    };
  }
  if (reason === "idle_timeout") {
    return {
      title: "Are you still there?",
      text: "Nothing has been changed for a while, so the session was ended. Press Start to go on.",
    };
  }
  if (reason === "the server stopped") {
    return {
      title: "The server is gone",
      text: "It was stopped, or is being started again. See that it runs, then press Start.",
    };
  }
  if (reason === "closed by the operator") {
    return { title: "The session was closed", text: "The operator of this server has ended it." };
  }
  if (reason === "the source has stopped") {
    return {
      title: "The source has left",
      text: "Nobody is sending any more. Wait with the others for who comes next, or send yourself.",
    };
  }
  const sentence = reason.charAt(0).toUpperCase() + reason.slice(1).replaceAll("_", " ");
  return { title: "The session has ended", text: `${sentence}. Press Start for a new one.` };
}
