/** An answer that falls silent at once when somebody speaks: what is on its way to the page plays no more. */

/** After so many milliseconds a press that the server knows no turn of was none. */
const NO_TURN = 700;

export class Hush {
  /** Whether speaking ends the stream's answers. */
  interrupts = false;
  #media;
  /** Ends what a press has silenced, where no turn comes of it. */
  #timer = 0;

  /** @param {MediaStream} media whose sound it is */
  constructor(media) {
    this.#media = media;
  }

  /** What the server says the session does: it knows whether somebody speaks. @param {string} state */
  hear(state) {
    clearTimeout(this.#timer);
    this.#set(state === "speaking");
  }

  /** The button for a turn was pressed, or let go. @param {boolean} on */
  press(on) {
    clearTimeout(this.#timer);
    if (on) this.#set(true);
    else this.#timer = setTimeout(() => this.#set(false), NO_TURN);
  }

  /** @param {boolean} silent */
  #set(silent) {
    if (!this.interrupts) return;
    for (const track of this.#media.getAudioTracks()) track.enabled = !silent;
  }
}
