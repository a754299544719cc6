/**
 * Shows the sentence for a page whose own scripts do not run. It is no module, and needs none.
 * They take the mark `data-dead` from the body when they do.
 */
{
  const LATE_MS = 15_000;
  const say = () => {
    const sentence = document.getElementById("broken");
    if (sentence && "dead" in document.body.dataset) sentence.hidden = false;
  };
  addEventListener("error", say, true); // those of a script's element do not bubble
  addEventListener("load", say); // before which modules run
  setTimeout(say, LATE_MS);
}
