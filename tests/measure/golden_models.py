"""Tiny models of `transformers` that vary what decides ids, logits and the end of a text, for crates/engine/tests/engine/models.rs.

    python -m venv VENV && VENV/bin/pip install torch transformers tokenizers safetensors
    VENV/bin/python tests/measure/golden_models.py crates/engine/tests/golden/models
        makes every model with its prompts, ids, logits and greedy tokens (checked in: run it only to change them)
    MODELS_OUT=DIR cargo test --release --workspace --exclude app --exclude xtask --test engine -- --ignored exports_for_transformers
    VENV/bin/python tests/measure/golden_models.py verify DIR
        loads what that test exported again: ids and greedy tokens must be the same and logits within 1e-4

A folder is what `save_pretrained` or a trainer leaves; answers.json beside it has what `AutoTokenizer` and `generate` gave.
"""

import json
import pathlib
import shutil
import sys

import torch
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, MistralConfig,
                          MistralForCausalLM, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM)

MOST = 1e-4
NEW_TOKENS = 20
# Prompts whose logits are kept.
LOGITS = 2
TEXT = """The cat's hat sat on the mat. Then 12 more cats came, and 3456 dogs; they'll see: it's THE END!
The dogs weren't there... "We'd go," said the cat, "I'm here."\n\n  Indented  text\twith tabs, 7 times 89 is 623.
\u00e9t\u00e9 na\u00efve fa\u00e7ade, \u4e2d\u6587 words and \U0001f642 faces. the the the cat cat hats mats dogs
"""
PROMPTS = [
    "The cat's hat",
    "  two  spaces\n\nand 12345 numbers; they'LL see",
    "\u00e9t\u00e9 e\u0301 \u4e2d\u6587 \U0001f642 ...!\r\n x",
    "end<|endoftext|>of<s> the</s> <|user|> <tool>mat",
]
# The words of published tokenizers.
GPT2_WORDS = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
LLAMA3_WORDS = r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
QWEN2_WORDS = r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""


# Tokenizers

def byte_level(words=None, digits=False, specials=("<|endoftext|>",), size=290, normalizer=None, regex=True, **model):
    """A byte-pair encoding trained with the words of a published tokenizer."""
    tokenizer = Tokenizer(models.BPE(**model))
    steps = []
    if words:
        steps.append(pre_tokenizers.Split(Regex(words), "isolated"))
    if digits:
        steps.append(pre_tokenizers.Digits(individual_digits=True))
    steps.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=regex and not words))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps) if len(steps) > 1 else steps[0]
    tokenizer.decoder = decoders.ByteLevel()
    if normalizer:
        tokenizer.normalizer = normalizer
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=list(specials), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                  show_progress=False)
    tokenizer.train_from_iterator([TEXT] * 3, trainer)
    return tokenizer


def template(tokenizer, single):
    names = [piece for piece in single.split() if not piece.startswith("$")]
    ids = [(name, tokenizer.token_to_id(name)) for name in names]
    tokenizer.post_processor = processors.TemplateProcessing(single=single, pair=f"{single} $B", special_tokens=ids)
    return tokenizer


def llama2():
    """SentencePiece's kind: spaces are letters, unknown characters are bytes."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    special = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=360, special_tokens=special, show_progress=False, max_token_length=8)
    tokenizer.train_from_iterator([line for line in TEXT.replace("\u4e2d", "").replace("\U0001f642", "").split(" ")] * 3, trainer)
    return template(tokenizer, "<s> $A")


def unigram():
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=180, special_tokens=["<unk>", "</s>"], unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator([TEXT] * 3, trainer)
    return template(tokenizer, "$A </s>")


def word_piece():
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(vocab_size=150, special_tokens=["[UNK]", "[CLS]", "[SEP]"], show_progress=False)
    tokenizer.train_from_iterator([TEXT] * 3, trainer)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    return tokenizer


def word_level():
    tokenizer = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.train_from_iterator([TEXT] * 3, trainers.WordLevelTrainer(vocab_size=60, special_tokens=["[UNK]"], show_progress=False))
    return tokenizer


def other_order():
    """Merges that are not in the order of their ids, so that ranks and ids differ."""
    tree = json.loads(byte_level().to_str())
    vocab, merges = tree["model"]["vocab"], tree["model"]["merges"]
    made = [merge for merge in merges]
    ids = sorted(vocab["".join(merge)] for merge in made)
    for merge, token in zip(made, reversed(ids)):
        vocab["".join(merge)] = token
    return Tokenizer.from_str(json.dumps(tree))


def whole_words():
    """`ignore_merges`: a word that is a token is not merged from its parts, which would give others."""
    tree = json.loads(byte_level(words=LLAMA3_WORDS, specials=("<s>", "</s>")).to_str())
    tree["model"]["ignore_merges"] = True
    size = len(tree["model"]["vocab"])
    for place, word in enumerate(["The", "\u0120hat", "\u0120they", "numbers"]):
        tree["model"]["vocab"].setdefault(word, size + place)
    vocab = tree["model"]["vocab"]
    for place, word in enumerate(sorted(vocab, key=vocab.get)):
        vocab[word] = place
    return template(Tokenizer.from_str(json.dumps(tree)), "<s> $A")


# Models

def weights(model, seed):
    """Values large enough that the likeliest tokens are far apart, biases that are not 0, gains that are not 1."""
    random = torch.Generator().manual_seed(seed)
    for name, value in model.named_parameters():
        with torch.no_grad():
            value.copy_(torch.randn(value.shape, generator=random) * (0.35 if value.dim() > 1 else 0.2))
            if "norm" in name and name.endswith("weight") or ".ln_" in name and name.endswith("weight"):
                value += 1
    return model.eval()


def gpt2(vocab, seed, **changes):
    config = dict(vocab_size=vocab, n_positions=96, n_embd=32, n_inner=32, n_layer=2, n_head=4, bos_token_id=0, eos_token_id=0)
    return weights(GPT2LMHeadModel(GPT2Config(**config | changes)), seed)


def rotary(kind, vocab, seed, **changes):
    config_type, model_type = {"llama": (LlamaConfig, LlamaForCausalLM), "qwen2": (Qwen2Config, Qwen2ForCausalLM),
                               "mistral": (MistralConfig, MistralForCausalLM)}[kind]
    config = dict(vocab_size=vocab, hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                  max_position_embeddings=96, bos_token_id=0, eos_token_id=0, rms_norm_eps=1e-5)
    return weights(model_type(config_type(**config | changes)), seed)


def rope(theta, **scaling):
    return {"rope_theta": theta, **({"rope_type": "default"} | scaling)}


LLAMA3 = rope(500000.0, rope_type="llama3", factor=32.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32)


# What is done to a folder after it was saved

def edit(folder, file, **changes):
    tree = json.loads((folder / file).read_text()) if (folder / file).exists() else {}
    tree.update(changes)
    (folder / file).write_text(json.dumps({key: value for key, value in tree.items() if value != "-"}))


def rename(folder, change):
    state = {name: value.clone() for name, value in load_file(folder / "model.safetensors").items()}
    save_file(dict(change(name, value) for name, value in state.items()), folder / "model.safetensors", metadata={"format": "pt"})


def split_vocab(folder, extra):
    """vocab.json and merges.txt in place of tokenizer.json."""
    tree = json.loads((folder / "tokenizer.json").read_text())
    (folder / "vocab.json").write_text(json.dumps(tree["model"]["vocab"]))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(" ".join(merge) for merge in tree["model"]["merges"]) + "\n")
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").write_text(json.dumps(extra))


def trainer_folder(folder):
    """What transformers.Trainer leaves beside a model, and an export in a subfolder."""
    for name in ["optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin"]:
        (folder / name).write_bytes(b"\x80\x02}q\x00.")
    (folder / "onnx").mkdir()
    (folder / "onnx" / "config.json").write_text("{}")


def old_rope(folder):
    config = json.loads((folder / "config.json").read_text())
    scaling = config.pop("rope_parameters")
    theta = scaling.pop("rope_theta")
    config |= {"rope_theta": theta, "rope_scaling": scaling}
    (folder / "config.json").write_text(json.dumps(config))


def end(folder, config, generation):
    """`eos_token_id` of both files; without the second file where `generation` is None, without its field where it is "-"."""
    edit(folder, "config.json", eos_token_id=config)
    if generation is None:
        (folder / "generation_config.json").unlink(missing_ok=True)
    else:
        edit(folder, "generation_config.json", eos_token_id=generation)


def bom(folder):
    for name in ["config.json", "tokenizer.json", "generation_config.json"]:
        (folder / name).write_bytes(b"\xef\xbb\xbf" + (folder / name).read_bytes())


def make():
    """Name, tokenizer, model, and what is done to the folder before and after `transformers` reads it."""
    s = ("<s>", "</s>")
    llama3 = template(byte_level(words=LLAMA3_WORDS, specials=s), "<s> $A")
    qwen = byte_level(words=QWEN2_WORDS, specials=("<|endoftext|>", "<|user|>"), normalizer=normalizers.NFC())
    smol = byte_level(digits=True)
    plain = byte_level()
    both = template(byte_level(specials=s), "<s> $A </s>")
    added = byte_level()
    added.add_tokens([AddedToken("<tool>", lstrip=True), AddedToken("cat", single_word=True)])
    added.add_special_tokens([AddedToken("<|user|>", rstrip=True)])
    size = Tokenizer.get_vocab_size
    yield "gpt2", plain, lambda: gpt2(size(plain), 1), dict(ends=lambda f, token: end(f, token, None))
    yield "gpt2-exact-gelu", plain, lambda: gpt2(size(plain), 2, activation_function="gelu"), {}
    yield "gpt2-tanh-gelu-untied", plain, lambda: gpt2(size(plain), 3, activation_function="gelu_pytorch_tanh", tie_word_embeddings=False), {}
    yield "gpt2-vocab-and-merges", plain, lambda: gpt2(size(plain), 4), dict(before=lambda f: split_vocab(f, {}))
    yield "gpt2-prefix-space", plain, lambda: gpt2(size(plain), 5), dict(
        before=lambda f: split_vocab(f, {"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": True, "add_bos_token": True, "bos_token": "<|endoftext|>"}))
    yield "gpt2-merge-order", other_order(), lambda: gpt2(size(plain), 6), {}
    yield "gpt2-added-tokens", added, lambda: gpt2(size(added) + 3, 7), {}
    yield "gpt2-tied-as-head", plain, lambda: gpt2(size(plain), 8), dict(
        after=lambda f: rename(f, lambda name, value: ("lm_head.weight" if name.endswith("wte.weight") else name, value)))
    yield "gpt2-compiled-float16", plain, lambda: gpt2(size(plain), 9), dict(
        dtype=torch.float16, after=lambda f: rename(f, lambda name, value: (f"module._orig_mod.{name}", value)))
    yield "gpt2-word-level", word_level(), lambda: gpt2(60, 10), {}
    yield "smollm2", smol, lambda: rotary("llama", size(smol), 11, tie_word_embeddings=True, rope_parameters=rope(100000.0)), dict(
        before=lambda f: edit(f, "tokenizer_config.json", tokenizer_class="GPT2Tokenizer"))
    yield "llama3-scaled", llama3, lambda: rotary("llama", size(llama3), 12, tie_word_embeddings=True, rope_parameters=LLAMA3), dict(
        dtype=torch.float32, ends=lambda f, token: end(f, 1, [7, token]))
    yield "llama3-old-fields", llama3, lambda: rotary("llama", size(llama3), 13, rope_parameters=LLAMA3), dict(before=old_rope, after=bom)
    yield "llama-linear-scaling", llama3, lambda: rotary("llama", size(llama3), 14, rope_parameters=rope(10000.0, rope_type="linear", factor=4.0)), {}
    yield "llama-whole-words", (whole := whole_words()), lambda: rotary("llama", size(whole), 15), {}
    yield "llama-bos-and-eos", both, lambda: rotary("llama", size(both), 16, eos_token_id=1), {}
    yield "llama-flags-without-effect", llama3, lambda: rotary("llama", size(llama3), 17), dict(
        before=lambda f: edit(f, "tokenizer_config.json", add_bos_token=False, add_eos_token=True, bos_token="<s>", eos_token="</s>"))
    yield "llama2-byte-fallback", (spm := llama2()), lambda: rotary("llama", size(spm), 18, bos_token_id=1, eos_token_id=2), dict(
        before=lambda f: edit(f, "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast"))
    yield "llama-unigram", (uni := unigram()), lambda: rotary("llama", size(uni), 19, eos_token_id=1), {}
    yield "llama-word-piece", (pieces := word_piece()), lambda: rotary("llama", size(pieces), 20, eos_token_id=2), {}
    yield "llama-with-bias", both, lambda: rotary("llama", size(both), 21, attention_bias=True, mlp_bias=True), {}
    yield "llama-sharded-trainer", llama3, lambda: rotary("llama", size(llama3), 22), dict(shard="20KB", after=trainer_folder)
    yield "llama-lightning", llama3, lambda: rotary("llama", size(llama3), 23, num_key_value_heads=4, tie_word_embeddings=True), dict(
        after=lambda f: rename(f, lambda name, value: (f"model.{'lm_head.weight' if 'embed_tokens' in name else name}", value)))
    yield "qwen2.5", qwen, lambda: rotary("qwen2", size(qwen) + 6, 24, tie_word_embeddings=True, rope_parameters=rope(1000000.0)), dict(
        ends=lambda f, token: end(f, 0, [token, 0]))
    yield "qwen2-vocab-and-merges", qwen, lambda: rotary("qwen2", size(qwen), 25), dict(
        before=lambda f: split_vocab(f, {"tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|endoftext|>", "added_tokens_decoder": {
            "0": {"content": "<|endoftext|>", "special": True, "normalized": False, "lstrip": False, "rstrip": False, "single_word": False},
            "1": {"content": "<|user|>", "special": True, "normalized": False, "lstrip": False, "rstrip": False, "single_word": False}}}))
    yield "mistral", both, lambda: rotary("mistral", size(both), 26, sliding_window=None), dict(ends=lambda f, token: end(f, [9, token], None))
    yield "llama-never-ends", llama3, lambda: rotary("llama", size(llama3), 27, eos_token_id=5), dict(
        ends=lambda f, token: end(f, token, "-"))
    yield "gpt2-specials-by-name", plain, lambda: gpt2(size(plain), 28, eos_token_id=[3, 0]), dict(
        before=lambda f: edit(f, "tokenizer_config.json", additional_special_tokens=["hat"], unk_token="[UNK]"))


def answers_of(folder):
    """What transformers computes from a folder, in single precision."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    found = []
    for prompt in PROMPTS:
        ids = tokenizer(prompt)["input_ids"]
        row = {"text": prompt, "ids": ids, "plain": tokenizer(prompt, add_special_tokens=False)["input_ids"]}
        if max(ids) < model.config.vocab_size:
            with torch.no_grad():
                logits = model(torch.tensor([ids])).logits[0].float()
                out = model.generate(torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long), max_new_tokens=NEW_TOKENS, do_sample=False, pad_token_id=0)
            row["last"] = [round(x, 5) for x in logits[-1].tolist()] if len(found) < LOGITS else []
            row["greedy"] = out[0, len(ids):].tolist()
        found.append(row)
    return found


def golden(out):
    out = pathlib.Path(out)
    for name, tokenizer, model, how in make():
        folder = out / name
        shutil.rmtree(folder, ignore_errors=True)
        model = model().to(how.get("dtype", torch.bfloat16))
        model.save_pretrained(folder, **({"max_shard_size": how["shard"]} if "shard" in how else {}))
        # As the library writes it: AutoTokenizer reads the file as it stands.
        PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(folder)
        how.get("before", lambda _: None)(folder)
        if "ends" in how:
            # A token that ends the first text after some others.
            how["ends"](folder, model.config.vocab_size - 1)
            greedy = answers_of(folder)[0]["greedy"]
            how["ends"](folder, next(token for place, token in enumerate(greedy) if place > 4 and token not in greedy[:place]))
        answers = answers_of(folder)
        how.get("after", lambda _: None)(folder)
        for file in folder.glob("*.json"):
            if file.name in ("tokenizer.json", "config.json") and not file.read_bytes().startswith(b"\xef\xbb\xbf"):
                file.write_text(json.dumps(json.loads(file.read_text()), ensure_ascii=False, separators=(",", ":")))
        (folder / "answers.json").write_text(json.dumps(answers, ensure_ascii=False, separators=(",", ":")))
        lengths = [len(row.get("greedy", [])) for row in answers]
        kilobytes = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) // 1000
        print(f"{name}: {[len(row['ids']) for row in answers]} ids, {lengths} greedy tokens, {kilobytes} kB")


def verify(root):
    worst = 0.0
    folders = sorted(path.parent for path in pathlib.Path(root).glob("*/config.json"))
    assert folders, f"nothing in {root}"
    for folder in folders:
        expected, found = json.loads((folder / "answers.json").read_text()), answers_of(folder)
        for told, here in zip(expected, found):
            assert told["ids"] == here["ids"] and told["plain"] == here["plain"], f"{folder}: {told['text']!r} is {here['ids']} and was {told['ids']}"
            if "last" in told:
                assert told["greedy"] == here["greedy"], f"{folder}: {told['text']!r} continues {here['greedy']} and did {told['greedy']}"
                worst = max([worst] + [abs(a - b) for a, b in zip(told["last"], here["last"])])
    assert worst <= MOST, f"{worst} is more than {MOST}"
    print(f"{len(folders)} models: ids and greedy tokens the same, logits at most {worst:.2e} apart")


if __name__ == "__main__":
    if len(sys.argv) == 2:
        golden(sys.argv[1])
    elif len(sys.argv) == 3 and sys.argv[1] == "verify":
        verify(sys.argv[2])
    else:
        sys.exit(__doc__)
