// What the tests of the page run on: a Redis, the built sidecar, an application and a browser of their own, on ports that
// the system chose.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

const built = resolve(process.env.STREAMWARDEN_TEST_PROGRAM ?? "target/release/streamwarden");
const nexus = resolve(process.env.STREAMWARDEN_TEST_NEXUS ?? "target/debug/nexus");
const require = createRequire(resolve(process.env.STREAMWARDEN_PAGE_MODULES ?? "target/page", "x.js"));
const { chromium } = require("playwright-core");
export const axePath = require.resolve("axe-core/axe.min.js");

const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

// Until `check` gives something true, which is returned.
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

// Notes what is to end with the test.
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
  static async start(redisPort, settings = "", environment = {}) {
    const port = await freePort();
    const folder = mkdtempSync(join(tmpdir(), "streamwarden-page-"));
    const file = join(folder, "config.yaml");
    writeFileSync(file, `redis: {uri: "redis://127.0.0.1:${redisPort}"}\nhttp: {listen: "127.0.0.1:${port}"}\n${settings}`);
    const env = { PATH: process.env.PATH, ...environment };
    const sidecar = new Sidecar(built, ["--config", file], { env });
    Object.assign(sidecar, { folder, port, origin: `http://127.0.0.1:${port}` });
    await until("the sidecar", async () => {
      if (sidecar.child.exitCode !== null) throw new Error(sidecar.output);
      return (await fetch(`${sidecar.origin}/readyz`).catch(() => null))?.ok;
    });
    return sidecar;
  }

  // What the terminal says of its streams; the exit code tells how they fare.
  async status() {
    const { stdout } = await promisify(execFile)(built, ["status", "--url", this.origin]).catch((error) => error);
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

// A browser, and what its pages did that they must not.
export class Browser {
  static async start() {
    const browser = new Browser();
    const path = process.env.STREAMWARDEN_BROWSER ?? "/usr/bin/chromium";
    browser.inner = await chromium.launch({ executablePath: path, headless: true, args: FLAGS });
    return browser;
  }

  // A page of the sidecar. `problems` gathers errors, violations of the policy, and requests that leave the origin.
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
