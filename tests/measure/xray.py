"""Every quantity of the X-ray page against an independent computation in PyTorch, on the same weights and text.

    xray.py CHECKPOINT_FOLDER CORPORA_FOLDER COMMAND...

COMMAND computes inspections: it reads a JSON inspection from each line of its input and writes a JSON object with
"result" on each line of its output: `target/release/examples/measure xray` (crates/engine/examples/measure) does that.
The model here is written from the plan alone, in 64 bits, and shares nothing with the program but the files: weights
and moments of the checkpoint, token shards and their tokenizer. Prints a table: quantity, number of values compared,
largest relative difference. The exit code is 1 where a difference is above 1e-4. Heat maps have one byte per cell, so
their cells are compared to half a quantisation step, and their bounds to 1e-4.
"""

import json
import math
import pathlib
import subprocess
import sys

import numpy as np
import torch
from safetensors.torch import load_file

ALLOWED = 1e-4
WORST = {}


# A loss near 0 is compared to 1e-6 nats: a log-softmax in 32 bits is not more precise.
LEAST_LOSS = 1e-2


def compare(name, ours, theirs, scale=None, least=1e-12):
    """Compares relative to each value or `least`, or relative to `scale` where values may be near 0."""
    ours = np.asarray(ours, dtype=np.float64).ravel()
    theirs = np.asarray(theirs, dtype=np.float64).ravel()
    assert ours.shape == theirs.shape, f"{name}: {ours.shape} and {theirs.shape}"
    both = np.isnan(ours) & np.isnan(theirs)
    size = np.maximum(np.abs(theirs), least) if scale is None else np.full_like(theirs, max(scale, 1e-12))
    difference = np.where(both, 0.0, np.abs(ours - theirs) / size)
    difference = np.where(np.isnan(difference), np.inf, difference)
    count, worst = WORST.get(name, (0, 0.0))
    WORST[name] = (count + len(ours), max(worst, float(difference.max(initial=0.0))))


def number(value):
    return math.nan if value is None else value


def numbers(values):
    return [number(value) for value in values]


def compare_heat_map(name, heat_map, theirs, bounds=None):
    """`bounds` are those of the scale where they are not the extremes of the values."""
    theirs = np.asarray(theirs, dtype=np.float64)
    assert (heat_map["rows"], heat_map["columns"]) == theirs.shape, name
    extremes = bounds or [theirs.min(), theirs.max()]
    compare(f"{name}, bounds", [heat_map["low"], heat_map["high"]], extremes, scale=abs(theirs).max())
    span = heat_map["high"] - heat_map["low"]
    cells = np.asarray(heat_map["cells"], dtype=np.float64).reshape(theirs.shape)
    steps = np.abs(heat_map["low"] + (cells - 1) / 254 * span - theirs) / max(span, 1e-12) * 254
    # How far beyond half a step; a thousandth is allowed for the rounding of the bounds.
    compare(f"{name}, cells beyond half a step", np.maximum(steps - 0.501, 0), np.zeros_like(steps), scale=1.0)


class Checkpoint:
    """A checkpoint with its dataset, read from the files."""

    def __init__(self, folder, corpora):
        manifest = json.loads((folder / "checkpoint.json").read_text())
        self.plan = manifest["plan"]
        self.model = self.plan["recipe"]["model"]
        identity = manifest["info"]["id"]
        self.step = identity["step"] if isinstance(identity, dict) else int(identity.split("-")[1])
        tensors = load_file(folder / "state.safetensors")
        self.weights = {name[7:]: tensor.double() for name, tensor in tensors.items() if name.startswith("weight/")}
        self.first = {name[6:]: tensor.double() for name, tensor in tensors.items() if name.startswith("first/")}
        self.second = {name[7:]: tensor.double() for name, tensor in tensors.items() if name.startswith("second/")}
        corpus = self.plan["mix"][0]["corpus"]
        self.shards = corpora / corpus / self.plan["tokenizer"]
        self.info = json.loads((self.shards / "info.json").read_text())["info"]
        if self.plan["tokenizer"] == "char":
            saved = json.loads((self.shards / "tokenizer.json").read_text())
            self.pieces = sorted(set(saved["alphabet"])) + (["<|endoftext|>"] if saved["has_eot"] else [])
        elif self.plan["tokenizer"].startswith("bpe-"):
            vocab = json.loads((self.shards / "tokenizer.json").read_text())["model"]["vocab"]
            self.pieces = [piece for piece, _ in sorted(vocab.items(), key=lambda item: item[1])]
        self.seq = min(self.model["seq"], 128)
        self.valid = np.fromfile(self.shards / "valid.bin", dtype="<u2").astype(np.int64)
        self.train = np.fromfile(self.shards / "train.bin", dtype="<u2").astype(np.int64)

    def validation(self, window):
        """The tokens of a validation window and their next tokens. Windows visit the split in equal strides."""
        slots = (len(self.valid) - 1) // self.seq
        stride = max(int(slots * 0.618033988749895), 1)
        while math.gcd(stride, slots) != 1:
            stride += 1
        start = window % slots * stride % slots * self.seq
        return self.valid[start:start + self.seq], self.valid[start + 1:start + self.seq + 1]


class Model:
    """The decoder of a plan in 64 bits. Interventions multiply components; `seen` keeps the values at hook points."""

    def __init__(self, checkpoint, weights=None):
        self.plan, self.weights = checkpoint.model, weights or checkpoint.weights

    def norm(self, x, name):
        gain, bias = self.weights[name], self.weights.get(name + ".bias")
        eps = self.plan.get("norm_eps") or {"layer": 1e-5, "rms": 1e-6}[self.plan["norm"]]
        x = self.rms(x - x.mean(-1, keepdim=True) if self.plan["norm"] == "layer" else x, eps)
        return x * gain + (0 if bias is None else bias)

    @staticmethod
    def rms(x, eps=1e-6):
        return x / (x.square().mean(-1, keepdim=True) + eps).sqrt()

    def linear(self, x, name):
        y = x @ self.weights[name]
        bias = self.weights.get(name + ".bias")
        return y if bias is None else y + bias

    def head(self, x):
        logits = x @ (self.weights["embedding.token"].T if self.plan["tied_head"] else self.weights["head"])
        cap = self.plan["logit_softcap"]
        return cap * torch.tanh(logits / cap) if cap > 0 else logits

    def rotate(self, x):
        seq, width = x.shape[-2:]
        half = width // 2
        wavelength = self.plan.get("rotary_base", 10_000) ** (torch.arange(half).double() / half)
        angle = torch.arange(seq).double()[:, None] / wavelength
        cos, sin = angle.cos(), angle.sin()
        a, b = x[..., :half], x[..., half:]
        return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)

    def run(self, tokens, interventions=(), seen=None):
        """Logits `[seq, vocab]`."""
        plan, seen = self.plan, {} if seen is None else seen
        factor = lambda **component: math.prod(f for c, f in interventions if c == component)
        heads, kv, width = plan["heads"], plan["kv_heads"], plan["d_model"] // plan["heads"]
        seq = len(tokens)
        x = self.weights["embedding.token"][torch.as_tensor(tokens)]
        x = x * torch.tensor([factor(position={"at": at}) for at in range(seq)]).double()[:, None]
        if plan["positions"] == "learned":
            x = x + self.weights["embedding.position"][:seq]
        seen["embedding"] = x
        for layer in range(plan["layers"]):
            at = f"block.{layer}."
            normed = self.norm(x, at + "attention.norm")
            split = lambda y, count: y.reshape(seq, count, width).transpose(0, 1)
            query = split(self.linear(normed, at + "attention.query"), heads)
            key = split(self.linear(normed, at + "attention.key"), kv)
            value = split(self.linear(normed, at + "attention.value"), kv)
            if plan["qk_norm"]:
                query, key = self.rms(query), self.rms(key)
            if plan["positions"] == "rotary":
                query, key = self.rotate(query), self.rotate(key)
            key, value = (y.repeat_interleave(heads // kv, 0) for y in (key, value))
            logits = query @ key.transpose(1, 2) / math.sqrt(width)
            allowed = torch.ones(seq, seq).tril().bool()
            scores = logits.masked_fill(~allowed, -math.inf)
            pattern = torch.softmax(scores, -1)
            seen[at + "scores"], seen[at + "pattern"] = scores, pattern
            mixed = pattern @ value
            factors = torch.tensor([factor(head={"layer": layer, "head": h}) for h in range(heads)]).double()
            mixed = mixed * factors[:, None, None]
            output = self.linear(mixed.transpose(0, 1).reshape(seq, -1), at + "attention.out")
            output = output * factor(attention={"layer": layer})
            x = x + output
            seen[at + "attn_out"], seen[at + "resid_mid"] = output, x
            normed = self.norm(x, at + "mlp.norm")
            up = self.linear(normed, at + "mlp.up")
            if plan["mlp"] == "gelu":
                pre = up
                post = 0.5 * up * (1 + torch.tanh(math.sqrt(2 / math.pi) * (up + 0.044715 * up**3)))
            else:
                pre = self.linear(normed, at + "mlp.gate")
                post = pre * torch.sigmoid(pre) * up
            seen[at + "pre"], seen[at + "post"] = pre, post
            factors = [factor(neuron={"layer": layer, "neuron": n}) for n in range(plan["d_ff"])]
            post = post * torch.tensor(factors).double()
            output = self.linear(post, at + "mlp.down") * factor(mlp={"layer": layer})
            x = x + output
            seen[at + "mlp_out"], seen[at + "resid_post"] = output, x
        x = self.norm(x, "norm")
        seen["norm"] = x
        return self.head(x)


def losses(logits, following):
    log_p = torch.log_softmax(logits, -1)
    return [math.nan if next < 0 else -log_p[place, next].item() for place, next in enumerate(following)]


def rms(x):
    return x.square().mean().sqrt().item()


def compare_heads(heads, seen, layer, tokens):
    patterns, scores = seen[f"block.{layer}.pattern"], seen[f"block.{layer}.scores"]
    seq = len(tokens)
    rows = torch.arange(1, seq)
    for head, ours in enumerate(heads):
        p = patterns[head]
        entropy = -(p * torch.log(p.clamp_min(1e-300))).sum(-1)
        compare("head entropy", ours["entropy"], (entropy[1:].mean() / torch.log(rows + 1.0).mean()).item())
        distance = (p * (torch.arange(seq)[:, None] - torch.arange(seq)[None]).double()).sum(-1)
        compare("head distance", ours["distance"], distance[1:].mean().item())
        compare("head previous", ours["previous"], p[rows, rows - 1].mean().item(), scale=1.0)
        found = [sum(p[i, j + 1].item() for j in range(i) if tokens[j] == tokens[i])
                 for i in range(seq) if tokens[i] in tokens[:i]]
        compare("head induction", number(ours["induction"]), np.mean(found) if found else math.nan, scale=1.0)
        largest = scores[head][scores[head] > -math.inf].abs().max().item()
        compare("head top score", ours["top_logit"], largest)


def check_overview(checkpoint, result, text):
    tokens, following = text
    seen = {}
    logits = Model(checkpoint).run(tokens, seen=seen)
    compare("overview: loss", result["loss"], np.nanmean(losses(logits, following)))
    components = {one["name"]: one for one in result["components"]}
    compare("overview: rms", components["embedding"]["rms"], rms(seen["embedding"]))
    compare("overview: rms", components["norm"]["rms"], rms(seen["norm"]))
    compare("overview: rms", components["head"]["rms"], rms(logits))
    for layer in range(checkpoint.model["layers"]):
        at = f"block.{layer}."
        compare("overview: rms", components[at + "attention"]["rms"], rms(seen[at + "attn_out"]))
        compare("overview: stream rms", components[at + "attention"]["stream_rms"], rms(seen[at + "resid_mid"]))
        compare("overview: rms", components[at + "mlp"]["rms"], rms(seen[at + "mlp_out"]))
        compare("overview: stream rms", components[at + "mlp"]["stream_rms"], rms(seen[at + "resid_post"]))
        post = seen[at + "post"]
        dead = (post.abs().max(0).values <= 0.01 * rms(post)).double().mean().item()
        compare("overview: dead neurons", components[at + "mlp"]["dead"], dead, scale=1.0)
        compare_heads(components[at + "attention"]["heads"], seen, layer, list(tokens))


def check_attention(checkpoint, result, text, layer):
    seen = {}
    Model(checkpoint).run(text[0], seen=seen)
    compare_heads(result["heads"], seen, layer, list(text[0]))
    for head, ours in enumerate(result["patterns"]):
        compare_heat_map("attention pattern", ours, seen[f"block.{layer}.pattern"][head], [0.0, 1.0])


def check_logit_lens(checkpoint, result, text):
    tokens, following = text
    model, seen = Model(checkpoint), {}
    logits = model.run(tokens, seen=seen)
    compare("logit lens: losses", numbers(result["losses"]), losses(logits, following), least=LEAST_LOSS)
    streams = [seen["embedding"]] + [seen[f"block.{layer}.resid_post"] for layer in range(checkpoint.model["layers"])]
    for stream, cells in zip(streams, result["cells"], strict=True):
        p = torch.softmax(model.head(model.norm(stream, "norm")), -1)
        for place, cell in enumerate(cells):
            best = p[place].topk(min(3, p.shape[1]))
            compare("logit lens: top probabilities", [probability for _, probability in cell["top"]], best.values)
            top = [p[place, token].item() for token, _ in cell["top"]]
            compare("logit lens: probability of the top tokens", top, best.values)
            if following[place] >= 0:
                actual = p[place, following[place]]
                compare("logit lens: actual probability", cell["actual"], actual.item())
                # A rank may differ by tokens whose probabilities are equal in 32 bits.
                near = ((p[place] / actual - 1).abs() < 1e-5).sum().item()
                rank = (p[place] > actual).sum().item() + 1
                beyond = max(abs(cell["rank"] - rank) - near + 1, 0)
                compare("logit lens: rank (difference beyond ties)", beyond, 0, scale=1.0)


def check_neurons(checkpoint, result, text, layer):
    seen = {}
    Model(checkpoint).run(text[0], seen=seen)
    post, pre = seen[f"block.{layer}.post"], seen[f"block.{layer}.pre"]
    compare_heat_map("neurons: activations", result["activations"], post[:, result["neurons"]].T)
    largest = post.abs().max(0).values
    strongest = largest.sort(descending=True).values[:len(result["neurons"])]
    compare("neurons: order", largest[result["neurons"]], strongest)
    compare("neurons: saturated", result["saturated"], (pre.abs() >= 4).double().mean().item(), scale=1.0)
    compare_histogram("neurons: histogram", result["histogram"], post)


def compare_histogram(name, ours, values):
    """Counts by powers of two; a value near the edge of a bin may fall on either side in 32 bits."""
    values = values.flatten().numpy()
    size = np.abs(values)
    power = np.floor(np.log2(size, where=size > 0, out=np.full_like(size, -200.0)))
    room = np.minimum(size - 2.0**power, 2.0 ** (power + 1) - size)
    close = int((room < 1e-5 * size + 1e-6 * np.sqrt(np.mean(size**2))).sum())
    bins = np.clip(power + 24, 0, 31).astype(int)
    for side, chosen in (("negative", values < 0), ("positive", values > 0)):
        difference = np.abs(np.bincount(bins[chosen], minlength=32) - np.array(ours[side])).sum()
        compare(name, max(difference - 2 * close, 0), 0, scale=1.0)


def tiles(values, most):
    rows, columns = values.shape
    down, across = min(rows, most), min(columns, most)
    edges = lambda n, t: [i * n // t for i in range(t + 1)]
    r, c = edges(rows, down), edges(columns, across)
    return np.array([[values[r[i]:r[i + 1], c[j]:c[j + 1]].mean().item() for j in range(across)] for i in range(down)])


def compare_matrix(name, ours, values, most):
    compare_heat_map(f"{name}: tiles", ours["mean"], tiles(values, most))
    scale = rms(values)
    compare(f"{name}: mean", ours["moments"]["mean"], values.mean().item(), scale=scale)
    compare(f"{name}: rms", ours["moments"]["rms"], scale)
    extremes = [values.min().item(), values.max().item()]
    largest = values.abs().max().item()
    compare(f"{name}: extremes", [ours["moments"]["min"], ours["moments"]["max"]], extremes, scale=largest)


def gradients(checkpoint, text):
    weights = {name: tensor.clone().requires_grad_() for name, tensor in checkpoint.weights.items()}
    log_p = torch.log_softmax(Model(checkpoint, weights).run(text[0]), -1)
    (-log_p[torch.arange(len(text[0])), torch.as_tensor(text[1])].mean()).backward()
    return {name: tensor.grad for name, tensor in weights.items()}


def updates(checkpoint, learning_rate):
    optimizer = checkpoint.plan["recipe"]["optimizer"]
    b1, b2, t = optimizer["beta1"], optimizer["beta2"], checkpoint.step
    update = lambda m, v: -learning_rate * (m / (1 - b1**t)) / ((v / (1 - b2**t)).sqrt() + optimizer["eps"])
    return {name: update(checkpoint.first[name], checkpoint.second[name]) for name in checkpoint.weights}


def check_weights(checkpoint, result, of, kind):
    for ours in result["matrices"]:
        values = of[ours["tensor"]]
        compare_matrix(f"{kind} matrices", ours, values, 32)
        spectral = torch.linalg.matrix_norm(values, 2).item()
        stable = values.square().sum().item() / spectral**2 if spectral > 0 else math.nan
        compare(f"{kind} matrices: stable rank", number(ours["stable_rank"]), stable)
        if kind == "weight":
            compare_histogram("weight matrices: histogram", ours["histogram"], values)


def check_embedding(checkpoint, result):
    counts = np.bincount(checkpoint.train[:1 << 20], minlength=len(checkpoint.weights["embedding.token"]))
    order = sorted(np.nonzero(counts)[0], key=lambda token: (-counts[token], token))[:512]
    compare("embedding: which tokens", [point["token"] for point in result["points"]], order)
    rows = checkpoint.weights["embedding.token"][order]
    centred = rows - rows.mean(0)
    _, s, v = torch.linalg.svd(centred, full_matrices=False)
    places = centred @ v[:2].T
    for axis in range(2):
        places[:, axis] *= torch.sign(places[places[:, axis].abs().argmax(), axis])
    for axis, name in enumerate("xy"):
        largest = places[:, axis].abs().max().item()
        compare("embedding: places", [point[name] for point in result["points"]], places[:, axis], scale=largest)
    compare("embedding: explained", result["explained"], s[:2].square() / s.square().sum())
    unit = rows / rows.norm(dim=1, keepdim=True)
    cosines = unit @ unit.T
    cosines.fill_diagonal_(-2)
    for place, point in enumerate(result["points"]):
        near = cosines[place].topk(len(point["near"])).values
        compare("embedding: nearest cosines", [cosine for _, cosine in point["near"]], near, scale=1.0)
    if result["spectrum"]:
        numbers = [checkpoint.pieces.index(f"{n:02}") for n in range(97)]
        waves = torch.fft.fft(checkpoint.weights["embedding.token"][numbers], dim=0).abs().square().sum(1) / 97
        waves[1:] *= 2
        compare("embedding: spectrum", result["spectrum"], waves[:49].sqrt(), scale=waves.sqrt().max().item())


def check_interventions(checkpoint, result, text, requested):
    tokens, following = text
    model = Model(checkpoint)
    interventions = [(one["component"], one["factor"]) for one in requested]
    before, after = losses(model.run(tokens), following), losses(model.run(tokens, interventions), following)
    compare("interventions: losses before", numbers(result["before"]), before, least=LEAST_LOSS)
    compare("interventions: losses after", numbers(result["after"]), after, least=LEAST_LOSS)
    count = max(min((len(checkpoint.valid) - 1) // checkpoint.seq, 2048 // checkpoint.seq), 1)
    windows = [checkpoint.validation(window) for window in range(count)]
    for name, applied in (("valid_before", ()), ("valid_after", interventions)):
        mean = np.mean([losses(model.run(t, applied), f) for t, f in windows])
        compare(f"interventions: {name}", result[name], mean)


def check_neuron(checkpoint, result, layer, neuron):
    windows = max(min((len(checkpoint.valid) - 1) // checkpoint.seq, 4096 // checkpoint.seq), 1)
    found = []
    for window in range(windows):
        seen = {}
        Model(checkpoint).run(checkpoint.validation(window)[0], seen=seen)
        found.append(seen[f"block.{layer}.post"][:, neuron])
    largest = torch.stack(found).abs().max(1).values
    ours = [context["window"] for context in result["contexts"]]
    compare("neuron: strongest contexts", largest[ours], largest.sort(descending=True).values[:len(ours)])
    for context in result["contexts"]:
        values = found[context["window"]]
        compare("neuron: activations", context["activations"], values, scale=values.abs().max().item())
    compare("neuron: tokens read", result["read"], windows * checkpoint.seq)


def learning_rate(checkpoint):
    """The learning rate of the plan's schedule, cosine or constant."""
    recipe, steps, t = checkpoint.plan["recipe"], checkpoint.plan["steps"], checkpoint.step
    schedule, peak = recipe["schedule"], recipe["optimizer"]["learning_rate"]
    if t < schedule["warmup_steps"]:
        return peak * (t + 1) / schedule["warmup_steps"]
    if schedule["shape"] == "constant":
        return peak
    done = min((t - schedule["warmup_steps"]) / max(steps - schedule["warmup_steps"], 1), 1.0)
    final = peak * schedule["final_fraction"]
    return final + (peak - final) * 0.5 * (1 + math.cos(math.pi * done))


def checks(checkpoint):
    """Every inspection with the function that compares its result."""
    layers = range(checkpoint.model["layers"])
    last, window = layers[-1], checkpoint.validation(3)
    text = {"validation": 3}
    interventions = [
        {"component": {"head": {"layer": 0, "head": 0}}, "factor": 0.0},
        {"component": {"neuron": {"layer": last, "neuron": 5}}, "factor": -3.0},
        {"component": {"position": {"at": 2}}, "factor": 0.25},
        {"component": {"mlp": {"layer": last}}, "factor": 1.5},
        {"component": {"attention": {"layer": last}}, "factor": 0.5},
    ]
    values = {
        "weight": checkpoint.weights,
        "gradient": gradients(checkpoint, checkpoint.validation(0)),
        "update": updates(checkpoint, learning_rate(checkpoint)),
    }
    name = "block.0.mlp.up"
    yield {"overview": {"text": text}}, lambda r: check_overview(checkpoint, r, window)
    for at in layers:
        yield {"attention": {"text": text, "layer": at}}, lambda r, at=at: check_attention(checkpoint, r, window, at)
        yield {"neurons": {"text": text, "layer": at}}, lambda r, at=at: check_neurons(checkpoint, r, window, at)
    yield {"logit_lens": {"text": text}}, lambda r: check_logit_lens(checkpoint, r, window)
    yield {"neuron": {"layer": last, "neuron": 7}}, lambda r: check_neuron(checkpoint, r, last, 7)
    for kind, of in values.items():
        yield {"weights": {"values": kind}}, lambda r, of=of, kind=kind: check_weights(checkpoint, r, of, kind)
    yield {"embedding": {}}, lambda r: check_embedding(checkpoint, r)
    requested = {"interventions": {"text": text, "interventions": interventions}}
    yield requested, lambda r: check_interventions(checkpoint, r, window, interventions)
    matrix = {"matrix": {"tensor": name, "values": "weight"}}
    yield matrix, lambda r: compare_matrix("matrix", r, checkpoint.weights[name], 128)


def main():
    folder, corpora, *command = sys.argv[1:]
    requested = list(checks(Checkpoint(pathlib.Path(folder), pathlib.Path(corpora))))
    lines = "\n".join(json.dumps(inspection) for inspection, _ in requested) + "\n"
    answer = subprocess.run([*command, folder, corpora], input=lines, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    for (_, check), line in zip(requested, answer.stdout.splitlines(), strict=True):
        (result,) = json.loads(line)["result"].values()
        check(result)
    for name, (count, worst) in sorted(WORST.items()):
        print(f"{name:44} {count:8} {worst:10.2e}{'   ABOVE THE LIMIT' if worst > ALLOWED else ''}")
    sys.exit(any(worst > ALLOWED for _, worst in WORST.values()))


if __name__ == "__main__":
    main()
