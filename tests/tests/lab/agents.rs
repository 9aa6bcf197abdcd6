//! Agents: a call that is repeated acts once, also across a kill of the server; and the protocol over standard input and output.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::time::Duration;

use scenarios::client::Client;
use scenarios::watch::{count, speck};
use scenarios::{Lab, wait_for};
use serde_json::{Value, json};
use testing::{Random, fresh_seed};

use crate::kills::kills;

/// The result of a tool; `None` without a whole answer.
fn call(client: &Client, tool: &str, arguments: &Value) -> Option<Value> {
    let params = json!({ "name": tool, "arguments": arguments });
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    let headers = [("content-type", "application/json"), ("accept", "application/json, text/event-stream")];
    let answer = client.try_send("POST", "/mcp", &headers, message.to_string().as_bytes()).ok()?;
    let result = answer.value()["result"]["structuredContent"].take();
    result.is_object().then_some(result)
}

#[test]
fn a_call_that_is_repeated_after_a_kill_of_the_server_acts_once() {
    let mut lab = Lab::bare();
    lab.device();
    let corpus = lab.owner().add_corpus("walk");
    let run = lab.owner().start_run(&speck(&corpus, 1_000_000));
    lab.owner().wait_step(&run, 60, 5);
    let token = lab.token("steer");
    let mut random = Random::new(fresh_seed());
    for round in 0..kills() {
        let before = count(&lab.owner().journal(&run), "changed");
        let value = 0.5 + 0.01 * round as f64;
        let arguments = json!({ "run": run, "path": "optimizer.grad_clip", "value": value, "reason": "a test of kills",
            "idempotency_key": format!("clip-round-{round}") });
        let agent = Client::with_token(&lab.address(), &token);
        let sent = arguments.clone();
        let first = std::thread::spawn(move || call(&agent, "set_hyperparameter", &sent));
        std::thread::sleep(Duration::from_millis(random.below(80)));
        lab.kill_server();
        let first = first.join().unwrap();
        lab.start();
        lab.device();
        let owner = lab.owner();
        let seen = owner.summary(&run).step;
        owner.wait_step(&run, 60, seen + 10);
        let agent = Client::with_token(&lab.address(), &token);
        let again = wait_for("an answer to the repeated call", 60, || {
            // Until the worker is connected again, the call is refused, which frees its key; on a slow machine it is answered late.
            let later = ["worker_away", "act_under_way", "command_pending"];
            let answer = call(&agent, "set_hyperparameter", &arguments)?;
            let code = answer["error"]["code"].as_str().unwrap_or_default();
            (!later.contains(&code)).then_some(answer)
        });
        let after = count(&owner.journal(&run), "changed");
        match again["error"]["code"].as_str() {
            None => assert_eq!(after, before + 1, "{again:#}"),
            Some(code) => {
                assert_eq!(code, "outcome_unknown", "{again:#}");
                assert!(after <= before + 1, "{after} changes after {before}");
            }
        }
        if let Some(first) = first.filter(|first| first["data"].is_object()) {
            assert_eq!(again["data"], first["data"], "the first result");
        }
    }
}

#[test]
fn a_client_speaks_with_the_program_over_standard_input_and_output() {
    let lab = Lab::bare();
    let mut command = lab.command("mcp", &[]);
    let mut program = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut input, mut output) = (program.stdin.take().unwrap(), BufReader::new(program.stdout.take().unwrap()));
    let mut send = |message: Value| writeln!(input, "{message}").unwrap();
    let mut read = || {
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        serde_json::from_str::<Value>(&line).unwrap_or_else(|error| panic!("{error} in {line:?}"))
    };
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" } });
    send(json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params }));
    let begun = read();
    assert_eq!((&begun["id"], &begun["result"]["serverInfo"]["name"]), (&json!(1), &json!("kindling")), "{begun:#}");
    send(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    send(
        json!({ "jsonrpc": "2.0", "id": "a", "method": "tools/call", "params": { "name": "lab_status", "arguments": {} } }),
    );
    let status = read();
    assert_eq!((&status["id"], &status["result"]["isError"]), (&json!("a"), &json!(false)), "{status:#}");
    assert_eq!(status["result"]["structuredContent"]["data"]["you"]["grants"]["lab"], "view", "the default role");
    let token = |lab: &Lab| lab.owner().get("/tokens").value().to_string().contains("\"name\":\"mcp\"");
    assert!(token(&lab), "a token of its own");
    send(
        json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": { "name": "no_such_tool", "arguments": {} } }),
    );
    assert_eq!(read()["error"]["code"], -32602);
    drop(input);
    assert!(program.wait().unwrap().success());
    assert!(!token(&lab), "it is revoked at the end of the input");
    let refused = lab.run("mcp", &["--url", "http://127.0.0.1:1"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("KINDLING_TOKEN"), "{refused:?}");
}
