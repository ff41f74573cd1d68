// How long entries take, on the page of a stream, in a real browser. Run by `make test-page`.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { Browser, QUICK, Redis, Sidecar, axePath, cleanly, endAll, start, until } from "./support.mjs";

let browser;

before(async () => (browser = await Browser.start()));
after(() => browser.end());
afterEach(async () => {
  for (const context of browser.inner.contexts()) await context.close();
  await endAll();
});

const SETTINGS = QUICK.replace("window: 5s", "window: 1h") + "latency: {tick: 100ms}\nstreams: [{match: timed, slo: {delivery: 2s, handled: 2s}}, {match: untimed}]\n";
// What axe finds.
const faults = (page) => page.evaluate(async () => (await window.axe.run()).violations.map((it) => `${it.id}: ${it.nodes.map((node) => node.html).join(" ")}`));
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

test("a group's page has how long its entries take and what is left of the error budget", async () => {
  const redis = await start(Redis.start());
  for (const stream of ["timed", "untimed"]) await redis.run(`XGROUP CREATE ${stream} readers 0 MKSTREAM\nXADD ${stream} * a b\nXREADGROUP GROUP readers one COUNT 9 STREAMS ${stream} >\n`);
  const sidecar = await start(Sidecar.start(redis.port, SETTINGS));
  const page = await browser.open(sidecar, { path: "/#stream=timed", bypassCSP: true });
  await page.addScriptTag({ path: axePath });
  const group = page.locator("#detail article");
  const fact = (term) => group.locator("dl > div").filter({ has: page.getByText(term, { exact: true }) }).locator("dd");
  await until("nothing measured", async () => (await fact("Delivered in").innerText()) === "no entry was measured yet");
  // Each is read at once.
  for (let round = 0; round < 8; round++) {
    await redis.run(`XADD timed * a b\nXADD timed * a b\nXREADGROUP GROUP readers one COUNT 9 STREAMS timed >\n`);
    await pause(150);
  }
  await until("times to delivery", async () => /^p50 \d+(\.\d+)?(ms|s)\np95 .*\np99 /.test(await fact("Delivered in").innerText()));
  assert.match(await fact("Delivered in").innerText(), /100% of the error budget left$/);
  assert.match(await fact("Delivered in").locator("[title]").first().getAttribute("title"), /^between \d.* and \d/);
  // None of them is acknowledged in time.
  await pause(2_500);
  await redis.run(`EVAL "for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do redis.call('XACK', KEYS[1], 'readers', entry[1]) end" 1 timed\n`);
  await until("followed entries", async () => /error budget overspent by [\d,]+%\n\d+ of \d+ entries that were followed missed the objective$/.test(await fact("Handled in").innerText()));
  assert.deepEqual(await faults(page), []);
  await page.locator("#language-button").click();
  await until("Chinese", async () => /错误预算剩余 100%/.test(await fact("投递用时").innerText()));
  assert.match(await fact("处理用时").innerText(), /错误预算超支/);
  assert.deepEqual(await faults(page), []);
  cleanly(page);
});

test("a group without an objective has no times", async () => {
  const redis = await start(Redis.start());
  await redis.run("XGROUP CREATE untimed readers 0 MKSTREAM\n");
  const sidecar = await start(Sidecar.start(redis.port, SETTINGS));
  const page = await browser.open(sidecar, { path: "/#stream=untimed" });
  await page.locator("#detail article").getByText("Position", { exact: true }).waitFor();
  assert.equal(await page.getByText("Delivered in").count(), 0);
  cleanly(page);
});
