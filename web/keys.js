// The keyboard: everything that the mouse can do, with the keys of pagers and mail readers.

import { element } from "./dom.js";

/** @type {Record<string, number>} */
const STEPS = { j: 1, k: -1 };
/** @type {Record<string, number>} */
const ARROWS = { ArrowDown: 1, ArrowUp: -1 };

/** @type {() => HTMLElement[]} */
const links = () => [.../** @type {NodeListOf<HTMLAnchorElement>} */ (document.querySelectorAll("#streams tbody a"))];

/** @param {{ isDetail: () => boolean, home: () => void, step: (by: number) => void }} actions */
export function keys({ isDetail, home, step }) {
  const filter = /** @type {HTMLInputElement} */ (element("filter"));
  const help = /** @type {HTMLDialogElement} */ (element("help"));
  element("help-button").addEventListener("click", () => help.showModal());
  element("help-close").addEventListener("click", () => help.close());

  /** @param {number} by */
  function move(by) {
    if (isDetail()) return step(by);
    const all = links();
    const at = all.findIndex((link) => link === document.activeElement);
    const next = at < 0 ? (by > 0 ? 0 : -1) : Math.min(all.length - 1, Math.max(0, at + by));
    all.at(next)?.focus();
    document.activeElement?.scrollIntoView({ block: "nearest" });
  }

  /** @param {KeyboardEvent} event */
  function inFilter(event) {
    if (event.key === "Escape" && filter.value === "") filter.blur();
    else if (event.key === "Escape") {
      filter.value = "";
      filter.dispatchEvent(new Event("input"));
    } else if (event.key === "Enter" || event.key === "ArrowDown") links()[0]?.focus();
    else return false;
    return true;
  }

  /** @param {KeyboardEvent} event */
  function elsewhere(event) {
    const isOnRow = links().some((link) => link === document.activeElement);
    const by = STEPS[event.key] ?? (isOnRow && ARROWS[event.key]);
    if (by) move(by);
    else if (event.key === "?") help.showModal();
    else if (event.key === "Escape" && isDetail()) home();
    else if (event.key === "/") {
      if (isDetail()) home();
      filter.focus();
      filter.select();
    } else return false;
    return true;
  }

  document.addEventListener("keydown", (event) => {
    if (help.open || event.ctrlKey || event.metaKey || event.altKey) return;
    const isTaken = document.activeElement === filter ? inFilter(event) : elsewhere(event);
    if (isTaken) event.preventDefault();
  });
}
