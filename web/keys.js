// The keyboard: everything that the mouse can do, with the keys that pagers and mail readers use.

const links = () => [...document.querySelectorAll("#streams tbody a")];

export function keys({ isDetail, home, step }) {
  const filter = document.getElementById("filter");
  const help = document.getElementById("help");
  document.getElementById("help-button").addEventListener("click", () => help.showModal());
  document.getElementById("help-close").addEventListener("click", () => help.close());

  function move(by) {
    if (isDetail()) return step(by);
    const all = links();
    const at = all.indexOf(document.activeElement);
    const next = at < 0 ? (by > 0 ? 0 : -1) : Math.min(all.length - 1, Math.max(0, at + by));
    all.at(next)?.focus();
    document.activeElement?.scrollIntoView({ block: "nearest" });
  }

  function inFilter(event) {
    if (event.key === "Escape" && filter.value === "") filter.blur();
    else if (event.key === "Escape") {
      filter.value = "";
      filter.dispatchEvent(new Event("input"));
    } else if (event.key === "Enter" || event.key === "ArrowDown") links()[0]?.focus();
    else return false;
    return true;
  }

  function elsewhere(event) {
    const isOnRow = links().includes(document.activeElement);
    const arrow = isOnRow && { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const by = { j: 1, k: -1 }[event.key] ?? arrow;
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
