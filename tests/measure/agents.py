"""The official Python SDK of the Model Context Protocol against a lab: from an empty lab to a verdict, by tools alone.

    python -m venv VENV && VENV/bin/pip install "mcp>=2"
    kindling serve --data DIR &                      # an empty lab with the built-in datasets
    export KINDLING_TOKEN=$(kindling token --role steer --name agent --data DIR)
    VENV/bin/python tests/measure/agents.py http URL       # streamable HTTP: URL is the address that the server prints
    VENV/bin/python tests/measure/agents.py stdio DIR      # `kindling mcp` as a child process; KINDLING has its path
    VENV/bin/python tests/measure/agents.py lab            # both, each with a lab of its own in a temporary folder

It calls every tool at least once, reads every resource, fills in every prompt, and prints one line for each. It fails if a tool answers with an error
that is not expected, if an answer is larger than its bound, if a call that waits sends no progress, or if the experiment has no verdict after ten
minutes.

The command line of the inspector (npm, @modelcontextprotocol/inspector) lists the same and calls one tool at a time:

    inspector() { npx --yes @modelcontextprotocol/inspector --cli URL/mcp --transport http --header "Authorization: Bearer $KINDLING_TOKEN" "$@"; }
    for list in tools/list prompts/list resources/list resources/templates/list; do inspector --method $list; done
    inspector --method tools/call --tool-name lab_status
    inspector --method tools/call --tool-name rank --tool-arg project=default
    inspector --method resources/read --uri kindling://glossary

`inspect URL` below does that for all tools that only read, and plans those that act. INSPECTOR has another command in place of the npx one, such as
that of an installed inspector. npx takes the newest version that the installed Node.js can run; the one for Node.js 20, 0.15.0, sends no header.
"""

import asyncio
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time

BOUND_BYTES = 16_000
WITHIN_S = 600
SPEC = {"preset": "tiny", "corpus": "tales", "steps": 60, "overrides": {"intervals.eval_every": 20}}


class Lab:
    """Calls the tools of a lab and checks each answer."""

    def __init__(self, client):
        self.client, self.called, self.keys, self.progress = client, set(), 0, []

    async def noted(self, progress, total, message):
        self.progress.append((progress, total, message))

    async def call(self, tool, expected=None, images=0, **arguments):
        result = await self.client.call_tool(tool, arguments, progress_callback=self.noted)
        text = result.content[0].text
        assert len(text.encode()) <= BOUND_BYTES, f"{tool} answers {len(text.encode())} bytes"
        answer = json.loads(text)
        code = answer.get("error", {}).get("code")
        assert code == expected, f"{tool} {arguments}: {text}"
        assert len(result.content) == 1 + images, f"{tool} answers {len(result.content) - 1} images"
        self.called.add(tool)
        print(f"{tool}: {code or 'answered'}, {len(text)} characters")
        return answer.get("data")

    async def act(self, tool, same=lambda data: data, **arguments):
        """Plans, acts, and repeats the call: `same` of the second result equals `same` of the first."""
        self.keys += 1
        whole = arguments | {"reason": "a test of the tools", "idempotency_key": f"python-sdk-{time.time_ns()}-{self.keys}"}
        await self.call(tool, dry_run=True, **whole)
        first = await self.call(tool, **whole)
        again = await self.call(tool, **whole)
        assert same(again) == same(first), f"{tool}: {first} and then {again}"
        return again

    async def wait(self, run, **arguments):
        """Waits for a run, at most ten minutes."""
        begun = time.monotonic()
        while time.monotonic() - begun < WITHIN_S:
            found = await self.call("wait_for", run=run, timeout_s=20, **arguments)
            if found["until"] != "timeout":
                return found
        raise AssertionError(f"{run} takes too long")


async def steer_a_run(lab):
    """Starts a run, changes it, inspects it, forks it and stops it. Returns the run and one of its checkpoints."""
    run = (await lab.act("start_run", spec=SPEC | {"steps": 100_000}))["run"]["id"]
    await lab.wait(run, kinds=["started"], since=0)
    await lab.wait(run, step=25)
    for tool in ["pause", "resume", "pause", "checkpoint"]:
        await lab.act(tool, run=run)
    checkpoint = (await lab.call("get_run", run=run))["checkpoints"]["newest"][0]["id"]
    await lab.act("set_hyperparameter", run=run, path="optimizer.grad_clip", value=0.5,
                  expected_effect={"metric": "loss.valid", "difference": -0.01, "probability": 0.6})
    await lab.act("set_schedule", run=run, schedule={"learning_rate": {"curve": {"scaled": 1e-4}}})
    stepped = await lab.act("step", run=run, steps=3)
    await lab.wait(run, kinds=["paused"], since=stepped["event"]["number"])
    await lab.act("evaluate", run=run)
    await lab.act("sample", run=run, tokens=20)
    await lab.act("rollback", run=run, checkpoint=checkpoint)
    await lab.act("add_note", run=run, text="Written by a test.")
    await lab.call("inspect", run=run, inspection={"overview": {}})
    await lab.call("inspect", run=run, inspection={"logit_lens": {}}, image=True, images=1)
    await lab.call("inspect", run=run, inspection={"attention": {"layer": 0}}, image=True, head=0, images=1)
    await lab.call("get_batch", run=run, step=0)
    lab.progress.clear()
    assert (await lab.call("wait_for", run=run, kinds=["finished"], timeout_s=4))["until"] == "timeout"
    assert lab.progress and lab.progress[-1][1] == 4, f"no progress: {lab.progress}"
    fork = (await lab.act("fork", run=run, checkpoint=checkpoint, set={"optimizer.grad_clip": 0.25}))["run"]["id"]
    await lab.act("stop", run=run)
    await lab.act("stop", run=fork)
    return run, checkpoint


async def read_a_run(lab, run, checkpoint):
    await lab.call("list_runs", state="stopped", columns="optimizer.learning_rate")
    await lab.call("get_journal", run=run)
    await lab.call("get_journal", project="default")
    await lab.call("get_journal")
    await lab.call("get_samples", run=run)
    for mode in ["summary", "exact"]:
        await lab.call("get_series", run=run, series=["loss.train"], mode=mode)
    await lab.call("get_figure", run=run, images=1)
    await lab.call("diagnose", run=run)
    await lab.act("sample", run=run, checkpoint=checkpoint, prompt="Once upon", tokens=20)
    task = next(task["task"] for task in (await lab.call("evaluate", run=run, dry_run=True, reason="a test of the tools",
                                                        idempotency_key="only-a-plan-1"))["tasks"])
    score = await lab.act("evaluate", same=lambda data: data["checkpoint"], run=run, task=task, checkpoint=checkpoint, timeout_s=50)
    assert score["state"] in ("computed", "waiting"), score


async def reach_a_verdict(lab):
    """Starts a sweep and an experiment, and waits for the verdict of the experiment."""
    sweep = await lab.act("start_sweep", spec={"name": "rates", "trials": 3, "base": SPEC, "space": {"parameters": {
        "optimizer.learning_rate": {"log": [1e-4, 1e-2]}}}})
    experiment = (await lab.act("propose_experiment", spec={
        "title": "A tiny learning rate", "hypothesis": "A learning rate of 1e-6 learns next to nothing in 60 steps.",
        "baseline": {"spec": SPEC}, "change": {"overrides": {"optimizer.learning_rate": 1e-6}},
        "prediction": {"difference": 0.5, "probability": 0.9}, "rule": {"effect": 0.05, "max_pairs": 5},
        "budget": {"steps": 60, "device_hours": 1.0}}))["experiment"]
    begun = time.monotonic()
    while not (found := await lab.call("get_experiment", experiment=experiment)).get("verdict"):
        assert time.monotonic() - begun < WITHIN_S, found
        await asyncio.sleep(2)
    print("verdict:", found["verdict"])
    return sweep["sweep"], [side["run"] for side in found["runs"]]


async def lead_a_loop(lab):
    """Starts a research loop, takes over the proposing, and sends its first proposal. Stops it when the proposal is being screened."""
    rate = "optimizer.learning_rate"
    loop = (await lab.act("start_loop", spec={"title": "Rates", "base": SPEC, "parameters": {rate: {"log": [1e-4, 1e-1]}},
                                              "budget": {"device_hours": 1.0}, "screening": {"seeds": 2}}))["loop"]["id"]
    await lab.act("steer_loop", loop=loop, action="set_proposer", proposer="agent")
    begun, since = time.monotonic(), 0
    while (found := await lab.call("wait_for", loop=loop, since=since, timeout_s=20))["until"] != "proposal_needed":
        assert time.monotonic() - begun < WITHIN_S and found["until"] in ("event", "timeout"), found
        since = found["last_number"]
    await lab.act("propose_change", loop=loop, parameter=rate, values=[3e-3, 1e-2], difference=-0.05, probability=0.4)
    while not (await lab.call("get_loop", loop=loop))["rounds"][0].get("proposal"):
        assert time.monotonic() - begun < WITHIN_S, "the proposal is not screened"
        await asyncio.sleep(1)
    await lab.act("steer_loop", loop=loop, action="stop")
    assert (await lab.call("list_loops"))["loops"][0]["state"] == "stopped"


async def empty_lab_to_verdict(lab):
    status = await lab.call("lab_status")
    assert status["you"]["grants"]["lab"] == "steer", status
    while not (await lab.call("lab_status"))["devices"]:
        await asyncio.sleep(1)
    await lab.call("estimate_cost", spec=SPEC)
    await lab.call("estimate_cost", expected="plan_invalid", spec=SPEC | {"corpus": "absent"})
    run, checkpoint = await steer_a_run(lab)
    await read_a_run(lab, run, checkpoint)
    sweep, runs = await reach_a_verdict(lab)
    await lead_a_loop(lab)
    await lab.call("compare", baseline=runs[:1], changes=[runs[1:2]])
    ranking = (await lab.call("rank", runs=runs))["ranking"]
    assert len(ranking) == 2, f"baseline and variant are two configurations: {ranking}"
    await lab.call("rank", sweep=sweep)
    await lab.call("noise_floor", run=runs[0], difference=0.1)
    await lab.call("fit_scaling_law", runs=runs)
    await lab.call("replay_early_stopping", rule="asha", runs=runs)
    await lab.call("get_sweep", sweep=sweep)
    report = await lab.call("write_report")
    while report.get("next_from"):
        report = await lab.call("write_report", **{"from": report["next_from"]})
    await lab.call("get_run", expected="not_found", run="nobody")
    assert (await lab.call("get_proposal"))["proposals"] == [], "this token acts without approval"
    await lab.call("withdraw_proposal", expected="not_found", proposal=1)
    return run


async def resources_and_prompts(client, run):
    uris = [resource.uri for resource in (await client.list_resources()).resources]
    for template in (await client.list_resource_templates()).resource_templates:
        uris.append(template.uri_template.replace("{run}", run).replace("{project}", "default"))
    for uri in uris:
        text = (await client.read_resource(str(uri))).contents[0].text
        print(f"{uri}: {len(text)} characters")
    for prompt in (await client.list_prompts()).prompts:
        filled = await client.get_prompt(prompt.name, {argument.name: run for argument in prompt.arguments or []})
        assert "{" not in filled.messages[0].content.text, filled
        print(f"{prompt.name}: {len(filled.messages[0].content.text)} characters")


async def drive(kind, place):
    from mcp import Client, StdioServerParameters
    from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client

    if kind == "http":
        authorization = {"Authorization": f"Bearer {os.environ['KINDLING_TOKEN']}"}
        transport = streamable_http_client(place.rstrip("/") + "/mcp", http_client=create_mcp_http_client(headers=authorization))
    else:
        program = os.environ.get("KINDLING", "kindling")
        token = {"KINDLING_TOKEN": os.environ["KINDLING_TOKEN"], "PATH": os.environ["PATH"]}
        transport = StdioServerParameters(command=program, args=["mcp", "--data", place], env=token)
    async with Client(transport) as client:
        lab = Lab(client)
        listed = {tool.name for tool in (await client.list_tools()).tools}
        run = await empty_lab_to_verdict(lab)
        await resources_and_prompts(client, run)
        assert lab.called == listed, f"not called: {listed - lab.called}"
        print(f"all {len(listed)} tools were called")


def inspect(url):
    """The command line of the inspector: all lists, each tool once with the arguments that it needs, a resource and a prompt."""
    header = f"Authorization: Bearer {os.environ['KINDLING_TOKEN']}"
    inspector = shlex.split(os.environ.get("INSPECTOR", "npx --yes @modelcontextprotocol/inspector"))

    def ask(method, *options):
        command = [*inspector, "--cli", url.rstrip("/") + "/mcp", "--transport", "http", "--connect-timeout", "120000", "--header", header,
                   "--method", method, *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN_S)
        # 5: the tool has refused the call, and the answer says why.
        assert done.returncode in (0, 5), f"{method} {options}: {done.stderr}"
        return json.loads(done.stdout)

    tools = ask("tools/list")["tools"]
    given = {"run": "amber-fox", "spec": "{}", "sweep": "1", "experiment": "1", "proposal": "1", "series": '["loss.train"]', "runs": '["amber-fox"]',
             "baseline": '["amber-fox"]', "changes": '[["amber-fox"]]', "rule": "asha", "inspection": '{"overview": {}}', "step": "1",
             "path": "optimizer.grad_clip", "value": "0.5", "schedule": "{}", "checkpoint": "0-1", "text": "a", "reason": "a test",
             "idempotency_key": "only-a-plan-1", "dry_run": "true", "loop": "1", "action": "pause", "parameter": "optimizer.learning_rate",
             "values": "[0.01]", "difference": "-0.1", "probability": "0.5"}
    for tool in tools:
        schema = tool["inputSchema"]
        needed = schema.get("required", []) + (["dry_run"] if "dry_run" in schema.get("properties", {}) else [])
        assert all(name in given for name in needed), f"{tool['name']} needs {needed}: add an example of each to `given`"
        options = [option for name in needed for option in ("--tool-arg", f"{name}={given[name]}")]
        answer = ask("tools/call", "--tool-name", tool["name"], *options)
        # A lab without this run refuses most of them, in the form of the protocol.
        assert "structuredContent" in answer, answer
        print(f"{tool['name']}: {answer['structuredContent'].get('error', {}).get('code', 'answered')}")
    for method in ["prompts/list", "resources/list", "resources/templates/list"]:
        print(f"{method}: {len(json.dumps(ask(method)))} characters")
    ask("resources/read", "--uri", "kindling://rules")
    ask("prompts/get", "--prompt-name", "triage_lab")
    print(f"all {len(tools)} tools were called")


def own_labs():
    """Drives each transport with a new lab in a temporary folder."""
    program = os.environ.get("KINDLING", "kindling")
    for kind in ["http", "stdio"]:
        with tempfile.TemporaryDirectory() as folder:
            server = subprocess.Popen([program, "serve", "--data", folder, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True)
            try:
                url = next(found[0] for line in server.stdout if (found := re.findall(r"http://127\.0\.0\.1:[0-9]+", line)))
                token = [program, "token", "--role", "steer", "--name", "agent", "--data", folder]
                os.environ["KINDLING_TOKEN"] = subprocess.run(token, capture_output=True, text=True, check=True).stdout.strip()
                asyncio.run(drive(kind, url if kind == "http" else folder))
            finally:
                server.terminate()
                server.wait()


def main(kind="lab", place=""):
    if kind == "lab":
        own_labs()
    elif kind == "inspect":
        inspect(place)
    else:
        asyncio.run(drive(kind, place))


if __name__ == "__main__":
    main(*sys.argv[1:])
