//! A server that speaks TLS itself, with a certificate of its own making, which machines know by its fingerprint.

use std::fs;

use scenarios::machine::Machine;
use scenarios::watch::speck;
use scenarios::{Client, Lab};
use serde_json::{Value, json};
use wire::RunState;

const POOL: &str = "gpu-lab";

#[test]
fn a_machine_joins_by_tls_only_the_server_whose_fingerprint_it_was_given() {
    let lab = Lab::bare_with(&["--tls"]);
    let owner = lab.owner();
    // The worker of the server's own machine needs no certificate.
    lab.device();
    let written: Value = serde_json::from_slice(&fs::read(lab.data().join("workers/server.json")).unwrap()).unwrap();
    let url = written["browser_url"].as_str().unwrap().to_owned();
    let address = url.strip_prefix("https://").expect("browsers use TLS");
    assert_ne!(address, lab.address());
    let plain = Client::anonymous(address).send("GET", "/", &[], b"");
    assert!(plain.status == 400 && plain.text().contains("https://"), "{plain:?}");

    let token = lab.join_token(POOL, json!({}));
    let fingerprint = token.fingerprint.expect("a self-signed certificate has a fingerprint to compare");
    assert!(lab.log().contains(&fingerprint), "the server prints it");
    let mut machine = Machine::new("box-1");
    let message = machine.refused(&url, POOL, Some(&token.text));
    assert!(message.contains("no server answers") && message.contains("certificate"), "{message}");
    machine.fingerprint = Some(format!("sha256:{}", "0".repeat(64)));
    let message = machine.refused(&url, POOL, Some(&token.text));
    assert!(message.contains(&fingerprint) && message.contains("another program answers"), "{message}");

    machine.fingerprint = Some(fingerprint);
    machine.start(&url, POOL, Some(&token.text));
    let mut spec = speck(&owner.add_corpus("walk"), 200);
    spec["pool"] = json!(POOL);
    let run = owner.start_run(&spec);
    owner.wait_state(&run, 30, RunState::Finished);
    owner.check_complete(&run, "loss.train", 200);
}
