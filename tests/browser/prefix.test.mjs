// The page under a path, behind a proxy that removes it: it opens, follows a run over its socket, and its links keep the path.

import assert from "node:assert/strict";
import { createServer, request } from "node:http";
import { after, before, test } from "node:test";
import { longRun, openBrowser, openLab, openPage, runState, signIn, stepsShown } from "./lab.mjs";

const PREFIX = "/user/ada/lab";

let lab, browser, page, proxy, run, url;
const sockets = [];

/** The target of a request below the path; none for another path. */
const target = (asked) => (asked.url.startsWith(`${PREFIX}/`) ? asked.url.slice(PREFIX.length) : null);

/** Passes a request on to the lab under its own host name, as JupyterHub's proxy does. */
function pass(asked, path) {
  const { hostname, port } = new URL(lab.url);
  return request({ hostname, port, path, method: asked.method, headers: asked.headers });
}

/** A proxy that serves the lab below the path. */
function openProxy() {
  const proxy = createServer((asked, answer) => {
    const path = target(asked);
    if (path === null) return void answer.writeHead(404).end("outside of the path");
    const sent = pass(asked, path);
    sent.on("response", (found) => {
      answer.writeHead(found.statusCode, found.rawHeaders);
      found.pipe(answer);
    });
    sent.on("error", () => answer.destroy());
    asked.pipe(sent);
  });
  proxy.on("upgrade", (asked, socket) => {
    const path = target(asked);
    if (path === null) return socket.destroy();
    sockets.push(path);
    const sent = pass(asked, path);
    sent.on("upgrade", (found, other) => {
      const headers = found.rawHeaders.reduce((text, word, at) => text + word + (at % 2 ? "\r\n" : ": "), "");
      socket.write(`HTTP/1.1 101 Switching Protocols\r\n${headers}\r\n`);
      [socket, other].forEach((end) => end.on("error", () => end.destroy()));
      socket.pipe(other).pipe(socket);
    });
    sent.on("response", () => socket.destroy());
    sent.on("error", () => socket.destroy());
    sent.end();
  });
  return new Promise((resolve) => proxy.listen(0, "127.0.0.1", () => resolve(proxy)));
}

before(async () => {
  [lab, browser] = await Promise.all([openLab(), openBrowser()]);
  await lab.ready();
  run = (await lab.api("/runs", { method: "POST", body: { ...longRun, name: "far away" } })).summary.id;
  proxy = await openProxy();
  url = `http://127.0.0.1:${proxy.address().port}${PREFIX}`;
  page = await openPage(browser);
});

after(async () => {
  await browser?.close();
  proxy?.close();
  lab?.close();
});

const path = () => new URL(page.url()).pathname;

test("a sign-in link works under the path", async () => {
  await signIn(page, lab.token("admin", "--sign-in").replace(lab.url, url));
  await page.getByRole("heading", { name: "Runs", exact: true }).waitFor();
  assert.equal(path(), `${PREFIX}/`);
});

test("a run is followed live over the socket", async () => {
  await page.getByRole("link", { name: "far away" }).first().click();
  await runState(page, "running").waitFor();
  assert.equal(path(), `${PREFIX}/runs/${run}`);
  const first = await stepsShown(page);
  await lab.until("newer steps", async () => (await stepsShown(page)) > first + 100);
  assert.ok(sockets.length > 0, "a socket was opened below the path");
  assert.equal(await page.getByText("Slower updates").count(), 0);
});

test("every page is reached by links that keep the path, and opens at its own address", async () => {
  const pages = ["Compare", "Playground", "Data", "Settings"];
  /** The links are in a menu where the name of a run needs the room. */
  const follow = async (name) => {
    const link = page.getByRole("link", { name, exact: true }).locator("visible=true").first();
    const menu = page.getByRole("button", { name: "Pages" });
    if (await menu.isVisible()) await menu.click();
    await link.click();
  };
  for (const name of pages) {
    await follow(name);
    await page.getByRole("heading", { name, level: 1 }).waitFor();
    assert.equal(path(), `${PREFIX}/${name.toLowerCase()}`);
    await page.reload();
    await page.getByRole("heading", { name, level: 1 }).waitFor();
  }
  await page.goto(`${url}/runs/${run}/xray?view=neurons`);
  await page.locator(".view[data-view=neurons]").waitFor();
  await follow("Lab");
  await page.getByRole("heading", { name: "Runs", exact: true }).waitFor();
  assert.equal(path(), `${PREFIX}/`);
  assert.deepEqual(page.faults, []);
});
