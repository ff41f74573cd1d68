// The page in a real browser, over the built sidecar and a real Redis: run by `make test-page`.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { Browser, QUICK, Redis, Sidecar, cell, cleanly, endAll, findsNothing, freePort, row, start, until } from "./support.mjs";

// Processor time of the page for its first drawing of 1,000 streams, and for an update of all of them. By processor time,
// since a busy machine makes any wall time longer. Several times what was measured.
const FIRST_DRAWING_MS = 2000;
const UPDATE_MS = 1000;

let browser;

before(async () => (browser = await Browser.start()));
after(() => browser.end());
afterEach(async () => {
  for (const context of browser.inner.contexts()) await context.close();
  await endAll();
});

async function both(commands, settings = QUICK) {
  const redis = await start(Redis.start());
  await redis.run(commands);
  return { redis, sidecar: await start(Sidecar.start(redis.port, settings)) };
}

const names = (page) => page.locator("#streams tbody th a").allTextContents();
const banner = (page) => page.locator("#banner").innerText();
const focused = (page) => page.evaluate(() => document.activeElement.textContent);

// A stopped group, a healthy one, a stream without groups, and a key of another type.
const STREAMS = `
XADD orders 1-1 a 1
XADD orders 1-2 a 1
XGROUP CREATE orders billing 0
XREADGROUP GROUP billing worker COUNT 1 STREAMS orders >
XADD users * a 1
XGROUP CREATE users mailer $
XADD audit * a 1
SET other text
`;

test("numbers change without a reload, and focus stays where it is", async () => {
  const { redis, sidecar } = await both(STREAMS);
  const page = await browser.open(sidecar);
  await until("the stream", async () => (await cell(page, "users", "Length")).startsWith("1"));
  await page.evaluate(() => (window.sameDocument = true));
  await page.getByRole("link", { name: "users", exact: true }).focus();
  await redis.run("XADD users * a 1\n".repeat(41));
  await until("42 entries", async () => (await cell(page, "users", "Length")).startsWith("42"));
  await until("the lag", async () => (await cell(page, "users", "Lag")).startsWith("41"));
  assert.equal(await focused(page), "users");
  assert.equal(await page.evaluate(() => window.sameDocument), true);
  await redis.run("XADD new * a 1");
  await until("a new stream", async () => (await names(page)).includes("new"));
  await redis.run("DEL new");
  await until("its end", async () => !(await names(page)).includes("new"));
  cleanly(page);
});

test("the worst comes first, with its reason in words", async () => {
  const { sidecar } = await both(STREAMS, `${QUICK}streams: [{match: other}, {match: gone}, {match: "*"}]\n`);
  const page = await browser.open(sidecar);
  await until("the judgement", async () => (await row(page, "orders").innerText()).includes("Critical"));
  assert.deepEqual(await names(page), ["gone", "orders", "other", "audit", "users"]);
  assert.match(await row(page, "orders").innerText(), /billing is stopped: .*1 entry waits and 1 is pending/);
  assert.match(await row(page, "other").innerText(), /the key holds another type/);
  assert.match(await row(page, "gone").locator("td[data-label=Length] .none").getAttribute("title"), /^Unknown: /);
  assert.equal(await cell(page, "gone", "Pending").then((text) => text.includes("0")), false, "unknown is not zero");
  assert.match(await page.title(), /^3 critical – /);
  await page.getByRole("button", { name: "Order by stream" }).or(page.locator("button[data-sort=name]")).first().click();
  await until("the other order", async () => (await names(page))[0] === "audit");
  cleanly(page);
});

test("the filter leaves the streams that match, and is kept in the address", async () => {
  const { sidecar } = await both(STREAMS);
  const page = await browser.open(sidecar);
  await until("all streams", async () => (await names(page)).length === 3);
  await page.keyboard.press("/");
  await page.keyboard.type("mail");
  await until("one stream", async () => (await names(page)).join() === "users");
  await until("the address", () => page.url().endsWith("#filter=mail"));
  await page.reload();
  await until("the same stream", async () => (await names(page)).join() === "users");
  assert.equal(await page.locator("#filter").inputValue(), "mail");
  await page.locator("#filter").fill("no such thing");
  await page.getByText("No stream matches the filter.").waitFor();
  await page.keyboard.press("Escape");
  await until("all streams again", async () => (await names(page)).length === 3);
  await until("the judgement", async () => (await row(page, "orders").innerText()).includes("Critical"));
  await page.locator("button[data-health=critical]").click();
  await until("the critical one", async () => (await names(page)).join() === "orders");
  assert.equal(await page.locator("button[data-health=critical]").getAttribute("aria-pressed"), "true");
  cleanly(page);
});

test("mouse and keys lead to a stream and back, and its details stay as they are during updates", async () => {
  const { redis, sidecar } = await both(STREAMS);
  const page = await browser.open(sidecar);
  await until("the judgement", async () => (await row(page, "orders").innerText()).includes("Critical"));
  await page.keyboard.press("j");
  assert.equal(await focused(page), "orders");
  await page.keyboard.press("j");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("k");
  assert.equal(await focused(page), "audit");
  await page.keyboard.press("k");
  await page.keyboard.press("Enter");
  const detail = page.locator("#detail");
  await detail.getByRole("heading", { name: "orders" }).waitFor();
  assert.match(await detail.innerText(), /billing\s+Stopped/);
  assert.match(await detail.innerText(), /worker/);
  assert.match(await detail.innerText(), /1-2/, "the last ID");
  await detail.locator("summary").click();
  await redis.run("XADD orders * a 1");
  await until("the new entry", async () => /Ever added\s+3/.test(await detail.innerText()));
  assert.equal(await detail.locator("details").getAttribute("open"), null, "closed by the reader, so closed");
  await page.keyboard.press("j");
  await detail.getByRole("heading", { name: "audit" }).waitFor();
  await page.keyboard.press("k");
  await detail.getByRole("heading", { name: "orders" }).waitFor();
  await page.keyboard.press("Escape");
  await page.locator("#list").waitFor();
  assert.equal(await focused(page), "orders");
  await row(page, "users").locator("td").first().click();
  await detail.getByRole("heading", { name: "users" }).waitFor();
  await page.goBack();
  await page.locator("#list").waitFor();
  await page.keyboard.press("?");
  assert.equal(await page.locator("#help").isVisible(), true);
  await page.keyboard.press("Escape");
  assert.equal(await page.locator("#help").isVisible(), false);
  await page.goto(`${sidecar.origin}/#stream=nowhere`);
  await page.getByRole("heading", { name: "No such stream" }).waitFor();
  cleanly(page);
});

test("an address has the key of a stream once encoded, and leads to it again", async () => {
  const { sidecar } = await both('XADD events:user 1-1 a 1\nXADD "two words + 100%25" 1-1 a 1\nXADD "bytes \\xff" 1-1 a 1\n');
  const page = await browser.open(sidecar);
  const heading = (name) => page.locator("#detail").getByRole("heading", { name, exact: true }).waitFor();
  for (const [name, address] of [
    ["events:user", "events%3Auser"],
    ["two words + 100%25", "two%20words%20%2B%20100%2525"],
    ["bytes \\xFF", "bytes%20%FF"],
  ]) {
    await page.getByRole("link", { name, exact: true }).click();
    await heading(name);
    assert.equal(new URL(page.url()).hash, `#stream=${address}`);
    await page.reload();
    await heading(name);
    await page.keyboard.press("Escape");
    await page.locator("#list").waitFor();
  }
  cleanly(page);
});

test("an address may have a stream's name, its key in other forms, or one that an earlier page wrote", async () => {
  const { sidecar } = await both('XADD events:user 1-1 a 1\nXADD "two words" 1-1 a 1\n');
  for (const [written, name] of [
    ["events:user", "events:user"],
    ["%65vents%3auser", "events:user"],
    ["events%253Auser", "events:user"],
    ["two+words", "two words"],
    ["two%20words&sort=lag", "two words"],
  ]) {
    const page = await browser.open(sidecar, { path: `/#stream=${written}` });
    await page.locator("#detail").getByRole("heading", { name, exact: true }).waitFor();
    cleanly(page);
  }
});

test("the page shows the last run of retention and what blocks it", async () => {
  const settings = `${QUICK}streams: [{match: "*", retention: {max_length: 10, mode: safe}}]\n`;
  const { sidecar } = await both(`XGROUP CREATE held slow 0 MKSTREAM\n${"XADD held * a 1\nXADD free * a 1\n".repeat(400)}`, settings);
  const page = await browser.open(sidecar);
  await until("what blocks", async () => /safe, blocked: group slow has not read the oldest entries/.test(await cell(page, "held", "Retention")));
  await until("a run", async () => /safe, ran .* ago\s+\d+ entries removed/.test(await cell(page, "free", "Retention")));
  await page.getByRole("link", { name: "held", exact: true }).click();
  await until("the same in depth", async () => /Over the limit\s+390\s+Blocked by\s+group slow/.test(await page.locator("#detail").innerText()));
  cleanly(page);
});

test("the page shows IDs and types of the last entries if configured, and never their contents", async () => {
  const entry = (type) => `XADD events * event_type "${type}" payload "a-secret"\n`;
  const { redis, sidecar } = await both(entry("Created") + entry("<b>Renamed</b>"), `${QUICK}entries: {last: 5}\n`);
  const page = await browser.open(sidecar, { path: "/#stream=events" });
  const detail = page.locator("#detail");
  await until("the entries", async () => /Last 2 entries\s+ID\s+Type\s+Added\s+\d+-\d+\s+<b>Renamed<\/b>\s+\S+ ago\s+\d+-\d+\s+Created/.test(await detail.innerText()));
  await redis.run(entry("Deleted"));
  await until("the next", async () => /Last 3 entries\s+ID\s+Type\s+Added\s+\d+-\d+\s+Deleted/.test(await detail.innerText()));
  assert.ok(!(await page.content()).includes("a-secret"));
  cleanly(page);
});

test("the page says that Redis refuses writes, although its streams are healthy", async () => {
  const redis = await start(Redis.start());
  await redis.run("XADD orders * a 1\nXGROUP CREATE orders billing $");
  const sidecar = await start(Sidecar.start(redis.port, QUICK));
  const page = await browser.open(sidecar);
  await until("a healthy stream", async () => /Healthy/.test(await row(page, "orders").innerText()));
  assert.equal(await page.locator("#banner").isVisible(), false);
  await redis.run("CONFIG SET maxmemory 100kb");
  await until("the banner", async () => /^Writes refused Redis refuses writes \(OOM\): \d+ MiB are used, over maxmemory/.test(await banner(page)));
  assert.match(await row(page, "orders").innerText(), /Healthy/);
  assert.match(await page.title(), /^Writes refused/);
  assert.match(await banner(page), / Seen since \d\d:\d\d:\d\d \((<1|\d+)s ago\)\.$/);
  assert.match(await page.locator("#healths").innerText(), /^Server\s+Critical\s+Streams\s+All\s+1\s+Critical\s+0\s/);
  const effect = "Server: no entry can be added; groups can still read and acknowledge";
  assert.ok((await row(page, "orders").innerText()).includes(effect));
  const since = /Seen since (\S+)/.exec(await banner(page))[1];
  const { faults: [fault] } = await (await fetch(`${sidecar.origin}/api/v1/streams`)).json();
  assert.ok(Math.abs(Date.now() - fault.seen_since_unix_ms) < 60_000, JSON.stringify(fault));
  const status = await sidecar.status();
  assert.match(status, /^critical {2}server: critical; streams: 1 healthy$/m);
  assert.match(status, /; seen since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \(\d+m?s ago\)/);
  await page.waitForTimeout(1500);
  assert.equal(/Seen since (\S+)/.exec(await banner(page))[1], since, "later readings show the same fault");
  await page.getByRole("link", { name: "orders", exact: true }).click();
  await page.locator("#detail").getByText(effect).waitFor();
  await page.keyboard.press("Escape");
  await redis.run("CONFIG SET maxmemory 0");
  await until("no banner", () => page.locator("#banner").isHidden());
  cleanly(page);
});

test("a rate says over which time it is an average", async () => {
  const { redis, sidecar } = await both("XADD orders * a 1");
  const page = await browser.open(sidecar);
  await redis.run("XADD orders * a 1\n".repeat(50));
  await until("the rate", async () => /^\S+\/s\s+over (1s|\d+ms)/.test(await cell(page, "orders", "In")));
  assert.match(await page.locator("#totals").innerText(), /In, over (1s|\d+ms)/);
  cleanly(page);
});

test("a sentence above the list names the streams that are critical or have a warning", async () => {
  const { sidecar } = await both(STREAMS, `${QUICK}streams: [{match: users, thresholds: {silence: 1ms}}, {match: audit, retention: {max_length: 1}}, {match: "*"}]\n`);
  const page = await browser.open(sidecar);
  const worst = page.locator("#worst");
  await until("the sentence", async () => /^1 critical stream: orders$/m.test(await worst.innerText()));
  assert.doesNotMatch(await worst.innerText(), /audit/, "healthy");
  cleanly(page);
});

test("an age that is unknown has one reason, as text, and a last ID ahead of the clock is a warning that is named above", async () => {
  const { sidecar } = await both("XADD ahead 9000000000000-1 a 1\nXGROUP CREATE ahead slow 0\nXREADGROUP GROUP slow one COUNT 1 STREAMS ahead >\nXADD counter 1-1 a 1\nXGROUP CREATE counter slow 0\nXREADGROUP GROUP slow one COUNT 1 STREAMS counter >", `${QUICK}entries: {last: 5}\n`);
  for (const [stream, why, other] of [["ahead", "its ID is ahead of the server's clock", /not a time/], ["counter", "its ID is not a time", /ahead of/]]) {
    const page = await browser.open(sidecar, { path: `/#stream=${stream}`, width: 380, hasTouch: true });
    const detail = page.locator("#detail");
    await until("the group", async () => /Oldest pending/i.test(await detail.innerText()));
    await detail.getByRole("button", { name: "Show pending entries" }).click();
    await detail.locator(".pending tbody tr").waitFor();
    // Last write, oldest entry, oldest pending, the last entry and the pending one.
    assert.equal(await detail.getByText(why, { exact: true }).count(), 5, await detail.innerText());
    assert.doesNotMatch(await detail.innerText(), other);
    assert.doesNotMatch(await detail.innerText(), /\d{4,}d/, "no age of decades");
    cleanly(page);
  }
  const page = await browser.open(sidecar, { width: 380, hasTouch: true });
  await until("the warning", async () => /^1 stream with a warning: ahead$/m.test(await page.locator("#worst").innerText()));
  assert.match(await cell(page, "ahead", "Oldest entry"), /Unknown: its ID is ahead of the server's clock/);
  cleanly(page);
});

test("the page says when a stream was recreated and a group rewound", async () => {
  const { redis, sidecar } = await both("XADD orders 5-1 a 1\nXADD orders 6-1 a 1\nXGROUP CREATE orders billing $");
  const page = await browser.open(sidecar, { path: "/#stream=orders" });
  const detail = page.locator("#detail");
  await until("the group", async () => /billing/.test(await detail.innerText()));
  assert.doesNotMatch(await detail.innerText(), /noticed at/);
  await redis.run("XGROUP SETID orders billing 5-1");
  const once = /Rewound\s+1 time\s+noticed at \d\d:\d\d:\d\d \((<1|\d+)s ago\)/;
  await until("the rewind", async () => once.test(await detail.locator("article").innerText()));
  await redis.run("DEL orders\nXADD orders 1-1 a 1");
  await until("the new stream", async () => /Recreated\s+1 time\s+noticed at \d\d:\d\d:\d\d/.test(await detail.innerText()));
  assert.match(await sidecar.status("orders"), /^recreated +once, last noticed at \d{4}-\d\d-\d\dT/m);
  cleanly(page);
});

test("the page says since when it is stale while Redis hangs, and is fresh again afterwards", async () => {
  const { redis, sidecar } = await both(STREAMS);
  const page = await browser.open(sidecar);
  await until("the judgement", async () => (await row(page, "orders").innerText()).includes("Critical"));
  redis.signal("SIGSTOP");
  await until("the stale banner", async () => /^Stale Since \d\d:\d\d:\d\d \(.* ago\)\. .*The numbers shown are from \d\d:\d\d:\d\d/.test(await banner(page)));
  await until("nothing known", async () => /Unknown[\s\S]*last read \d+s ago/.test(await row(page, "orders").innerText()));
  assert.match(await page.title(), /^Stale – /);
  assert.equal(await page.locator("body.stale").count(), 1);
  redis.signal("SIGCONT");
  await until("freshness", () => page.locator("#banner").isHidden());
  await until("the judgement again", async () => (await row(page, "users").innerText()).includes("Healthy"));
  cleanly(page);
});

test("the page says that the sidecar is unreachable, and no longer shows its last judgement", async () => {
  const { sidecar } = await both(STREAMS);
  const page = await browser.open(sidecar);
  await until("the judgement", async () => (await row(page, "orders").innerText()).includes("Critical"));
  await sidecar.end();
  await until("the banner", async () => /^Sidecar unreachable This page cannot reach the sidecar since/.test(await banner(page)));
  await until("nothing known", async () => (await row(page, "orders").innerText()).includes("Unknown"));
  cleanly(page);
});

test("an unreachable Redis, an empty one and a disabled sidecar look different", async () => {
  const never = await start(Sidecar.start(await freePort(), QUICK));
  let page = await browser.open(never);
  await until("why", async () => /^Redis never reached .*nothing listens at its address \(refused\)/.test(await banner(page)));
  assert.match(await page.locator("#healths").innerText(), /All\s*–/, "unknown is not zero");
  cleanly(page);

  const { sidecar } = await both("PING");
  page = await browser.open(sidecar);
  await page.getByText("No stream matches the configuration yet.").waitFor();
  cleanly(page);

  const off = await start(Sidecar.start(await freePort(), QUICK, { environment: { STREAMS_ENABLED: "false" } }));
  page = await browser.open(off);
  await until("that", async () => (await banner(page)).startsWith("Disabled"));
  cleanly(page);
});

test("hostile names run nothing, and are shown as they are", async () => {
  const hostile = [
    ["<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"],
    ["'\\\"><script>alert(1)</script>", "'\"><script>alert(1)</script>"],
    ["javascript:alert(1)//#&stream=x%41", "javascript:alert(1)//#&stream=x%41"],
    ["{{constructor.constructor('alert(1)')()}}", "{{constructor.constructor('alert(1)')()}}"],
    ["line\\nbreak\\r\\x00\\x1b[31m", "line\\u{A}break\\u{D}\\u{0}\\u{1B}[31m"],
    ["\\xe2\\x80\\xaegnp.exe", "\\u{202E}gnp.exe"],
    ["bytes \\xff\\xfe", "bytes \\xFF\\xFE"],
    ["../../etc/passwd?a=b", "../../etc/passwd?a=b"],
    ["__proto__", "__proto__"],
    ["\\xd8\\xb9\\xd8\\xb1\\xd8\\xa8\\xd9\\x8a \\xf0\\x9f\\x94\\xa5", "عربي 🔥"],
  ];
  const commands = hostile.flatMap(([key]) => [
    `XADD "${key}" * a 1`, `XGROUP CREATE "${key}" "${key}" 0`, `XREADGROUP GROUP "${key}" "${key}" COUNT 1 STREAMS "${key}" >`,
  ]);
  const { sidecar } = await both(commands.join("\n"));
  const page = await browser.open(sidecar);
  await until("all streams", async () => (await names(page)).length === hostile.length);
  assert.deepEqual((await names(page)).sort(), hostile.map(([, text]) => text).sort());
  for (const [, text] of hostile) {
    await page.locator("#streams tbody th a").getByText(text, { exact: true }).click();
    const detail = page.locator("#detail");
    await detail.getByRole("heading", { name: text, exact: true, level: 2 }).waitFor();
    assert.equal(await detail.locator("article h4").textContent(), text, "the group");
    assert.equal(await detail.locator("article tbody th").textContent(), text, "the consumer");
    await page.keyboard.press("Escape");
    await page.locator("#list").waitFor();
  }
  assert.equal(await page.locator("main img, main script").count(), 0);
  cleanly(page);
});

test("the policy forbids inline scripts, other origins, frames and forms", async () => {
  const { sidecar } = await both(STREAMS);
  const page = await browser.open(sidecar);
  await until("the streams", async () => (await names(page)).length === 3);
  const answer = await fetch(sidecar.origin);
  const policy = answer.headers.get("content-security-policy");
  for (const part of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"]) {
    assert.ok(policy.includes(part), `${part} in ${policy}`);
  }
  assert.ok(!policy.includes("unsafe"));
  assert.equal(answer.headers.get("x-content-type-options"), "nosniff");
  const again = await fetch(sidecar.origin, { headers: { "If-None-Match": answer.headers.get("etag") } });
  assert.equal(again.status, 304);
  cleanly(page);
  // The test does see violations: an inline script is one.
  await page.evaluate(() => document.body.append(Object.assign(document.createElement("script"), { textContent: "window.ran = true" })));
  await until("the violation", () => page.problems.some((it) => it.includes("script-src")));
  assert.equal(await page.evaluate(() => window.ran), undefined);
});

test("a hidden tab sends no requests", async () => {
  const { sidecar } = await both(STREAMS);
  const page = await browser.open(sidecar);
  await until("the streams", async () => (await names(page)).length === 3);
  const hide = (hidden) => page.evaluate((hidden) => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);
  await hide(true);
  let asked = 0;
  page.on("request", () => (asked += 1));
  await page.waitForTimeout(3000);
  assert.ok(asked <= 1, `${asked} requests, where one may have been on its way`);
  await hide(false);
  await until("a request", () => asked > 1);
  cleanly(page);
});

// Asks for the milliseconds that the page's main thread has worked since now.
async function processorTime(page) {
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable", { timeDomain: "threadTicks" });
  const total = async () => {
    const { metrics } = await session.send("Performance.getMetrics");
    return metrics.find((it) => it.name === "TaskDuration").value * 1000;
  };
  const begin = await total();
  return async () => (await total()) - begin;
}

test("1,000 streams are drawn and updated within a bound of processor time", async () => {
  const commands = Array.from({ length: 1000 }, (_, index) => {
    const key = `stream:${String(index).padStart(4, "0")}`;
    return [1, 2, 3].map((group) => `XGROUP CREATE ${key} group-${group} 0 MKSTREAM`).concat(
      `XADD ${key} * a 1`, `XADD ${key} * a 1`, `XREADGROUP GROUP group-1 consumer COUNT 1 STREAMS ${key} >`);
  });
  const { redis, sidecar } = await both(commands.flat().join("\n"), QUICK.replace("500ms", "1s"));
  await until("a poll of all", async () => (await (await fetch(`${sidecar.origin}/api/v1/streams`)).json()).streams.length === 1000);
  const page = await browser.open(sidecar);
  const used = await processorTime(page);
  await page.reload();
  await page.waitForFunction(() => document.querySelectorAll("#streams tbody tr").length === 1000);
  const drawn = await used();
  await page.mouse.wheel(0, 5000);
  await until("the scroll", () => page.evaluate(() => scrollY > 3000));
  let updates = 0;
  page.on("response", (answer) => (updates += answer.status() === 200 && answer.url().endsWith("/api/v1/streams")));
  const before = await used();
  await until("three updates", () => updates >= 3);
  const update = (await used() - before) / updates;
  const scrolled = await page.evaluate(() => scrollY);
  await redis.run("XADD stream:0999 * a 1");
  await page.locator("#filter").evaluate((filter) => {
    filter.value = "stream:0999";
    filter.dispatchEvent(new Event("input"));
  });
  await until("the update", async () => (await cell(page, "stream:0999", "Length")).startsWith("3"));
  console.log(`1,000 streams of 3 groups: ${Math.round(drawn)} ms of processor time until drawn, ${Math.round(update)} ms for an update`);
  assert.ok(drawn < FIRST_DRAWING_MS, `${drawn} ms`);
  assert.ok(update < UPDATE_MS, `${update} ms`);
  assert.ok(scrolled > 3000, "updates leave the scroll position");
  cleanly(page);
});

for (const scheme of ["light", "dark"]) {
  for (const width of [1440, 380]) {
    test(`axe finds nothing: ${scheme}, ${width} pixels wide`, async () => {
      const { redis, sidecar } = await both(STREAMS, `${QUICK}streams: [{match: other}, {match: "*", retention: {max_length: 1, mode: safe}, thresholds: {lag: 5}}]\n`);
      const page = await browser.open(sidecar, { scheme, width, bypassCSP: true });
      await until("the judgement", async () => (await row(page, "orders").innerText()).includes("Critical"));
      await findsNothing(page, redis, "Stale");
    });
  }
}
