// The API's documents as TypeScript types, from their own description: what the page reads is checked against them.
//
//   node api-types.mjs OPENAPI OUTPUT

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

const [, , description, output] = process.argv;
if (!output) throw new Error("usage: node api-types.mjs OPENAPI OUTPUT");
const { components } = JSON.parse(readFileSync(description, "utf8"));
const PRIMITIVES = { string: "string", integer: "number", number: "number", boolean: "boolean", null: "null" };

function typeOf(schema) {
  if (schema.$ref) return schema.$ref.split("/").at(-1);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if ("const" in schema) return JSON.stringify(schema.const);
  const any = schema.anyOf ?? schema.oneOf;
  if (any) return any.map(typeOf).join(" | ");
  if (schema.allOf) return schema.allOf.map(typeOf).map((type) => `(${type})`).join(" & ");
  const types = [schema.type].flat();
  return types.map((type) => PRIMITIVES[type] ?? composite(type, schema)).join(" | ");
}

function composite(type, schema) {
  if (type === "array") return `Array<${typeOf(schema.items)}>`;
  const required = new Set(schema.required);
  const fields = Object.entries(schema.properties ?? {}).map(([name, field]) => `${name}${required.has(name) ? "" : "?"}: ${typeOf(field)};`);
  return fields.length > 0 ? `{ ${fields.join(" ")} }` : "unknown";
}

const types = Object.entries(components.schemas).map(([name, schema]) => `  type ${name} = ${typeOf(schema)};`);
mkdirSync(dirname(output), { recursive: true });
writeFileSync(output, `declare namespace Api {\n${types.join("\n")}\n}\n`);
