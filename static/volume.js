/** How loud the page plays: a slider, and a button for silence. */

import { fill } from "./widgets.js";

/**
 * @param {HTMLMediaElement} player
 * @param {HTMLInputElement} slider
 * @param {HTMLButtonElement} mute
 */
export function connectVolume(player, slider, mute) {
  const show = () => {
    mute.setAttribute("aria-pressed", String(player.muted));
    slider.valueAsNumber = player.muted ? 0 : player.volume;
    fill(slider);
  };
  slider.addEventListener("input", () => {
    player.muted = slider.valueAsNumber === 0;
    if (!player.muted) player.volume = slider.valueAsNumber;
  });
  mute.addEventListener("click", () => (player.muted = !player.muted));
  player.addEventListener("volumechange", show);
  // On iPhones only the buttons at their side change it.
  player.volume = 0.5;
  slider.hidden = player.volume !== 0.5;
  player.volume = 1;
  show();
}
