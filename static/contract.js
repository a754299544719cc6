/**
 * The nouns of the wire contract, as types; there is nothing here to run, and `rtcstream.js`
 * does not load this file.
 */

/** @typedef {{ x: number, y: number }} Place fractions of a picture's width and height */
/** @typedef {{ name: string, size: number }} Upload a file that the server has; its size in bytes */
/** @typedef {string | number | boolean | Place | Upload | null} Value what a control can hold */
/** @typedef {Record<string, Value>} Values */
/**
 * @typedef {object} ControlDescription one control, as `stream.json` describes it
 * @property {string} name
 * @property {string | null} [label]
 * @property {"choice" | "integer" | "number" | "boolean" | "string" | "point" | "file"} type
 * @property {Value} default
 * @property {number | null} [minimum]
 * @property {number | null} [maximum]
 * @property {number | null} [step]
 * @property {(string | number)[] | null} [choices]
 */
/**
 * @typedef {object} Description what `stream.json` says
 * @property {number} version
 * @property {string} name
 * @property {string} title
 * @property {string} description
 * @property {("video" | "audio")[]} inputs
 * @property {("video" | "audio" | "data")[]} outputs
 * @property {ControlDescription[]} controls
 * @property {{ time_limit: number | null, concurrency_limit: number | null }} limits
 * @property {RTCIceServer[]} iceServers
 * @property {boolean} [iceServersFailed] whether the server could not get them just now
 * @property {{ identity: string, url: string }} [signedIn] who this browser has signed in as, and where that ends
 * @property {boolean} [gallery] whether it is one of the examples one folder up
 * @property {number | null} [maxFps]
 * @property {boolean} [shared] whether one run is everybody's
 * @property {boolean} [source] of such a run that takes a camera or a microphone: whether anybody sends now
 * @property {{ kind: "recording" | "turns", seconds: number, pushToTalk?: boolean, interrupts?: boolean } | null} [take]
 *     what is taken as a whole; turns: whether by a button only, and whether they end the answer that plays
 */
/**
 * @typedef {object} ControlsMessage all values that hold
 * @property {"controls"} type
 * @property {number | null} seq of the change that is acknowledged
 * @property {Values} values
 * @property {number} revision grows with each change, whoever made it
 */
/** @typedef {{ type: "error", seq: number | null, control: string | null, message: string }} ErrorMessage */
/** @typedef {{ type: "result", pts: number | null, run: number, name: string | null, data: unknown }} ResultMessage */
/** @typedef {{ type: "log", level: "info" | "warning" | "error", message: string, count?: number }} LogMessage */
/**
 * @typedef {object} StatsMessage what the server measured in the last second
 * @property {"stats"} type
 * @property {number | null} [fps_in]
 * @property {number | null} [fps_out]
 * @property {number | null} [function_ms] how long one call of the function took
 * @property {number | null} [dropped] frames that a newer one replaced
 * @property {number | null} [messages_dropped] messages that this page did not take in time
 * @property {number | null} [bitrate] bit/s
 * @property {[number, number] | null} [size_in]
 * @property {[number, number] | null} [size_out]
 * @property {[number, number] | null} [clock] an RTP timestamp of the camera, and when that was captured by this
 *     page's own clock, in milliseconds since 1970
 * @property {Record<string, [number, number]>} [stages] a picture's way: median and 95th percentile of each, ms
 */
/**
 * @typedef {object} QueueEvent a place in line
 * @property {number} position from 1; 0 when it is this page's turn
 * @property {number | null} estimate seconds until then, as far as one can tell
 */
/**
 * The events of a stream and what each carries in `detail`. All but the last eight are
 * messages of the server, under their own type.
 * @typedef {object} StreamEvents
 * @property {ControlsMessage} controls
 * @property {ErrorMessage} error
 * @property {ResultMessage} result
 * @property {LogMessage} log
 * @property {{ type: "state", value: string }} state
 * @property {{ type: "progress", value: number, text: string }} progress
 * @property {StatsMessage} stats
 * @property {{ type: "data", data: unknown }} data
 * @property {{ type: "time", remaining: number }} time
 * @property {{ type: "end", reason: string }} end `load_failed` (the function could not be made ready; the last error in
 *     `log` says why), `time_limit`, `idle_timeout`, or a sentence
 * @property {MediaStreamTrack} track a track that the server sends
 * @property {RTCPeerConnectionState} connectionstatechange
 * @property {{ silent: boolean }} silence whether nothing is heard of the server any more, which may pass by itself
 * @property {Reconnecting} reconnecting the connection was lost, or an attempt to make another has failed
 * @property {{ attempt: number }} reconnected
 * @property {{ ended: boolean }} source who watches waits for somebody who sends; whether there has been one
 * @property {QueueEvent} queue where this page stands in line
 * @property {import("./errors.js").StreamError} failure the session broke after `start()` had succeeded
 */
/**
 * @typedef {StreamEvents["controls" | "error" | "result" | "log" | "state" | "progress" | "stats" | "data" | "time" |
 *     "end"]} ServerMessage
 */
/**
 * @typedef {object} Reconnecting
 * @property {number} attempt from 1
 * @property {number} wait milliseconds until it is made
 * @property {boolean} patient whether the pauses have become as long as they get
 * @property {unknown} error why
 */
/** @typedef {{ local: string[], remote: string[] }} Candidates candidate lines, without `a=` */

export {};
