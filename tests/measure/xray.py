"""Every quantity of the X-ray against an independent computation in PyTorch, on the same weights and text.

    xray.py CHECKPOINT_FOLDER CORPORA_FOLDER COMMAND...

COMMAND answers looks: a JSON look on each line of its input, a JSON object with "sight" on each line of its output; the engine's example
`xray` does. The model here is written from the plan alone, in 64 bits, and shares nothing with the lab but the files: weights and moments of
the checkpoint, token shards and their tokenizer (char or byte). Prints a table: quantity, values compared, largest relative difference.
Ends with 1 where one is above 1e-4. Fields are a byte a cell, so they are held to half a step of their scale, and their bounds to 1e-4.
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


# A loss next to nothing is told to 1e-6 nats: a log-softmax in 32 bits holds no more.
LEAST_LOSS = 1e-2


def compare(name, ours, theirs, scale=None, least=1e-12):
    """Relative to each value or `least`, or to `scale` where values may be next to nothing."""
    ours = np.asarray(ours, dtype=np.float64).ravel()
    theirs = np.asarray(theirs, dtype=np.float64).ravel()
    assert ours.shape == theirs.shape, f"{name}: {ours.shape} and {theirs.shape}"
    both = np.isnan(ours) & np.isnan(theirs)
    size = np.maximum(np.abs(theirs), least) if scale is None else np.full_like(theirs, max(scale, 1e-12))
    apart = np.where(both, 0.0, np.abs(ours - theirs) / size)
    apart = np.where(np.isnan(apart), np.inf, apart)
    count, worst = WORST.get(name, (0, 0.0))
    WORST[name] = (count + len(ours), max(worst, float(apart.max(initial=0.0))))


def number(value):
    return math.nan if value is None else value


def numbers(values):
    return [number(value) for value in values]


def compare_field(name, field, theirs, bounds=None):
    """`bounds` are those of the scale where it is not that of the values."""
    theirs = np.asarray(theirs, dtype=np.float64)
    assert (field["rows"], field["columns"]) == theirs.shape, name
    compare(f"{name}, bounds", [field["low"], field["high"]], bounds or [theirs.min(), theirs.max()], scale=abs(theirs).max())
    span = field["high"] - field["low"]
    cells = np.asarray(field["cells"], dtype=np.float64).reshape(theirs.shape)
    steps = np.abs(field["low"] + (cells - 1) / 254 * span - theirs) / max(span, 1e-12) * 254
    # How much farther than half a step, a thousandth allowed for the rounding of the bounds.
    compare(f"{name}, cells beyond half a step", np.maximum(steps - 0.501, 0), np.zeros_like(steps), scale=1.0)


class Lab:
    """A checkpoint with its text, read from the files."""

    def __init__(self, folder, corpora):
        manifest = json.loads((folder / "checkpoint.json").read_text())
        self.plan = manifest["plan"]
        self.model = self.plan["recipe"]["model"]
        self.step = manifest["info"]["id"]["step"] if isinstance(manifest["info"]["id"], dict) else int(manifest["info"]["id"].split("-")[1])
        tensors = load_file(folder / "state.safetensors")
        self.weights = {name[7:]: tensor.double() for name, tensor in tensors.items() if name.startswith("weight/")}
        self.first = {name[6:]: tensor.double() for name, tensor in tensors.items() if name.startswith("first/")}
        self.second = {name[7:]: tensor.double() for name, tensor in tensors.items() if name.startswith("second/")}
        corpus = self.plan["mix"][0]["corpus"]
        self.shards = corpora / corpus / self.plan["tokenizer"]
        self.info = json.loads((self.shards / "info.json").read_text())["info"]
        if self.plan["tokenizer"] == "char":
            kept = json.loads((self.shards / "tokenizer.json").read_text())
            self.pieces = sorted(set(kept["alphabet"])) + (["<|endoftext|>"] if kept["has_eot"] else [])
        elif self.plan["tokenizer"].startswith("bpe-"):
            vocab = json.loads((self.shards / "tokenizer.json").read_text())["model"]["vocab"]
            self.pieces = [piece for piece, _ in sorted(vocab.items(), key=lambda item: item[1])]
        self.seq = min(self.model["seq"], 128)
        self.valid = np.fromfile(self.shards / "valid.bin", dtype="<u2").astype(np.int64)
        self.train = np.fromfile(self.shards / "train.bin", dtype="<u2").astype(np.int64)

    def held(self, window):
        """The window's tokens and those that follow them: a tour of even strides through the held-out text."""
        slots = (len(self.valid) - 1) // self.seq
        stride = max(int(slots * 0.618033988749895), 1)
        while math.gcd(stride, slots) != 1:
            stride += 1
        start = window % slots * stride % slots * self.seq
        return self.valid[start:start + self.seq], self.valid[start + 1:start + self.seq + 1]

    def own(self, text):
        tokens = np.array([self.pieces.index(char) for char in text])
        return tokens, np.append(tokens[1:], -1)


class Model:
    """The decoder of a plan in 64 bits. `hands` multiplies parts; `seen` keeps what stood at each point."""

    def __init__(self, lab, weights=None):
        self.plan, self.weights = lab.model, weights or lab.weights

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
        angle = torch.arange(seq).double()[:, None] / self.plan.get("rotary_base", 10_000) ** (torch.arange(half).double() / half)
        cos, sin = angle.cos(), angle.sin()
        a, b = x[..., :half], x[..., half:]
        return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)

    def run(self, tokens, hands=(), seen=None):
        """Logits `[seq, vocab]`."""
        plan, seen = self.plan, {} if seen is None else seen
        factor = lambda **part: math.prod(f for p, f in hands if p == part)
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
            shares = torch.softmax(logits.masked_fill(~allowed, -math.inf), -1)
            seen[at + "logits"], seen[at + "shares"] = logits.masked_fill(~allowed, -math.inf), shares
            mixed = shares @ value
            mixed = mixed * torch.tensor([factor(head={"layer": layer, "head": h}) for h in range(heads)]).double()[:, None, None]
            said = self.linear(mixed.transpose(0, 1).reshape(seq, -1), at + "attention.out")
            said = said * factor(attention={"layer": layer})
            x = x + said
            seen[at + "attention"], seen[at + "attended"] = said, x
            normed = self.norm(x, at + "mlp.norm")
            up = self.linear(normed, at + "mlp.up")
            if plan["mlp"] == "gelu":
                bends = up
                units = 0.5 * up * (1 + torch.tanh(math.sqrt(2 / math.pi) * (up + 0.044715 * up**3)))
            else:
                bends = self.linear(normed, at + "mlp.gate")
                units = bends * torch.sigmoid(bends) * up
            seen[at + "bends"], seen[at + "units"] = bends, units
            units = units * torch.tensor([factor(unit={"layer": layer, "unit": u}) for u in range(plan["d_ff"])]).double()
            said = self.linear(units, at + "mlp.down") * factor(mlp={"layer": layer})
            x = x + said
            seen[at + "mlp"], seen[at + "stream"] = said, x
        x = self.norm(x, "norm")
        seen["norm"] = x
        return self.head(x)


def losses(logits, following):
    log_p = torch.log_softmax(logits, -1)
    return [math.nan if next < 0 else -log_p[place, next].item() for place, next in enumerate(following)]


def rms(x):
    return x.square().mean().sqrt().item()


def compare_heads(heads, seen, layer, tokens):
    shares, logits = seen[f"block.{layer}.shares"], seen[f"block.{layer}.logits"]
    seq = len(tokens)
    rows = torch.arange(1, seq)
    for head, ours in enumerate(heads):
        p = shares[head]
        entropy = -(p * torch.log(p.clamp_min(1e-300))).sum(-1)
        compare("head entropy", ours["entropy"], (entropy[1:] / torch.log(rows + 1.0)).mean().item())
        distance = (p * (torch.arange(seq)[:, None] - torch.arange(seq)[None]).double()).sum(-1)
        compare("head distance", ours["distance"], distance[1:].mean().item())
        compare("head previous", ours["previous"], p[rows, rows - 1].mean().item(), scale=1.0)
        found = [sum(p[i, j + 1].item() for j in range(i) if tokens[j] == tokens[i])
                 for i in range(seq) if tokens[i] in tokens[:i]]
        compare("head induction", number(ours["induction"]), np.mean(found) if found else math.nan, scale=1.0)
        compare("head top logit", ours["top_logit"], logits[head].max().item(), scale=logits[head][logits[head] > -math.inf].abs().max().item())


def check_map(lab, sight, text):
    tokens, following = text
    seen = {}
    logits = Model(lab).run(tokens, seen=seen)
    compare("map: loss", sight["loss"], np.nanmean(losses(logits, following)))
    parts = {part["name"]: part for part in sight["parts"]}
    compare("map: rms", parts["embedding"]["rms"], rms(seen["embedding"]))
    compare("map: rms", parts["norm"]["rms"], rms(seen["norm"]))
    compare("map: rms", parts["head"]["rms"], rms(logits))
    for layer in range(lab.model["layers"]):
        at = f"block.{layer}."
        compare("map: rms", parts[at + "attention"]["rms"], rms(seen[at + "attention"]))
        compare("map: stream rms", parts[at + "attention"]["stream_rms"], rms(seen[at + "attended"]))
        compare("map: rms", parts[at + "mlp"]["rms"], rms(seen[at + "mlp"]))
        compare("map: stream rms", parts[at + "mlp"]["stream_rms"], rms(seen[at + "stream"]))
        units = seen[at + "units"]
        most = units.max(0).values if lab.model["mlp"] == "gelu" else units.abs().max(0).values
        compare("map: dead share", parts[at + "mlp"]["dead"], (most <= 1e-3).double().mean().item(), scale=1.0)
        compare_heads(parts[at + "attention"]["heads"], seen, layer, list(tokens))


def check_attention(lab, sight, text, layer):
    seen = {}
    Model(lab).run(text[0], seen=seen)
    compare_heads(sight["heads"], seen, layer, list(text[0]))
    for head, field in enumerate(sight["patterns"]):
        compare_field("attention pattern", field, seen[f"block.{layer}.shares"][head], [0.0, 1.0])


def check_lens(lab, sight, text):
    tokens, following = text
    model, seen = Model(lab), {}
    logits = model.run(tokens, seen=seen)
    compare("lens: losses", numbers(sight["losses"]), losses(logits, following), least=LEAST_LOSS)
    streams = [seen["embedding"]] + [seen[f"block.{layer}.stream"] for layer in range(lab.model["layers"])]
    for stream, cells in zip(streams, sight["cells"], strict=True):
        p = torch.softmax(model.head(model.norm(stream, "norm")), -1)
        for place, cell in enumerate(cells):
            best = p[place].topk(min(3, p.shape[1]))
            compare("lens: top probabilities", [share for _, share in cell["top"]], best.values)
            compare("lens: probability of the top tokens", [p[place, token].item() for token, _ in cell["top"]], best.values)
            if following[place] >= 0:
                right = p[place, following[place]]
                compare("lens: right probability", cell["right"], right.item())
                # A rank may differ by neighbours that are alike in 32 bits.
                near = ((p[place] / right - 1).abs() < 1e-5).sum().item()
                rank = (p[place] > right).sum().item() + 1
                compare("lens: rank (apart beyond ties)", max(abs(cell["rank"] - rank) - near + 1, 0), 0, scale=1.0)


def check_units(lab, sight, text, layer):
    seen = {}
    Model(lab).run(text[0], seen=seen)
    units, bends = seen[f"block.{layer}.units"], seen[f"block.{layer}.bends"]
    shown = units[:, sight["units"]].T
    compare_field("units: activations", sight["activations"], shown)
    largest = units.abs().max(0).values
    compare("units: order", largest[sight["units"]], largest.sort(descending=True).values[:len(sight["units"])])
    compare("units: saturated", sight["saturated"], (bends.abs() >= 4).double().mean().item(), scale=1.0)
    compare_histogram("units: histogram", sight["histogram"], units)


def compare_histogram(name, ours, values):
    """Counts by powers of two; a value whose bin 32 bits cannot tell may fall on either side."""
    values = values.flatten().numpy()
    size = np.abs(values)
    power = np.floor(np.log2(size, where=size > 0, out=np.full_like(size, -200.0)))
    room = np.minimum(size - 2.0**power, 2.0 ** (power + 1) - size)
    close = int((room < 1e-5 * size + 1e-6 * np.sqrt(np.mean(size**2))).sum())
    bins = np.clip(power + 24, 0, 31).astype(int)
    for side, chosen in (("negative", values < 0), ("positive", values > 0)):
        apart = np.abs(np.bincount(bins[chosen], minlength=32) - np.array(ours[side])).sum()
        compare(name, max(apart - 2 * close, 0), 0, scale=1.0)


def tiles(values, most):
    rows, columns = values.shape
    down, across = min(rows, most), min(columns, most)
    edges = lambda n, t: [i * n // t for i in range(t + 1)]
    r, c = edges(rows, down), edges(columns, across)
    return np.array([[values[r[i]:r[i + 1], c[j]:c[j + 1]].mean().item() for j in range(across)] for i in range(down)])


def compare_matrix(name, ours, values, most):
    compare_field(f"{name}: tiles", ours["mean"], tiles(values, most))
    scale = rms(values)
    compare(f"{name}: mean", ours["moments"]["mean"], values.mean().item(), scale=scale)
    compare(f"{name}: rms", ours["moments"]["rms"], scale)
    compare(f"{name}: extrema", [ours["moments"]["min"], ours["moments"]["max"]], [values.min().item(), values.max().item()],
            scale=values.abs().max().item())


def gradients(lab, text):
    weights = {name: tensor.clone().requires_grad_() for name, tensor in lab.weights.items()}
    log_p = torch.log_softmax(Model(lab, weights).run(text[0]), -1)
    (-log_p[torch.arange(len(text[0])), torch.as_tensor(text[1])].mean()).backward()
    return {name: tensor.grad for name, tensor in weights.items()}


def updates(lab, rate):
    numbers = lab.plan["recipe"]["optimizer"]
    b1, b2, t = numbers["beta1"], numbers["beta2"], lab.step
    change = lambda m, v: -rate * (m / (1 - b1**t)) / ((v / (1 - b2**t)).sqrt() + numbers["eps"])
    return {name: change(lab.first[name], lab.second[name]) for name in lab.weights}


def check_gallery(lab, sight, of, kind):
    for ours in sight["matrices"]:
        values = of[ours["tensor"]]
        compare_matrix(f"{kind} gallery", ours, values, 32)
        spectral = torch.linalg.matrix_norm(values, 2).item()
        stable = values.square().sum().item() / spectral**2 if spectral > 0 else math.nan
        compare(f"{kind} gallery: stable rank", number(ours["stable_rank"]), stable)
        if kind == "weight":
            compare_histogram("weight gallery: histogram", ours["histogram"], values)


def check_embedding(lab, sight):
    counts = np.bincount(lab.train[:1 << 20], minlength=len(lab.weights["embedding.token"]))
    order = sorted(np.nonzero(counts)[0], key=lambda token: (-counts[token], token))[:512]
    compare("embedding: which tokens", [point["token"] for point in sight["points"]], order)
    rows = lab.weights["embedding.token"][order]
    centred = rows - rows.mean(0)
    _, s, v = torch.linalg.svd(centred, full_matrices=False)
    places = centred @ v[:2].T
    for axis in range(2):
        places[:, axis] *= torch.sign(places[places[:, axis].abs().argmax(), axis])
    for axis, name in enumerate("xy"):
        compare("embedding: places", [point[name] for point in sight["points"]], places[:, axis], scale=places[:, axis].abs().max().item())
    compare("embedding: explained", sight["explained"], s[:2].square() / s.square().sum())
    unit = rows / rows.norm(dim=1, keepdim=True)
    cosines = unit @ unit.T
    cosines.fill_diagonal_(-2)
    for place, point in enumerate(sight["points"]):
        near = cosines[place].topk(len(point["near"])).values
        compare("embedding: nearest cosines", [cosine for _, cosine in point["near"]], near, scale=1.0)
    if sight["spectrum"]:
        numbers = [lab.pieces.index(f"{n:02}") for n in range(97)]
        waves = torch.fft.fft(lab.weights["embedding.token"][numbers], dim=0).abs().square().sum(1) / 97
        waves[1:] *= 2
        compare("embedding: spectrum", sight["spectrum"], waves[:49].sqrt(), scale=waves.sqrt().max().item())


def check_hands(lab, sight, text, edits):
    tokens, following = text
    model = Model(lab)
    hands = [(edit["part"], edit["factor"]) for edit in edits]
    compare("hands: losses before", numbers(sight["before"]), losses(model.run(tokens), following), least=LEAST_LOSS)
    compare("hands: losses after", numbers(sight["after"]), losses(model.run(tokens, hands), following), least=LEAST_LOSS)
    windows = max(min((len(lab.valid) - 1) // lab.seq, 2048 // lab.seq), 1)
    held = [lab.held(window) for window in range(windows)]
    for name, laid in (("valid_before", ()), ("valid_after", hands)):
        mean = np.mean([losses(model.run(t, laid), f) for t, f in held])
        compare(f"hands: {name}", sight[name], mean)


def check_unit(lab, sight, layer, unit):
    windows = max(min((len(lab.valid) - 1) // lab.seq, 4096 // lab.seq), 1)
    found = []
    for window in range(windows):
        seen = {}
        Model(lab).run(lab.held(window)[0], seen=seen)
        found.append(seen[f"block.{layer}.units"][:, unit])
    largest = torch.stack(found).abs().max(1).values
    ours = [context["window"] for context in sight["contexts"]]
    compare("unit: strongest contexts", largest[ours], largest.sort(descending=True).values[:len(ours)])
    for context in sight["contexts"]:
        values = found[context["window"]]
        compare("unit: activations", context["activations"], values, scale=values.abs().max().item())
    compare("unit: tokens read", sight["read"], windows * lab.seq)


def rate_at(lab):
    """The cosine or the level of the plan's schedule."""
    recipe, steps, t = lab.plan["recipe"], lab.plan["steps"], lab.step
    schedule, peak = recipe["schedule"], recipe["optimizer"]["rate"]
    if t < schedule["warmup_steps"]:
        return peak * (t + 1) / schedule["warmup_steps"]
    if schedule["shape"] == "constant":
        return peak
    done = min((t - schedule["warmup_steps"]) / max(steps - schedule["warmup_steps"], 1), 1.0)
    floor = peak * schedule["floor"]
    return floor + (peak - floor) * 0.5 * (1 + math.cos(math.pi * done))


def main():
    folder, corpora, *command = sys.argv[1:]
    lab = Lab(pathlib.Path(folder), pathlib.Path(corpora))
    last = lab.model["layers"] - 1
    held = lab.held(3)
    edits = [
        {"part": {"head": {"layer": 0, "head": 0}}, "factor": 0.0},
        {"part": {"unit": {"layer": last, "unit": 5}}, "factor": -3.0},
        {"part": {"position": {"at": 2}}, "factor": 0.25},
        {"part": {"mlp": {"layer": last}}, "factor": 1.5},
        {"part": {"attention": {"layer": last}}, "factor": 0.5},
    ]
    passage = {"held": 3}
    looks = [({"map": {"passage": passage}}, lambda s: check_map(lab, s, held))]
    for layer in range(lab.model["layers"]):
        looks.append(({"attention": {"passage": passage, "layer": layer}}, lambda s, layer=layer: check_attention(lab, s, held, layer)))
        looks.append(({"units": {"passage": passage, "layer": layer}}, lambda s, layer=layer: check_units(lab, s, held, layer)))
    looks += [
        ({"lens": {"passage": passage}}, lambda s: check_lens(lab, s, held)),
        ({"unit": {"layer": last, "unit": 7}}, lambda s: check_unit(lab, s, last, 7)),
        ({"gallery": {"of": "weight"}}, lambda s: check_gallery(lab, s, lab.weights, "weight")),
        ({"gallery": {"of": "gradient"}}, lambda s: check_gallery(lab, s, gradients(lab, lab.held(0)), "gradient")),
        ({"gallery": {"of": "update"}}, lambda s: check_gallery(lab, s, updates(lab, rate_at(lab)), "update")),
        ({"embedding": {}}, lambda s: check_embedding(lab, s)),
        ({"hands": {"passage": passage, "edits": edits}}, lambda s: check_hands(lab, s, held, edits)),
    ]
    name = "block.0.mlp.up"
    looks.append(({"matrix": {"tensor": name, "of": "weight"}}, lambda s: compare_matrix("matrix", s, lab.weights[name], 128)))
    asked = "\n".join(json.dumps(look) for look, _ in looks) + "\n"
    answer = subprocess.run([*command, folder, corpora], input=asked, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    for (_, check), line in zip(looks, answer.stdout.splitlines(), strict=True):
        (sight,) = json.loads(line)["sight"].values()
        check(sight)
    for name, (count, worst) in sorted(WORST.items()):
        print(f"{name:44} {count:8} {worst:10.2e}{'   TOO FAR' if worst > ALLOWED else ''}")
    sys.exit(any(worst > ALLOWED for _, worst in WORST.values()))


if __name__ == "__main__":
    main()
