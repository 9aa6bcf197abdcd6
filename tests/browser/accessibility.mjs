// The violations that axe-core finds on a page, and waiting until a page no longer changes.

import axe from "axe-core";

/** The rules whose result depends on the colours; all others find the same in each theme. */
const COLOURS = { type: "rule", values: ["color-contrast", "link-in-text-block"] };

/**
 * Waits until nothing on the page loads, moves or changes. A page that shows a live run changes all the time: it is
 * waited for half a second after it has loaded.
 */
export const still = (page) =>
  page.evaluate(async () => {
    const [quietMs, mostMs, limitMs] = [100, 500, 60_000];
    const began = performance.now();
    let [changed, loading] = [began, began];
    const observer = new MutationObserver(() => (changed = performance.now()));
    observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
    const ends = (motion) => motion.playState === "running" && Number.isFinite(motion.effect?.getComputedTiming().endTime);
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      const now = performance.now();
      if (document.querySelector("[aria-busy=true]")) loading = now;
      else if (now - changed >= quietMs && now - loading >= quietMs && !document.getAnimations().some(ends)) break;
      else if (now - loading >= mostMs) break;
      if (now - began > limitMs) throw new Error(`${location.pathname} has loaded for ${limitMs / 1000} s`);
    }
    observer.disconnect();
  });

/**
 * What axe-core finds on the page as it is, or in a part of it: a line for each element, with the rule it breaks. Transitions are
 * off meanwhile, because a colour between two states has no required contrast.
 */
export async function violations(page, part, options = {}) {
  await page.emulateMedia({ reducedMotion: "reduce" });
  // The source stays in the document.
  if (!(await page.evaluate("typeof axe === 'object'"))) await page.evaluate(`${axe.source}; 0`);
  const where = part ? JSON.stringify(part) : "document";
  const run = JSON.stringify({ resultTypes: ["violations"], ...options });
  const found = await page.evaluate(`axe.run(${where}, ${run}).then(({ violations }) => violations)`);
  await page.emulateMedia({ reducedMotion: "no-preference" });
  return found.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.target.join(" ")} ${node.html.slice(0, 160)}`));
}

/** What axe-core finds in the light theme, and what is wrong with the colours of the dark one. */
export async function violationsInBothThemes(page, part) {
  const light = await violations(page, part);
  await page.emulateMedia({ colorScheme: "dark" });
  await still(page);
  const dark = await violations(page, part, { runOnly: COLOURS });
  await page.emulateMedia({ colorScheme: "light" });
  return [...light, ...dark.map((line) => `dark: ${line}`)];
}
