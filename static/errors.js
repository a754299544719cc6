/** @typedef {import("./contract.js").Candidates} Candidates */

/**
 * What can go wrong, by code; the message is a sentence for people.
 * - `unsupported`: this browser has no WebRTC
 * - `version`: the server speaks another version of the contract
 * - `server-gone`: no answer over HTTP
 * - `http`: the server said no; `status` and, where given, `retryAfter` in seconds
 * - `no-media-path`: no connection within 10 s; `candidates` of both sides, `relayFailed` if there was no relay
 * - `connection-lost`: the connection was there and broke
 * - `channel-closed`: the server ended the session
 * - `source-left`: who was watched sends no more, and another is waited for
 * - `changed`: the server came back with another stream
 * - `rejected`: the server did not take a value; `control` names it
 * - `unanswered`: too many changes wait for the server
 * - `not-started`, `started`: called at the wrong time
 * - `stopped`: `stop()` came first
 * @typedef {"unsupported" | "version" | "server-gone" | "http" | "no-media-path" | "connection-lost" |
 *     "channel-closed" | "source-left" | "changed" | "rejected" | "unanswered" | "not-started" | "started" |
 *     "stopped"} StreamErrorCode
 */
export class StreamError extends Error {
  name = "StreamError";

  /**
   * @param {StreamErrorCode} code
   * @param {string} message
   * @param {{ status?: number, title?: string, retryAfter?: number, candidates?: Candidates,
   *     control?: string | null, relayFailed?: boolean, cause?: unknown }} [details]
   */
  constructor(code, message, details = {}) {
    super(message, { cause: details.cause });
    this.code = code;
    this.status = details.status ?? null;
    this.title = details.title ?? null;
    this.retryAfter = details.retryAfter ?? null;
    this.candidates = details.candidates ?? null;
    this.control = details.control ?? null;
    this.relayFailed = details.relayFailed ?? false;
  }
}

/**
 * The error that an HTTP problem body (RFC 9457) tells of, or the bare status where there is none.
 * @param {Response} response
 */
export async function problem(response) {
  const is = response.headers.get("Content-Type")?.includes("application/problem+json");
  const body = is ? await response.json() : {};
  const title = body.title ?? `${response.status} ${response.statusText}`.trim();
  const retryAfter = Number(response.headers.get("Retry-After")) || undefined;
  return new StreamError("http", body.detail ?? title, { status: response.status, title, retryAfter });
}
