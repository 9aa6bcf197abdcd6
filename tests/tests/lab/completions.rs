//! Completions by checkpoints.

use std::io::{Read, Write};
use std::net::TcpStream;

use scenarios::client::{Answer, Client};
use scenarios::watch::{speck, with};
use scenarios::{Lab, wait_for};
use serde_json::{Value, json};
use wire::RunState;
use wire::completion::{CompletionEnd, CompletionLine, CompletionToken};

/// The lines of an answer: tokens, and how it ended.
fn lines(answer: &Answer) -> (Vec<CompletionToken>, wire::completion::CompletionSummary) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    let (mut tokens, mut done) = (vec![], None);
    for line in answer.text().lines() {
        match serde_json::from_str(line).unwrap() {
            CompletionLine::Token(token) => tokens.push(token),
            CompletionLine::Done(end) => done = Some(end),
            CompletionLine::Failed { error } => panic!("{error:?}"),
        }
    }
    (tokens, done.unwrap())
}

fn text(answer: &Answer) -> String {
    lines(answer).0.into_iter().map(|token| token.text).collect()
}

#[test]
fn a_checkpoint_completes_a_prompt_and_the_same_seed_gives_the_same_text() {
    let lab = Lab::bare();
    lab.device();
    let owner = lab.owner();
    let corpus = owner.add_corpus("walk");
    let run = owner.start_run(&with(speck(&corpus, 60), &[("intervals.checkpoint_every", json!(20))]));
    owner.wait_state(&run, 60, RunState::Finished);
    let complete = |client: &Client, more: Value| {
        let mut request = json!({"run": run, "prompt": "the ", "tokens": 30});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        client.post("/completions", &request)
    };

    let first = complete(&owner, json!({"seed": 5}));
    let (tokens, done) = lines(&first);
    assert!(tokens.len() == 30 && done.done && done.stopped == CompletionEnd::Length && done.tokens_per_sec > 0.0);
    assert_eq!(done.checkpoint.step, 60, "the newest by default");
    for token in &tokens {
        assert!((0.0..=1.0).contains(&token.probability) && token.alternatives.len() == 8, "{token:?}");
        assert!(token.alternatives.windows(2).all(|pair| pair[0].probability >= pair[1].probability));
    }
    assert_eq!(text(&complete(&owner, json!({"seed": 5}))), text(&first));
    assert_ne!(text(&complete(&owner, json!({"seed": 6}))), text(&first));
    let likeliest = text(&complete(&owner, json!({"temperature": 0})));
    assert_eq!(text(&complete(&owner, json!({"temperature": 2, "top_k": 1, "seed": 9}))), likeliest);
    assert_eq!(done.prompt_dropped, 0);
    let long = complete(&owner, json!({"prompt": "the ".repeat(20)}));
    assert_eq!(lines(&long).1.prompt_dropped, 80 - 16, "the last tokens are used");
    let viewer = Client::with_token(&lab.address(), &lab.token("view"));
    assert_eq!(text(&complete(&viewer, json!({"seed": 5}))), text(&first), "the role view is enough");

    let early = complete(&owner, json!({"seed": 5, "checkpoint": "0-40"}));
    assert_eq!(lines(&early).1.checkpoint.step, 40);
    assert_ne!(lines(&early).0, tokens, "another checkpoint has other probabilities");
    complete(&owner, json!({"checkpoint": "0-41"})).refused(404, "not_found", &["0-41"]);
    complete(&owner, json!({"prompt": "the €"})).refused(422, "prompt_unknown", &["'€'"]);
    complete(&owner, json!({"tokens": 0})).refused(422, "value_invalid", &["tokens"]);

    let saved = lab.data().join("checkpoints").join(&run).join("0-60").join("state.safetensors");
    let mut bytes = std::fs::read(&saved).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&saved, bytes).unwrap();
    complete(&owner, json!({"checkpoint": "0-60"})).refused(409, "checkpoint_damaged", &[]);
    assert!(lines(&complete(&owner, json!({}))).1.checkpoint.step < 60, "the newest undamaged one");
}

#[test]
fn the_process_of_a_completion_ends_when_its_caller_disconnects() {
    let lab = Lab::bare();
    lab.device();
    let owner = lab.owner();
    let corpus = owner.add_corpus("walk");
    // Large enough that 4,096 tokens take longer than disconnecting.
    let wide = [("model.d_model", json!(256)), ("model.d_ff", json!(1024)), ("model.layers", json!(4))];
    let run = owner.start_run(&with(speck(&corpus, 5), &wide));
    owner.wait_state(&run, 60, RunState::Finished);
    let body = json!({"run": run, "prompt": "the ", "tokens": 4096, "temperature": 0.0}).to_string();
    let token = lab.token("view");
    let mut stream = TcpStream::connect(lab.address()).unwrap();
    write!(
        stream,
        "POST /api/v1/completions HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        lab.address(),
        body.len()
    )
    .unwrap();
    let mut beginning = [0; 600];
    stream.read_exact(&mut beginning).unwrap();
    assert!(String::from_utf8_lossy(&beginning).contains("200 OK"), "{}", String::from_utf8_lossy(&beginning));
    assert_eq!(writers(&lab), 1, "one process generates");
    drop(stream);
    wait_for("the process to end", 5, || (writers(&lab) == 0).then_some(()));
}

/// Processes that generate a text for this lab.
fn writers(lab: &Lab) -> usize {
    let data = lab.data().to_string_lossy().into_owned();
    let lines = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).replace('\0', " "))
    });
    lines.filter(|line| line.contains(" complete ") && line.contains(&data)).count()
}
