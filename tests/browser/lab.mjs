// A server with a fresh data folder and a browser, for the scenario tests in this folder.
// KINDLING is the path of the program and CHROMIUM that of the browser; both have defaults.

import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const program = process.env.KINDLING ?? fileURLToPath(new URL("../../target/release/kindling", import.meta.url));
/** How long a condition is waited for, ms. */
const UNTIL_MS = 240_000;
const browserPlaces = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** Starts a server with a fresh data folder and further arguments; `link` signs in once. */
export async function openLab(...flags) {
  if (!existsSync(program)) {
    throw new Error(`${program} is not there: build it first with \`cargo build --release --bin kindling\``);
  }
  const folder = mkdtempSync(join(tmpdir(), "kindling-browser-test-"));
  const data = join(folder, "lab");
  const server = spawn(program, ["serve", "--data", data, "--listen", "127.0.0.1:0", ...flags], { stdio: ["ignore", "pipe", "pipe"] });
  let log = "";
  server.stderr.on("data", (part) => (log += part));
  const line = await new Promise((resolve, reject) => {
    createInterface({ input: server.stdout }).once("line", resolve);
    server.once("exit", (code) => reject(new Error(`the server ended with ${code}: ${log}`)));
  });
  const link = line.match(/http:\S+/)[0];
  return new Lab(folder, data, server, link, () => log);
}

class Lab {
  constructor(folder, data, server, link, log) {
    Object.assign(this, { folder, data, server, link, log });
    this.url = new URL(link).origin;
    this.tokens = new Map();
  }

  /** A sign-in link or a token with a role, created on the command line. */
  token(role, ...flags) {
    const created = spawnSync(program, ["token", "--role", role, "--name", role, "--data", this.data, ...flags], { encoding: "utf8" });
    if (created.status !== 0) throw new Error(created.stderr);
    return created.stdout.trim();
  }

  /** Sends a request to the API. */
  async api(path, options = {}, role = "admin") {
    if (!this.tokens.has(role)) this.tokens.set(role, this.token(role));
    const headers = { authorization: `Bearer ${this.tokens.get(role)}`, "content-type": "application/json" };
    const { body, ...others } = options;
    const sent = { headers, ...others, ...(body && { body: typeof body === "string" ? body : JSON.stringify(body) }) };
    const answer = await fetch(`${this.url}/api/v1${path}`, sent);
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${text}`);
    return text ? JSON.parse(text) : null;
  }

  /** Calls `look` until it returns something. The limit is one for all: a machine may be slow and busy. */
  async until(what, look) {
    const end = Date.now() + UNTIL_MS;
    for (;;) {
      const found = await look();
      if (found) return found;
      if (Date.now() > end) throw new Error(`waited ${UNTIL_MS / 1000} s for ${what}\n${this.log()}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Waits for the generated dataset and for a device. */
  async ready() {
    const has = (list, id) => list.find((item) => item.id === id);
    await this.until("Tales", async () => has(await this.api("/corpora"), "tales"));
    await this.until("a device", async () => (await this.api("/devices")).find((device) => device.is_connected));
  }

  /** Ends the server, and then the workers, which would continue to train. */
  close() {
    this.server.kill("SIGKILL");
    for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
      if (commandLine(pid).includes(this.data)) process.kill(Number(pid), "SIGKILL");
    }
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

function commandLine(pid) {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch {
    return [];
  }
}

/** A browser without background requests. */
export function openBrowser() {
  const executablePath = process.env.CHROMIUM ?? browserPlaces.find(existsSync);
  const args = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"];
  return chromium.launch({ executablePath, args });
}

/** A page with its own session; its errors are in `page.faults`. */
export async function openPage(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(120_000);
  page.faults = [];
  page.on("pageerror", (error) => page.faults.push(String(error)));
  page.on("console", (message) => {
    // A part of the program that is being loaded when a test opens the next page.
    const isLeft = message.text().includes("Response body loading was aborted");
    if (message.type() === "error" && !isLeft) page.faults.push(`${message.text()} ${message.location().url}`);
  });
  page.on("request", (request) => {
    const { protocol, hostname } = new URL(request.url());
    const isOwn = ["data:", "blob:"].includes(protocol) || hostname === "127.0.0.1";
    if (!isOwn) page.faults.push(`request to another machine: ${request.url()}`);
  });
  return page;
}

/** Opens a sign-in link and presses its button. */
export async function signIn(page, link) {
  await page.goto(link);
  await Promise.all([page.waitForURL((address) => !address.pathname.endsWith("/signin")), page.getByRole("button", { name: "Sign in" }).click()]);
}

/** A page with the session of a new token of a role, which shows the runs. */
export async function openAs(browser, lab, role, options) {
  const page = await openPage(browser, options);
  await signIn(page, lab.token(role, "--sign-in"));
  await page.getByRole("heading", { name: "Runs", exact: true }).waitFor();
  return page;
}

/** A small model; a test sets the number of steps after which its run ends. */
export const shortRun = {
  preset: "tiny",
  corpus: "tales",
  overrides: { "model.layers": 1, "model.d_model": 32, "model.d_ff": 64, "model.seq": 32, "intervals.eval_every": 200, "intervals.eval_batches": 4 },
};

/** A spec whose run lasts longer than a test. It trains on one core and leaves the others to the server and the browser. */
export const longRun = { ...shortRun, steps: 200_000, overrides: { ...shortRun.overrides, "batch.replicas": 1 } };

/** The newest value of a series in the legend of the loss chart. */
export async function legendValue(page, curve) {
  const entry = page.locator(".chart.main .legend li", { hasText: curve }).first();
  return Number((await entry.locator("b").innerText()).replace(/[^\d.e-]/g, ""));
}

/** The state in the header of the Run page. */
export const runState = (page, state) => page.locator(`.run-head .state[data-state=${state}]`);

/** Steps done in the header of the Run page. */
export async function stepsShown(page) {
  const text = await page.locator(".run-head .progress-line span").first().innerText();
  return Number(text.split("/")[0].replace(/\D/g, ""));
}
