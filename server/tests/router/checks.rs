//! The last report of each device, as the Settings page asks for it.

use axum::http::StatusCode;
use serde_json::json;

use crate::lab::Lab;

#[tokio::test]
async fn the_last_report_of_each_device_is_listed_and_a_torn_one_is_left_out() {
    let lab = Lab::open().await;
    assert_eq!(lab.get("/api/v1/checks", &lab.view).await.json(), json!([]));
    let write = |device: &str, text: &str| {
        let folder = lab.folder.path().join("checks").join(device);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("report.json"), text).unwrap();
    };
    let report = |device: &str, outcome: &str| {
        json!({
            "version": 1, "program": "kindling 0.1.0", "started_ms": 5, "secs": 2.5, "limit_secs": 350.0,
            "device": {"id": device, "name": "a card", "kind": "gpu", "backend": "wgpu (Vulkan)", "cores": 1, "memory_bytes": 0,
                "flops_per_sec": 0.0, "rates": null},
            "sections": [{"name": "parity", "question": "Is it right?", "limit_secs": 90.0, "secs": 2.0, "outcome": outcome,
                "checks": [{"name": "loss", "outcome": outcome, "found": "1e-6 apart"}],
                "figures": [{"name": "speed", "value": 1.5, "unit": "tokens/s"}]}],
        })
    };
    write("gpu-0", &report("gpu-0", "failed").to_string());
    write("cpu", &report("cpu", "passed").to_string());
    write("gpu-1", "{\"version\": 1");

    let answer = lab.get("/api/v1/checks", &lab.view).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json(), json!([report("cpu", "passed"), report("gpu-0", "failed")]));
}
