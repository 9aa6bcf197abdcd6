"""The official Python SDK of the Model Context Protocol against a lab: from an empty lab to a verdict, by tools alone.

    python -m venv VENV && VENV/bin/pip install "mcp>=2"
    kindling serve --data DIR &                      # an empty lab with the built-in datasets
    export KINDLING_TOKEN=$(kindling token --role steer --name agent --data DIR)
    VENV/bin/python tests/measure/agents.py http URL       # streamable HTTP: URL is the address that the server prints
    VENV/bin/python tests/measure/agents.py stdio DIR      # `kindling mcp` as a child process; KINDLING has its path

It calls every tool at least once and prints one line for each. It fails if a tool answers an error that is not expected, if an answer is larger
than its bound, or if the experiment has no verdict after ten minutes.
"""

import asyncio
import json
import os
import sys
import time

from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client

BOUND_BYTES = 16_000
WITHIN_S = 600
SPEC = {"preset": "tiny", "corpus": "tales", "steps": 60, "overrides": {"intervals.eval_every": 20}}


class Lab:
    """Calls the tools of a lab and checks each answer."""

    def __init__(self, client):
        self.client, self.called, self.keys = client, set(), 0

    async def call(self, tool, expected=None, **arguments):
        result = await self.client.call_tool(tool, arguments)
        text = result.content[0].text
        assert len(text.encode()) <= BOUND_BYTES, f"{tool} answers {len(text.encode())} bytes"
        answer = json.loads(text)
        code = answer.get("error", {}).get("code")
        assert code == expected, f"{tool} {arguments}: {text}"
        self.called.add(tool)
        print(f"{tool}: {code or 'answered'}, {len(text)} characters")
        return answer.get("data")

    async def act(self, tool, **arguments):
        """Plans, acts, and repeats the call: the second result is the first one."""
        self.keys += 1
        whole = arguments | {"reason": "a test of the tools", "idempotency_key": f"python-sdk-{time.time_ns()}-{self.keys}"}
        await self.call(tool, dry_run=True, **whole)
        first = await self.call(tool, **whole)
        again = await self.call(tool, **whole)
        assert again == first, f"{tool}: {first} and then {again}"
        return first

    async def wait(self, run, **arguments):
        """Waits for a run, at most ten minutes."""
        begun = time.monotonic()
        while time.monotonic() - begun < WITHIN_S:
            found = await self.call("wait_for", run=run, timeout_s=20, **arguments)
            if found["until"] != "timeout":
                return found
        raise AssertionError(f"{run} takes too long")


async def empty_lab_to_verdict(lab):
    status = await lab.call("lab_status")
    assert status["you"]["grants"]["lab"] == "steer", status
    while not (await lab.call("lab_status"))["devices"]:
        await asyncio.sleep(1)
    await lab.call("estimate_cost", spec=SPEC)
    await lab.call("estimate_cost", expected="plan_invalid", spec=SPEC | {"corpus": "absent"})
    run = (await lab.act("start_run", spec=SPEC | {"steps": 100_000}))["run"]["id"]
    await lab.wait(run, kinds=["started"], since=0)
    await lab.wait(run, step=25)
    for tool in ["pause", "resume", "pause", "checkpoint"]:
        await lab.act(tool, run=run)
    checkpoint = (await lab.call("get_run", run=run))["checkpoints"]["newest"][0]["id"]
    await lab.act("set_hyperparameter", run=run, path="optimizer.grad_clip", value=0.5,
                  expected_effect={"metric": "loss.valid", "difference": -0.01, "probability": 0.6})
    await lab.act("rollback", run=run, checkpoint=checkpoint)
    await lab.act("add_note", run=run, text="Written by a test.")
    await lab.call("inspect", run=run, inspection={"overview": {}})
    fork = (await lab.act("fork", run=run, checkpoint=checkpoint, set={"optimizer.grad_clip": 0.25}))["run"]["id"]
    await lab.act("stop", run=run)
    await lab.act("stop", run=fork)
    await lab.call("list_runs", state="stopped", columns="optimizer.learning_rate")
    await lab.call("get_journal", run=run)
    await lab.call("get_journal")
    await lab.call("get_samples", run=run)
    for mode in ["summary", "exact"]:
        await lab.call("get_series", run=run, series=["loss.train"], mode=mode)
    await lab.call("get_figure", run=run)
    await lab.call("diagnose", run=run)
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
    runs = [side["run"] for side in found["runs"]]
    await lab.call("compare", baseline=runs[:1], changes=[runs[1:2]])
    await lab.call("fit_scaling_law", runs=runs)
    await lab.call("replay_early_stopping", rule="asha", runs=runs)
    await lab.call("get_sweep", sweep=sweep["sweep"])
    await lab.call("get_run", expected="not_found", run="nobody")


async def main(kind, place):
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
        await empty_lab_to_verdict(lab)
        assert lab.called == listed, f"not called: {listed - lab.called}"
        print(f"all {len(listed)} tools were called")


asyncio.run(main(*sys.argv[1:]))
