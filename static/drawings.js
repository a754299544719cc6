/** What a function found in a picture: the forms of it, as the server tells them, and how each is drawn. */

import { INK } from "./classes.js";
import { paint } from "./masks.js";

/** @typedef {[width: number, height: number]} Size */
/**
 * @typedef {object} Box in pixels of a picture of the size `frame`, as all places are
 * @property {undefined} [type]
 * @property {number} x
 * @property {number} y
 * @property {number} width
 * @property {number} height
 * @property {string | null} [label]
 * @property {number | null} [score]
 * @property {Size} frame
 */
/**
 * @typedef {object} Mask
 * @property {"mask"} type
 * @property {Size} size
 * @property {string} runs
 * @property {[x: number, y: number, width: number, height: number] | null} area
 * @property {string} label
 * @property {number | null} score
 * @property {Size} frame
 */
/**
 * @typedef {object} Keypoints
 * @property {"keypoints"} type
 * @property {([x: number, y: number, score?: number] | null)[]} points
 * @property {[number, number][]} edges
 * @property {string} label
 * @property {number | null} score
 * @property {Size} frame
 */
/** @typedef {{ type: "tag", label: string, score: number | null }} Tag */
/**
 * @typedef {object} Text
 * @property {"text"} type
 * @property {string} text
 * @property {number | null} x
 * @property {number | null} y
 * @property {number | null} height
 * @property {Size} frame
 */
/** @typedef {Box | Mask | Keypoints | Tag | Text} Drawing */
/**
 * @typedef {object} Paper where drawings are drawn: CSS pixels of an element that a picture is seen in
 * @property {CanvasRenderingContext2D} context
 * @property {number} width
 * @property {number} height
 * @property {boolean} mirrored
 * @property {(label: string) => string} colour
 * @property {string} font
 */

const MOST_PIXELS = 1 << 22;
const SHADE = "rgb(0 0 0 / 45%)";

/**
 * @param {unknown} data
 * @returns {data is Drawing | Drawing[]}
 */
export function isDrawings(data) {
  if (Array.isArray(data)) return data.length > 0 && data.every((each) => !Array.isArray(each) && isDrawings(each));
  const each = /** @type {any} */ (data);
  if (typeof each !== "object" || each === null) return false;
  if (each.type === "tag") return typeof each.label === "string" && each.score !== undefined;
  if (!Array.isArray(each.frame)) return false;
  if (each.type === "mask") return typeof each.runs === "string" && each.size[0] * each.size[1] <= MOST_PIXELS;
  if (each.type === "keypoints") return Array.isArray(each.points) && Array.isArray(each.edges);
  if (each.type === "text") return typeof each.text === "string";
  return ["x", "y", "width", "height"].every((side) => typeof each[side] === "number");
}

/** What stands at a thing: its label, its score. @param {{ label?: string | null, score?: number | null }} thing */
export const captionOf = ({ label, score }) =>
  [label, score == null ? null : `${Math.round(100 * score)}%`].filter(Boolean).join(" ");

/**
 * Areas first, and words last, so that all can be read.
 * @param {Drawing[]} drawings
 * @param {Paper} paper
 */
export function draw(drawings, paper) {
  const corner = { y: 28 }; // under the caption of what begins above
  /** @type {(() => void)[]} */
  const words = [];
  for (const each of drawings) if (each.type === "mask") drawMask(each, paper, words);
  for (const each of drawings) {
    if (each.type === "keypoints") drawKeypoints(each, paper, words);
    else if (each.type === "tag") words.push(() => drawTag(each, paper, corner));
    else if (each.type === "text") words.push(() => drawText(each, paper));
    else if (each.type !== "mask") drawBox(each, paper, words);
  }
  for (const write of words) write();
}

/**
 * How places in a picture of this size are places on paper. In full screen the picture is fitted in whole;
 * elsewhere it fills its element.
 * @param {Size} frame
 * @param {Paper} paper
 */
function placed([frameWidth, frameHeight], { width, height, mirrored }) {
  const scale = Math.min(width / frameWidth, height / frameHeight);
  const left = (width - frameWidth * scale) / 2;
  const top = (height - frameHeight * scale) / 2;
  return {
    scale,
    /** @param {number} x @param {number} [wide] of what lies to the right of it */
    x: (x, wide = 0) => (mirrored ? width - left - (x + wide) * scale : left + x * scale),
    /** @param {number} y */
    y: (y) => top + y * scale,
  };
}

/** @typedef {(() => void)[]} Words written when all else is drawn */

/** @param {Box} box @param {Paper} paper @param {Words} words */
function drawBox(box, paper, words) {
  const { context } = paper;
  const place = placed(box.frame, paper);
  const [x, y] = [place.x(box.x, box.width), place.y(box.y)];
  const colour = paper.colour(box.label ?? "");
  context.beginPath();
  context.roundRect(x, y, box.width * place.scale, box.height * place.scale, 4);
  outline(context, colour, 2);
  words.push(() => drawCaption(captionOf(box), x - 1, y, colour, paper));
}

/** @param {Mask} mask @param {Paper} paper @param {Words} words */
function drawMask(mask, paper, words) {
  const { context } = paper;
  const place = placed(mask.frame, paper);
  const [x, y, width, height] = mask.area ?? [0, 0, ...mask.frame];
  const colour = paper.colour(mask.label);
  context.save();
  context.translate(place.x(x), place.y(y));
  context.scale((paper.mirrored ? -1 : 1) * place.scale, place.scale);
  context.globalAlpha = 0.5;
  context.imageSmoothingQuality = "high";
  context.drawImage(paint(mask, colour), 0, 0, width, height);
  context.restore();
  if (!mask.area) return;
  words.push(() => drawCaption(captionOf(mask), place.x(x, width), place.y(y), colour, paper));
}

/** @param {Keypoints} body @param {Paper} paper @param {Words} words */
function drawKeypoints(body, paper, words) {
  const { context } = paper;
  const place = placed(body.frame, paper);
  const colour = paper.colour(body.label);
  for (const [start, end] of body.edges) {
    const [from, to] = [body.points[start], body.points[end]];
    if (!from || !to) continue;
    context.globalAlpha = Math.min(from[2] ?? 1, to[2] ?? 1);
    context.beginPath();
    context.moveTo(place.x(from[0]), place.y(from[1]));
    context.lineTo(place.x(to[0]), place.y(to[1]));
    outline(context, colour, 3);
  }
  for (const point of body.points) {
    if (!point) continue;
    context.globalAlpha = point[2] ?? 1;
    context.beginPath();
    context.arc(place.x(point[0]), place.y(point[1]), 4, 0, 2 * Math.PI);
    outline(context, INK, 1);
    context.fillStyle = colour;
    context.fill();
  }
  context.globalAlpha = 1;
  const found = body.points.filter((point) => point !== null);
  if (!found.length) return;
  const x = Math.min(...found.map((point) => place.x(point[0])));
  const y = Math.min(...found.map((point) => place.y(point[1])));
  words.push(() => drawCaption(captionOf(body), x, y - 8, colour, paper));
}

/** @param {Tag} tag @param {Paper} paper @param {{ y: number }} corner */
function drawTag(tag, paper, corner) {
  drawCaption(captionOf(tag), 12, corner.y + 22, paper.colour(tag.label), paper);
  corner.y += 25;
}

/** @param {Text} text @param {Paper} paper */
function drawText(text, paper) {
  const { context, width, height } = paper;
  if (!text.text) return;
  const place = placed(text.frame, paper);
  const subtitle = text.x === null || text.y === null;
  const line = text.height ? text.height * place.scale : subtitle ? Math.max(16, height / 18) : 16;
  context.font = paper.font.replace("12px", `${(0.8 * line).toFixed(1)}px`);
  // Lines of their own, and of a subtitle as many as it takes.
  const lines = text.text.split("\n").flatMap((each) => (subtitle ? wrapped(each, 0.9 * width, context) : [each]));
  lines.forEach((words, index) => {
    const wide = context.measureText(words).width;
    const x = subtitle ? (width - wide) / 2 : place.x(Number(text.x), paper.mirrored ? wide / place.scale : 0);
    const y = subtitle ? height - 12 - line * (lines.length - index) : place.y(Number(text.y)) + line * index;
    context.fillStyle = "rgb(0 0 0 / 62%)";
    context.fillRect(x - 0.25 * line, y, wide + 0.5 * line, line + 0.5);
    context.fillStyle = "#fff";
    context.fillText(words, x, y + 0.77 * line);
  });
}

/**
 * @param {string} text
 * @param {number} most CSS pixels
 * @param {CanvasRenderingContext2D} context
 */
function wrapped(text, most, context) {
  const lines = [""];
  for (const word of text.split(" ")) {
    const longer = [lines.at(-1), word].filter(Boolean).join(" ");
    if (lines.at(-1) && context.measureText(longer).width > most) lines.push(word);
    else lines[lines.length - 1] = longer;
  }
  return lines;
}

/**
 * Words on their colour, above a place, or under it where there is no room.
 * @param {string} text
 * @param {number} x
 * @param {number} y
 * @param {string} colour
 * @param {Paper} paper
 */
function drawCaption(text, x, y, colour, { context, font, width }) {
  if (!text) return;
  context.font = font;
  const wide = context.measureText(text).width + 12;
  const left = Math.max(0, Math.min(x, width - wide));
  const top = y >= 22 ? y - 22 : y + 2;
  context.fillStyle = colour;
  context.beginPath();
  context.roundRect(left, top, wide, 20, 4);
  context.fill();
  context.fillStyle = INK;
  context.fillText(text, left + 6, top + 14);
}

/**
 * The path as a line that is seen on light pictures as well.
 * @param {CanvasRenderingContext2D} context
 * @param {string} colour
 * @param {number} width
 */
function outline(context, colour, width) {
  context.lineCap = "round";
  context.lineWidth = width + 2;
  context.strokeStyle = SHADE;
  context.stroke();
  context.lineWidth = width;
  context.strokeStyle = colour;
  context.stroke();
}
