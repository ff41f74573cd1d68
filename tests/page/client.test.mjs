// The client for applications in examples/typescript, with types made from the API's description, against the built sidecar.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { after, test } from "node:test";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { QUICK, Redis, Sidecar, endAll, modules, start, until } from "./support.mjs";

const run = promisify(execFile);
const TOKEN = "a-token-of-some-length";

after(endAll);

// The example, compiled with the strictest types. The packages that it imports are found above the folder.
async function compiled() {
  const folder = resolve(modules, "client");
  mkdirSync(folder, { recursive: true });
  copyFileSync("examples/typescript/streamwarden.ts", join(folder, "streamwarden.ts"));
  const bin = resolve(modules, "node_modules/.bin");
  await run(join(bin, "openapi-typescript"), ["src/views/api/openapi.json", "-o", join(folder, "streamwarden-api.ts")]);
  writeFileSync(join(folder, "package.json"), '{"type": "module"}');
  const flags = ["--strict", "--target", "es2022", "--module", "nodenext", "--rewriteRelativeImportExtensions"];
  await run(join(bin, "tsc"), [...flags, join(folder, "streamwarden.ts")]).catch(({ stdout }) => assert.fail(stdout));
  return import(pathToFileURL(join(folder, "streamwarden.js")));
}

test("an application learns its streams' health and trims one", async () => {
  const { Streamwarden } = await compiled();
  const redis = await start(Redis.start());
  await redis.run(`XGROUP CREATE orders billing 0 MKSTREAM\n${"XADD orders * a 1\n".repeat(250)}`);
  await redis.run("XREADGROUP GROUP billing worker COUNT 250 NOACK STREAMS orders >");
  const token = join(resolve(modules, "client"), "token");
  writeFileSync(token, TOKEN, { mode: 0o600 });
  const sidecar = await start(Sidecar.start(redis.port, `${QUICK}streams: [{match: orders}]\n`, { http: `, trim_token_file: "${token}"` }));
  const client = new Streamwarden(sidecar.origin, TOKEN);
  await until("a healthy stream", async () => (await client.getHealthStatus()).healthy === 1);
  assert.equal((await client.getHealthStatus()).health, "healthy");
  const stream = await client.getStreamHealth("orders");
  assert.deepEqual([stream.health, stream.length, stream.groups[0].lag], ["healthy", 250, 0]);
  const plan = await client.trimStream("orders", 100);
  assert.deepEqual([plan.dry_run, plan.excess, plan.removed], [true, 150, 0]);
  const trim = await client.trimStream("orders", 100, false);
  assert.deepEqual([trim.dry_run, trim.removed > 0, trim.length], [false, true, 250 - trim.removed]);
  await assert.rejects(client.getStreamHealth("events:none"), /Not Found: /);
  await assert.rejects(new Streamwarden(sidecar.origin, "another-token").trimStream("orders", 1, false), /Unauthorized: /);
});
