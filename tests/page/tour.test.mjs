// The demo's tours, as at a terminal: each step is seen on the page, and every line that the demo suggests works when it is
// pasted at once into another shell. Run by `make test-page`.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { Browser, Demo, cleanly, suggested, until } from "./support.mjs";

// The step's stream, its health on the page, and what the page and the suggested command have to show.
const STEPS = [
  { stream: "events:user", health: "Critical", page: /Stopped/, terminal: /stopped +nexus-user-consumers/ },
  { stream: "events:project", health: "Critical", page: /Trimmed past[\s\S]*Lost unread\s*[1-9]/, terminal: /trimmed_past +nightly-report/ },
  { stream: "events:simulation", health: "Warning", page: /Delivered too often\s*1 entry/, terminal: /lagging +nexus-simulation-consumers[\s\S]*poison/ },
  { stream: "events:session", health: "Critical", page: /Blocked by\s*group audit/, terminal: /blocked +group audit[\s\S]*no_consumers +audit/ },
];

let browser;
before(async () => (browser = await Browser.start()));
after(() => browser.end());

// As in a new terminal: from another folder, without the demo's environment. Gives what it printed.
async function paste(line) {
  const options = { cwd: "/", env: { PATH: process.env.PATH }, timeout: 60_000 };
  const { stdout, stderr } = await promisify(execFile)("bash", ["-c", line], options).catch((error) => error);
  assert.ok(stdout.trim(), `${line} printed nothing${stderr ? `, and ${stderr}` : ""}`);
  return stdout;
}

// Each line that the demo suggests at its end.
async function tryMore(text, count) {
  const more = text.split("\n").filter((line) => line.startsWith("    ")).map((line) => line.trim());
  assert.equal(more.length, count);
  for (const line of more) {
    // The live view needs a terminal; it draws itself until somebody ends it.
    await paste(line.includes("--watch") ? `timeout 3 script -qec ${JSON.stringify(line)} /dev/null` : line);
  }
}

test("each step of the tour is red on the page, and what the demo suggests works at once", async () => {
  const demo = Demo.start("--tour", "enter");
  try {
    const intro = await demo.upTo("Ctrl-C stops everything");
    const address = suggested(intro, "Page");
    const logs = suggested(intro, "Logs");
    assert.match(await paste(suggested(intro, "Terminal")), /^healthy/);
    const page = await browser.open({ origin: new URL(address).origin });
    for (const { stream, health, page: shows, terminal } of STEPS) {
      const text = await demo.upTo("Press Enter to repair it and go on.");
      assert.match(await paste(suggested(text, "Terminal")), terminal);
      await page.goto(suggested(text, "Page"));
      const detail = page.locator("#detail");
      await detail.getByRole("heading", { name: stream, exact: true }).waitFor();
      await until(health, async () => (await detail.locator("> .title .badge").innerText()) === health);
      await until(String(shows), async () => shows.test(await detail.innerText()));
      // It waits for Enter, however long that takes: longer than one of its own waits.
      await new Promise((done) => setTimeout(done, 2500));
      assert.doesNotMatch(demo.output, /Repaired/);
      demo.enter();
      await demo.upTo("Repaired: all streams are healthy.");
    }
    await tryMore(await demo.upTo("The last one stops Redis"), 4);
    cleanly(page);
    assert.ok(existsSync(logs));
    assert.equal(await demo.interrupt(), 0);
    assert.ok(!existsSync(logs), "nothing is left");
  } finally {
    await demo.interrupt().catch(() => {});
  }
});

test("the page follows slots that move, and a replica that takes over, in the cluster's tour", async () => {
  const demo = Demo.start("--cluster", "--tour", "enter");
  try {
    const intro = await demo.upTo("Ctrl-C stops everything");
    const logs = suggested(intro, "Logs");
    const page = await browser.open({ origin: new URL(suggested(intro, "Page")).origin });
    await page.getByText("Cluster of 3 primaries").waitFor();
    const detail = page.locator("#detail");
    // The node of the stream once it is healthy on another one than before.
    const nextNode = async (address, before) => {
      await page.goto(address);
      return until("a healthy stream on another node", async () => {
        const node = /127\.0\.0\.1:\d+/.exec(await detail.innerText())?.[0];
        return node !== before && (await detail.locator("> .title .badge").innerText()) === "Healthy" && node;
      });
    };
    const began = await nextNode(`${suggested(intro, "Page")}#stream=events%3Auser`);
    const moved = await demo.upTo("Press Enter to go on.");
    const [, node] = /^ +(127\.0\.0\.1:\d+)$/m.exec(moved);
    assert.match(await paste(suggested(moved, "Terminal")), new RegExp(`^health +healthy[\\s\\S]*^node +${node}$`, "m"));
    assert.equal(await nextNode(suggested(moved, "Page"), began), node);
    demo.enter();
    const died = await demo.upTo("Press Enter to repair it and go on.");
    assert.match(died, /unknown: it could not be read: unreachable/);
    await nextNode(suggested(died, "Page"), node);
    demo.enter();
    await demo.upTo("Repaired: all streams are healthy.");
    const refused = await demo.upTo("Press Enter to repair it and go on.");
    assert.match(refused, /the last poll failed: clusterdown/);
    demo.enter();
    await demo.upTo("That was the tour");
    await tryMore(await demo.upTo("The last two"), 4);
    cleanly(page);
    assert.equal(await demo.interrupt(), 0);
    assert.ok(!existsSync(logs), "nothing is left");
  } finally {
    await demo.interrupt().catch(() => {});
  }
});
