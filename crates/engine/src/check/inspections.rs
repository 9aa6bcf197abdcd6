//! Each inspection of one model on the device, compared with the CPU.

use std::path::Path;

use serde_json::Value;
use wire::inspect::request::Inspection;

use super::part::Sink;
use super::{TOLERANCE, plans};
use crate::data::dataset::Dataset;
use crate::device::EngineDevice;
use crate::error::EngineError;
use crate::inspect::{self, Subject};
use crate::kernels::gpu::GpuKernels;
use crate::model::params;
use crate::optim::optimizer::State;

/// Every kind of inspection, in JSON; `weights` once each for weights, gradients and updates.
pub const INSPECTIONS: [&str; 12] = [
    r#"{"overview":{}}"#,
    r#"{"attention":{"layer":0}}"#,
    r#"{"logit_lens":{}}"#,
    r#"{"neurons":{"layer":0}}"#,
    r#"{"neuron":{"layer":0,"neuron":3}}"#,
    r#"{"weights":{}}"#,
    r#"{"weights":{"values":"gradient"}}"#,
    r#"{"weights":{"values":"update"}}"#,
    r#"{"matrix":{"tensor":"embedding.token","window":{"row":3,"column":1,"rows":5,"columns":9}}}"#,
    r#"{"embedding":{}}"#,
    r#"{"batch":{"step":1}}"#,
    r#"{"interventions":{"interventions":[{"component":{"head":{"layer":0,"head":1}},"factor":0}]}}"#,
];

/// Compares each inspection on the device with the CPU.
///
/// # Errors
/// The folder cannot be written, or the device was lost.
pub(super) fn report(device: &EngineDevice, folder: &Path, sink: &mut Sink<'_>) -> Result<(), EngineError> {
    if device.is_cpu() {
        sink.not_run("inspections", "not needed: the CPU is the reference");
        return Ok(());
    }
    let cpu = EngineDevice::processor();
    let plan = plans::tiny(&cpu, folder)?;
    let data = Dataset::open(folder, &plan.corpora(), plan.tokenizer)?;
    let specs = params::layout(&plan.recipe.model);
    let hyperparameters = plan.live();
    let state_on = |device: &EngineDevice| {
        let upload = |values: Vec<f32>| params::upload(scaled_up(values), &device.burn);
        State { steps: 3, ..State::new(params::initial(&specs, 5).into_iter().map(upload).collect()) }
    };
    let (device_state, cpu_state) = (state_on(device), state_on(&cpu));
    let kernels = device.setup.as_ref().map(GpuKernels::new);
    let subject = |device, state, kernels| Subject {
        plan: &plan,
        hyperparameters: &hyperparameters,
        specs: &specs,
        state,
        has_moments: true,
        data: &data,
        device,
        replicas: None,
        kernels,
        stats: None,
    };
    for text in INSPECTIONS {
        let inspection: Inspection =
            serde_json::from_str(text).map_err(|source| wire::PlanError::new("inspection", source.to_string()))?;
        let name = format!("inspection {}", title(&inspection));
        if sink.left() <= 0.0 {
            sink.not_run(name, "time limit reached");
            continue;
        }
        let a = inspect_as_json(&subject(device, &device_state, kernels.as_ref()), &inspection);
        let b = inspect_as_json(&subject(&cpu, &cpu_state, None), &inspection);
        match (a, b) {
            (Ok(a), Ok(b)) => {
                let difference = first_difference(&a, &b, "");
                sink.check(name, difference.is_none(), difference.unwrap_or_else(|| "equals the CPU".to_owned()));
            }
            (Err(error), _) | (_, Err(error)) => sink.check(name, false, error.to_string()),
        }
    }
    Ok(())
}

fn inspect_as_json(subject: &Subject<'_>, inspection: &Inspection) -> Result<Value, EngineError> {
    let result = inspect::inspect(subject, inspection)?;
    serde_json::to_value(result).map_err(|source| EngineError::read_back(source.to_string()))
}

/// Larger initial weights than those of a run, so that attention and MLP leave their linear range; gains are unchanged.
fn scaled_up(values: Vec<f32>) -> Vec<f32> {
    values.into_iter().map(|value| if value == 1.0 { value } else { value * 12.0 }).collect()
}

/// Kind of the inspection, with the values that it reads: `weights of gradient`.
pub(super) fn title(inspection: &Inspection) -> String {
    let values = serde_json::to_value(inspection)
        .ok()
        .and_then(|value| value[inspection.kind()]["values"].as_str().map(str::to_owned));
    values
        .filter(|values| values != "weight")
        .map_or_else(|| inspection.kind().to_owned(), |values| format!("{} of {values}", inspection.kind()))
}

/// Path and values of the first difference above the tolerance: floats differ relatively, integers (bytes of a heat map) by more than one.
fn first_difference(a: &Value, b: &Value, path: &str) -> Option<String> {
    match (a, b) {
        (Value::Array(x), Value::Array(y)) if x.len() == y.len() => {
            x.iter().zip(y).enumerate().find_map(|(index, (x, y))| first_difference(x, y, &format!("{path}/{index}")))
        }
        (Value::Object(x), Value::Object(y)) if x.len() == y.len() => x
            .iter()
            .find_map(|(key, x)| first_difference(x, y.get(key).unwrap_or(&Value::Null), &format!("{path}/{key}"))),
        (Value::Number(x), Value::Number(y)) if are_close(x, y) => None,
        _ if a == b => None,
        _ => Some(format!("{path} is {a} here and {b} on the CPU")),
    }
}

fn are_close(a: &serde_json::Number, b: &serde_json::Number) -> bool {
    if let (Some(a), Some(b)) = (a.as_u64(), b.as_u64()) {
        return a.abs_diff(b) <= 1;
    }
    let (a, b) = (a.as_f64().unwrap_or(f64::NAN), b.as_f64().unwrap_or(f64::NAN));
    (a - b).abs() <= TOLERANCE * b.abs() + 1e-4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_named_by_its_path() {
        let a = serde_json::json!({"rows": [{"rms": 1.0, "name": "x"}, {"rms": 2.0, "name": "y"}]});
        let with = |rms: f64| serde_json::json!({"rows": [{"rms": 1.0, "name": "x"}, {"rms": rms, "name": "y"}]});
        assert_eq!(first_difference(&a, &with(2.0005), ""), None);
        let difference = first_difference(&a, &with(2.1), "").unwrap_or_default();
        assert!(difference.starts_with("/rows/1/rms is 2.0"), "{difference}");
        assert!(first_difference(&a, &serde_json::json!({"rows": []}), "").is_some());
    }

    #[test]
    fn every_inspection_is_valid() {
        for text in INSPECTIONS {
            let inspection: Inspection = serde_json::from_str(text).unwrap();
            inspection.check().unwrap();
        }
    }

    #[test]
    fn the_title_names_the_values_that_an_inspection_reads() {
        for (text, expected) in [
            (r#"{"weights":{}}"#, "weights"),
            (r#"{"weights":{"values":"weight"}}"#, "weights"),
            (r#"{"weights":{"values":"gradient"}}"#, "weights of gradient"),
            (r#"{"weights":{"values":"update"}}"#, "weights of update"),
            (r#"{"matrix":{"tensor":"embedding.token","values":"update"}}"#, "matrix of update"),
            (r#"{"overview":{}}"#, "overview"),
        ] {
            let inspection: Inspection = serde_json::from_str(text).unwrap();
            assert_eq!(title(&inspection), expected);
        }
        let titles: std::collections::BTreeSet<String> =
            INSPECTIONS.iter().map(|text| title(&serde_json::from_str(text).unwrap())).collect();
        assert_eq!(titles.len(), INSPECTIONS.len(), "each inspection of the check has its own title");
    }
}
