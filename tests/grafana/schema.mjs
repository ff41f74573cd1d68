// Holds each dashboard against Grafana's own published schema, and the options of each panel against those of its type.
//
//   schema.mjs MODULES SCHEMA DASHBOARD...    MODULES is a node_modules with ts-json-schema-generator and ajv, SCHEMA the folder
//                                             of a version of @grafana/schema
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import test from "node:test";

const [modules, schema, ...files] = process.argv.slice(2);
const { version } = JSON.parse(readFileSync(resolve(schema, "package.json"), "utf8"));
const require = createRequire(resolve(modules, "none.js"));
const { createGenerator } = require("ts-json-schema-generator");
const { Ajv } = require("ajv");
// The folder and the names of files differ from version to version.
const types = ["types/raw", "esm/raw"].map((folder) => resolve(schema, "dist", folder)).find(existsSync);

// What the Prometheus data source itself adds to an annotation's query; the dashboard's schema leaves that to it.
const ANNOTATION_OF_PROMETHEUS = ["expr", "textFormat", "titleFormat"];

function checker(folder, type) {
  const [path] = readdirSync(resolve(types, folder)).filter((name) => name.endsWith("types.gen.d.ts"));
  const generator = createGenerator({ path: resolve(types, folder, path), type, skipTypeCheck: true, additionalProperties: false });
  const check = new Ajv({ strict: false, allErrors: true }).compile(generator.createSchema(type));
  return (value) => (check(value) ? [] : check.errors);
}

const dashboard = checker("dashboard/x", "Dashboard");
const panelTypes = {};
function wrongOptions({ type, options }) {
  const folder = type.replaceAll("-", "");
  const check = (panelTypes[type] ??= checker(`composable/${folder}/panelcfg/x`, "Options"));
  // Grafana gives what is left out its default.
  return check(options).filter((error) => error.keyword !== "required");
}

function load(file) {
  const board = JSON.parse(readFileSync(file, "utf8"));
  for (const annotation of board.annotations.list) {
    for (const key of ANNOTATION_OF_PROMETHEUS) delete annotation[key];
  }
  return board;
}

assert.ok(files.length > 0, "name the dashboards");
for (const file of files) {
  test(`${file} is a dashboard as Grafana ${version} publishes it`, () => {
    assert.deepEqual(dashboard(load(file)), []);
  });
  test(`${file} has panels with options of their types`, () => {
    const panels = load(file).panels.flatMap((panel) => [panel, ...(panel.panels ?? [])]).filter((panel) => panel.type !== "row");
    assert.ok(panels.length > 0);
    for (const panel of panels) assert.deepEqual(wrongOptions(panel), [], panel.title);
  });
  test(`${file} would be refused with a key or a type that Grafana does not know`, () => {
    assert.notDeepEqual(dashboard({ ...load(file), refreshed: "1m" }), []);
    assert.notDeepEqual(dashboard({ ...load(file), title: 7 }), []);
    assert.notDeepEqual(wrongOptions({ type: "stat", options: { colours: "value" } }), []);
  });
}
