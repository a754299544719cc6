/** The gallery: a card for each stream that this server has mounted. */

/** @typedef {{ name: string, title: string, description: string, picture: string | null }} Entry */

/**
 * @param {Entry} entry
 * @returns {HTMLLIElement}
 */
function card({ name, title, description, picture }) {
  const item = document.createElement("li");
  const link = document.createElement("a");
  const shot = document.createElement("div");
  const heading = document.createElement("h2");
  const text = document.createElement("p");
  link.href = `./${encodeURIComponent(name)}/`;
  link.className = "card example";
  link.dataset.name = name;
  shot.className = "shot";
  heading.textContent = title;
  text.textContent = description;
  if (picture) {
    const image = document.createElement("img");
    image.src = picture;
    image.alt = "";
    image.loading = "lazy";
    shot.append(image);
  } else {
    shot.textContent = title.slice(0, 1);
  }
  link.append(shot, heading, text);
  item.append(link);
  return item;
}

delete document.body.dataset.dead;
try {
  const response = await fetch("./gallery.json");
  if (!response.ok) throw new Error(`it says ${response.status} ${response.statusText}`);
  /** @type {Entry[]} */
  const entries = await response.json();
  document.getElementById("gallery")?.append(...entries.map(card));
} catch (error) {
  const problem = /** @type {HTMLElement} */ (document.getElementById("problem"));
  problem.textContent = `The list of examples did not come from the server (${/** @type {Error} */ (error).message}). `
    + "Check that it runs, then reload this page.";
  problem.hidden = false;
}
