//! Models from and to `transformers`, which wrote the golden folders (tests/measure/interop.py): an imported model must compute the same logits,
//! an exported model must be the same when imported again, and a model that cannot be imported must give an error with the reason.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Int, Tensor, TensorData};
use engine::data::dataset;
use engine::data::tokenizer::TextTokenizer;
use engine::interop::{Shape, export::Export, import, import::Import};
use engine::kernels::random::Counter;
use engine::model::decoder::Decoder;
use engine::model::params::{self, Weights};
use engine::optim::checkpoint::{self, Checkpoint};
use serde_json::Value;
use wire::data::tokenizer::Tokenizer;
use wire::model::{ModelPlan, Norm};
use wire::run::preset;

use crate::stored::{keep, manifest};

/// A temporary folder.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("kindling-interop-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// The model's files in a folder.
fn files(folder: &Path) -> Vec<(String, PathBuf)> {
    let names = ["config.json", "model.safetensors", "tokenizer.json"];
    let found = names.iter().map(|name| ((*name).to_owned(), folder.join(name)));
    found.filter(|(_, path)| path.exists()).collect()
}

fn logits(saved: &Checkpoint, tokens: &[u32]) -> Vec<f32> {
    let device = Device::flex();
    let weights = Weights::new(saved.specs(), saved.weights(&device).unwrap());
    let plan = &saved.manifest.plan.recipe.model;
    let decoder = Decoder::new(plan, &weights);
    let ids: Vec<i32> = tokens.iter().map(|token| *token as i32).collect();
    let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [1, tokens.len()]), &device);
    let logits = decoder.head(decoder.residual(ids, None).reshape([tokens.len(), plan.d_model]));
    logits.into_data().try_to_vec().unwrap()
}

#[test]
fn an_imported_model_computes_the_logits_of_transformers() {
    for (name, shape) in [("gpt2", Shape::Gpt2), ("llama", Shape::Llama)] {
        let lab = Folder::new(&format!("golden-{name}"));
        let import = import::read(&files(&golden(name))).unwrap();
        assert_eq!(import.shape, shape);
        let (saved, tokenizer) = keep(import, &lab.0);
        let recorded: Value = serde_json::from_slice(&fs::read(golden(name).join("logits.json")).unwrap()).unwrap();
        let tokens: Vec<u32> = serde_json::from_value(recorded["tokens"].clone()).unwrap();
        let text = recorded["text"].as_str().unwrap();
        assert_eq!(tokenizer.encode(text).unwrap()[..tokens.len()], tokens, "{name} tokenizes as `transformers` does");
        assert_eq!(tokenizer.decode(&tokenizer.encode(text).unwrap()), text);
        assert_eq!(tokenizer.eot(), Some(0));
        let expected: Vec<Vec<f32>> = serde_json::from_value(recorded["logits"].clone()).unwrap();
        let found = logits(&saved, &tokens);
        let difference = found.iter().zip(expected.iter().flatten()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(found.len() == expected.len() * expected[0].len() && difference <= 1e-4, "{name}: {difference}");
        let state = saved.state(&Device::flex()).unwrap();
        assert_eq!((state.steps, state.first.len()), (0, saved.specs().len()), "it can be trained further");
    }
}

/// Architectures of transformers, with their options.
fn shapes() -> Vec<(&'static str, ModelPlan)> {
    let of = |name: &str| {
        let model = preset::find(name, None).unwrap().recipe.model;
        ModelPlan { layers: 2, heads: 4, kv_heads: 4, d_model: 32, d_ff: 80, seq: 64, ..model }
    };
    let (gpt2, llama) = (of("gpt2"), ModelPlan { kv_heads: 2, ..of("llama-small") });
    vec![
        ("gpt2", gpt2.clone()),
        ("gpt2-without-bias", ModelPlan { bias: false, ..gpt2.clone() }),
        ("gpt2-other-eps", ModelPlan { norm_eps: 0.01, ..gpt2.clone() }),
        ("gpt2-own-head", ModelPlan { tied_head: false, ..gpt2 }),
        ("llama", llama.clone()),
        ("llama-with-bias", ModelPlan { bias: true, ..llama.clone() }),
        ("llama-other-base", ModelPlan { rotary_base: 500.0, norm_eps: 0.01, ..llama.clone() }),
        ("llama-own-head", ModelPlan { tied_head: false, ..llama }),
    ]
}

/// A model whose biases are not 0 and whose gains are not 1.
fn made(model: ModelPlan, tokenizer: &TextTokenizer, lab: &Path) -> Checkpoint {
    let model = ModelPlan { vocab: tokenizer.vocab(), ..model };
    let specs = params::layout(&model);
    let mut random = Counter::new(5, 1);
    let spread = |spec: &params::ParamSpec| if spec.decays() { 0.3 } else { 0.1 };
    let values = specs.iter().map(|spec| {
        let level = f32::from(u8::from(spec.init == params::Init::Ones));
        (0..spec.len()).map(|_| level + (random.uniform() as f32 - 0.5) * 2.0 * spread(spec)).collect()
    });
    let values = values.collect();
    let written =
        checkpoint::HostState::of_weights(&specs, values).write(lab, manifest(model, Tokenizer::Byte)).unwrap();
    checkpoint::open(&checkpoint::folder(lab, &written.run, written.info.id)).unwrap()
}

fn texts() -> Vec<String> {
    let mut random = Counter::new(testing::seed(3), 9);
    let letters: Vec<char> = "aabbc  \n\t'sTe.,!?0123é中🙂".chars().collect();
    let random =
        (0..60).map(|_| (0..random.below(40)).map(|_| letters[random.below(letters.len() as u64) as usize]).collect());
    let mut texts: Vec<String> = random.collect::<Vec<String>>();
    texts.extend(["", "The cat's hat", "a\r\n  b", "aaaaaaaaab aaab"].map(str::to_owned));
    texts
}

#[test]
fn an_exported_model_is_the_same_when_imported() {
    let tokenizer = TextTokenizer::byte();
    for (name, model) in shapes() {
        let (lab, out) = (Folder::new(&format!("out-{name}")), Folder::new(&format!("folder-{name}")));
        let saved = made(model.clone(), &tokenizer, &lab.0);
        let tokens: Vec<u32> = tokenizer.encode("The cat's hat").unwrap();
        let expected = logits(&saved, &tokens);
        let weights = saved.host_weights().unwrap();
        let export = Export::new(saved, &tokenizer).unwrap();
        export.write_folder(&out.0).unwrap();
        assert_eq!(fs::metadata(out.0.join("model.safetensors")).unwrap().len(), export.weights_bytes(), "{name}");
        let import = import::read(&files(&out.0)).unwrap();
        assert_eq!((import.tokenizer, import.model.tied_head), (Tokenizer::Byte, model.tied_head), "{name}");
        let (back, _) = keep(import, &lab.0);
        assert_eq!(logits(&back, &tokens), expected, "{name}");
        if model.bias || model.norm == Norm::Rms {
            assert_eq!(back.host_weights().unwrap(), weights, "{name}");
        }
    }
}

#[test]
fn an_exported_model_with_mup_computes_the_same_in_the_standard_parametrization() {
    let tokenizer = TextTokenizer::byte();
    for (name, model) in shapes() {
        let model = ModelPlan { mup_base_width: 8, mup_base_heads: 2, ..model };
        let (lab, out) = (Folder::new(&format!("mup-{name}")), Folder::new(&format!("mup-folder-{name}")));
        let saved = made(model, &tokenizer, &lab.0);
        let tokens: Vec<u32> = tokenizer.encode("The cat's hat").unwrap();
        let expected = logits(&saved, &tokens);
        Export::new(saved, &tokenizer).unwrap().write_folder(&out.0).unwrap();
        let import = import::read(&files(&out.0)).unwrap();
        assert_eq!(import.model.mup_base_width, 0, "{name}");
        let (back, _) = keep(import, &lab.0);
        let found = logits(&back, &tokens);
        let largest = expected.iter().fold(0.0f32, |largest, logit| largest.max(logit.abs()));
        let difference = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(difference <= 1e-5 * largest, "{name}: {difference} of {largest}");
    }
}

#[test]
fn every_tokenizer_is_the_same_when_exported_and_imported() {
    let lab = Folder::new("tokenizers");
    let alphabet: String = texts().concat();
    for (name, tokenizer) in [
        ("byte", TextTokenizer::byte()),
        ("char", TextTokenizer::char(&alphabet, false)),
        ("char with an end", TextTokenizer::char(&alphabet, true)),
        ("gpt2", TextTokenizer::gpt2()),
    ] {
        let file = engine::data::tokenizer::hugging_face::write(&tokenizer);
        let kind = engine::data::tokenizer::save_imported(&lab.0, &file).unwrap();
        assert_eq!(engine::data::tokenizer::save_imported(&lab.0, &file).unwrap(), kind, "stored once");
        let back = dataset::open_tokenizer(&lab.0, &[], kind).unwrap();
        assert_eq!((back.vocab(), back.eot()), (tokenizer.vocab(), tokenizer.eot()), "{name}");
        for text in texts() {
            assert_eq!(back.encode(&text).unwrap(), tokenizer.encode(&text).unwrap(), "{name}: {text:?}");
        }
    }
    let kind =
        engine::data::tokenizer::save_imported(&lab.0, &fs::read(golden("gpt2").join("tokenizer.json")).unwrap())
            .unwrap();
    let Tokenizer::Imported(hash) = kind else { panic!("{kind}") };
    fs::write(lab.0.join(format!(".tokenizers/{hash:016x}/tokenizer.json")), "{}").unwrap();
    assert!(dataset::open_tokenizer(&lab.0, &[], kind).is_err(), "an altered tokenizer is detected");
}

#[test]
fn gpt2_is_known_by_its_vocabulary_and_not_by_its_size() {
    let (lab, out) = (Folder::new("vocabulary"), Folder::new("vocabulary-folder"));
    let model = ModelPlan { layers: 1, heads: 1, kv_heads: 1, d_model: 8, d_ff: 8, ..shapes()[0].1.clone() };
    let saved = made(model, &TextTokenizer::gpt2(), &lab.0);
    Export::new(saved, &TextTokenizer::gpt2()).unwrap().write_folder(&out.0).unwrap();
    let file: Value = serde_json::from_slice(&fs::read(out.0.join("tokenizer.json")).unwrap()).unwrap();
    let merges = file["model"]["merges"].as_array().unwrap().iter();
    let merges: String =
        merges.map(|pair| format!("{} {}\n", pair[0].as_str().unwrap(), pair[1].as_str().unwrap())).collect();
    let read = |vocab: Value, merges: &str| {
        fs::write(out.0.join("vocab.json"), vocab.to_string()).unwrap();
        fs::write(out.0.join("merges.txt"), format!("#version: 0.2\n{merges}")).unwrap();
        let names = ["config.json", "model.safetensors", "vocab.json", "merges.txt"];
        let list: Vec<_> = names.iter().map(|name| ((*name).to_owned(), out.0.join(name))).collect();
        import::read(&list).unwrap()
    };
    assert_eq!(read(file["model"]["vocab"].clone(), &merges).tokenizer, Tokenizer::Gpt2);
    // As many tokens, with ids of their own: the bytes are in another order, and nothing is merged.
    let bytes =
        serde_json::from_slice::<Value>(&engine::data::tokenizer::hugging_face::write(&TextTokenizer::byte())).unwrap();
    let mut letters: Vec<String> = bytes["model"]["vocab"].as_object().unwrap().keys().cloned().collect();
    letters.retain(|letter| letter.chars().count() == 1);
    letters.reverse();
    letters.extend((256..50_257).map(|id| format!("zz{id}")));
    let vocab: serde_json::Map<String, Value> = letters.into_iter().zip((0..).map(Value::from)).collect();
    let import = read(vocab.clone().into(), "");
    import.keep_tokenizer(&lab.0).unwrap();
    let tokenizer = dataset::open_tokenizer(&lab.0, &[], import.tokenizer).unwrap();
    let expected: Vec<Value> = ["T", "h", "e", "Ġ", "c"].map(|letter| vocab[letter].clone()).into();
    assert_eq!(serde_json::to_value(tokenizer.encode("The c").unwrap()).unwrap(), Value::from(expected));
    assert!(matches!(import.tokenizer, Tokenizer::Imported(_)), "{}", import.tokenizer);
}

/// A copy of a golden folder with some of its files replaced.
fn altered(name: &str, changes: &[(&str, Option<Vec<u8>>)]) -> (Folder, Vec<(String, PathBuf)>) {
    let id = Counter::new(changes.len() as u64, fs::metadata(golden(name)).unwrap().len()).bits();
    let folder = Folder::new(&format!("altered-{name}-{id}-{:?}", std::thread::current().id()));
    let mut list = files(&golden(name));
    for (file, content) in changes {
        list.retain(|(found, _)| found != file);
        if let Some(content) = content {
            let path = folder.0.join(format!("{}", list.len()));
            fs::write(&path, content).unwrap();
            list.push(((*file).to_owned(), path));
        }
    }
    (folder, list)
}

fn refusal(name: &str, changes: &[(&str, Option<Vec<u8>>)]) -> String {
    let (_folder, list) = altered(name, changes);
    import::read(&list)
        .err()
        .unwrap_or_else(|| panic!("taken: {:?}", changes.iter().map(|(name, _)| name).collect::<Vec<_>>()))
        .to_string()
}

#[test]
fn what_cannot_be_imported_is_refused_with_the_value_and_a_hint() {
    let config = |name: &str, key: &str, value: Value| {
        let mut tree: Value = serde_json::from_slice(&fs::read(golden(name).join("config.json")).unwrap()).unwrap();
        tree[key] = value;
        ("config.json", Some(tree.to_string().into_bytes()))
    };
    let check = |message: String, words: &[&str]| {
        assert!(
            words.iter().all(|word| message.contains(word)) && message.contains(';'),
            "{message} without {words:?}"
        );
    };
    let weights = fs::read(golden("gpt2").join("model.safetensors")).unwrap();
    let file = |content: &[u8]| ("model.safetensors", Some(content.to_vec()));
    check(
        refusal("gpt2", &[("model.safetensors", None), ("pytorch_model.bin", Some(b"\x80\x02}q".to_vec()))]),
        &["pytorch_model.bin", "pickle", "save_pretrained"],
    );
    check(
        refusal("gpt2", &[("model.safetensors", None), ("model-Q4_K_M.gguf", Some(vec![]))]),
        &["model-Q4_K_M.gguf", "GGUF"],
    );
    check(
        refusal("gpt2", &[("model.safetensors", None), ("adapter_model.safetensors", Some(vec![]))]),
        &["adapter", "merge_and_unload"],
    );
    check(refusal("gpt2", &[file(b"PK\x03\x04\x14\0\0\0rest")]), &["zip", "pickle"]);
    check(refusal("gpt2", &[file(b"\x80\x04\x95\x10\0\0\0\0\0\0\0")]), &["pickle"]);
    check(refusal("gpt2", &[file(b"GGUF\x03\0\0\0")]), &["GGUF"]);
    check(refusal("gpt2", &[file(&weights[..weights.len() - 4])]), &["truncated", &weights.len().to_string()]);
    check(refusal("gpt2", &[file(&[weights.clone(), vec![0; 4]].concat())]), &["too long", &weights.len().to_string()]);
    check(refusal("gpt2", &[file(&[])]), &["0 bytes"]);
    check(refusal("gpt2", &[file(&u64::MAX.to_le_bytes())]), &["header", &u64::MAX.to_string()]);
    check(refusal("gpt2", &[("model.safetensors", None)]), &["model.safetensors", "missing", "config.json"]);
    check(refusal("gpt2", &[("tokenizer.json", None)]), &["tokenizer.json", "290", "50257"]);
    check(
        refusal("gpt2", &[("model.safetensors", None), ("model-00001-of-00002.safetensors", Some(vec![]))]),
        &["model.safetensors.index.json", "several shards"],
    );
    let index = br#"{"weight_map": {"wte.weight": "model-00001-of-00002.safetensors"}}"#.to_vec();
    check(
        refusal("gpt2", &[("model.safetensors", None), ("model.safetensors.index.json", Some(index))]),
        &["model-00001-of-00002.safetensors", "missing"],
    );
    check(
        refusal(
            "gpt2",
            &[("a/config.json", Some(b"{}".to_vec())), ("config.json", None), ("b/config.json", Some(b"{}".to_vec()))],
        ),
        &["several models: a, b"],
    );
    check(refusal("gpt2", &[config("gpt2", "n_layer", 3.into())]), &["h.2.", "missing", "3 layers"]);
    check(refusal("gpt2", &[config("gpt2", "n_layer", 1.into())]), &["does not have: h.1."]);
    check(refusal("gpt2", &[config("gpt2", "vocab_size", 300.into())]), &["wte.weight", "[290, 24]", "[300, 24]"]);
    check(refusal("gpt2", &[config("gpt2", "n_head", 5.into())]), &["attention heads (5)"]);
    check(refusal("gpt2", &[config("gpt2", "n_embd", u64::MAX.into())]), &[&u64::MAX.to_string()]);
    check(refusal("gpt2", &[config("gpt2", "n_positions", (-1).into())]), &["n_positions is -1"]);
    check(refusal("gpt2", &[config("gpt2", "activation_function", "relu".into())]), &["relu", "gelu_new"]);
    check(refusal("gpt2", &[config("gpt2", "layer_norm_epsilon", 0.5.into())]), &["norm_eps", "0.5"]);
    check(refusal("gpt2", &[config("gpt2", "model_type", "opt".into())]), &["opt", "gpt2, llama"]);
    check(refusal("gpt2", &[("config.json", Some(b"{\"model_type\":\"gpt2\",\"n_layer\":NaN}".to_vec()))]), &["NaN"]);
    check(refusal("gpt2", &[config("gpt2", "tie_word_embeddings", false.into())]), &["lm_head.weight is missing"]);
    check(
        refusal("llama", &[config("llama", "tie_word_embeddings", true.into())]),
        &["lm_head.weight differs from the embedding"],
    );
    check(refusal("llama", &[config("llama", "rms_norm_eps", (-1).into())]), &["rms_norm_eps is -1"]);
    check(
        refusal("llama", &[config("llama", "rope_parameters", serde_json::json!({"rope_type": "yarn"}))]),
        &["rope_type", "yarn"],
    );
    check(refusal("llama", &[config("llama", "rope_theta", "x".into())]), &["rope_theta is", "x"]);
    check(refusal("llama", &[config("llama", "head_dim", 64.into())]), &["head_dim is 64"]);
    for (key, value, said) in [
        ("sliding_window", 16.into(), &["sliding_window is 16", "null"][..]),
        (
            "layer_types",
            serde_json::json!(["full_attention", "sliding_attention"]),
            &["layer_types", "sliding_attention"],
        ),
        ("partial_rotary_factor", 0.5.into(), &["partial_rotary_factor is 0.5"]),
        (
            "rope_parameters",
            serde_json::json!({"rope_type": "default", "partial_rotary_factor": 0.25}),
            &["partial_rotary_factor is 0.25"],
        ),
        ("rope_scaling", serde_json::json!({"type": "dynamic", "factor": 2.0}), &["type is", "dynamic"]),
        ("rope_scaling", serde_json::json!({"rope_type": "llama3", "factor": 8.0}), &["low_freq_factor is missing"]),
        ("mlp_bias", true.into(), &["mlp_bias is true"]),
        ("attention_bias", true.into(), &["mlp_bias is false", "true"]),
        ("hidden_act", "gelu".into(), &["hidden_act is", "gelu"]),
        ("quantization_config", serde_json::json!({"quant_method": "gptq"}), &["quantization_config", "gptq"]),
        ("final_logit_softcapping", 30.0.into(), &["final_logit_softcapping is 30"]),
        ("num_local_experts", 8.into(), &["num_local_experts is 8"]),
        ("eos_token_id", "2".into(), &["eos_token_id is", "a list of tokens"]),
    ] {
        check(refusal("llama", &[config("llama", key, value)]), said);
    }
    let mistral = |window: Value| {
        let mut tree: Value = serde_json::from_slice(&fs::read(golden("llama").join("config.json")).unwrap()).unwrap();
        (tree["model_type"], tree["sliding_window"]) = ("mistral".into(), window);
        ("config.json", Some(tree.to_string().into_bytes()))
    };
    check(refusal("llama", &[mistral(8.into())]), &["sliding_window is 8"]);
    let (_folder, list) = altered("llama", &[mistral(4096.into())]);
    assert!(import::read(&list).is_ok(), "a window wider than the context changes nothing");
    let mut broken = weights.clone();
    let end = broken.len();
    broken[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    check(refusal("gpt2", &[file(&broken)]), &["has the value NaN"]);
    let mut cutter: Value = serde_json::from_slice(&fs::read(golden("gpt2").join("tokenizer.json")).unwrap()).unwrap();
    cutter["pre_tokenizer"] = serde_json::json!({"type": "Metaspace"});
    let tokenizer = |change: &dyn Fn(&mut Value)| {
        let mut tree: Value =
            serde_json::from_slice(&fs::read(golden("gpt2").join("tokenizer.json")).unwrap()).unwrap();
        change(&mut tree);
        ("tokenizer.json", Some(tree.to_string().into_bytes()))
    };
    check(refusal("gpt2", &[("tokenizer.json", Some(cutter.to_string().into_bytes()))]), &["Metaspace"]);
    check(
        refusal("gpt2", &[tokenizer(&|tree| tree["normalizer"] = serde_json::json!({"type": "Rot13"}))]),
        &["normalizer", "Rot13"],
    );
    check(refusal("gpt2", &[tokenizer(&|tree| tree["model"]["dropout"] = 0.1.into())]), &["dropout"]);
    check(refusal("gpt2", &[tokenizer(&|tree| tree["model"]["vocab"]["zebra"] = 290.into())]), &["zebra", "290"]);
    check(refusal("gpt2", &[tokenizer(&|tree| tree["added_tokens"][0]["id"] = 17.into())]), &["<|endoftext|>", "17"]);
    let settings = |text: &str| ("tokenizer_config.json", Some(text.as_bytes().to_vec()));
    check(refusal("gpt2", &[settings(r#"{"split_special_tokens": true}"#)]), &["split_special_tokens"]);
    check(refusal("gpt2", &[settings(r#"{"add_prefix_space": true}"#)]), &["add_prefix_space"]);
    check(
        refusal("gpt2", &[settings(r#"{"added_tokens_decoder": {"5": {"content": "cat"}}}"#)]),
        &["cat", "5", "tokenizer_config.json"],
    );
    let alone = ("tokenizer.json", None);
    check(refusal("gpt2", &[alone.clone(), ("vocab.json", Some(b"{}".to_vec()))]), &["merges.txt", "missing"]);
    check(refusal("gpt2", &[alone.clone(), ("merges.txt", Some(vec![]))]), &["vocab.json", "missing"]);
    check(refusal("gpt2", &[alone.clone(), ("tokenizer.model", Some(vec![]))]), &["tokenizer.model", "not read"]);
    let pair = |merges: &str| {
        [alone.clone(), ("vocab.json", Some(b"{}".to_vec())), ("merges.txt", Some(merges.as_bytes().to_vec()))]
    };
    check(refusal("gpt2", &pair("#version: 0.2\na b\nabc\n")), &["merges.txt", "line 3", "abc"]);
    check(refusal("gpt2", &pair("a b\n")), &["model", "BPE"]);
    check(
        refusal("gpt2", &[("generation_config.json", Some(br#"{"eos_token_id": [1, null]}"#.to_vec()))]),
        &["generation_config.json", "eos_token_id is null"],
    );
}

#[test]
fn truncated_files_and_flipped_bits_never_panic() {
    let mut random = Counter::new(testing::seed(17), 4);
    for name in ["gpt2", "llama"] {
        let expected = import::read(&files(&golden(name))).unwrap();
        let expected_weights = |import: Import, lab: &Path| keep(import, lab).0.host_weights().unwrap();
        let lab = Folder::new(&format!("fuzz-{name}"));
        let unaltered = expected_weights(expected, &lab.0);
        for file in ["model.safetensors", "config.json", "tokenizer.json"] {
            let content = fs::read(golden(name).join(file)).unwrap();
            let header = match file {
                "model.safetensors" => 8 + u64::from_le_bytes(content[..8].try_into().unwrap()) as usize,
                _ => content.len(),
            };
            for case in 0..120 {
                let mut bytes = content.clone();
                let is_truncated = case % 3 == 0;
                if is_truncated {
                    bytes.truncate(random.below(content.len() as u64) as usize);
                } else {
                    let at = random.below(if case % 3 == 1 { header.min(600) } else { content.len() } as u64) as usize;
                    bytes[at] ^= 1 << random.below(8);
                }
                let flips_data = !is_truncated && bytes[..header] == content[..header];
                let (_folder, list) = altered(name, &[(file, Some(bytes))]);
                match import::read(&list) {
                    Err(error) => assert!(
                        error.to_string().contains(".json") || error.to_string().contains(file),
                        "{file}: {error}"
                    ),
                    Ok(import) if file == "model.safetensors" && !flips_data => {
                        assert!(!is_truncated, "a truncated file was imported");
                        assert_eq!(
                            expected_weights(import, &lab.0),
                            unaltered,
                            "an altered header changes nothing or is an error"
                        );
                    }
                    Ok(_) => {}
                }
            }
        }
    }
}

/// Writes folders for `tests/measure/interop.py verify`.
#[test]
#[ignore = "writes folders into INTEROP_OUT, for transformers to load"]
fn models_for_transformers() {
    let out = PathBuf::from(std::env::var("INTEROP_OUT").expect("INTEROP_OUT names a folder"));
    let lab = Folder::new("for-transformers");
    let alphabet: String = texts().concat() + "The cat's hat";
    let learnt = dataset_tokenizer(&lab.0);
    let tokenizers = [
        TextTokenizer::byte(),
        TextTokenizer::char(&alphabet, true),
        learnt,
        TextTokenizer::gpt2(),
        TextTokenizer::char(&alphabet, false),
    ];
    for ((name, model), tokenizer) in shapes().into_iter().zip(tokenizers.iter().cycle()) {
        let saved = made(model, tokenizer, &lab.0);
        let tokens: Vec<u32> = tokenizer.encode("The cat's hat sat a cat").unwrap().into_iter().take(40).collect();
        let found = logits(&saved, &tokens);
        let rows: Vec<&[f32]> = found.chunks(tokenizer.vocab()).collect();
        let texts: Vec<(String, Vec<u32>)> =
            texts().into_iter().map(|text| (text.clone(), tokenizer.encode(&text).unwrap())).collect();
        let folder = out.join(name);
        Export::new(saved, tokenizer).unwrap().write_folder(&folder).unwrap();
        let recorded = serde_json::json!({"tokens": tokens, "logits": rows, "texts": texts});
        fs::write(folder.join("logits.json"), recorded.to_string()).unwrap();
    }
}

/// A byte-pair encoding trained on a generated text.
fn dataset_tokenizer(lab: &Path) -> TextTokenizer {
    let id: wire::CorpusId = "sums".parse().unwrap();
    engine::data::generators::generate(lab, &id, "modular-addition", 1, &mut |_, _, _| true).unwrap();
    dataset::prepare(lab, std::slice::from_ref(&id), Tokenizer::Bpe(400), &mut |_, _, _| true).unwrap();
    dataset::open_tokenizer(lab, &[id], Tokenizer::Bpe(400)).unwrap()
}
