/** Masks: the lengths of their runs, unpacked to pixels. */

/** @typedef {import("./drawings.js").Mask} Mask */

/** Those on screen are drawn again and again. @type {WeakMap<Mask, HTMLCanvasElement>} */
const painted = new WeakMap();

/**
 * Calls `fill` with where each run of True begins and ends, row by row: LEB128 numbers in base64,
 * of False first.
 * @param {string} runs
 * @param {(begin: number, end: number) => void} fill
 */
function unpack(runs, fill) {
  const bytes = atob(runs);
  let [at, length, shift, inside] = [0, 0, 0, false];
  for (let index = 0; index < bytes.length; index += 1) {
    const byte = bytes.charCodeAt(index);
    length |= (byte & 0x7f) << shift;
    shift += 7;
    if (byte & 0x80) continue;
    if (inside) fill(at, at + length);
    at += length;
    inside = !inside;
    length = shift = 0;
  }
}

/**
 * @param {Mask} mask
 * @param {string} colour
 * @returns {HTMLCanvasElement} of the mask's own size
 */
export function paint(mask, colour) {
  const known = painted.get(mask);
  if (known) return known;
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = mask.size;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const image = context.createImageData(canvas.width, canvas.height);
  const pixels = new Uint32Array(image.data.buffer);
  unpack(mask.runs, (begin, end) => pixels.fill(0xffffffff, begin, end));
  context.putImageData(image, 0, 0);
  context.globalCompositeOperation = "source-in";
  context.fillStyle = colour;
  context.fillRect(0, 0, canvas.width, canvas.height);
  painted.set(mask, canvas);
  return canvas;
}
