// Pending entries on the page, and the commands that may help, in a real browser. Run by `make test-page`.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { Browser, QUICK, Redis, Sidecar, cleanly, endAll, start, until } from "./support.mjs";

let browser;

before(async () => (browser = await Browser.start()));
after(() => browser.end());
afterEach(async () => {
  for (const context of browser.inner.contexts()) await context.close();
  await endAll();
});

// 25 pending entries of the group "a b", of which the second is poison and the third is gone, and a stuck consumer.
const STUCK = `
XGROUP CREATE "it's" "a b" 0 MKSTREAM
${Array.from({ length: 25 }, (_, index) => `XADD "it's" ${index + 1}-0 field a-secret`).join("\n")}
XREADGROUP GROUP "a b" worker COUNT 25 STREAMS "it's" >
XCLAIM "it's" "a b" worker 0 2-0 IDLE 3600000 RETRYCOUNT 9
XDEL "it's" 3-0
`;

async function open(settings = QUICK) {
  const redis = await start(Redis.start());
  await redis.run(STUCK);
  const sidecar = await start(Sidecar.start(redis.port, settings));
  const page = await browser.open(sidecar, { path: "/#stream=it%27s" });
  const asked = [];
  page.on("request", (request) => request.url().includes("/pending") && asked.push(request.url()));
  const group = page.locator("#detail article");
  await group.getByText("Delivered too often").waitFor();
  return { redis, sidecar, page, asked, group };
}

test("pending entries are listed page by page when the reader asks for them, and not before", async () => {
  const { redis, page, asked, group } = await open();
  const rows = group.locator(".pending tbody tr");
  assert.deepEqual(asked, []);
  await group.getByRole("button", { name: "Show pending entries" }).click();
  await until("a page", async () => (await rows.count()) === 20);
  assert.match(await group.locator(".pending").innerText(), /^25 pending entries at \d\d:\d\d:\d\d/);
  assert.match(await rows.nth(1).innerText(), /^2-0\s.*\s1h ago\s+9\s+worker\s+exists$/s);
  assert.match(await rows.nth(2).innerText(), /^3-0\s.*gone$/s);
  await group.getByRole("button", { name: "Next page" }).click();
  await until("the rest", async () => (await rows.count()) === 5);
  await group.getByRole("button", { name: "First page" }).click();
  await until("the first page", async () => (await rows.count()) === 20);
  assert.equal(asked.length, 3, asked.join());
  await redis.end();
  await group.getByRole("button", { name: "Ask again" }).click();
  await group.locator(".pending").getByText("No answer: cannot read the stream").waitFor();
  assert.ok(!(await page.content()).includes("a-secret"));
  // The browser reports each answer that is an error.
  assert.deepEqual(page.problems.filter((it) => !it.includes("status of 502")), []);
});

test("on a narrow screen each pending entry is a card with all of its values in view", async () => {
  const { page, group } = await open();
  await page.setViewportSize({ width: 380, height: 800 });
  await group.getByRole("button", { name: "Show pending entries" }).click();
  const entry = group.locator(".pending tbody tr").nth(1);
  assert.match(await entry.innerText(), /^2-0\s+– its ID is not a time\s+1h ago\s+9\s+worker\s+exists$/);
  // The style shows them: what they are is no text of the document.
  const shown = (cells) => cells.map((cell) => getComputedStyle(cell, "::before").content);
  assert.deepEqual(await entry.locator("td").evaluateAll(shown), ["Added", "Last delivered", "Deliveries", "Consumer", "Entry"].map((it) => `"${it}"`));
  for (const value of await entry.locator("th, td").all()) {
    const { x, width } = await value.boundingBox();
    assert.ok(x >= 0 && x + width <= 380, `${await value.innerText()}: ${x} to ${x + width}`);
  }
  assert.equal(await group.locator(".pending .scroll").evaluate((it) => it.scrollWidth - it.clientWidth), 0, "nothing is cut");
  cleanly(page);
});

test("the command that may help is quoted for a shell, and can be copied", async () => {
  const { page, group } = await open();
  const command = "streamwarden dead-letter --deliveries 5 --idle 10m --dry-run 'it'\\''s' 'a b'";
  await group.getByText(command, { exact: true }).waitFor();
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await group.locator(".help li").filter({ hasText: "dead-letter" }).getByRole("button", { name: "Copy" }).click();
  await group.getByRole("button", { name: "Copied" }).waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), command);
  await page.locator("#language-button").click();
  await group.getByRole("button", { name: "已复制" }).waitFor();
  await group.getByText("将反复投递的条目移出：").waitFor();
  cleanly(page);
});
