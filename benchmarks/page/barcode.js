/**
 * Numbers as a row of black and white blocks along a picture's upper edge.
 *
 * White, black, the number's bits from the highest, a parity bit of its even and one of its odd
 * bits: as wide as the picture. Blocks of 40 pixels survive any bitrate at which the picture is a
 * picture; what does not add up is no number rather than a wrong one.
 */

const BITS = 12;
const BLOCKS = 2 + BITS + 2;
/** Pixels that a block is read at, in each direction. */
const SCALE = 4;

/** So many different numbers there are. */
export const NUMBERS = 2 ** BITS;

/** @param {CanvasRenderingContext2D} context @param {number} number */
export function draw(context, number) {
  const side = context.canvas.width / BLOCKS;
  blocks(number).forEach((white, index) => {
    context.fillStyle = white ? "#fff" : "#000";
    context.fillRect(index * side, 0, side, side);
  });
}

const reader = /** @type {OffscreenCanvasRenderingContext2D} */ (
  new OffscreenCanvas(BLOCKS * SCALE, SCALE).getContext("2d", { willReadFrequently: true })
);

/**
 * The number in the picture that a video element shows, or `null`.
 * @param {HTMLVideoElement} video
 */
export function read(video) {
  const { videoWidth: width, videoHeight: height } = video;
  // The blocks' height follows the width: the browser may send the picture smaller.
  reader.drawImage(video, 0, 0, width, Math.min(height, width / BLOCKS), 0, 0, BLOCKS * SCALE, SCALE);
  const { data } = reader.getImageData(0, 0, BLOCKS * SCALE, SCALE);
  const levels = Array.from({ length: BLOCKS }, (_, index) => level(data, index));
  if (levels[0] - levels[1] < 64) return null;
  const threshold = (levels[0] + levels[1]) / 2;
  const seen = levels.map((each) => each > threshold);
  const number = seen.slice(2, 2 + BITS).reduce((sum, white) => 2 * sum + Number(white), 0);
  return blocks(number).every((white, index) => white === seen[index]) ? number : null;
}

/** @param {number} number */
function blocks(number) {
  const bits = Array.from({ length: BITS }, (_, index) => Boolean((number >> (BITS - 1 - index)) & 1));
  const parity = (/** @type {number} */ odd) =>
    bits.filter((white, index) => white && index % 2 === odd).length % 2 === 1;
  return [true, false, ...bits, parity(0), parity(1)];
}

/** The green of a block's middle. @param {Uint8ClampedArray} data @param {number} index */
function level(data, index) {
  const at = (/** @type {number} */ x, /** @type {number} */ y) =>
    data[4 * (y * BLOCKS * SCALE + index * SCALE + x) + 1];
  return (at(1, 1) + at(2, 1) + at(1, 2) + at(2, 2)) / 4;
}
