/** A picture's way through the server: how long each stage takes, one after the other. */

/** By the server's names, in order: what it is called here, and whether it is only waiting. */
const STAGES = /** @type {const} */ ([
  ["decode", "Decode", false],
  ["wait", "Wait for the function", true],
  ["function", "Function", false],
  ["wait_encoder", "Wait for the encoder", true],
  ["encode", "Encode", false],
  ["send", "Send", false],
]);

export class Waterfall {
  #table;

  /** @param {HTMLTableElement} table */
  constructor(table) {
    this.#table = table;
  }

  clear() {
    this.#table.hidden = true;
    this.#table.replaceChildren();
  }

  /** @param {Record<string, [number, number]>} times median and 95th percentile of each stage, in milliseconds */
  show(times) {
    const stages = STAGES.filter(([name]) => name in times);
    if (!stages.length) return this.clear();
    let from = 0;
    const lanes = stages.map(([name, label, waits]) => {
      const [median, most] = times[name];
      const lane = { label, waits, from, median, most };
      from += median;
      return lane;
    });
    const end = Math.max(...lanes.map((lane) => lane.from + lane.most));
    const total = times.total ?? [from, null];

    this.#table.replaceChildren();
    this.#table.createCaption().textContent = "A picture’s way through the server, in milliseconds";
    row(this.#table.createTHead(), "Stage", "", "median", "95 % within");
    const body = this.#table.createTBody();
    for (const { label, waits, from, median, most } of lanes) {
      const lane = row(body, label, "", median.toFixed(1), most.toFixed(1)).cells[1];
      const bar = mark(lane, "bar", from / end);
      bar.style.setProperty("--share", String(median / end));
      bar.dataset.waits = String(waits);
      mark(lane, "mark", (from + most) / end);
    }
    row(this.#table.createTFoot(), "Total", "", total[0].toFixed(1), total[1]?.toFixed(1) ?? "");
    this.#table.hidden = false;
  }
}

/**
 * @param {HTMLTableSectionElement} section
 * @param {string} head
 * @param {string[]} texts
 */
function row(section, head, ...texts) {
  const made = section.insertRow();
  const heading = section.tagName === "THEAD";
  [head, ...texts].forEach((text, index) => {
    const cell = document.createElement(index === 0 || (heading && text) ? "th" : "td");
    if (cell.tagName === "TH") cell.setAttribute("scope", heading ? "col" : "row");
    if (index === 1) cell.className = "lane";
    cell.textContent = text;
    made.append(cell);
  });
  return made;
}

/**
 * @param {HTMLElement} lane
 * @param {string} kind
 * @param {number} from
 */
function mark(lane, kind, from) {
  const made = document.createElement("i");
  made.className = kind;
  made.style.setProperty("--from", String(from));
  lane.append(made);
  return made;
}
