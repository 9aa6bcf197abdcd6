// Every number field of the page: what is typed stays as it is, what is sent is what is shown, and what is stored is
// what was sent. Texts that are no number are refused in words before anything is sent.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { longRun, openBrowser, openLab, openPage, runState, signIn } from "./lab.mjs";
import { NumberFields, U64, exactJson, integer, isSame, number, said, type } from "./numbers.mjs";

let lab, browser, page, run, fields;

const check = (...args) => fields.check(...args);
const press = (...args) => fields.press(...args);
const api = (...args) => fields.api(...args);
const soon = (...args) => fields.soon(...args);

/** The body of a request and the event that answered it. */
async function command(button) {
  const request = await press(button, `/runs/${run}/commands`);
  const answer = await (await request.response()).text();
  return { sent: exactJson(request.postData()), event: exactJson(answer).event };
}

before(async () => {
  [lab, browser] = await Promise.all([openLab(), openBrowser()]);
  page = await openPage(browser);
  fields = new NumberFields(lab, page);
  await signIn(page, lab.link);
  await lab.ready();
  const overrides = { ...longRun.overrides, "model.layers": 2, "intervals.checkpoint_every": 100, "retention.latest": 20 };
  run = (await lab.api("/runs", { method: "POST", body: { ...longRun, name: "typed", overrides } })).summary.id;
  await page.goto(`${lab.url}/runs/${run}`);
  await runState(page, "running").waitFor();
  await lab.until("a checkpoint", async () => (await lab.api(`/runs/${run}/checkpoints`)).some(({ info }) => info.cause === "interval"));
  await page.locator("body").press("Space");
  await runState(page, "paused").waitFor();
});

after(async () => {
  await browser?.close();
  lab?.close();
});

/** Opens the form of a hyperparameter: the learning rate has a button, the others are in the menu. */
async function openHyperparameter(label) {
  const bar = page.locator(".hyperparameters-bar");
  if (label === "Learning rate") return bar.getByRole("button", { name: /^Learning rate/ }).click();
  await bar.getByRole("button", { name: /^Hyperparameters/ }).click();
  const list = page.getByRole("dialog", { name: "Hyperparameters", exact: true });
  await list.getByRole("button", { name: new RegExp(`^${label}`) }).click();
}

test("hyperparameters of a run: what is typed is sent and stored", async () => {
  const rows = (await lab.api("/hyperparameters")).filter((row) => row.is_live && !row.path.startsWith("intervals."));
  assert.ok(rows.length >= 4, `${rows.length} live hyperparameters`);
  for (const row of rows) {
    const open = { click: () => openHyperparameter(row.label) };
    const dialog = page.getByRole("dialog", { name: row.label, exact: true });
    const field = dialog.getByRole("textbox").first();
    const button = () => dialog.getByRole("button", { name: /Set from the next step on/ });
    await open.click();
    const sentForms = await check(row.label, field, number(row.values.number.min, row.values.number.max), {
      button,
      send: async () => {
        const { sent, event } = await command(button());
        assert.equal(sent.kind, "set");
        assert.equal(sent.path, row.path);
        assert.equal(event.kind, "changed", JSON.stringify(event));
        await open.click();
        await field.waitFor();
        return { sent: sent.value, stored: event.new };
      },
    });
    assert.ok(sentForms >= 2, `${row.label}: ${sentForms} forms were sent`);
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
  }
});

test("intervals: what is typed is sent and stored", async () => {
  const rows = (await lab.api("/hyperparameters")).filter((row) => row.is_live && row.path.startsWith("intervals."));
  await page.getByRole("button", { name: "Intervals" }).click();
  for (const row of rows) {
    const form = page.locator("form.interval-field", { hasText: row.label });
    const button = () => form.getByRole("button", { name: "Set" });
    let current;
    await check(row.label, form.getByRole("textbox"), integer(row.values.integer.min, row.values.integer.max), {
      button,
      send: async (value) => {
        // The interval in force is not set again.
        if (value === current) {
          await soon("nothing to set", () => button().isDisabled());
          return undefined;
        }
        await soon("something to set", () => button().isEnabled());
        const { sent, event } = await command(button());
        current = value;
        await soon("the new interval is in force", () => button().isDisabled());
        return { sent: sent.value, stored: event.new };
      },
    });
  }
  await page.keyboard.press("Escape");
});

test("gradient accumulation, and the step from which it changes", async () => {
  const open = { click: () => openHyperparameter("Gradient accumulation") };
  const dialog = page.getByRole("dialog", { name: "Gradient accumulation" });
  const button = () => dialog.getByRole("button", { name: "Change accumulation" });
  await open.click();
  await check("micro-batches", dialog.getByRole("textbox").first(), integer(1, 65536), {
    button,
    send: async () => {
      const { sent } = await command(button());
      const stored = await api(`/runs/${run}`);
      await open.click();
      return { sent: sent.schedule.accumulation.changes[0][1], stored: stored.hyperparameters.accumulation.changes.at(-1)[1] };
    },
  });
  await dialog.getByRole("textbox").first().fill("1");
  await dialog.getByLabel("From").selectOption("step");
  await check("step", dialog.getByLabel(/^Step/), integer(0), { button });
  await page.keyboard.press("Escape");
});

test("a sample, a rollback and a longer schedule", async () => {
  await page.locator("body").press("s");
  const sample = page.getByRole("dialog", { name: "Generate a sample" });
  const generate = () => sample.getByRole("button", { name: "Generate" });
  await check("length", sample.getByLabel(/^Length/), integer(1, 4096), {
    button: generate,
    send: async () => {
      const { sent, event } = await command(generate());
      assert.equal(event.kind, "sampled", JSON.stringify(event));
      await page.locator("body").press("s");
      return { sent: sent.tokens };
    },
  });
  await page.keyboard.press("Escape");

  await page.locator("body").press("b");
  const back = page.getByRole("dialog", { name: "Roll back to a checkpoint" });
  const rollBack = () => back.getByRole("button", { name: "Roll back" });
  const skip = back.getByLabel(/^Skip/);
  await check("batches to skip", skip, integer(0), { button: rollBack, isOptional: true });
  await type(skip, " 7 ");
  const { sent } = await command(rollBack());
  assert.equal(sent.skip_batches, 7);
  await soon("the batches are skipped", async () => (await api(`/runs/${run}`)).hyperparameters.skipped === 7);
  await runState(page, "paused").waitFor();

  await page.locator("body").press("r");
  const editor = page.locator(".editor");
  const more = editor.getByLabel("Additional steps", { exact: true });
  const extend = () => editor.locator(".extend").getByRole("button", { name: "Constant", exact: true });
  await check("additional steps", more, integer(1, 100_000_000), { button: extend });
  await type(more, "1e3");
  await extend().click();
  const steps = (await api(`/runs/${run}`)).hyperparameters.steps;
  const changed = await command(editor.getByRole("button", { name: "Apply" }));
  assert.equal(changed.sent.schedule.learning_rate.steps, steps + 1000);
  assert.equal((await api(`/runs/${run}`)).hyperparameters.steps, steps + 1000);
});

test("a fork keeps all bits of its seed", async () => {
  await page.locator("body").press("f");
  const form = page.getByRole("dialog", { name: "Fork this run" });
  const button = () => form.getByRole("button", { name: "Fork", exact: true });
  const field = (label) => form.getByLabel(new RegExp(`^${label}`));
  // A fork trains at least one step.
  const { step } = (await api(`/runs/${run}`)).summary;
  await check("steps", field("Total steps"), integer(step + 1, 100_000_000), { button, isOptional: true });
  await field("Total steps").fill("");
  const rows = (await lab.api("/hyperparameters")).filter((row) => row.is_live && !row.path.startsWith("intervals."));
  for (const row of rows) {
    await check(row.label, field(row.label), number(row.values.number.min, row.values.number.max), { button, isOptional: true });
    await field(row.label).fill("");
  }
  await check("seed", field("Seed"), integer(0), { button, isOptional: true });
  await type(field("Seed"), String(U64));
  await type(field("Weight decay"), ".5");
  const request = await press(button(), "/runs");
  const sent = exactJson(request.postData());
  assert.ok(isSame(sent.seed, U64), String(sent.seed));
  assert.equal(sent.parent.changes[0].value, 0.5);
  await page.waitForURL((url) => url.pathname.startsWith("/runs/") && !url.pathname.endsWith(run));
  const child = await api(`/runs/${new URL(page.url()).pathname.split("/").pop()}`);
  assert.ok(isSame(child.plan.seed, U64), String(child.plan.seed));
  assert.equal(child.hyperparameters.optimizer.weight_decay, 0.5);
});

test("New run: every hyperparameter is sent as it is shown, and resolved as it was sent", async () => {
  // The specs are captured; the server then resolves them without a run for each.
  const refusal = { status: 422, contentType: "application/json", body: JSON.stringify({ code: "test", message: "not now" }) };
  const isRuns = (url) => url.pathname === "/api/v1/runs";
  await page.route(isRuns, (route) => (route.request().method() === "POST" ? route.fulfill(refusal) : route.fallback()));
  await page.goto(`${lab.url}/start?dataset=tales`);
  await page.getByRole("heading", { name: "All hyperparameters" }).click();
  const button = () => page.locator(".preview").getByRole("button", { name: /^(Start|Add to queue)/ });

  /** Sends the spec and resolves what was sent; nothing where the plan refuses the value for another reason. */
  const send = (sentValue, storedValue) => async () => {
    if (!(await button().isEnabled())) return undefined;
    const request = await press(button(), "/runs");
    const body = request.postData();
    const { plan } = await api("/plan", body);
    await soon("the refusal", () => button().isEnabled());
    return { sent: sentValue(exactJson(body)), stored: storedValue(plan) };
  };

  const rows = await lab.api("/hyperparameters");
  // The fields of the form are one component for numbers and one for integers: one of each gets every form, typed key by key,
  // which computes the plan again at each key. The others show that the field belongs to its hyperparameter.
  const keyed = new Set();
  let sentForms = 0;
  for (const row of rows) {
    const { number: real, integer: whole } = row.values;
    if ((!real && !whole) || row.path === "model.vocab") continue;
    const kind = real ? "number" : "integer";
    const isKeyed = !keyed.has(kind);
    keyed.add(kind);
    const field = page.locator(`[id='${row.path}']`);
    const [group, name] = row.path.split(".");
    // JSON of the browser has no integer that large.
    const max = whole && whole.max > Number.MAX_SAFE_INTEGER ? U64 : whole?.max;
    const values = real ? number(real.min, real.max) : integer(whole.min, max);
    const inSpec = (spec) => spec.overrides?.[row.path] ?? row.default;
    sentForms += await check(row.path, field, values, {
      button,
      isOptional: true,
      isKeyed,
      send: send(inSpec, (plan) => plan.recipe[group][name]),
    });
    await field.fill("");
  }
  assert.ok(sentForms > 40, `${sentForms} specs were sent`);

  const named = (label) => page.locator(".label", { hasText: new RegExp(`^${label}$`) });
  const ofLabel = (label) => page.locator("label.field", { has: named(label) }).getByRole("textbox");
  for (const [label, key, values] of [["Steps", "steps", integer(1, 100_000_000)], ["Seed", "seed", integer(0)]]) {
    const sender = send((spec) => spec[key], (plan) => plan[key]);
    const sent = await check(label, ofLabel(label), values, { button, isOptional: true, send: sender });
    assert.ok(sent >= 3, `${label}: ${sent} specs were sent`);
    await ofLabel(label).fill("");
  }

  await page.locator("[id='schedule.shape']").selectOption("wsd");
  const decay = page.getByLabel("Decay, steps");
  await check("decay", decay, integer(1, 100_000_000), {
    button,
    send: send((spec) => spec.overrides["schedule.shape"].wsd.decay_steps, (plan) => plan.recipe.schedule.shape.wsd.decay_steps),
  });
  await page.locator("[id='schedule.shape']").selectOption("cosine");

  const breakpoints = page.locator("[id='breakpoints']");
  await type(breakpoints, "20, soon");
  await soon("a refusal", async () => /“soon” is not a number/.test(await said(breakpoints)));
  assert.ok(await button().isDisabled());
  await type(breakpoints, "20, 1_00, 3e1");
  await soon("no refusal", async () => (await said(breakpoints)) === "");
  assert.deepEqual(exactJson((await press(button(), "/runs")).postData()).overrides.breakpoints, [20, 100, 30]);

  await type(page.locator("[id='optimizer.learning_rate']"), "0,5");
  await page.getByRole("button", { name: "Reset all to the preset" }).click();
  await soon("the value of the preset", async () => (await page.locator("[id='optimizer.learning_rate']").inputValue()) !== "0,5");
  await page.unroute(isRuns);
});

test("a run is started with a seed of 64 bits", async () => {
  await page.goto(`${lab.url}/start?dataset=tales`);
  const seed = page.locator("label.field", { has: page.locator(".label", { hasText: /^Seed$/ }) }).getByRole("textbox");
  await type(seed, String(U64));
  const request = await press(page.locator(".preview").getByRole("button", { name: /^(Start|Add to queue)/ }), "/runs");
  assert.ok(isSame(exactJson(request.postData()).seed, U64));
  const created = exactJson(await (await request.response()).text());
  const stored = await api(`/runs/${created.summary.id}`);
  assert.ok(isSame(stored.plan.seed, U64) && isSame(stored.spec.seed, U64), JSON.stringify([stored.plan.seed, stored.spec.seed]));
  await lab.api(`/runs/${created.summary.id}/commands`, { method: "POST", body: { kind: "stop" } });
});

test("Playground: the sampling parameters are sent as they are shown", async () => {
  const isCompletions = (url) => url.pathname === "/api/v1/completions";
  const refusal = { status: 422, contentType: "application/json", body: JSON.stringify({ code: "test", message: "not now" }) };
  await page.route(isCompletions, (route) => route.fulfill(refusal));
  await page.goto(`${lab.url}/playground?run=${run}`);
  const button = () => page.getByRole("button", { name: "Generate", exact: true });
  await soon("a checkpoint", () => button().isEnabled());
  for (const [label, key, values, usual] of [
    ["Temperature", "temperature", number(0, 2), "0.8"],
    ["Top-k", "top_k", integer(0, 2 ** 32 - 1), "0"],
    ["Top-p", "top_p", number(Number.MIN_VALUE, 1), "1"],
    ["Seed", "seed", integer(0), "1"],
    ["Length", "tokens", integer(1, 4096), "20"],
  ]) {
    const field = page.locator(".sampling").getByLabel(new RegExp(`^${label}`));
    const sentForms = await check(label, field, values, {
      button,
      send: async () => {
        const request = await press(button(), "/completions");
        await soon("the refusal", () => button().isEnabled());
        return { sent: exactJson(request.postData())[key] };
      },
    });
    assert.ok(sentForms >= 2, `${label}: ${sentForms} requests were sent`);
    await field.fill(usual);
  }
  await page.unroute(isCompletions);
  await type(page.locator(".sampling").getByLabel(/^Seed/), String(U64));
  const request = await press(button(), "/completions");
  assert.equal((await request.response()).status(), 200, "the server takes the whole seed");
  await page.locator(".completion-footer", { hasText: /length reached|end of document/ }).first().waitFor();
});

test("X-ray: batch, neuron, window and component", async () => {
  const asked = (key) => new URL(page.url()).searchParams.get(key);
  await page.goto(`${lab.url}/runs/${run}/xray?view=batch`);
  const showBatch = () => page.getByRole("button", { name: "Show batch" });
  await check("batch", page.locator("form", { has: showBatch() }).getByRole("textbox"), integer(0), {
    button: showBatch,
    send: async (value) => {
      // No run has that many steps.
      if (value === U64) return undefined;
      await showBatch().click();
      await soon("its address", async () => asked("batch") === String(value));
      return { sent: asked("batch") };
    },
  });

  const neurons = `${lab.url}/runs/${run}/xray?view=neurons&layer=1`;
  await page.goto(neurons);
  const showNeuron = () => page.getByRole("button", { name: "Show its top contexts" });
  const neuron = page.locator("form", { has: showNeuron() }).getByRole("textbox");
  await check("neuron", neuron, integer(0, 63), {
    button: showNeuron,
    send: async (value) => {
      await showNeuron().click();
      await soon("its address", async () => asked("neuron") === String(value));
      const sent = asked("neuron");
      await page.goto(neurons);
      await neuron.waitFor();
      return { sent };
    },
  });

  const inspect = () => page.getByRole("button", { name: "Inspect", exact: true });
  await check("window", page.locator(".prompt-box").getByRole("textbox"), integer(0, 999_999), {
    button: inspect,
    send: async (value) => {
      await inspect().click();
      await soon("its address", async () => asked("window") === String(value));
      return { sent: asked("window") };
    },
  });

  await page.goto(`${lab.url}/runs/${run}/xray?view=interventions`);
  const form = page.locator(".intervention-form");
  const ablate = () => form.getByRole("button", { name: /^Ablate/ });
  // A label contains what is wrong with its field, so it is found by its start.
  const field = (label) => form.locator("label.field", { hasText: new RegExp(`^\\s*${label}`) }).getByRole("textbox");
  await form.locator("select").selectOption("neuron");
  await check("neuron of a block", field("Neuron"), integer(0, 63), {
    button: ablate,
    send: async (value) => {
      await soon("the action", async () => (await ablate().innerText()).includes(`neuron ${value} `));
      return undefined;
    },
  });
  await field("Neuron").fill("0");
  await check("block", field("Block"), integer(0, 1), { button: ablate });
});

test("Settings: a token is valid for the days that are shown", async () => {
  await page.goto(`${lab.url}/settings`);
  const form = page.locator(".new-token");
  const button = () => form.getByRole("button", { name: "Create" });
  await form.getByLabel("Name").fill("reader");
  await check("days", form.getByLabel(/^Expires after/), integer(1, 3650), {
    button,
    isOptional: true,
    send: async () => {
      const request = await press(button(), "/tokens");
      const { token } = exactJson(await (await request.response()).text());
      await soon("an empty name", async () => (await form.getByLabel("Name").inputValue()) === "");
      await form.getByLabel("Name").fill("reader");
      const stored = Math.round((Number(token.expires_ms) - Number(token.created_ms)) / 86_400_000);
      return { sent: exactJson(request.postData()).days, stored };
    },
  });
});

test("no page has a number field of another kind", async () => {
  for (const path of ["/", "/start?dataset=tales", "/data", "/compare", "/playground", "/settings", `/runs/${run}`, `/runs/${run}/xray?view=batch`, `/runs/${run}/xray?view=interventions`]) {
    await page.goto(`${lab.url}${path}`);
    await page.getByRole("heading", { level: 1 }).first().waitFor();
    assert.equal(await page.locator("input[type=number]").count(), 0, path);
    const others = "input[inputmode=numeric]:not(.number-field), input[inputmode=decimal]:not(.number-field)";
    assert.equal(await page.locator(others).count(), 0, path);
  }
  assert.deepEqual(page.faults.filter((fault) => !fault.includes("422")), []);
});
