// The page's language: the reader's choice, else the browser's first that the page has, else English. All words of the
// page are here looked up, by their key.

import { h } from "./dom.js";
import { en } from "./words.en.js";
import { zh } from "./words.zh.js";

/** @import { Child } from "./dom.js" */
/** @typedef {keyof typeof en} Key */
/** @typedef {Record<string, string | number>} Values */

const STORED = "streamwarden.language";
/** @type {Record<string, Record<Key, string>>} */
const TABLES = { en, zh };
/** The `lang` attribute of each.
 * @type {Record<string, string>} */
const TAGS = { en: "en", zh: "zh-CN" };
const grouped = new Intl.NumberFormat("en");

let language = chosen() ?? preferred() ?? "en";

// What the reader chose earlier; a browser may refuse to remember it.
function chosen() {
  try {
    return known(localStorage.getItem(STORED));
  } catch {
    return undefined;
  }
}

function preferred() {
  return navigator.languages.map((tag) => known(tag.split("-")[0])).find((it) => it !== undefined);
}

/** @param {string | null | undefined} name */
function known(name) {
  return Object.keys(TABLES).find((it) => it === name);
}

const other = () => (language === "en" ? "zh" : "en");

export const isEnglish = () => language === "en";
export const locale = () => (isEnglish() ? "en-GB" : "zh-CN");

// To the other language, from now on.
export function switchLanguage() {
  language = other();
  try {
    localStorage.setItem(STORED, language);
  } catch {
    // It holds until the page is loaded again.
  }
}

// The words of a key. Of two forms, `n` decides.
/** @type {(key: Key, values?: Values) => string} */
export const t = (key, values = {}) => fill(template(key, values), values).join("");

// The same with elements among the words.
/** @type {(key: Key, values: Record<string, Child>) => Child[]} */
export const rich = (key, values) => fill(template(key, {}), values);

// The words of a value from the API, of a set that a newer sidecar may extend: then `otherwise`.
/** @type {(key: string, otherwise: string, values?: Values) => string} */
export const tOr = (key, otherwise, values) => (key in en ? t(/** @type {Key} */ (key), values) : otherwise);

// A sentence that comes from the API, which speaks English.
/** @type {(text: string) => Child} */
export const english = (text) => h("span", { lang: isEnglish() ? null : "en" }, text);

/** @type {(key: Key, values: Values) => string} */
function template(key, { n }) {
  const [one, many] = (TABLES[language] ?? en)[key].split("|");
  return (n === 1 ? one : many ?? one) ?? "";
}

/**
 * @template {Child} T
 * @param {string} words
 * @param {Record<string, T>} values
 */
function fill(words, values) {
  const parts = words.split(/\{(\w+)\}/);
  return parts.map((part, index) => {
    const value = index % 2 ? values[part] : part;
    return typeof value === "number" ? grouped.format(value) : value;
  });
}

// Puts the words where `index.html` names their keys, in text and in attributes.
export function label() {
  document.documentElement.lang = TAGS[language] ?? "en";
  for (const element of document.querySelectorAll("[data-words]")) element.textContent = wordsOf(element, "data-words");
  for (const attribute of ["aria-label", "placeholder"]) {
    const name = `data-${attribute}`;
    for (const element of document.querySelectorAll(`[${name}]`)) element.setAttribute(attribute, wordsOf(element, name));
  }
  const button = document.querySelector("#language-button");
  if (button) {
    button.textContent = TABLES[other()]?.language ?? "";
    button.setAttribute("lang", TAGS[other()] ?? "");
  }
}

/** @type {(element: Element, attribute: string) => string} */
const wordsOf = (element, attribute) => tOr(element.getAttribute(attribute) ?? "", "");
