//! The history of devices: it survives a restart, and buckets that have left their range are deleted.

use std::time::{SystemTime, UNIX_EPOCH};

use store::Store;
use wire::DeviceId;
use wire::telemetry::{Aggregate, HistoryBucket, HistoryRange, Usage};

fn bucket(at_ms: i64, busy_secs: f64) -> HistoryBucket {
    let utilization = Some(Aggregate { min: 0.25, mean: 0.5, max: 0.75 });
    let usage = Usage { busy_secs, ..Usage::default() };
    HistoryBucket { at_ms, utilization, usage, ..HistoryBucket::default() }
}

#[tokio::test]
async fn buckets_are_kept_for_their_range_and_replaced_by_newer_ones() {
    let dir = tempfile::tempdir().unwrap();
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    let (cpu, gpu): (DeviceId, DeviceId) = ("cpu".parse().unwrap(), "box-gpu-0".parse().unwrap());
    let minute = 60_000;
    let store = Store::open(dir.path()).await.unwrap();
    let rows = [
        (gpu.clone(), HistoryRange::Hour, bucket(now_ms - 20 * minute, 5.0)),
        (cpu.clone(), HistoryRange::Hour, bucket(now_ms - 10 * minute, 3.0)),
        (cpu.clone(), HistoryRange::Hour, bucket(now_ms - 90 * minute, 3.0)),
        (cpu.clone(), HistoryRange::Day, bucket(now_ms - 90 * minute, 4.0)),
    ];
    store.put_telemetry(&rows).await.unwrap();
    store.put_telemetry(&[(cpu.clone(), HistoryRange::Hour, bucket(now_ms - 10 * minute, 9.0))]).await.unwrap();
    store.close().await;
    let store = Store::open(dir.path()).await.unwrap();
    let hour = store.telemetry(HistoryRange::Hour).await.unwrap();
    let expected = [(gpu, bucket(now_ms - 20 * minute, 5.0)), (cpu.clone(), bucket(now_ms - 10 * minute, 9.0))];
    assert_eq!(hour, expected, "by device id, without the one that left the hour");
    let day = store.telemetry(HistoryRange::Day).await.unwrap();
    assert_eq!(day, [(cpu, bucket(now_ms - 90 * minute, 4.0))]);
}
