"""Kindling's models against Hugging Face's transformers, both ways.

    python -m venv VENV && VENV/bin/pip install torch transformers tokenizers safetensors pyarrow pandas
    VENV/bin/python tests/measure/interop.py golden crates/engine/tests/golden
        makes the small models and their logits that crates/engine/tests/engine/interop.rs reads (checked in: run it only to change them)
    INTEROP_OUT=DIR cargo test --release --workspace --exclude app --exclude xtask --test engine -- --ignored models_for_transformers
    VENV/bin/python tests/measure/interop.py verify DIR
        loads what that test exported: tokens must be the same and logits within 1e-4
    VENV/bin/python tests/measure/interop.py load FOLDER
        loads one exported folder and writes a text with it
    VENV/bin/python tests/measure/interop.py series FILE.parquet FILE.csv
        reads exported curves with pyarrow and pandas; both must hold the same
"""

import json
import pathlib
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

MOST = 1e-4
TEXT = "The cat's hat sat on the mat.\nThen  12 more cats came, and the mat was small: \u00e9t\u00e9 \U0001f642."


def logits_of(model, tokens):
    with torch.no_grad():
        return model(torch.tensor([tokens])).logits[0].float()


def golden(out):
    from safetensors.torch import save_file
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(7)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=290, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet)
    tokenizer.train_from_iterator([TEXT] * 3, trainer)
    vocab = tokenizer.get_vocab_size()
    tokens = tokenizer.encode(TEXT).ids[:14]

    gpt2 = GPT2LMHeadModel(GPT2Config(vocab_size=vocab, n_positions=32, n_embd=24, n_layer=2, n_head=3, initializer_range=0.3,
                                      bos_token_id=0, eos_token_id=0, attn_implementation="eager"))
    for name, value in gpt2.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(value, std=0.3)
    # Llama: grouped keys, its own head, 16-bit weights.
    llama = LlamaForCausalLM(LlamaConfig(vocab_size=vocab, max_position_embeddings=32, hidden_size=24, num_hidden_layers=2,
                                         num_attention_heads=6, num_key_value_heads=2, intermediate_size=40, initializer_range=0.3,
                                         bos_token_id=0, eos_token_id=0, rms_norm_eps=1e-6, tie_word_embeddings=False))
    llama = llama.to(torch.bfloat16)
    for name, model in [("gpt2", gpt2.eval()), ("llama", llama.eval())]:
        folder = pathlib.Path(out) / name
        folder.mkdir(parents=True, exist_ok=True)
        model.save_pretrained(folder)
        for extra in folder.glob("generation_config.json"):
            extra.unlink()
        tokenizer.save(str(folder / "tokenizer.json"))
        if name == "gpt2":
            # As the first GPT-2 files are: no prefix, and masks among the weights.
            state = {key.removeprefix("transformer."): value.contiguous() for key, value in model.state_dict().items() if key != "lm_head.weight"}
            for layer in range(2):
                state[f"h.{layer}.attn.bias"] = torch.tril(torch.ones(32, 32)).view(1, 1, 32, 32)
            save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        # As it is read back in 32 bits: a model turned to 16 and back keeps rotary angles of 16.
        found = logits_of(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval(), tokens)
        answer = {"text": TEXT, "tokens": tokens, "logits": [[round(x, 5) for x in row] for row in found.tolist()]}
        (folder / "logits.json").write_text(json.dumps(answer))
        print(f"{name}: {sum(p.numel() for p in model.parameters())} parameters, {len(tokens)} tokens, logits up to {found.abs().max():.2f}")


def verify(root):
    worst = 0.0
    folders = sorted(path.parent for path in pathlib.Path(root).glob("*/config.json"))
    assert folders, f"nothing in {root}"
    for folder in folders:
        told = json.loads((folder / "logits.json").read_text())
        model, tokenizer = AutoModelForCausalLM.from_pretrained(folder).float().eval(), AutoTokenizer.from_pretrained(folder)
        for text, tokens in told["texts"]:
            found = tokenizer(text, add_special_tokens=False)["input_ids"]
            assert found == tokens, f"{folder}: {text!r} is {found} here and {tokens} there"
            assert tokenizer.decode(found) == text, f"{folder}: {text!r} comes back as {tokenizer.decode(found)!r}"
        away = (logits_of(model, told["tokens"]) - torch.tensor(told["logits"])).abs().max().item()
        worst = max(worst, away)
        print(f"{folder.name}: {type(model).__name__}, {len(told['texts'])} texts cut the same, logits {away:.2e} apart")
    assert worst <= MOST, f"{worst} is more than {MOST}"
    print(f"at most {worst:.2e} apart")


def load(folder):
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    prompt = tokenizer("The", return_tensors="pt")
    out = model.generate(**prompt, max_new_tokens=40, do_sample=False, pad_token_id=0)
    print(f"{type(model).__name__}, {model.num_parameters()} parameters, {len(tokenizer)} tokens")
    print(tokenizer.decode(out[0]))


def series(parquet, csv):
    import pandas
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(parquet)
    print(table.schema)
    rows = table.to_pandas()
    print(rows.tail(3))
    pandas.testing.assert_frame_equal(rows, pandas.read_csv(csv), check_dtype=False, check_exact=True)
    print(f"{len(rows)} points of {rows['series'].nunique()} series, the same to the last bit in both")


if __name__ == "__main__":
    command = {"golden": golden, "verify": verify, "load": load, "series": series}.get(sys.argv[1] if len(sys.argv) > 1 else "")
    if command is None:
        sys.exit(__doc__)
    command(*sys.argv[2:])
