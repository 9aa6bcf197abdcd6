//! Research loops by tools alone: an agent starts one, takes over the proposing, and reads what came of its proposal.

use serde_json::{Value, json};
use server::runs::research_loops::advance;
use store::AgentAct;
use wire::access::{AgentLimits, AgentMode, Role};
use wire::experiment::Prediction;
use wire::experiment::record::{Outcome, Verdict};
use wire::research_loop::record::{LoopDecision, LoopRound, PromotedValue, RoundOutcome, ScreenedTrial};

use super::acting::{dry, token_id, with};
use super::{at, call, code, refused};
use crate::lab::Lab;
use crate::research_loops::goal;
use crate::scenarios::LabWithWorker;

const RATE: &str = "optimizer.learning_rate";

fn proposal(id: u64, value: f64) -> Value {
    json!({ "loop": id, "parameter": RATE, "values": [value], "difference": -0.1, "probability": 0.6 })
}

async fn loops(lab: &Lab) -> Vec<Value> {
    lab.get("/api/v1/research-loops", &lab.view).await.json().as_array().unwrap().clone()
}

/// Decides the present round of a loop, as if its runs had ended: the trainer of the tests reports no validation loss.
async fn decide(lab: &Lab, id: u64, outcome: RoundOutcome, verdict: Option<Verdict>, change: fn(&mut LoopRound)) {
    let view = lab.state.store().research_loop(id).await.unwrap().unwrap();
    let mut round = view.current().unwrap().clone();
    change(&mut round);
    let decision = LoopDecision { outcome, verdict, sentence: "As measured.".into(), at_ms: 1 };
    assert!(lab.state.store().decide_round(id, &round, decision).await.unwrap());
}

fn trial(value: Option<f64>, seed: u64, loss: f64) -> ScreenedTrial {
    ScreenedTrial { value: value.map(Value::from), seed, run: None, loss: Some(loss), device_secs: 2.0 }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_starts_a_loop_proposes_a_change_and_reads_the_outcome() {
    let served = LabWithWorker::open().await;
    let lab = &served.lab;
    let act =
        |tool: &'static str, arguments: Value, key: &'static str| call(lab, &lab.steer, tool, with(arguments, key));
    let spec = json!({ "spec": goal() });
    let plan = call(lab, &lab.view, "start_loop", dry(spec.clone())).await;
    let steps = &plan["data"]["plan"];
    assert_eq!((&steps["steps"], &steps["screening_steps"]), (&json!(20), &json!(5)), "{plan:#}");
    assert_eq!((&plan["data"]["budget_secs"], loops(lab).await.len()), (&json!(3600.0), 0));
    assert_eq!(refused(lab, &lab.view, "start_loop", with(spec.clone(), "viewer-key-1")).await, code("forbidden"));
    let mut wrong = spec.clone();
    wrong["spec"]["base"]["corpus"] = json!("absent");
    assert_eq!(refused(lab, &lab.steer, "start_loop", dry(wrong)).await, at("plan_invalid", "base.corpus"));

    let started = act("start_loop", spec.clone(), "start-loop-1").await;
    let again = act("start_loop", spec.clone(), "start-loop-1").await;
    assert_eq!((&started["data"], loops(lab).await.len()), (&again["data"], 1));
    assert_eq!(loops(lab).await[0]["author"], json!({ "agent": "ada" }));
    let id = started["data"]["loop"]["id"].as_u64().unwrap();
    // The server was killed before it had stored the result of a call: the repeated call finds its loop.
    let (steer, admin) = (token_id(&lab.state, &lab.steer).await, token_id(&lab.state, &lab.admin).await);
    let known = lab.state.store().agent_acts(steer, 1).await.unwrap().remove(0);
    let begun = AgentAct { token: admin, answer: None, ..known };
    assert_eq!(lab.state.store().begin_agent_act(&begun).await.unwrap(), None);
    let found = call(lab, &lab.admin, "start_loop", with(spec, "start-loop-1")).await;
    assert_eq!((found["data"]["loop"]["id"].as_u64(), loops(lab).await.len()), (Some(id), 1));

    advance(&lab.state, id).await.unwrap();
    let early = refused(lab, &lab.steer, "propose_change", with(proposal(id, 0.02), "propose-rate-1")).await;
    assert_eq!(early, code("loop_proposer"), "the strategy of the lab proposes");
    let take_over = json!({ "loop": id, "action": "set_proposer", "proposer": "agent" });
    let taken = act("steer_loop", take_over, "take-over-1").await;
    assert_eq!(taken["data"]["hints"]["proposer"], "agent", "{taken:#}");
    let text = "⟦data text⟧an agent makes the proposals from the next round on⟦end⟧";
    assert_eq!(taken["data"]["event"]["text"], text);
    decide(lab, id, RoundOutcome::Measured, None, |round| {
        (round.screened, round.device_secs) = (vec![trial(None, 3, 2.0), trial(None, 4, 2.02)], 4.0);
    })
    .await;
    let turn = call(lab, &lab.view, "wait_for", json!({ "loop": id, "since": 999, "timeout_s": 50 })).await;
    assert_eq!(turn["data"]["until"], "proposal_needed", "{turn:#}");
    assert_eq!(turn["next"][0], format!("propose_change with loop {id}"));

    let plan = call(lab, &lab.view, "propose_change", dry(proposal(id, 0.02))).await;
    assert_eq!((&plan["data"]["screening_secs"], &plan["data"]["costs"]["run_secs"]), (&json!(2.0), &json!(8.0)));
    let view = with(proposal(id, 0.02), "viewer-key-2");
    assert_eq!(refused(lab, &lab.view, "propose_change", view).await, code("forbidden"));
    let proposed = act("propose_change", proposal(id, 0.02), "propose-rate-1").await;
    let again = act("propose_change", proposal(id, 0.02), "propose-rate-1").await;
    assert_eq!((&proposed["data"]["change"]["values"], &proposed["data"]), (&json!([0.02]), &again["data"]));
    let second = refused(lab, &lab.steer, "propose_change", with(proposal(id, 0.03), "propose-rate-2")).await;
    assert_eq!(second, code("loop_state"), "one waits already");

    advance(&lab.state, id).await.unwrap();
    let verdict = Verdict {
        outcome: Outcome::Refuted,
        difference: Some(0.03),
        interval: Some([0.01, 0.05]),
        level: 0.995,
        pairs: 4,
        sentence: "It is worse.".into(),
    };
    decide(lab, id, RoundOutcome::Refuted, Some(verdict), |round| {
        let prediction = Prediction { difference: -0.03, probability: 0.5 };
        round.promoted = Some(PromotedValue { value: 0.02.into(), screened_difference: -0.06, prediction });
        (round.screened, round.device_secs) = (vec![trial(Some(0.02), 3, 1.94)], 66.0);
    })
    .await;
    let one = call(lab, &lab.view, "get_loop", json!({ "loop": id })).await["data"].take();
    let round = &one["rounds"][0];
    assert_eq!(
        (&round["number"], &round["outcome"], &round["difference"]),
        (&json!(2), &json!("refuted"), &json!(0.03))
    );
    assert_eq!((&round["proposal"]["parameter"], &round["proposal"]["difference"]), (&json!(RATE), &json!(-0.1)));
    assert_eq!(one["outcomes"], json!({ "measured": 1, "refuted": 1 }));
    assert_eq!(
        (&one["tried"][RATE][1], &one["kept"], &one["loop"]["used_secs"]),
        (&json!(0.02), &json!({}), &json!(70.0))
    );
    assert_eq!((&one["loop"]["left_secs"], &one["loop"]["waits_for_proposal"]), (&json!(3530.0), &json!(true)));
    let first = call(lab, &lab.view, "get_loop", json!({ "loop": id, "before": 2 })).await;
    assert_eq!(
        (first["data"]["rounds"].as_array().unwrap().len(), &first["data"]["rounds"][0]["number"]),
        (1, &json!(1))
    );

    let tried = refused(lab, &lab.steer, "propose_change", with(proposal(id, 0.02), "propose-rate-3")).await;
    assert_eq!(tried, at("plan_invalid", "values"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_gives_hints_pauses_and_stops_a_loop() {
    let served = LabWithWorker::open().await;
    let lab = &served.lab;
    let act = |arguments: Value, key: &'static str| call(lab, &lab.steer, "steer_loop", with(arguments, key));
    let made = call(lab, &lab.steer, "start_loop", with(json!({ "spec": goal() }), "start-loop-1")).await;
    let id = made["data"]["loop"]["id"].as_u64().unwrap();
    for (arguments, expected) in [
        (json!({ "loop": id, "action": "veto" }), at("arguments_invalid", "round")),
        (json!({ "loop": id, "action": "veto", "round": 1 }), code("loop_state")),
        (json!({ "loop": id, "action": "pin", "parameter": "model.layers" }), at("plan_invalid", "parameter")),
        (json!({ "loop": id, "action": "suggest", "parameter": RATE, "value": 2 }), at("plan_invalid", "value")),
        (json!({ "loop": id, "action": "resume" }), code("loop_state")),
        (json!({ "loop": 777, "action": "pause" }), code("not_found")),
    ] {
        let refusal = refused(lab, &lab.steer, "steer_loop", with(arguments.clone(), "refused-act-1")).await;
        assert_eq!(refusal, expected, "{arguments}");
    }
    let pause = json!({ "loop": id, "action": "pause" });
    assert_eq!(refused(lab, &lab.view, "steer_loop", with(pause.clone(), "viewer-key-1")).await, code("forbidden"));
    let plan = call(lab, &lab.view, "steer_loop", dry(pause.clone())).await;
    assert_eq!((&plan["data"]["then"], &plan["data"]["loop"]["state"]), (&json!("paused"), &json!("running")));
    assert_eq!(act(pause, "pause-loop-1").await["data"]["state"], "paused");
    let pin = json!({ "loop": id, "action": "pin", "parameter": "optimizer.weight_decay" });
    let pinned = act(pin, "pin-decay-1").await;
    assert_eq!(pinned["data"]["hints"]["pinned"], json!(["⟦data pinned⟧optimizer.weight_decay⟦end⟧"]), "{pinned:#}");
    let suggest = json!({ "loop": id, "action": "suggest", "parameter": RATE, "value": 0.02 });
    let suggested = act(suggest, "suggest-rate-1").await;
    assert_eq!(suggested["data"]["hints"]["suggested"], json!([{ "parameter": RATE, "value": 0.02 }]));
    let stop = json!({ "loop": id, "action": "stop" });
    let stopped = act(stop.clone(), "stop-loop-1").await;
    let event = &stopped["data"]["event"];
    assert_eq!(
        (&stopped["data"]["state"], &event["text"]),
        (&json!("stopped"), &json!("⟦data text⟧stopped: the loss is flat⟦end⟧"))
    );
    let again = act(stop.clone(), "stop-loop-1").await;
    assert_eq!(again["data"], stopped["data"]);
    let plan = call(lab, &lab.view, "steer_loop", dry(stop)).await;
    assert!(plan["data"]["obstacle"].as_str().unwrap().contains("is stopped"), "{plan:#}");
    let ended = call(lab, &lab.view, "wait_for", json!({ "loop": id, "timeout_s": 50 })).await;
    assert_eq!(ended["data"]["until"], "end_of_the_loop");
    let all = call(lab, &lab.view, "list_loops", json!({})).await;
    assert_eq!((&all["data"]["all"], &all["data"]["loops"][0]["state"]), (&json!(1), &json!("stopped")));
    assert_eq!(call(lab, &lab.view, "list_loops", json!({ "open": true })).await["data"]["loops"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_approves_a_call_on_a_loop_and_cannot_move_it_to_another_one() {
    let served = LabWithWorker::open().await;
    let lab = &served.lab;
    let made = call(lab, &lab.steer, "start_loop", with(json!({ "spec": goal() }), "start-loop-1")).await;
    let id = made["data"]["loop"]["id"].as_u64().unwrap();
    let limits = AgentLimits { mode: AgentMode::Propose, ..AgentLimits::default() };
    let (agent, _) = lab.state.store().issue_agent_token(None, "tuner", Role::Steer, limits, None).await.unwrap();
    let pause = with(json!({ "loop": id, "action": "pause" }), "pause-loop-1");
    let proposed = call(lab, &agent, "steer_loop", pause.clone()).await;
    assert_eq!((&proposed["data"]["state"], &loops(lab).await[0]["state"]), (&json!("pending"), &json!("running")));
    let path = format!("/api/v1/proposals/{}/decision", proposed["data"]["proposal"]);
    let decide = async |decision: Value| lab.post(&path, &lab.steer, &decision.to_string()).await;
    let mut moved = pause;
    moved["loop"] = json!(id + 1);
    let answer = decide(json!({ "kind": "edit", "arguments": moved })).await;
    assert_eq!((answer.code().as_str(), &answer.json()["field"]), ("value_invalid", &json!("arguments.loop")));
    let answer = decide(json!({ "kind": "approve" })).await.json();
    assert_eq!((&answer["state"], &answer["outcome"]["is_done"]), (&json!("approved"), &json!(true)), "{answer:#}");
    assert_eq!(loops(lab).await[0]["state"], "paused");
}
