/** A file on its way to the server. */

import { StreamError } from "./errors.js";

/**
 * Resolves with what the server answers. Not `fetch`, which does not tell how far it is.
 * @param {string} url
 * @param {File} file
 * @param {Record<string, string>} headers
 * @param {(share: number) => void} [progress] told how much of it has gone, from 0 to 1
 * @param {AbortSignal} [signal]
 * @returns {Promise<{ name: string, size: number }>}
 */
export function put(url, file, headers, progress, signal) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const request = new XMLHttpRequest();
    request.open("PUT", url);
    request.responseType = "json";
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", ({ loaded, total }) => progress?.(total ? loaded / total : 0));
    request.addEventListener("load", () => {
      const { status, statusText, response } = request;
      if (status === 201) return resolve(response);
      const title = response?.title ?? `${status} ${statusText}`.trim();
      reject(new StreamError("http", response?.detail ?? title, { status, title }));
    });
    signal?.addEventListener("abort", () => request.abort());
    request.addEventListener("abort", () => reject(signal?.reason));
    request.addEventListener("error", () => {
      reject(new StreamError("server-gone", "The file did not arrive: the connection to the server broke."));
    });
    request.send(file);
  });
}
