/** Standing in line at a stream that is full: server-sent events, read with `fetch` so that headers can go along. */

import { StreamError, problem } from "./errors.js";

/** @typedef {import("./contract.js").QueueEvent} QueueEvent */

/** The server says something every two seconds; after so many milliseconds of silence it is gone. */
const SILENCE_MS = 15_000;

/**
 * Resolves with a ticket when it is this page's turn; aborting gives the place up, or the ticket.
 * @param {URL} url
 * @param {Record<string, string>} headers
 * @param {AbortSignal} signal
 * @param {(event: QueueEvent) => void} tell called with each change
 * @returns {Promise<string>}
 */
export async function standInLine(url, headers, signal, tell) {
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), SILENCE_MS);
  const gone = (/** @type {unknown} */ cause) =>
    new StreamError("server-gone", `The server at ${url.host} no longer answers.`, { cause });
  try {
    const both = AbortSignal.any([signal, silence.signal]);
    const response = await fetch(url, { headers, signal: both, cache: "no-store" });
    if (!response.ok || !response.body) throw await problem(response);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let text = ""; ; ) {
      const { done, value } = await reader.read();
      if (done) throw gone(null);
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE_MS);
      const events = (text + value).split("\n\n");
      text = events.pop() ?? "";
      for (const event of events) {
        const data = event.split("\n").filter((line) => line.startsWith("data:")).map((line) => line.slice(5));
        if (!data.length) continue;
        const news = JSON.parse(data.join("\n"));
        if (news.ticket) {
          void drain(reader);
          return news.ticket;
        }
        tell(news);
      }
    }
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof StreamError ? error : gone(error);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * The ticket is good while the request is open: the server ends it once the ticket has been used.
 * @param {ReadableStreamDefaultReader<string>} reader
 */
async function drain(reader) {
  try {
    while (!(await reader.read()).done);
  } catch {
    // Aborted: the page has left the line.
  }
}
