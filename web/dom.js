// Describes elements, and changes the document only where it differs from the description: focus, selection, scroll
// position and open parts survive an update. Text becomes text nodes, never markup.

/** @typedef {{ tag: string, key?: string, attributes: Attributes, children: (Described | string | number)[] }} Described */
/** @typedef {Record<string, string | number | boolean | null | undefined>} Attributes */
/** @typedef {Described | string | number | false | null | undefined | Child[]} Child */
/** @typedef {{ tag: null, text: string, key?: undefined }} Text */
/** @typedef {(Described | Text) & { node: Element | CharacterData }} Drawn */

const SVG = "http://www.w3.org/2000/svg";
/** @type {WeakMap<Element, Drawn[]>} */
const described = new WeakMap();

// An element of `index.html`, by its ID.
/** @type {(id: string) => HTMLElement} */
export const element = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

// An element: its attributes (absent where null, undefined or false) and its children: elements, texts, lists of them.
// A `key` identifies it among its siblings, so that it moves instead of becoming another one.
/**
 * @param {string} tag
 * @param {Attributes | null} [attributes]
 * @param {Child[]} children
 * @returns {Described}
 */
export function h(tag, attributes, ...children) {
  const { key, ...rest } = attributes ?? {};
  const there = /** @type {Described["children"]} */ (/** @type {unknown[]} */ (children).flat(Infinity).filter((child) => child != null && child !== false));
  return { tag, key: key == null ? undefined : String(key), attributes: rest, children: there };
}

// Replaces the children of `parent` by those described. Focus stays where it is, even on an element that moves.
/**
 * @param {Element} parent
 * @param {Child[]} children
 */
export function render(parent, ...children) {
  const focused = document.activeElement;
  update(parent, h(parent.localName, null, children).children, parent.namespaceURI);
  if (focused instanceof HTMLElement && focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
}

/**
 * @param {Element} parent
 * @param {Described["children"]} children
 * @param {string | null} namespace
 */
function update(parent, children, namespace) {
  const before = described.get(parent) ?? [];
  const keyed = new Map(before.filter((old) => old.key != null).map((old) => [old.key, old]));
  const unkeyed = before.filter((old) => old.key == null);
  const now = children.map((child) => {
    /** @type {Described | Text} */
    const wanted = typeof child === "object" ? child : { tag: null, text: String(child) };
    const old = wanted.key == null ? unkeyed.shift() : keyed.get(wanted.key);
    if (!old || old.tag !== wanted.tag) return create(wanted, namespace);
    if (wanted.key != null) keyed.delete(wanted.key);
    return change(old, wanted);
  });
  const kept = new Set(now.map((it) => it.node));
  for (const old of before) if (!kept.has(old.node)) old.node.remove();
  now.forEach(({ node }, index) => {
    const there = parent.childNodes[index];
    if (there !== node) parent.insertBefore(node, there ?? null);
  });
  described.set(parent, now);
}

/**
 * @param {Described | Text} wanted
 * @param {string | null} namespace
 * @returns {Drawn}
 */
function create(wanted, namespace) {
  if (wanted.tag === null) return { ...wanted, node: document.createTextNode(wanted.text) };
  const inside = wanted.tag === "svg" ? SVG : namespace;
  const node = document.createElementNS(inside, wanted.tag);
  setAttributes(node, {}, wanted.attributes);
  update(node, wanted.children, inside);
  return { ...wanted, node };
}

/**
 * @param {Drawn} old
 * @param {Described | Text} wanted, of the same tag
 * @returns {Drawn}
 */
function change(old, wanted) {
  const { node } = old;
  if (wanted.tag === null) {
    if (node instanceof CharacterData && node.data !== wanted.text) node.data = wanted.text;
  } else if (node instanceof Element && old.tag !== null) {
    setAttributes(node, old.attributes, wanted.attributes);
    update(node, wanted.children, node.namespaceURI);
  }
  return { ...wanted, node };
}

/**
 * @param {Element} node
 * @param {Attributes} old
 * @param {Attributes} wanted
 */
function setAttributes(node, old, wanted) {
  for (const name of Object.keys({ ...old, ...wanted })) {
    const value = wanted[name];
    if (value === old[name]) continue;
    if (value == null || value === false) node.removeAttribute(name);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
}
