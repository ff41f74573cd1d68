// The demo's tour, as at a terminal: each step is red on the page, and every line that the demo suggests works when it is
// pasted at once into another shell. Run by `make test-page`.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { Browser, built, cleanly, nexus, until } from "./support.mjs";

const DEMO = new URL("../../examples/demo.sh", import.meta.url).pathname;
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

class Demo {
  static start(...flags) {
    const demo = new Demo();
    demo.output = "";
    // In a group of its own, which a terminal's Ctrl-C would reach.
    demo.child = spawn(DEMO, [...flags, built, nexus], { detached: true });
    for (const stream of [demo.child.stdout, demo.child.stderr]) stream.on("data", (data) => (demo.output += data));
    return demo;
  }

  // Waits for a text that has not been returned yet, and returns what comes before.
  async upTo(text) {
    await until(text, () => {
      assert.equal(this.child.exitCode, null, this.output);
      return this.output.includes(text);
    }, 120);
    const end = this.output.indexOf(text) + text.length;
    const before = this.output.slice(0, end);
    this.output = this.output.slice(end);
    return before;
  }

  enter() {
    this.child.stdin.write("\n");
  }

  async interrupt() {
    process.kill(-this.child.pid, "SIGINT");
    if (this.child.exitCode === null) await once(this.child, "exit");
    return this.child.exitCode;
  }
}

const suggested = (text, label) => new RegExp(`^ +${label} +(.*)$`, "m").exec(text)[1];

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
      demo.enter();
      await demo.upTo("Repaired: all streams are healthy.");
    }
    const more = (await demo.upTo("The last one stops Redis")).split("\n").filter((line) => line.startsWith("    "));
    assert.equal(more.length, 4);
    for (const line of more.map((line) => line.trim())) {
      // The live view needs a terminal; it draws itself until somebody ends it.
      await paste(line.includes("--watch") ? `timeout 3 script -qec ${JSON.stringify(line)} /dev/null` : line);
    }
    cleanly(page);
    assert.ok(existsSync(logs));
    assert.equal(await demo.interrupt(), 0);
    assert.ok(!existsSync(logs), "nothing is left");
  } finally {
    await demo.interrupt().catch(() => {});
  }
});
