// Pictures of the page and of the terminal at each step of the demo's tour, for people to look at. Nothing compares them.
//
//   node tests/page/screenshots.mjs DIR    with the variables of `make screenshots`

import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Browser, Demo, suggested, until } from "./support.mjs";

const [, , folder] = process.argv;
if (!folder) throw new Error("usage: screenshots.mjs DIR");
mkdirSync(folder, { recursive: true });

const STEPS = ["consumer-stops", "careless-trim", "poison", "blocked-retention"];
const LOOKS = [["en-US", "light", 1440], ["en-US", "dark", 1440], ["zh-CN", "light", 1440], ["zh-CN", "dark", 1440], ["en-US", "light", 380], ["zh-CN", "light", 380], ["zh-CN", "dark", 380], ["en-US", "dark", 380]];
const COLUMNS = [80, 140];

// As a terminal of this width shows it, without colours.
function terminal(line, columns) {
  const command = `stty cols ${columns} rows 60; NO_COLOR=1 ${line}`;
  try {
    return execFileSync("script", ["-qec", command, "/dev/null"], { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  } catch (error) {
    // The exit code is the health.
    return error.stdout;
  }
}

// The pictures of the documentation: the top of the list.
async function ofDocumentation(browser, text) {
  const { origin } = new URL(suggested(text, "Page"));
  for (const locale of ["en-US", "zh-CN"]) {
    const page = await browser.open({ origin }, { locale, scheme: "light", width: 1280, height: 510 });
    await page.goto(origin);
    await page.locator("#streams tbody tr").first().waitFor();
    await page.screenshot({ path: join(folder, `page-${locale.slice(0, 2)}.png`) });
    await page.context().close();
  }
}

async function pictures(browser, name, text) {
  const address = new URL(suggested(text, "Page"));
  const line = suggested(text, "Terminal");
  const list = line.replace(/ events:\S+/, "");
  for (const columns of COLUMNS) {
    for (const [what, command] of [["list", list], ["stream", line]]) {
      writeFileSync(join(folder, `${name}-terminal-${what}-${columns}.txt`), terminal(command, columns).replaceAll("\r", ""));
    }
  }
  for (const [locale, scheme, width] of LOOKS) {
    const page = await browser.open({ origin: address.origin }, { locale, scheme, width, height: 900 });
    for (const [what, hash] of [["list", ""], ["stream", address.hash]]) {
      await page.goto(address.origin + "/" + hash);
      await page.locator(hash ? "#detail .groups article" : "#streams tbody tr").first().waitFor();
      await page.screenshot({ path: join(folder, `${name}-${what}-${locale.slice(0, 2)}-${scheme}-${width}.png`), fullPage: true });
    }
    await page.context().close();
  }
}

const demo = Demo.start("--tour", "enter");
const browser = await Browser.start();
try {
  await demo.upTo("Ctrl-C stops everything");
  for (const [index, step] of STEPS.entries()) {
    const text = await demo.upTo("Press Enter to repair it and go on.");
    await pictures(browser, `${index + 1}-${step}`, text);
    if (index === STEPS.length - 1) await ofDocumentation(browser, text);
    demo.enter();
    await demo.upTo("Repaired: all streams are healthy.");
  }
  console.log(`pictures and terminals are in ${folder}`);
} finally {
  await browser.end();
  await demo.interrupt().catch(() => {});
}
