// The page in each of its languages: the tables of words against each other, and the page in a browser that prefers
// Chinese. Run by `make test-page`.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { after, afterEach, before, test } from "node:test";
import { Browser, QUICK, Redis, Sidecar, cleanly, endAll, findsNothing, row, start, until } from "./support.mjs";

const WEB = new URL("../../web/", import.meta.url);
const read = (name) => readFileSync(new URL(name, WEB), "utf8");
// As a data URL, since to an older Node.js a file with the ending .js is no module.
const table = async (name) => (await import(`data:text/javascript,${encodeURIComponent(read(`words.${name}.js`))}`))[name];
const placeholders = (words) => new Set(words.match(/\{\w+\}/g));

let en, zh, browser;

before(async () => {
  [en, zh] = await Promise.all(["en", "zh"].map(table));
  browser = await Browser.start();
});
after(() => browser.end());
afterEach(async () => {
  for (const context of browser.inner.contexts()) await context.close();
  await endAll();
});

test("both languages have the same keys, in the same order", () => {
  assert.deepEqual(Object.keys(zh), Object.keys(en));
});

test("both languages have the same placeholders, in the singular and the plural", () => {
  for (const [key, words] of Object.entries(en)) {
    const wanted = placeholders(words);
    assert.deepEqual(placeholders(zh[key]), wanted, key);
    const [one, many] = words.split("|");
    // The singular may say "its only consumer" for 1.
    assert.deepEqual(placeholders(many === undefined ? one : `${one}{n}`), wanted, key);
    if (many !== undefined) assert.deepEqual(placeholders(many), wanted, key);
  }
});

test("the page uses every word of its tables, and no other", () => {
  const files = readdirSync(WEB).filter((name) => /\.(js|html)$/.test(name) && !name.startsWith("words."));
  const text = files.map(read).join("\n");
  const families = [...text.matchAll(/tOr\(`(\w+_)\$\{/g)].map(([, prefix]) => prefix);
  const unused = Object.keys(en).filter((key) => !text.includes(`"${key}"`) && !families.some((prefix) => key.startsWith(prefix)));
  // Each table's name of its own language.
  assert.deepEqual(unused, ["language"]);
  const named = [...read("index.html").matchAll(/data-(?:words|aria-label|placeholder)="(\w+)"/g)].map(([, key]) => key);
  assert.deepEqual(named.filter((key) => !(key in en)), []);
});

test("the tables have a word for every value that the API describes", async () => {
  const { schemas } = JSON.parse(readFileSync(new URL("../../src/views/api/openapi.json", import.meta.url), "utf8")).components;
  const enumerated = (schema) => {
    const parts = [schema.anyOf ?? schema.oneOf ?? schema].flat();
    return parts.flatMap((part) => (part.$ref ? enumerated(schemas[part.$ref.split("/").at(-1)]) : part.enum ?? []));
  };
  for (const [schema, field, family] of [["Group", "status", "status"], ["Retention", "outcome", "outcome"], ["BlockedBy", "reason", "blocked"], ["Poll", "last_failure", "failure"], ["Help", "kind", "help"]]) {
    const values = enumerated(schemas[schema].properties[field]).filter((value) => value !== null);
    assert.ok(values.length > 3, `${schema}.${field} is enumerated`);
    assert.deepEqual(values.filter((value) => !(`${family}_${value}` in en)), [], `${schema}.${field}`);
  }
});

// Each kind of cause with the API's sentence, as the unit tests write them.
const causes = () => {
  const [, , text] = readFileSync(new URL("../golden/causes.snap", import.meta.url), "utf8").split("---\n");
  return text.trim().split("\n").map((line) => JSON.parse(line));
};

// What the page makes of each, with a group to which a stream's cause may point.
async function wordsOfCauses(sidecar, locale) {
  const page = await browser.open(sidecar, { locale });
  return page.evaluate(async (causes) => {
    const { blockerWords, faultWords, groupReason, streamReason } = await import("/page/cause.js");
    const backlog = { lag: 3, lag_known: true, pending: 0 };
    const billing = { name: "billing", status: "stopped", reason: "", cause: { kind: "no_consumers", backlog } };
    const words = { group: groupReason, stream: (stream) => streamReason({ ...stream, groups: [billing], retention: null }), blocker: ({ cause }) => blockerWords(cause), fault: faultWords };
    return causes.map((it) => words[it.of](it));
  }, causes());
}

test("each kind of cause that the API describes has words, which in English are the API's sentence", async () => {
  const { schemas } = JSON.parse(readFileSync(new URL("../../src/views/api/openapi.json", import.meta.url), "utf8")).components;
  for (const [of, schema] of [["group", "GroupCause"], ["stream", "StreamCause"], ["fault", "FaultCause"]]) {
    const kinds = new Set(causes().filter((it) => it.of === of).map((it) => it.cause.kind));
    assert.deepEqual(kinds, new Set(schemas[schema].oneOf.map((kind) => kind.properties.kind.const)), `the list of ${schema}`);
  }
  const { sidecar } = await both();
  assert.deepEqual(await wordsOfCauses(sidecar, "en-US"), causes().map((it) => it.reason));
});

test("each kind of cause has a sentence in Chinese with the same numbers, and no English", async () => {
  const { sidecar } = await both();
  const names = /billing|\bXINFO STREAM\b|\bstreamwarden acl\b|\bStream\b|\bID\b|\bRedis\b|\bValkey\b|\bsidecar\b|\bsafe\b|thresholds\.\w+|retention\.\w+|\bFLUSHALL\b|worker-1|limits\.\w+|\b(OOM|MISCONF|NOREPLICAS|AOF|RDB|MiB)\b|maxmemory(-policy)?|min-replicas-to-write|allkeys-lru/g;
  const numbers = (text) => new Set(text.match(/[\d,.]*\d/g));
  const chinese = await wordsOfCauses(sidecar, "zh-CN");
  for (const [index, { cause, reason }] of causes().entries()) {
    assert.equal(typeof chinese[index], "string", `${JSON.stringify(cause)} has no words`);
    assert.doesNotMatch(chinese[index].replace(names, ""), /[a-z]/i);
    const own = numbers(chinese[index]);
    assert.deepEqual([...numbers(reason)].filter((it) => !own.has(it) && it !== "1"), [], `${reason} | ${chinese[index]}`);
  }
});

// A group that stopped, one without a consumer, and one that blocks retention.
const STREAMS = `
XADD orders 1-1 a 1
XADD orders 1-2 a 1
XGROUP CREATE orders billing 0
XREADGROUP GROUP billing worker COUNT 1 STREAMS orders >
XADD users * a 1
XGROUP CREATE users mailer $
${"XADD held * a 1\n".repeat(300)}
XGROUP CREATE held slow 0
`;
const SETTINGS = `${QUICK}streams: [{match: held, retention: {max_length: 10, mode: safe}}, {match: "*"}]\n`;

async function both() {
  const redis = await start(Redis.start());
  await redis.run(STREAMS);
  return { redis, sidecar: await start(Sidecar.start(redis.port, SETTINGS)) };
}

const lang = (page) => page.evaluate(() => document.documentElement.lang);

test("a browser that prefers Chinese gets the page in Chinese, with nothing in English", async () => {
  const { redis, sidecar } = await both();
  const page = await browser.open(sidecar, { locale: "zh-CN" });
  await until("the status", async () => /billing（已停止）：/.test(await row(page, "orders").innerText()));
  assert.equal(await lang(page), "zh-CN");
  assert.match(await row(page, "orders").innerText(), /严重/);
  assert.match(await page.title(), /^\d 个严重 – Streamwarden$/);
  assert.match(await row(page, "orders").innerText(), /billing（已停止）：1 条消息等待投递，1 条待确认；唯一的消费者已空闲 \d+秒/);
  assert.equal(await page.locator("main [lang=en]").count(), 0);
  await until("what blocks", async () => /safe，修剪受阻：消费者组 slow 尚未读取最早的消息/.test(await row(page, "held").innerText()));
  assert.equal(await page.locator("#filter").getAttribute("placeholder"), zh.filter);
  await page.locator("#filter").fill("已停止");
  await until("the filter in Chinese", async () => (await page.locator("#streams tbody tr").count()) === 1);
  await page.locator("#filter").fill("");
  await page.getByRole("link", { name: "orders", exact: true }).click();
  const detail = page.locator("#detail");
  await until("the detail", async () => /消费者组（1）[\s\S]*待确认[\s\S]*1 个消费者/.test(await detail.innerText()));
  const english = /\b(Length|Lag|Pending|Consumer|ago|entries)\b/;
  assert.doesNotMatch(await detail.innerText(), english);
  redis.signal("SIGSTOP");
  await until("the banner", async () => /^数据已过期 自 \d\d:\d\d:\d\d（.*前）起。/.test(await page.locator("#banner").innerText()));
  cleanly(page);
});

test("the switch changes the language at once, and the choice outlives the page", async () => {
  const { sidecar } = await both();
  const page = await browser.open(sidecar, { locale: "en-US" });
  await until("the status", async () => /billing is stopped/.test(await row(page, "orders").innerText()));
  assert.equal(await lang(page), "en");
  await page.getByRole("button", { name: "中文" }).click();
  assert.equal(await lang(page), "zh-CN");
  assert.match(await row(page, "orders").innerText(), /billing（已停止）：/);
  await page.reload();
  await until("Chinese again", async () => /billing（已停止）：/.test(await row(page, "orders").innerText()));
  await page.getByRole("button", { name: "English" }).click();
  assert.equal(await page.locator("#controls button").first().innerText(), "All\n3");
  assert.equal(await lang(page), "en");
  cleanly(page);
});

test("a browser with neither language gets English", async () => {
  const { sidecar } = await both();
  const page = await browser.open(sidecar, { locale: "fr-FR" });
  await page.getByRole("columnheader", { name: "Health" }).waitFor();
  assert.equal(await lang(page), "en");
  cleanly(page);
});

for (const [scheme, width] of [["light", 1440], ["dark", 380]]) {
  test(`axe finds nothing in Chinese: ${scheme}, ${width} pixels wide`, async () => {
    const { redis, sidecar } = await both();
    const page = await browser.open(sidecar, { scheme, width, bypassCSP: true, locale: "zh-CN" });
    await until("the status", async () => /billing（已停止）：/.test(await row(page, "orders").innerText()));
    await findsNothing(page, redis, "数据已过期");
  });
}
