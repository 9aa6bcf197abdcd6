//! Alerts: each arrives at least once with the id of its delivery, or is shown as failed, whatever the receivers do and when the server is
//! killed; digests and quiet hours by a clock that the test sets; and who may send what to whom.

mod receivers;

use std::collections::BTreeSet;
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use serde_json::{Value, json};
use server::export::alerts::outbox;
use server::lab::alerting::{SmtpSecurity, SmtpSettings};
use server::live::feed::report;
use store::{NewAlert, Store};
use testing::Random;
use wire::alert::{AlertContent, AlertKind};
use wire::{Author, Event, RunId, RunState};

use crate::lab::{Answer, Lab, ask};
use crate::reach::invite;
use crate::run_table::run;
use receivers::{Does, Receiver};

const CHANNELS: &str = "/api/v1/alert-channels";
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
/// Midnight UTC of some day.
const DAY: i64 = 20_000 * 24 * HOUR;

/// A lab with a mail server and short patience, for receivers that stall. Where each request is counted, a lab with the usual patience is
/// used: an answer that is late on a busy machine would be asked for again.
async fn impatient_lab(mail: &Receiver) -> Lab {
    let smtp = SmtpSettings {
        host: "127.0.0.1".to_owned(),
        port: mail.address.port(),
        security: SmtpSecurity::None,
        credentials: None,
        from: "Kindling <lab@example.org>".parse().unwrap(),
    };
    Lab::open_with(|settings| {
        settings.alerts.smtp = Some(smtp);
        settings.alerts.answer_within = Duration::from_millis(250);
    })
    .await
}

async fn channel(lab: &Lab, target: Value, more: Value) -> i64 {
    let mut body = json!({ "name": "a channel", "is_of_lab": true, "target": target });
    more.as_object().unwrap().iter().for_each(|(key, value)| body[key] = value.clone());
    let made = lab.post(CHANNELS, &lab.admin, &body.to_string()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    made.json()["id"].as_i64().unwrap()
}

/// Raises an alert of a machine.
async fn raise(store: &Store, phrase: &str, is_urgent: bool) {
    let (kind, text, device) = (AlertKind::Machine, format!("It is {phrase}."), Some("cpu".parse().unwrap()));
    let content = AlertContent { kind, is_urgent, phrase: phrase.to_owned(), text, device, step: None, project: None };
    let alert = NewAlert { source: format!("test/{phrase}"), at_ms: DAY, run: None, content };
    assert!(store.raise_alert(&alert).await.unwrap());
    assert!(!store.raise_alert(&alert).await.unwrap(), "the same source raises no second alert");
}

/// Sends what is due at a time, and waits for the results.
async fn send_due(lab: &Lab, now_ms: i64) -> usize {
    let tasks = outbox::dispatch(&lab.state, now_ms).await.unwrap();
    let count = tasks.len();
    for task in tasks {
        task.await.unwrap();
    }
    count
}

/// Lets the clock run until no message waits, for two days at most. Returns the time.
async fn send_all(lab: &Lab, mut now_ms: i64) -> i64 {
    let end_ms = now_ms + 48 * HOUR;
    loop {
        while send_due(lab, now_ms).await > 0 {}
        match lab.state.store().next_delivery().await.unwrap() {
            Some(due_ms) => now_ms = now_ms.max(due_ms),
            None => return now_ms,
        }
        assert!(now_ms < end_ms, "a message waits forever");
    }
}

async fn deliveries(lab: &Lab, channel: i64) -> Vec<Value> {
    let listed = lab.get(&format!("{CHANNELS}/{channel}/deliveries"), &lab.admin).await;
    assert_eq!(listed.status, StatusCode::OK, "{listed:?}");
    listed.json().as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_alert_arrives_with_its_delivery_whatever_the_receivers_do() {
    for seed in testing::seeds(0..3) {
        let mut random = Random::new(seed);
        let mut script = |length: usize| -> Vec<Does> {
            let all = [Does::Accept, Does::Fail, Does::Cut, Does::Fail, Does::Accept, Does::Stall];
            (0..length).map(|_| all[random.below(all.len() as u64) as usize]).collect()
        };
        let (web, mail) = (Receiver::webhook(&script(7)).await, Receiver::smtp(&script(5)).await);
        let lab = impatient_lab(&mail).await;
        let by_web = channel(&lab, json!({ "kind": "webhook", "url": web.url("/hook") }), json!({})).await;
        let by_mail = channel(&lab, json!({ "kind": "email", "to": "ada@example.org" }), json!({})).await;
        let phrases: Vec<String> = (0..5).map(|number| format!("event {number}")).collect();
        for phrase in &phrases {
            raise(lab.state.store(), phrase, false).await;
        }
        send_all(&lab, DAY).await;
        for (channel, receiver) in [(by_web, &web), (by_mail, &mail)] {
            let (listed, arrived) = (deliveries(&lab, channel).await, receiver.arrived());
            assert_eq!(listed.len(), phrases.len());
            assert!(listed.iter().all(|delivery| delivery["state"] == "sent"), "{listed:?}");
            let ids: BTreeSet<&str> = listed.iter().map(|one| one["delivery"].as_str().unwrap()).collect();
            assert_eq!(ids.len(), phrases.len(), "each message has an id of its own");
            for phrase in &phrases {
                let found: Vec<_> =
                    arrived.iter().filter(|one| one.body.contains(&format!("It is {phrase}."))).collect();
                let of: BTreeSet<&str> = found.iter().map(|one| one.delivery.as_str()).collect();
                assert_eq!(of.len(), 1, "{phrase} keeps its id at each attempt: {found:?}");
                assert!(of.is_subset(&ids) && found.iter().any(|one| one.accepted), "{phrase}: {found:?}");
            }
        }
        for one in mail.arrived() {
            assert_eq!(one.headers["message-id"], format!("<{}@example.org>", one.delivery));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_never_accepts_is_shown_as_failed_after_a_day_and_delays_no_other() {
    let (bad, good) = (Receiver::webhook(&[Does::Fail; 200]).await, Receiver::webhook(&[]).await);
    let lab = Lab::open().await;
    let to_bad = channel(&lab, json!({ "kind": "webhook", "url": bad.url("/secret-path") }), json!({})).await;
    let to_good = channel(&lab, json!({ "kind": "slack", "url": good.url("/") }), json!({})).await;
    raise(lab.state.store(), "one", false).await;
    send_due(&lab, DAY).await;
    assert_eq!(deliveries(&lab, to_good).await[0]["state"], "sent");
    let waiting = deliveries(&lab, to_bad).await[0].clone();
    assert_eq!((waiting["state"].as_str(), waiting["attempts"].as_u64()), (Some("waiting"), Some(1)));
    assert!((DAY + 15_000..=DAY + 18_000).contains(&waiting["due_ms"].as_i64().unwrap()), "{waiting}");
    assert_eq!(send_due(&lab, DAY + 14_000).await, 0, "not before it is due");
    let ended_ms = send_all(&lab, DAY).await;
    assert!((DAY + 24 * HOUR..DAY + 26 * HOUR).contains(&ended_ms), "{ended_ms}");
    let failed = deliveries(&lab, to_bad).await[0].clone();
    assert_eq!(
        (&failed["state"], failed["attempts"].as_u64().unwrap()),
        (&json!("failed"), bad.arrived().len() as u64)
    );
    let answer = failed["answer"].as_str().unwrap();
    assert!(answer.contains("HTTP 500: busy") && answer.contains("given up after a day"), "{answer}");
    assert!((25..60).contains(&bad.arrived().len()), "{} attempts in a day", bad.arrived().len());
    let slack = good.arrived()[0].json();
    assert!(slack["text"].as_str().unwrap().contains("*cpu: one*"), "{slack}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_between_writing_and_sending_sends_after_its_next_start() {
    let web = Receiver::webhook(&[]).await;
    let lab = Lab::open().await;
    let id = channel(&lab, json!({ "kind": "webhook", "url": web.url("/") }), json!({})).await;
    raise(lab.state.store(), "routed", false).await;
    lab.state.store().route_alerts(DAY).await.unwrap();
    raise(lab.state.store(), "only written", false).await;
    let written = deliveries(&lab, id).await[0]["delivery"].clone();
    let Lab { state, router, folder, admin, .. } = lab;
    let (settings, store) = (state.settings.clone(), state.store().clone());
    drop((state, router));
    store.close().await;
    assert!(web.arrived().is_empty());
    let store = Store::open(folder.path()).await.unwrap();
    let state = server::Lab::new(settings, store, None);
    let router = server::router(state.clone());
    let (view, steer, worker) = (String::new(), String::new(), String::new());
    let lab = Lab { state, router, view, steer, admin, worker, folder };
    send_all(&lab, DAY + MINUTE).await;
    let arrived = web.arrived();
    let titles: BTreeSet<String> = arrived.iter().flat_map(|one| one.titles()).collect();
    assert_eq!(titles, BTreeSet::from(["cpu: only written".to_owned(), "cpu: routed".to_owned()]));
    let first = arrived.iter().find(|one| one.titles() == ["cpu: routed"]).unwrap();
    assert_eq!(first.delivery, written.as_str().unwrap(), "the id was written before the kill");
    assert_eq!(arrived.len(), 2, "no message is written twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_collects_and_quiet_hours_hold_back_all_but_urgent_alerts() {
    let (digest, night) = (Receiver::webhook(&[]).await, Receiver::webhook(&[]).await);
    let lab = Lab::open().await;
    channel(&lab, json!({ "kind": "webhook", "url": digest.url("/") }), json!({ "timing": { "digest_minutes": 30 } }))
        .await;
    let quiet = json!({ "quiet": { "from": 22 * 60, "to": 7 * 60, "utc_offset_minutes": 60 }, "urgent_at_once": true });
    channel(&lab, json!({ "kind": "webhook", "url": night.url("/") }), json!({ "timing": quiet })).await;
    let store = lab.state.store();
    // 21:00 UTC is 22:00 there.
    let at = async |time: i64, phrase: &str, is_urgent: bool| {
        raise(store, phrase, is_urgent).await;
        send_due(&lab, time).await;
    };
    at(DAY + 20 * HOUR, "evening", false).await;
    at(DAY + 20 * HOUR + 10 * MINUTE, "later", false).await;
    assert_eq!(night.arrived().iter().flat_map(|one| one.titles()).collect::<Vec<_>>(), ["cpu: evening", "cpu: later"]);
    assert!(digest.arrived().is_empty());
    send_due(&lab, DAY + 20 * HOUR + 30 * MINUTE).await;
    assert_eq!(digest.arrived()[0].titles(), ["cpu: evening", "cpu: later"]);
    at(DAY + 21 * HOUR, "night 1", false).await;
    at(DAY + 23 * HOUR, "night 2", false).await;
    assert_eq!(night.arrived().len(), 2, "nothing is sent in quiet hours");
    at(DAY + 24 * HOUR, "alarm", true).await;
    assert_eq!(night.arrived()[2].titles(), ["cpu: alarm"]);
    send_due(&lab, DAY + 30 * HOUR - 1).await;
    assert_eq!(night.arrived().len(), 3);
    send_due(&lab, DAY + 30 * HOUR).await;
    assert_eq!(night.arrived()[3].titles(), ["cpu: night 1", "cpu: night 2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_is_sent_in_time_also_after_the_clock_was_set_back() {
    let web = Receiver::webhook(&[]).await;
    let lab = Lab::open().await;
    channel(&lab, json!({ "kind": "webhook", "url": web.url("/") }), json!({ "timing": { "digest_minutes": 30 } }))
        .await;
    raise(lab.state.store(), "a year too early", false).await;
    assert_eq!(send_due(&lab, DAY + 365 * 24 * HOUR).await, 0);
    raise(lab.state.store(), "in time", false).await;
    assert_eq!(send_due(&lab, DAY).await, 0);
    assert_eq!(send_due(&lab, DAY + 29 * MINUTE).await, 0);
    assert_eq!(send_due(&lab, DAY + 30 * MINUTE).await, 1);
    assert_eq!(web.arrived()[0].titles(), ["cpu: a year too early", "cpu: in time"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn receivers_that_stall_take_no_place_of_one_that_answers() {
    const STALLED: usize = 20;
    let lab = impatient_lab(&Receiver::smtp(&[]).await).await;
    let mut stalled = vec![];
    for _ in 0..STALLED {
        let receiver = Receiver::webhook(&[Does::Stall; 9]).await;
        channel(&lab, json!({ "kind": "webhook", "url": receiver.url("/") }), json!({})).await;
        stalled.push(receiver);
    }
    raise(lab.state.store(), "one", false).await;
    assert_eq!(send_due(&lab, DAY).await, STALLED);
    let attempts = || stalled.iter().map(|receiver| receiver.arrived().len()).sum::<usize>();
    let good = Receiver::webhook(&[]).await;
    channel(&lab, json!({ "kind": "webhook", "url": good.url("/") }), json!({})).await;
    raise(lab.state.store(), "two", false).await;
    // The others have been due for longer.
    let tasks = outbox::dispatch(&lab.state, DAY + HOUR).await.unwrap();
    while good.arrived().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(attempts() < 2 * STALLED, "it waited for {} attempts to others", attempts() - STALLED);
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_a_channel_at_the_same_time_all_count() {
    let lab = Lab::open().await;
    let id = channel(&lab, json!({ "kind": "ntfy", "topic": "runs" }), json!({})).await;
    let path = format!("{CHANNELS}/{id}");
    for number in 1..=10 {
        let (name, timing) =
            (json!({ "name": format!("{number}") }), json!({ "timing": { "digest_minutes": number } }));
        let (name, timing) = (name.to_string(), timing.to_string());
        let (one, two) = tokio::join!(lab.patch(&path, &lab.admin, &name), lab.patch(&path, &lab.admin, &timing));
        assert_eq!((one.status, two.status), (StatusCode::OK, StatusCode::OK), "{one:?} {two:?}");
        let listed = lab.get(CHANNELS, &lab.admin).await.json()["channels"][0].clone();
        let found = (&listed["name"], &listed["timing"]["digest_minutes"]);
        assert_eq!(found, (&json!(format!("{number}")), &json!(number)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_alerts_is_collected_and_all_of_them_arrive() {
    let web = Receiver::webhook(&[]).await;
    let lab = Lab::open().await;
    channel(&lab, json!({ "kind": "webhook", "url": web.url("/") }), json!({})).await;
    for number in 0..100 {
        raise(lab.state.store(), &format!("event {number}"), false).await;
    }
    send_all(&lab, DAY).await;
    let arrived = web.arrived();
    assert_eq!(arrived.len(), 31, "30 messages, and one with the rest");
    let last = arrived.iter().map(|one| one.json()).find(|json| json["alerts"].as_array().unwrap().len() > 1).unwrap();
    assert_eq!((last["alerts"].as_array().unwrap().len(), last["left_out"].as_u64()), (50, Some(20)));
}

#[tokio::test(flavor = "multi_thread")]
async fn urgent_alerts_of_a_flood_do_not_wait_for_the_end_of_quiet_hours() {
    let web = Receiver::webhook(&[]).await;
    let lab = Lab::open().await;
    let quiet = json!({ "quiet": { "from": 22 * 60, "to": 7 * 60, "utc_offset_minutes": 0 }, "urgent_at_once": true });
    channel(&lab, json!({ "kind": "webhook", "url": web.url("/") }), json!({ "timing": quiet })).await;
    let night = DAY + 23 * HOUR;
    raise(lab.state.store(), "a note", false).await;
    assert_eq!(send_due(&lab, night).await, 0, "it waits for the morning");
    for number in 0..32 {
        raise(lab.state.store(), &format!("alarm {number}"), true).await;
    }
    while send_due(&lab, night).await > 0 {}
    assert_eq!(web.arrived().len(), 29, "with the one that waits, the 30 messages of an hour");
    assert_eq!(send_due(&lab, night + 15 * MINUTE).await, 1);
    assert_eq!(web.arrived()[29].titles(), ["cpu: alarm 29", "cpu: alarm 30", "cpu: alarm 31"]);
    send_all(&lab, night + 15 * MINUTE).await;
    assert_eq!(web.arrived()[30].titles(), ["cpu: a note"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_and_failures_of_runs_reach_those_who_may_see_them() {
    let web = Receiver::webhook(&[]).await;
    let lab = Lab::open_with(|settings| settings.alerts.ntfy = web.url("/")).await;
    for project in ["alpha", "beta"] {
        lab.post("/api/v1/projects", &lab.admin, &json!({ "name": project }).to_string()).await;
    }
    for (at, (id, project)) in [("alpha-run", "alpha"), ("other-run", "default")].into_iter().enumerate() {
        let mut new = run(id, at as i64);
        new.spec.project = Some(project.to_owned());
        lab.state.store().create_run(&new).await.unwrap();
    }
    let roles = json!([{ "project": "alpha", "role": "view" }, { "project": "beta", "role": "view" }]);
    let cookie = invite(&lab, "eve", "none", &roles).await;
    let own = json!({ "name": "mine", "target": { "kind": "ntfy", "topic": "eve-topic" } });
    assert_eq!(by(&lab, &cookie, "POST", CHANNELS, Some(own)).await.status, StatusCode::CREATED);
    for (id, event, state) in [
        ("alpha-run", Event::Finished, RunState::Finished),
        ("other-run", Event::Failed { message: "no memory".to_owned() }, RunState::Failed),
    ] {
        let run: RunId = id.parse().unwrap();
        lab.state.feed.append(&run, report(Author::System, 7, event, Some(state))).await.unwrap();
    }
    raise(lab.state.store(), "silent", true).await;
    send_all(&lab, DAY).await;
    let titles = |answer: &Answer| -> Vec<String> {
        answer.json().as_array().unwrap().iter().map(|alert| alert["title"].as_str().unwrap().to_owned()).collect()
    };
    let all = lab.get("/api/v1/alerts", &lab.view).await;
    assert_eq!(titles(&all), ["cpu: silent", "other-run: failed", "alpha-run: finished"]);
    let newest = all.json()[0]["id"].as_i64().unwrap();
    assert_eq!(lab.get("/api/v1/lab", &lab.view).await.json()["newest_alert"], newest);
    assert!(titles(&lab.get(&format!("/api/v1/alerts?after={newest}"), &lab.view).await).is_empty());
    assert_eq!(titles(&by(&lab, &cookie, "GET", "/api/v1/alerts", None).await), ["alpha-run: finished"]);
    let pushed = web.arrived();
    assert_eq!(pushed.len(), 1, "{pushed:?}");
    let json = pushed[0].json();
    assert_eq!((json["topic"].as_str(), json["title"].as_str()), (Some("eve-topic"), Some("alpha-run: finished")));
    // A role that is lost before a message is sent counts.
    let run: RunId = "alpha-run".parse().unwrap();
    lab.state.feed.append(&run, report(Author::System, 7, Event::Stopped, Some(RunState::Stopped))).await.unwrap();
    lab.state.store().route_alerts(DAY).await.unwrap();
    let person = by(&lab, &cookie, "GET", "/api/v1/me", None).await.json()["person"].as_i64().unwrap();
    let removed = lab.delete(&format!("/api/v1/projects/alpha/members/{person}"), &lab.admin).await;
    assert!(removed.status.is_success(), "{removed:?}");
    send_all(&lab, DAY).await;
    assert_eq!(web.arrived().len(), 1);
    let own = by(&lab, &cookie, "GET", CHANNELS, None).await.json()["channels"][0]["id"].as_i64().unwrap();
    let listed = by(&lab, &cookie, "GET", &format!("{CHANNELS}/{own}/deliveries"), None).await.json();
    let listed: Vec<_> = listed.as_array().unwrap().iter().map(|one| (&one["state"], &one["title"])).collect();
    assert_eq!(listed, [(&json!("failed"), &json!("")), (&json!("sent"), &json!(""))], "titles have names of runs");
    // A channel that is created again is not tested again at once.
    let test = |channel: i64| format!("{CHANNELS}/{channel}/test");
    assert_eq!(by(&lab, &cookie, "POST", &test(own), None).await.json()["is_accepted"], true);
    by(&lab, &cookie, "DELETE", &format!("{CHANNELS}/{own}"), None).await;
    let same = json!({ "name": "mine", "target": { "kind": "ntfy", "topic": "eve-topic" } });
    let again = by(&lab, &cookie, "POST", CHANNELS, Some(same)).await.json()["id"].as_i64().unwrap();
    assert_eq!(by(&lab, &cookie, "POST", &test(again), None).await.code(), "busy");
}

/// A request by the browser of a person.
async fn by(lab: &Lab, cookie: &str, method: &str, path: &str, body: Option<Value>) -> Answer {
    let request = ask(method, path, None).header("cookie", cookie).header("content-type", "application/json");
    lab.send(request.body(body.map_or_else(Body::empty, |body| Body::from(body.to_string()))).unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn members_choose_no_addresses_and_secrets_are_shown_nowhere() {
    let web = Receiver::webhook(&[]).await;
    let lab = Lab::open().await;
    let secret = "a1b2c3-secret";
    let target = json!({ "kind": "webhook", "url": web.url(&format!("/{secret}")) });
    let id = channel(&lab, target.clone(), json!({})).await;
    let path = format!("{CHANNELS}/{id}");
    let mut seen = String::new();
    for answer in [
        lab.get(CHANNELS, &lab.admin).await,
        lab.patch(&path, &lab.admin, r#"{"name": "renamed"}"#).await,
        lab.patch(
            &path,
            &lab.admin,
            &json!({ "target": { "kind": "webhook", "url": format!("ftp://{secret}") } }).to_string(),
        )
        .await,
        lab.post(&format!("{path}/test"), &lab.admin, "").await,
        lab.get("/api/v1/audit", &lab.admin).await,
    ] {
        seen += &String::from_utf8_lossy(&answer.body);
    }
    assert!(!seen.contains(secret), "{seen}");
    assert!(seen.contains("\"is_accepted\":true") && seen.contains("HTTP 200 OK thank"), "{seen}");
    assert_eq!(lab.post(&format!("{path}/test"), &lab.admin, "").await.code(), "busy", "tests are limited");
    assert!(web.arrived()[0].json()["is_test"].as_bool().unwrap());
    assert_eq!(web.arrived()[0].headers["x-kindling-delivery"].len(), 32);
    assert!(deliveries(&lab, id).await.is_empty());

    // Tokens of the lab without the role admin have no channels, and see none.
    let of_lab = json!({ "name": "x", "is_of_lab": true, "target": target });
    assert_eq!(lab.post(CHANNELS, &lab.steer, &of_lab.to_string()).await.code(), "forbidden");
    let own = json!({ "name": "x", "target": target });
    assert_eq!(lab.post(CHANNELS, &lab.steer, &own.to_string()).await.code(), "no_account");
    assert_eq!(lab.get(CHANNELS, &lab.steer).await.json()["channels"], json!([]));
    for (method, path) in
        [("GET", format!("{path}/deliveries")), ("POST", format!("{path}/test")), ("DELETE", path.clone())]
    {
        assert_eq!(
            lab.send(ask(method, &path, Some(&lab.steer)).body(Body::empty()).unwrap()).await.code(),
            "not_found"
        );
    }
    // A person reaches only the ntfy server of the lab, and at most ten times.
    let cookie = invite(&lab, "eve", "steer", &json!([])).await;
    for target in [
        target,
        json!({ "kind": "ntfy", "topic": "t", "server": web.url("/") }),
        json!({ "kind": "slack", "url": web.url("/") }),
    ] {
        let refused = by(&lab, &cookie, "POST", CHANNELS, Some(json!({ "name": "x", "target": target }))).await;
        assert_eq!((refused.status, refused.code().as_str()), (StatusCode::FORBIDDEN, "receiver_forbidden"));
    }
    let ntfy = json!({ "name": "x", "target": { "kind": "ntfy", "topic": "eve-topic" } });
    for _ in 0..10 {
        assert_eq!(by(&lab, &cookie, "POST", CHANNELS, Some(ntfy.clone())).await.status, StatusCode::CREATED);
    }
    assert_eq!(by(&lab, &cookie, "POST", CHANNELS, Some(ntfy)).await.code(), "channels_full");
    let mail = json!({ "name": "x", "is_of_lab": true, "target": { "kind": "email", "to": "ada@example.org" } });
    assert_eq!(lab.post(CHANNELS, &lab.admin, &mail.to_string()).await.code(), "smtp_missing");
    // A channel that is turned off gives up what waits, and one that is deleted is gone.
    raise(lab.state.store(), "late", false).await;
    lab.state.store().route_alerts(DAY).await.unwrap();
    lab.patch(&path, &lab.admin, r#"{"is_enabled": false}"#).await;
    assert_eq!(deliveries(&lab, id).await[0]["state"], "failed");
    assert_eq!(lab.delete(&path, &lab.admin).await.status, StatusCode::NO_CONTENT);
    assert_eq!(lab.delete(&path, &lab.admin).await.code(), "not_found");
}
