/** One table from a control's type to what stands for it on the page; nothing else knows the types. */

/** @typedef {import("./contract.js").ControlDescription} Control */
/** @typedef {import("./contract.js").Value} Value */
/**
 * @typedef {object} Widget
 * @property {HTMLInputElement | HTMLSelectElement} input
 * @property {HTMLElement} [element] what holds it and more; without, there is nothing else
 * @property {boolean} [typed] whether a value is typed, and so counts only after a pause
 * @property {() => Value | File} read a file is to be uploaded; throws what to write instead
 * @property {(value: Value) => void} write
 * @property {boolean} [echo] whether the value has to be written beside it
 * @property {(share: number | null) => void} [progress] shows how much of a file has gone, from 0 to 1; or nothing
 */

/** @type {Record<Control["type"], ((control: Control) => Widget) | null>} */
export const WIDGETS = {
  choice: dropdown,
  integer: numeric,
  number: numeric,
  boolean: toggle,
  string: text,
  point: place,
  file: upload,
};

/**
 * A control's value from the text that a query string has for it; throws a sentence.
 * @param {Control} control
 * @param {string} text
 * @returns {Value}
 */
export function parseText({ type, minimum, maximum, choices }, text) {
  if (type === "string") return text;
  if (type === "file") throw new Error("a file is chosen on the page");
  if (type === "point") return parsePlace(text);
  if (type === "boolean" && (text === "true" || text === "false")) return text === "true";
  if (type === "boolean") throw new Error("true or false is needed");
  if (type === "choice") {
    const choice = (choices ?? []).find((each) => String(each) === text);
    if (choice === undefined) throw new Error(`one of ${(choices ?? []).join(", ")} is needed`);
    return choice;
  }
  const value = text.trim() === "" ? NaN : Number(text);
  if (type === "integer" && !Number.isInteger(value)) throw new Error("a whole number is needed");
  if (!Number.isFinite(value)) throw new Error("a number is needed");
  if (value < (minimum ?? -Infinity)) throw new Error(`at least ${minimum} is needed`);
  if (value > (maximum ?? Infinity)) throw new Error(`at most ${maximum} is possible`);
  return value;
}

/** @param {string} text */
function parsePlace(text) {
  const [x, y, ...more] = text.split(",").map((part) => (part.trim() ? Number(part) : NaN));
  if (!more.length && [x, y].every((share) => share >= 0 && share <= 1)) return { x, y };
  throw new Error("two numbers from 0 to 1 with a comma between them are needed");
}

/**
 * A value's text in a query string; null for what cannot be there.
 * @param {Value} value
 */
export function textOf(value) {
  if (value === null) return "";
  if (typeof value !== "object") return String(value);
  return "x" in value ? `${value.x},${value.y}` : null;
}

/** For people. @param {Value} value */
export function shown(value) {
  if (typeof value === "number") return String(Number(value.toPrecision(6)));
  if (value === null || typeof value !== "object") return String(value);
  if ("x" in value) return `${Math.round(100 * value.x)}% across, ${Math.round(100 * value.y)}% down`;
  return `${value.name}, ${sized(value.size)}`;
}

/** @param {number} bytes */
export function sized(bytes) {
  if (bytes < 1000) return `${bytes} bytes`;
  return bytes < 1e6 ? `${(bytes / 1e3).toPrecision(3)} kB` : `${(bytes / 1e6).toPrecision(3)} MB`;
}

/**
 * @param {Control} control
 * @returns {Widget}
 */
function dropdown({ choices }) {
  const all = choices ?? [];
  const input = document.createElement("select");
  for (const choice of all) input.add(new Option(String(choice), String(choice)));
  return {
    input,
    read: () => all[input.selectedIndex],
    write: (value) => (input.selectedIndex = all.indexOf(/** @type {string | number} */ (value))),
  };
}

/**
 * A slider where both ends are known, a field where not.
 * @param {Control} control
 * @returns {Widget}
 */
function numeric(control) {
  const { type, minimum, maximum, step } = control;
  const ranged = minimum != null && maximum != null;
  const input = element(ranged ? "range" : "number");
  if (minimum != null) input.min = String(minimum);
  if (maximum != null) input.max = String(maximum);
  input.step = String(step ?? (type === "integer" ? 1 : ranged ? fineStep(maximum - minimum) : "any"));
  input.inputMode = type === "integer" ? "numeric" : "decimal";
  if (ranged) input.addEventListener("input", () => fill(input));
  return {
    input,
    typed: !ranged,
    echo: ranged,
    // Empty where there is no number; a slider may be off its ends by a rounding.
    read: () => (ranged ? input.valueAsNumber : parseText(control, input.value)),
    write: (value) => {
      input.value = String(value);
      if (ranged) fill(input);
    },
  };
}

/** Tells the style sheet how far along the slider is. @param {HTMLInputElement} input */
export function fill(input) {
  const share = (input.valueAsNumber - Number(input.min)) / (Number(input.max) - Number(input.min) || 1);
  input.style.setProperty("--share", String(share));
}

/** A hundred steps or a little more, each a power of ten. @param {number} span */
const fineStep = (span) => 10 ** Math.floor(Math.log10(span / 100 || 1));

/** @returns {Widget} */
function toggle() {
  const input = element("checkbox");
  input.setAttribute("role", "switch");
  return {
    input,
    read: () => input.checked,
    write: (value) => (input.checked = Boolean(value)),
  };
}

/** @returns {Widget} */
function text() {
  const input = element("text");
  input.autocomplete = "off";
  input.spellcheck = false;
  return {
    input,
    typed: true,
    read: () => input.value,
    // Written only where it differs: the caret would jump.
    write: (value) => {
      if (input.value !== value) input.value = String(value);
    },
  };
}

/**
 * A place in the picture: pointed at there, or by keys here.
 * @param {Control} control
 * @returns {Widget}
 */
function place({ default: preset, label, name }) {
  const box = document.createElement("span");
  box.className = "place";
  const [across, down] = ["across", "down"].map((words) => {
    const range = element("range");
    range.max = "1";
    range.step = "0.01";
    range.ariaLabel = `${label || name}: ${words}`;
    range.addEventListener("input", () => fill(range));
    return range;
  });
  box.append(across, down);
  if (preset === null) box.append(clearing());
  return {
    input: across,
    element: box,
    echo: true,
    read: () => ({ x: across.valueAsNumber, y: down.valueAsNumber }),
    write: (value) => {
      const { x, y } = value && typeof value === "object" && "x" in value ? value : { x: 0.5, y: 0.5 };
      across.valueAsNumber = x;
      down.valueAsNumber = y;
      [across, down].forEach(fill);
      box.toggleAttribute("data-none", value === null);
    },
  };
}

/** @returns {Widget} */
function upload() {
  const box = document.createElement("span");
  box.className = "upload";
  const input = element("file"); // lies over all of it, so that a file can be dropped there
  const bar = document.createElement("progress");
  bar.ariaLabel = "Uploaded";
  bar.hidden = true;
  for (const type of ["dragenter", "dragleave", "drop"]) {
    input.addEventListener(type, () => box.toggleAttribute("data-over", type === "dragenter"));
  }
  box.append(input, bar, clearing("Remove"));
  return {
    input,
    element: box,
    echo: true,
    read: () => {
      const file = input.files?.[0] ?? null;
      input.value = ""; // the same one can be chosen again
      return file;
    },
    write: () => {},
    progress: (share) => {
      bar.hidden = share === null;
      bar.value = share ?? 0;
    },
  };
}

/** What takes a value away. */
function clearing(words = "Clear") {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "link clear";
  button.textContent = words;
  return button;
}

/** @param {string} type */
function element(type) {
  const input = document.createElement("input");
  input.type = type;
  return input;
}
