// What the page weighs, and how long a reload takes until the run stands on it: `node tests/measure/page_load.mjs [reloads]`.

import { legendValue, longRun, openBrowser, openLab, openPage, runState } from "../browser/lab.mjs";

const reloads = Number(process.argv[2] ?? 10);

const [lab, browser] = await Promise.all([openLab(), openBrowser()]);
try {
  await lab.ready();
  const run = (await lab.api("/runs", { method: "POST", body: longRun })).summary.id;
  await lab.until("2000 steps", async () => (await lab.api(`/runs/${run}`)).summary.step > 2000, 120);
  const page = await openPage(browser);
  await page.goto(lab.token("view", "--sign-in"));
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
  console.log(`weight of the first visit to the Lab page, compressed: ${(bytes / 1000).toFixed(0)} kB`);

  const took = [];
  for (let turn = 0; turn < reloads; turn += 1) {
    const began = performance.now();
    await page.reload({ waitUntil: "commit" });
    await page.waitForFunction(() => {
      const value = document.querySelector(".chart.main .legend li b");
      const lines = document.querySelectorAll(".journal li").length;
      return value && /\d/.test(value.innerText) && lines > 0;
    }, null, { polling: "raf" });
    took.push(performance.now() - began);
  }
  took.sort((a, b) => a - b);
  console.log(`reload to curves and journal, while it trains: median ${Math.round(took[reloads >> 1])} ms, longest ${Math.round(took.at(-1))} ms (${reloads} reloads)`);
  console.log(`loss shown: ${await legendValue(page, "train")}`);
} finally {
  await browser.close();
  lab.close();
}
