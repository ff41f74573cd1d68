// Descriptions of elements, and the least changes that make a part of the document look like them: so focus, selection,
// scroll position and open parts survive an update. Text becomes text nodes and never markup.

const SVG = "http://www.w3.org/2000/svg";
const described = new WeakMap();

// An element: its attributes (absent where null, undefined or false) and its children: elements, texts, lists of them.
// A `key` tells it from its siblings, so that it is moved rather than made into another one.
export function h(tag, attributes, ...children) {
  const { key, ...rest } = attributes ?? {};
  const there = children.flat(Infinity).filter((child) => child != null && child !== false);
  return { tag, key, attributes: rest, children: there };
}

// Makes the children of `parent` what is described. Focus stays where it was, even on an element that moves.
export function render(parent, ...children) {
  const focused = document.activeElement;
  update(parent, h(parent.localName, null, children).children, parent.namespaceURI);
  if (focused !== document.activeElement && focused?.isConnected) focused.focus({ preventScroll: true });
}

function update(parent, children, namespace) {
  const before = described.get(parent) ?? [];
  const keyed = new Map(before.filter((old) => old.key != null).map((old) => [old.key, old]));
  const unkeyed = before.filter((old) => old.key == null);
  const now = children.map((child) => {
    const wanted = typeof child === "object" ? child : { tag: null, text: String(child) };
    const old = wanted.key == null ? unkeyed.shift() : keyed.get(wanted.key);
    if (old?.tag !== wanted.tag) return create(wanted, namespace);
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

function create(wanted, namespace) {
  if (wanted.tag === null) return { ...wanted, node: document.createTextNode(wanted.text) };
  const inside = wanted.tag === "svg" ? SVG : namespace;
  const node = document.createElementNS(inside, wanted.tag);
  setAttributes(node, {}, wanted.attributes);
  update(node, wanted.children, inside);
  return { ...wanted, node };
}

function change(old, wanted) {
  const { node } = old;
  if (wanted.tag === null) {
    if (old.text !== wanted.text) node.data = wanted.text;
  } else {
    setAttributes(node, old.attributes, wanted.attributes);
    update(node, wanted.children, node.namespaceURI);
  }
  return { ...wanted, node };
}

function setAttributes(node, old, wanted) {
  for (const name of Object.keys({ ...old, ...wanted })) {
    const value = wanted[name];
    if (value === old[name]) continue;
    if (value == null || value === false) node.removeAttribute(name);
    else node.setAttribute(name, value === true ? "" : value);
  }
}
