// Transfer size of the page, and the time from a reload until the Run page shows the run:
// `node tests/measure/page_load.mjs [reloads]`.

import { legendValue, longRun, openBrowser, openLab, openPage, runState, signIn } from "../browser/lab.mjs";

const reloads = Number(process.argv[2] ?? 10);

const [lab, browser] = await Promise.all([openLab(), openBrowser()]);
try {
  await lab.ready();
  const run = (await lab.api("/runs", { method: "POST", body: longRun })).summary.id;
  await lab.until("2000 steps", async () => (await lab.api(`/runs/${run}`)).summary.step > 2000, 120);
  const page = await openPage(browser);
  await signIn(page, lab.token("view", "--sign-in"));
  await page.getByRole("heading", { name: "Runs", exact: true }).waitFor();
  await page.goto(`${lab.url}/runs/${run}`);
  await runState(page, "running").waitFor();

  const cold = await openPage(browser);
  const network = await cold.context().newCDPSession(cold);
  await network.send("Network.enable");
  let bytes = 0;
  network.on("Network.loadingFinished", (event) => (bytes += event.encodedDataLength));
  await cold.context().addCookies(await page.context().cookies());
  await cold.goto(`${lab.url}/`);
  await cold.getByRole("heading", { name: "Runs", exact: true }).waitFor();
  await cold.waitForTimeout(1000);
  console.log(`transfer size of the first visit to the Lab page, compressed: ${(bytes / 1000).toFixed(0)} kB`);

  const parts = { "header": [], "loss chart": [], journal: [] };
  const isShown = {
    "header": () => document.querySelector(".run-head .progress-line"),
    "loss chart": () => /\d/.test(document.querySelector(".chart.main .legend li b")?.innerText ?? ""),
    journal: () => document.querySelector(".journal li"),
  };
  for (let reload = 0; reload < reloads; reload += 1) {
    const began = performance.now();
    await page.reload({ waitUntil: "commit" });
    for (const part of Object.keys(parts)) {
      await page.waitForFunction(isShown[part], null, { polling: "raf" });
      parts[part].push(performance.now() - began);
    }
  }
  for (const [part, took] of Object.entries(parts)) {
    took.sort((a, b) => a - b);
    console.log(`reload to ${part}: median ${Math.round(took[reloads >> 1])} ms, longest ${Math.round(took.at(-1))} ms (${reloads} reloads, while the run trains)`);
  }
  console.log(`loss shown: ${await legendValue(page, "train")}`);
} finally {
  await browser.close();
  lab.close();
}
