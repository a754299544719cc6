/** A colour for each label, bright enough for dark words on it and for any picture under it. */

export const INK = "#04231e";
/** The first is that of things without a label. */
export const COLOURS = [
  "#35d0b5", "#ffb454", "#7cc4ff", "#ff8fb1", "#c3e04b", "#c9a6ff", "#ff8a70", "#5fe3ff", "#f2d64b", "#9be39b",
];

export class Classes {
  /** @type {Map<string, string>} */
  #known = new Map([["", COLOURS[0]]]);

  /** The same for a label as long as the page is there, and on another page if it has the same. @param {string} label */
  colour(label) {
    const known = this.#known.get(label);
    if (known) return known;
    const hash = [...label].reduce((sum, letter) => (Math.imul(sum, 31) + (letter.codePointAt(0) ?? 0)) >>> 0, 7);
    const taken = new Set(this.#known.values());
    const order = COLOURS.map((_, step) => COLOURS[(hash + step) % COLOURS.length]);
    const colour = order.find((each) => !taken.has(each)) ?? `hsl(${hash % 360} 80% 72%)`;
    // Whoever makes up a new label for each picture gets colours, but no memory.
    if (this.#known.size < 1000) this.#known.set(label, colour);
    return colour;
  }
}
