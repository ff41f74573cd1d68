// Each status of a group, caused on a real Redis under an application's traffic, and its end: on pages that are never
// reloaded, and the same in the metrics, the JSON and the terminal. Run by `make test-page`.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { Browser, Nexus, Redis, Sidecar, cell, cleanly, endAll, row, start, until } from "./support.mjs";

const STREAM = "events:user";
const GROUP = "nexus-user-consumers";
// A trim or a rewind is reported for a window, which must be long enough for pages that fetch every second.
const WINDOW = "status: {window: 4s, stopped_after: 2s}";
const HEALTHS = { ok: "healthy", rewound: "warning", lagging: "warning", unknown: "unknown" };
const SILENT = /\d+ entries wait.*; all of its 2 consumers have been idle for at least \d+s/;
const WELL = /^nothing waits$|; consumers are making progress$|^its group is ok$/;

let browser, redis, publisher, watched, consumers;

before(async () => {
  browser = await Browser.start();
  redis = await start(Redis.start());
  publisher = await start(Nexus.start(redis, "--consumers", "0", "--rate", "200"));
  watched = await watch(WINDOW);
});
afterEach(async () => {
  await consumers?.end();
  publisher.signal("SIGCONT");
  cleanly(watched.list);
  cleanly(watched.detail);
});
after(async () => {
  await browser.end();
  await endAll();
});

// A sidecar with two pages: the list, and one stream.
async function watch(settings) {
  const quick = "poll: {interval: 250ms, discovery_interval: 1s, stale_after: 5s}\n";
  const rules = `streams: [{match: "${STREAM}", groups: [${GROUP}]}, {match: "*"}]`;
  const sidecar = await start(Sidecar.start(redis.port, `${quick}${settings}\n${rules}`));
  const [list, detail] = [await browser.open(sidecar), await browser.open(sidecar)];
  await detail.getByRole("link", { name: STREAM, exact: true }).click();
  return { sidecar, list, detail };
}

async function consume(...flags) {
  await consumers?.end();
  consumers = await start(Nexus.start(redis, "--rate", "0", ...flags));
}

async function working() {
  await consume();
  await seen("ok", WELL);
}

// What each view shows: the stream's health, its group's status, and why.
const VIEWS = {
  async list({ list }) {
    return { health: lower(await cell(list, STREAM, "Health")), reason: await row(list, STREAM).locator(".reason").innerText() };
  },
  async detail({ detail }) {
    const [head, group] = [detail.locator("#detail > .title"), detail.locator("#detail article")];
    const [health, status] = [await head.locator(".badge").innerText(), await group.locator(".badge").innerText()];
    return { health: lower(health), status: lower(status), reason: await group.locator(".reason").innerText() };
  },
  async metrics({ sidecar }) {
    const lines = (await (await fetch(`${sidecar.origin}/metrics`)).text()).split("\n");
    const held = (family) => lines.filter((line) => line.startsWith(`${family}{`) && line.includes(`stream="${STREAM}"`) && line.endsWith(" 1"));
    const status = (family) => held(family).map((line) => /status="(\w+)"/.exec(line)[1]).join();
    return { health: status("streamwarden_stream_health"), status: status("streamwarden_group_status") };
  },
  async json({ sidecar }) {
    const stream = await document(sidecar);
    return { health: stream.health, status: stream.groups[0].status, reason: stream.groups[0].reason };
  },
  async terminal({ sidecar }) {
    const lines = (await sidecar.status()).split("\n");
    const [[health], [status, , ...rest]] = [STREAM, GROUP].map((name) => lines.map((line) => line.trim().split(/\s+/)).find((words) => words[1] === name) ?? []);
    return { health, status, ...(status !== "ok" && { reason: rest.join(" ") }) };
  },
};

const document = async (sidecar) => (await (await fetch(`${sidecar.origin}/api/v1/streams/${encodeURIComponent(STREAM)}`)).json()).stream;
const group = async () => (await document(watched.sidecar)).groups[0];
const lower = (words) => words.toLowerCase().replaceAll(" ", "_");

// Waits until all views show the same status and reason.
async function seen(status, reason, of = watched) {
  const wanted = { health: HEALTHS[status] ?? "critical", status };
  const isSo = (view) => Object.entries(view).every(([what, said]) => (what === "reason" ? reason.test(said) : said === wanted[what]));
  let all;
  const agree = async () => {
    const views = Object.entries(VIEWS).map(async ([name, view]) => [name, await view(of)]);
    all = Object.fromEntries(await Promise.all(views));
    return Object.values(all).every(isSo);
  };
  await until(status, agree).catch((error) => {
    throw new Error(`${error.message} in ${JSON.stringify(all)}`);
  });
}

test("a working group is ok, and so is an idle one", async () => {
  await working();
  publisher.signal("SIGSTOP");
  await seen("ok", /^nothing waits$|^its group is ok$/);
});

test("a deleted group is missing", async () => {
  await working();
  consumers.signal("SIGSTOP");
  await redis.run(`XGROUP DESTROY ${STREAM} ${GROUP}`);
  await seen("missing", /the configuration expects it, but it has been missing for \d+/);
  consumers.signal("SIGCONT");
  await seen("ok", WELL);
});

test("a group whose consumers hang is stopped, and trimmed past once undelivered entries are removed", async () => {
  await working();
  consumers.signal("SIGSTOP");
  await seen("stopped", SILENT);
  await redis.run(`XTRIM ${STREAM} MAXLEN 5`);
  await seen("trimmed_past", /\d+ entries were removed before they were delivered to the group, the last \d+m?s ago/);
  consumers.signal("SIGCONT");
  await seen("ok", WELL);
});

test("a group whose position is set back is rewound", async () => {
  await working();
  // A poll must come before it has caught up again. Reads that block are still answered, from the new position.
  consumers.signal("SIGSTOP");
  const { rewinds } = await group();
  await redis.run(`XGROUP SETID ${STREAM} ${GROUP} 0`);
  await until("a poll", async () => (await group()).rewinds > rewinds);
  // Consumers that stay away would be worse: stopped.
  consumers.signal("SIGCONT");
  await seen("rewound", /its position went back from \d{13}-\d+ to (0-0|\d{13}-\d+), \d+m?s ago/);
  await seen("ok", WELL);
});

test("a group whose consumers were deleted has no consumers", async () => {
  await working();
  await consumers.end();
  await redis.run(`XGROUP DELCONSUMER ${STREAM} ${GROUP} user-1\nXGROUP DELCONSUMER ${STREAM} ${GROUP} user-2`);
  await seen("no_consumers", /\d+ entries wait, but the group has no consumer/);
  await consume();
  await seen("ok", WELL);
});

test("a group whose consumers stop reading is stopped, and no other group is", async () => {
  await working();
  await consume("--stop", GROUP, "--after", "0s");
  await seen("stopped", SILENT);
  const critical = watched.list.locator("#streams tbody tr.critical th a");
  await until("no other", async () => (await critical.allTextContents()).join() === STREAM);
  await consume();
  await seen("ok", WELL);
});

test("a group whose consumers read and acknowledge nothing is stalled", async () => {
  await working();
  await consume("--failures", "1");
  await until("entries that failed", async () => (await group()).pending > 20);
  publisher.signal("SIGSTOP");
  // A consumer that waits for new entries counts as idle until one arrives.
  await seen("stalled", /\d+ entries are pending; (one of its 2 consumers sent a request .* ago, but nothing was delivered or acknowledged|all of its 2 consumers have been idle) for (at least )?\d+s/);
  await consume();
  await seen("ok", WELL);
});

test("a group that slowly falls behind is lagging, in spite of dips", async () => {
  await working();
  await consumers.end();
  const end = fallBehind();
  try {
    await seen("lagging", /\d+ entries wait.*; within 4s the backlog grew from \d+ \(median of the first third\) to \d+ \(/);
  } finally {
    end();
  }
  const { history } = await group();
  assert.ok(history.lag.some((lag, index) => lag < history.lag[index - 1]), `no dip in ${history.lag}`);
  await consume();
  await seen("ok", WELL);
});

// Replaces the application's consumers: reads less than is added, and now and then more.
function fallBehind() {
  let rounds = 0;
  const timer = setInterval(() => {
    rounds += 1;
    return redis.run(`XREADGROUP GROUP ${GROUP} user-1 COUNT ${rounds % 6 === 0 ? 28 : 2} NOACK STREAMS ${STREAM} >`);
  }, 300);
  return () => clearInterval(timer);
}

test("a group with an entry that keeps failing is lagging", async () => {
  await working();
  const id = (await redis.run(`XADD ${STREAM} * event_type UserRegistered payload {`)).trim();
  await until("its first failure", async () => (await redis.run(`XPENDING ${STREAM} ${GROUP} - + 10`)).includes(id));
  await redis.run(`XCLAIM ${STREAM} ${GROUP} user-1 0 ${id}\n`.repeat(4));
  await seen("lagging", /1 pending entry was delivered 5 times or more/);
  await redis.run(`XACK ${STREAM} ${GROUP} ${id}`);
  await seen("ok", WELL);
});

test("a group is unknown until it has been watched for long enough or makes progress", async () => {
  await working();
  await consumers.end();
  const patient = await watch("status: {window: 1h, stopped_after: 1h}");
  await seen("unknown", /\d+ entries wait.*; watched for only \d+m?s of 1h/, patient);
  await consume();
  await seen("ok", WELL, patient);
  cleanly(patient.list);
  cleanly(patient.detail);
});
