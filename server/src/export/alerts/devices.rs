//! Alerts of machines: findings of the fleet that last. The fleet computes them at each request and keeps none, so this is where they
//! become events.

use std::collections::BTreeMap;
use std::time::Duration;

use store::NewAlert;
use wire::DeviceId;
use wire::alert::{AlertContent, AlertKind};
use wire::telemetry::{FindingKind, FleetDevice};

use crate::lab::Lab;
use crate::live::clock::now_ms;
use crate::workers::telemetry::overview;

const LOOK_EVERY: Duration = Duration::from_secs(5);
/// A finding must last so long; a value at its threshold comes and goes.
const LASTS_MS: i64 = 8_000;
/// A finding has ended when it was not seen for so long.
const ENDS_MS: i64 = 60_000;
/// The same finding of a device raises one alert in such a span, also when the server restarts or the value is near its threshold.
const SPAN_MS: i64 = 6 * 3600 * 1000;

/// Looks at the fleet until the server stops.
pub async fn watch(lab: Lab) {
    let mut watch = Watch::default();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let devices = match overview::state(&lab.workers).await {
            Ok(state) => state.machines.into_iter().flat_map(|machine| machine.devices).collect::<Vec<_>>(),
            Err(error) => {
                tracing::error!("the fleet could not be checked for alerts: {error}");
                continue;
            }
        };
        for alert in watch.look(&devices, now_ms()) {
            match lab.store().raise_alert(&alert).await {
                Ok(_) => lab.alerting.wake(),
                Err(error) => {
                    tracing::error!("an alert of a machine could not be stored: {error}");
                    // Findings that last are raised again, and those that are stored are dropped by their source.
                    watch = Watch::default();
                }
            }
        }
    }
}

/// When a finding was first and last seen, and whether its alert was raised.
#[derive(Debug, Clone, Copy)]
struct Seen {
    first_ms: i64,
    last_ms: i64,
    is_raised: bool,
}

/// The findings that have not ended.
#[derive(Debug, Default)]
struct Watch(BTreeMap<(DeviceId, FindingKind), Seen>);

impl Watch {
    /// The alerts of findings that have lasted long enough by now.
    fn look(&mut self, devices: &[FleetDevice], now_ms: i64) -> Vec<NewAlert> {
        let mut alerts = vec![];
        for device in devices {
            for finding in &device.findings {
                let new = Seen { first_ms: now_ms, last_ms: now_ms, is_raised: false };
                let seen = self.0.entry((device.info.id.clone(), finding.kind)).or_insert(new);
                // The clock may have been set back.
                seen.first_ms -= (seen.last_ms - now_ms).max(0);
                seen.last_ms = now_ms;
                if !seen.is_raised && now_ms - seen.first_ms >= LASTS_MS {
                    seen.is_raised = true;
                    let text = format!("{} {}", finding.found, finding.remedy);
                    alerts.push(alert(device, finding.kind, text, now_ms));
                }
            }
        }
        self.0.retain(|_, seen| (0..ENDS_MS).contains(&(now_ms - seen.last_ms)));
        alerts
    }
}

fn alert(device: &FleetDevice, kind: FindingKind, text: String, now_ms: i64) -> NewAlert {
    let is_urgent = matches!(kind, FindingKind::NoReports | FindingKind::DiskNearlyFull | FindingKind::EccErrors);
    let phrase = match kind {
        FindingKind::NoReports => "the worker has stopped reporting",
        FindingKind::MemoryNearlyFull => "memory nearly full",
        FindingKind::DiskNearlyFull => "disk nearly full",
        FindingKind::EccErrors => "memory errors",
        FindingKind::Throttled => "clock lowered",
        FindingKind::ClockSkew => "clock differs from the server's",
    };
    // Each silence is one event; of other findings, one in each span is enough.
    let of = if kind == FindingKind::NoReports { device.seen_ms } else { now_ms / SPAN_MS };
    let id = &device.info.id;
    let content = AlertContent {
        kind: AlertKind::Machine,
        is_urgent,
        phrase: phrase.to_owned(),
        text,
        device: Some(id.clone()),
        step: None,
        project: None,
    };
    NewAlert { source: format!("device/{id}/{}/{of}", kind.word()), at_ms: now_ms, run: None, content }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::telemetry::Finding;

    fn device(seen_ms: i64, kinds: &[FindingKind]) -> FleetDevice {
        let info = r#"{"id":"far-cpu","name":"a device","kind":"cpu","backend":"flex","cores":2,"memory_bytes":8000000000,"flops_per_sec":1e11}"#;
        let finding = |kind: &FindingKind| Finding { kind: *kind, found: "It is so.".into(), remedy: "Look.".into() };
        FleetDevice {
            info: serde_json::from_str(info).unwrap(),
            worker: "w".parse().unwrap(),
            pool: "far".into(),
            is_draining: false,
            is_connected: false,
            seen_ms,
            run: None,
            runs: vec![],
            runs_at_once: 1,
            telemetry: None,
            clock_ahead_secs: None,
            hour: Default::default(),
            day: Default::default(),
            minutes: vec![],
            findings: kinds.iter().map(finding).collect(),
        }
    }

    #[test]
    fn a_worker_that_stays_silent_raises_one_alert_and_its_next_silence_another() {
        let mut watch = Watch::default();
        let mut raised = vec![];
        let mut look = |seen_ms: i64, now_ms: i64, kinds: &[FindingKind]| {
            raised.extend(watch.look(&[device(seen_ms, kinds)], now_ms).into_iter().map(|alert| alert.source))
        };
        let silent = [FindingKind::NoReports];
        look(0, 16_000, &silent);
        look(20_000, 21_000, &[]);
        look(20_000, 200_000, &silent);
        (0..100).for_each(|at| look(20_000, 205_000 + at * 5_000, &silent));
        look(800_000, 801_000, &[]);
        (0..100).for_each(|at| look(800_000, 900_000 + at * 5_000, &silent));
        assert_eq!(raised, ["device/far-cpu/no_reports/20000", "device/far-cpu/no_reports/800000"]);
    }

    #[test]
    fn a_finding_raises_its_alert_in_time_also_when_the_clock_is_set_back() {
        let mut watch = Watch::default();
        let full = [device(0, &[FindingKind::DiskNearlyFull])];
        let day = 24 * 3600 * 1000;
        assert!(watch.look(&full, 3 * day).is_empty());
        assert!(watch.look(&full, day).is_empty());
        assert!(watch.look(&full, day + 5_000).is_empty());
        assert_eq!(watch.look(&full, day + 10_000).len(), 1);
        assert!(watch.look(&[device(0, &[])], 5_000).is_empty());
        assert!(watch.look(&full, 10_000).is_empty());
        assert_eq!(watch.look(&full, 20_000).len(), 1, "it ended before the clock was set back");
    }

    #[test]
    fn a_value_that_comes_and_goes_raises_nothing_and_one_that_lasts_raises_one_alert() {
        let mut watch = Watch::default();
        let full = [FindingKind::MemoryNearlyFull];
        for at in 0..100 {
            let found = watch.look(&[device(0, if at % 20 == 0 { &full } else { &[] })], at * 5_000);
            assert!(found.is_empty(), "{found:?}");
        }
        let found: Vec<NewAlert> =
            (0..100).flat_map(|at| watch.look(&[device(0, &full)], 10_000_000 + at * 5_000)).collect();
        assert_eq!(found.len(), 1);
        assert!(!found[0].content.is_urgent && found[0].content.text == "It is so. Look.");
    }
}
