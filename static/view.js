/** The buttons that change how the pictures are shown, and nothing else. */

/**
 * @param {import("./stage.js").Stage} stage
 * @param {(id: string) => any} find
 * @returns {() => void} to be called once the stage is arranged
 */
export function connectView(stage, find) {
  const show = () => {
    find("view").setAttribute("aria-pressed", String(stage.view === "unified"));
    find("full-screen").hidden = !stage.canFillScreen;
  };
  find("mirror").addEventListener("click", () => {
    stage.mirrored = !stage.mirrored;
    find("mirror").setAttribute("aria-pressed", String(stage.mirrored));
  });
  find("view").addEventListener("click", () => {
    stage.view = stage.view === "beside" ? "unified" : "beside";
    show();
  });
  find("full-screen").addEventListener("click", () => void stage.toggleFullScreen());
  // The way back on a screen that is all picture, where the button is not.
  for (const frame of document.querySelectorAll(".frame")) {
    frame.addEventListener("dblclick", ({ target }) => {
      // In a text it selects a word.
      if (!find("results").contains(target)) void stage.toggleFullScreen();
    });
  }
  return show;
}
