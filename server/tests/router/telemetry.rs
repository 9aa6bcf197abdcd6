//! Telemetry of a worker reaches the fleet, its history, its findings and the metrics; a value that was not measured is in none of them.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use wire::device::DeviceLoad;
use wire::transport::link::FromWorker;

use crate::lab::Lab;
use crate::link::FarWorker;
use crate::scenarios::LabWithWorker;

/// The device of this id in an answer of `/fleet`.
fn device<'a>(fleet: &'a Value, id: &str) -> Option<&'a Value> {
    let machines = fleet["machines"].as_array()?.iter();
    machines.flat_map(|machine| machine["devices"].as_array().unwrap()).find(|device| device["info"]["id"] == id)
}

fn finding_kinds(device: &Value) -> Vec<&str> {
    device["findings"].as_array().unwrap().iter().map(|finding| finding["kind"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn measurements_of_a_worker_are_shown_kept_and_exported() {
    const GB: u64 = 1_000_000_000;
    let served = LabWithWorker::open().await;
    let mut worker = FarWorker::connect(&served, "far-cpu", 30_000).await;
    served.wait_until("/api/v1/fleet", |fleet| device(fleet, "far-cpu").is_some()).await;
    let telemetry = json!({
        "cpu_utilization": 0.5, "temperature_c": 91.0, "clock_mhz": 1200.0, "throttle_reasons": ["temperature"],
        "host_memory_used_bytes": 15 * GB, "host_memory_total_bytes": 16 * GB, "disk_free_bytes": GB, "disk_total_bytes": 500 * GB,
        "power_w": -3.0, "of a later version": {},
    });
    let mut fleet = Value::Null;
    for share in [0.25, 0.75] {
        let mut telemetry = telemetry.clone();
        telemetry["cpu_utilization"] = share.into();
        let clock_ms = worker.now();
        worker.note(json!({"clock_ms": clock_ms, "telemetry": telemetry})).await;
        worker.send(FromWorker::Heartbeat { load: DeviceLoad::default() }).await;
        let is_shown = move |fleet: &Value| {
            device(fleet, "far-cpu").is_some_and(|device| device["telemetry"]["cpu_utilization"] == share)
        };
        fleet = served.wait_until("/api/v1/fleet", is_shown).await;
    }
    let shown = device(&fleet, "far-cpu").unwrap();
    assert_eq!(shown["telemetry"].get("power_w"), None, "no device draws a negative power: {shown}");
    assert_eq!(shown["telemetry"].get("gpu_utilization"), None);
    let ahead = shown["clock_ahead_secs"].as_f64().unwrap();
    assert!((29.0..31.0).contains(&ahead), "{ahead}");
    let expected = ["memory_nearly_full", "disk_nearly_full", "throttled", "clock_skew"];
    assert_eq!(finding_kinds(shown), expected, "the most urgent first");
    assert!(!finding_kinds(device(&fleet, "cpu").unwrap()).contains(&"clock_skew"), "the local worker has this clock");

    for range in ["hour", "day"] {
        let path = format!("/api/v1/fleet/devices/far-cpu/history?range={range}");
        let history = served.lab.get(&path, &served.lab.view).await.json();
        let buckets = history["buckets"].as_array().unwrap();
        let of = |field: &str| -> Vec<f64> {
            buckets.iter().filter_map(|bucket| bucket["utilization"][field].as_f64()).collect()
        };
        // Both measurements lie in one bucket, or in two.
        assert_eq!((of("min")[0], *of("max").last().unwrap()), (0.25, 0.75), "{history}");
        assert!(buckets.iter().all(|bucket| bucket.get("power_w").is_none()), "{history}");
    }
    let unknown = served.lab.get("/api/v1/fleet/devices/nobody/history", &served.lab.view).await;
    assert_eq!((unknown.status.as_u16(), unknown.code().as_str()), (404, "not_found"));
    let invalid = served.lab.get("/api/v1/fleet/devices/far-cpu/history?range=week", &served.lab.view).await;
    assert_eq!((invalid.status.as_u16(), invalid.code().as_str()), (400, "query_invalid"));

    let text = metrics(&served.lab).await;
    let value = |start: &str| {
        let line = text.lines().find(|line| line.starts_with(start) && line.contains("device=\"far-cpu\""));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
    };
    assert_eq!(value("kindling_device_cpu_utilization_ratio{"), Some(0.75), "{text}");
    assert_eq!(value("kindling_device_clock_hertz{"), Some(1.2e9));
    assert_eq!(value("kindling_device_throttled{"), Some(1.0));
    assert_eq!(value("kindling_device_power_watts{"), None, "what is unknown is not 0");
    assert!(text.contains("host=\"far\",pool=\"far\",name=\"far-cpu\""), "{text}");
    assert!(
        text.lines()
            .any(|line| line.contains("far-cpu") && line.contains("kind=\"throttled\"") && line.ends_with(" 1"))
    );
}

async fn metrics(lab: &Lab) -> String {
    let answer = lab.get("/metrics", &lab.view).await;
    assert_eq!(answer.status, 200);
    String::from_utf8(answer.body).unwrap()
}

#[tokio::test]
async fn every_metric_of_the_dashboard_is_exported() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/grafana.json");
    let dashboard: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let expressions =
        panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap()).map(|target| &target["expr"]);
    let variables = dashboard["templating"]["list"].as_array().unwrap().iter().map(|variable| &variable["query"]);
    let texts: Vec<&str> = expressions.chain(variables).map(|text| text.as_str().unwrap()).collect();
    let is_part = |letter: char| letter.is_ascii_lowercase() || letter == '_';
    let words = texts.iter().flat_map(|text| text.split(move |letter| !is_part(letter)));
    let used: BTreeSet<&str> = words.filter(|word| word.starts_with("kindling_")).collect();
    let lab = Lab::open().await;
    let text = metrics(&lab).await;
    let exported: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert!(used.len() > 15, "{used:?}");
    assert_eq!(used.difference(&exported).collect::<Vec<_>>(), Vec::<&&str>::new());
    let devices: BTreeSet<&str> =
        exported.iter().filter(|name| name.starts_with("kindling_device_")).copied().collect();
    assert_eq!(devices.difference(&used).collect::<Vec<_>>(), Vec::<&&str>::new(), "the dashboard shows all of them");
}
