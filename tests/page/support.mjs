// What the tests of the page need: a Redis, the built sidecar, an application and a browser of their own, on free ports.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

export const built = resolve(process.env.STREAMWARDEN_TEST_PROGRAM ?? "target/release/streamwarden");
export const nexus = resolve(process.env.STREAMWARDEN_TEST_NEXUS ?? "target/debug/nexus");
export const modules = resolve(process.env.STREAMWARDEN_PAGE_MODULES ?? "target/page");
const require = createRequire(resolve(modules, "x.js"));
const { chromium } = require("playwright-core");
export const axePath = require.resolve("axe-core/axe.min.js");

// Intervals that leave a test no time to wait.
export const QUICK = "poll: {interval: 500ms, discovery_interval: 1s, stale_after: 3s}\nstatus: {window: 5s, stopped_after: 2s}\nretention: {interval: 1s}\n";

const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

// Waits until `check` returns something true, and returns it.
export async function until(what, check, seconds = 20) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const result = await check();
    if (result) return result;
    if (Date.now() > end) throw new Error(`gave up waiting for ${what}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

class Process {
  constructor(program, args, options) {
    this.output = "";
    this.child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
    for (const stream of [this.child.stdout, this.child.stderr]) stream.on("data", (data) => (this.output += data));
    this.child.on("error", (error) => (this.output += error));
  }

  signal(signal) {
    this.child.kill(signal);
  }

  async end() {
    if (this.child.exitCode !== null || this.child.signalCode !== null || this.child.pid === undefined) return;
    const ended = once(this.child, "exit");
    this.child.kill("SIGCONT");
    this.child.kill("SIGKILL");
    await ended;
  }
}

const started = [];

// Registers a process that ends with the test.
export async function start(promise) {
  const process = await promise;
  started.push(process);
  return process;
}

export async function endAll() {
  for (const process of started.splice(0).reverse()) await process.end();
}

export class Redis extends Process {
  static async start(port) {
    const chosen = port ?? (await freePort());
    const redis = new Redis("redis-server", ["--port", String(chosen), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    redis.port = chosen;
    await until("Redis", () => redis.output.includes("Ready to accept connections"));
    return redis;
  }

  // Runs commands, one a line, with redis-cli's quoting: "\xff" is a byte.
  async run(commands) {
    const client = spawn("redis-cli", ["-p", String(this.port)], { stdio: ["pipe", "pipe", "inherit"] });
    let replies = "";
    client.stdout.on("data", (data) => (replies += data));
    client.stdin.end(`${commands.trim()}\n`);
    await once(client, "close");
    if (/^(ERR|WRONGTYPE|NOGROUP|Invalid)/m.test(replies)) throw new Error(replies);
    return replies;
  }
}

export class Sidecar extends Process {
  static async start(redisPort, settings = "", { environment = {}, http = "" } = {}) {
    const port = await freePort();
    const folder = mkdtempSync(join(tmpdir(), "streamwarden-page-"));
    const file = join(folder, "config.yaml");
    writeFileSync(file, `redis: {uri: "redis://127.0.0.1:${redisPort}"}\nhttp: {listen: "127.0.0.1:${port}"${http}}\n${settings}`);
    const env = { PATH: process.env.PATH, ...environment };
    const sidecar = new Sidecar(built, ["--config", file], { env });
    Object.assign(sidecar, { folder, port, origin: `http://127.0.0.1:${port}` });
    await until("the sidecar", async () => {
      if (sidecar.child.exitCode !== null) throw new Error(sidecar.output);
      return (await fetch(`${sidecar.origin}/readyz`).catch(() => null))?.ok;
    });
    return sidecar;
  }

  // The output of `streamwarden status`, whatever its exit code.
  async status(...streams) {
    const { stdout } = await promisify(execFile)(built, ["status", "--url", this.origin, ...streams]).catch((error) => error);
    return stdout;
  }

  async end() {
    await super.end();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

// The example application.
export class Nexus extends Process {
  static start(redis, ...flags) {
    if (!existsSync(nexus)) throw new Error(`${nexus} is not there: cargo build --package nexus`);
    return new Nexus(nexus, flags, { env: { REDIS_URI: `redis://127.0.0.1:${redis.port}` } });
  }
}

const DEMO = new URL("../../examples/demo.sh", import.meta.url).pathname;

// The demo with its tour, as at a terminal.
export class Demo {
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

// A line that the demo suggests.
export const suggested = (text, label) => new RegExp(`^ +${label} +(.*)$`, "m").exec(text)[1];

// A browser whose pages record what they must not do.
export class Browser {
  static async start() {
    const browser = new Browser();
    const path = process.env.STREAMWARDEN_BROWSER ?? "/usr/bin/chromium";
    browser.inner = await chromium.launch({ executablePath: path, headless: true, args: FLAGS });
    return browser;
  }

  // A page of the sidecar. `problems` collects errors, violations of the policy, and requests that leave the origin.
  async open(sidecar, { path = "/", width = 1440, height = 900, scheme = "light", ...rest } = {}) {
    const context = await this.inner.newContext({ viewport: { width, height }, colorScheme: scheme, ...rest });
    const page = await context.newPage();
    page.problems = [];
    page.on("pageerror", (error) => page.problems.push(`error: ${error.message}`));
    page.on("dialog", (dialog) => {
      page.problems.push(`dialog: ${dialog.message()}`);
      dialog.dismiss();
    });
    page.on("console", (message) => {
      const isRefused = message.text().startsWith("Failed to load resource: net::");
      if (["error", "warning"].includes(message.type()) && !isRefused) page.problems.push(`console: ${message.text()}`);
    });
    page.on("request", (request) => {
      const { origin } = new URL(request.url());
      if (origin !== sidecar.origin) page.problems.push(`left the origin: ${request.url()}`);
      if (!["GET", "HEAD"].includes(request.method())) page.problems.push(`${request.method()} ${request.url()}`);
    });
    await page.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
    });
    await page.goto(sidecar.origin + path);
    return page;
  }

  async end() {
    await this.inner.close();
  }
}

export const row = (page, name) => page.locator("#streams tbody tr").filter({ has: page.getByRole("link", { name, exact: true }) });
export const cell = (page, name, label) => row(page, name).locator(`td[data-label="${label}"]`).innerText();
export const cleanly = (page) => assert.deepEqual(page.problems, []);

// Whether axe finds a fault in any view of the page, `orders` among its streams. The page was opened with `bypassCSP`, since
// axe is injected as a script, which the policy forbids.
export async function findsNothing(page, redis, stale) {
  await page.addScriptTag({ path: axePath });
  const clean = async (where) => {
    const { violations } = await page.evaluate(() => window.axe.run());
    assert.deepEqual(violations.map((it) => `${where}: ${it.id}: ${it.nodes.map((node) => node.html).join(" ")}`), []);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(wide <= 0, `${where}: ${wide} pixels wider than the window`);
  };
  await clean("list");
  await page.keyboard.press("?");
  await clean("help");
  await page.keyboard.press("Escape");
  await page.getByRole("link", { name: "orders", exact: true }).click();
  await page.locator("#detail article").waitFor();
  await clean("detail");
  redis.signal("SIGSTOP");
  await until("the stale banner", async () => (await page.locator("#banner").innerText()).startsWith(stale));
  await clean("stale detail");
  await page.keyboard.press("Escape");
  await page.locator("#list").waitFor();
  await clean("stale list");
  cleanly(page);
}
