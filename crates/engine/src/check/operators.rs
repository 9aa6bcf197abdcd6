//! The GPU operators of the decoder and the optimizer, values and gradients, compared with their reference implementations on the CPU.

use burn::tensor::{Device, Int, Tensor, TensorData};
use wire::hyperparameters::recipe::OptimizerKind;
use wire::model::Norm;

use super::part::Sink;
use super::tiny;
use crate::device::{EngineDevice, read};
use crate::error::EngineError;
use crate::kernels::dispatch::Operators;
use crate::kernels::random::Normals;
use crate::kernels::reference::HeadLoss;
use crate::model::params::{self, ParamSpec};
use crate::optim::optimizer::State;
use crate::optim::step_hyperparameters::StepHyperparameters;

/// Maximum difference of a tensor, as a part of its norm.
const TOLERANCE: f64 = 1e-4;

/// An operator compared with its reference implementation.
#[derive(Debug, Clone, PartialEq)]
pub struct OperatorCase {
    /// Operator, and what is special about the inputs.
    pub name: &'static str,
    /// Norm of the difference over the norm of the reference: of the output, then of the gradient of each input.
    pub differences: Vec<f64>,
}

impl OperatorCase {
    /// Whether the output and all gradients agree.
    pub fn is_same(&self) -> bool {
        self.differences.iter().all(|difference| *difference <= TOLERANCE)
    }
}

impl std::fmt::Display for OperatorCase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let worst = self.differences.iter().fold(0f64, |worst, difference| worst.max(*difference));
        write!(f, "{}: largest difference {worst:.1e} of the norm", self.name)
    }
}

/// Reports each operator.
///
/// # Errors
/// The device was lost.
pub(super) fn report(device: &EngineDevice, sink: &mut Sink<'_>) -> Result<(), EngineError> {
    if device.is_cpu() {
        sink.not_run("operators", "not needed: tests compare the operators of the CPU");
        return Ok(());
    }
    for case in operator_cases(device)? {
        sink.check(format!("operator {}", case.name), case.is_same(), case.to_string());
    }
    Ok(())
}

/// Compares each operator with its reference implementation. The shapes are small and fill no cube and no tile.
///
/// # Errors
/// The device was lost.
pub fn operator_cases(device: &EngineDevice) -> Result<Vec<OperatorCase>, EngineError> {
    let compare = |name, lengths: &[usize], f: &Operator<'_>| compare(device, name, lengths, f);
    let norm = |norm: Norm| {
        move |on: Operators, [x, gain]: [Tensor<1>; 2]| {
            on.norm(norm, x.reshape([3, 50, 131]), gain + 1.0, 1e-5).reshape([-1])
        }
    };
    let head = |head: HeadLoss| {
        move |on: Operators, [x, matrix]: [Tensor<1>; 2]| {
            let ids: Vec<i32> = (0..7).map(|row| row * 23 % 149).collect();
            let targets = Tensor::<2, Int>::from_data(TensorData::new(ids, [7, 1]), &x.device());
            on.head_loss(x.reshape([7, 5]), matrix.reshape([5, 149]), targets, head, &Tensor::matmul).objective
        }
    };
    let attention = |kv_heads: usize, seq: usize, d_head: usize| {
        move |on: Operators, [q, k, v]: [Tensor<1>; 3]| {
            let keys = |x: Tensor<1>| x.reshape([2, seq, kv_heads, d_head]).swap_dims(1, 2);
            on.attention(q.reshape([2, 4, seq, d_head]), keys(k), keys(v), 0.4).reshape([-1])
        }
    };
    let (plain, full) = (HeadLoss { cap: 0.0, z_loss: 0.0 }, HeadLoss { cap: 3.0, z_loss: 0.05 });
    Ok(vec![
        compare("layer norm", &[3 * 50 * 131, 131], &|on, inputs| norm(Norm::Layer)(on, take(inputs)))?,
        compare("RMS norm", &[3 * 50 * 131, 131], &|on, inputs| norm(Norm::Rms)(on, take(inputs)))?,
        compare("GELU", &[301], &|on, inputs| {
            let [x] = take(inputs);
            on.gelu(x * 4.0)
        })?,
        compare("SwiGLU", &[301, 301], &|on, inputs| {
            let [gate, up] = take(inputs);
            on.swiglu(gate * 4.0, up)
        })?,
        compare("head and loss", &[35, 745], &|on, inputs| head(plain)(on, take(inputs)))?,
        compare("head and loss, soft cap and z-loss", &[35, 745], &|on, inputs| head(full)(on, take(inputs)))?,
        compare("attention", &[2 * 4 * 9 * 6; 3], &|on, inputs| attention(4, 9, 6)(on, take(inputs)))?,
        compare(
            "attention, several tiles, grouped keys",
            &[2 * 4 * 67 * 40, 2 * 2 * 67 * 40, 2 * 2 * 67 * 40],
            &|on, inputs| attention(2, 67, 40)(on, take(inputs)),
        )?,
        adamw(device)?,
    ])
}

/// An operator of flat inputs with a flat output.
type Operator<'a> = dyn Fn(Operators, Vec<Tensor<1>>) -> Tensor<1> + 'a;

fn take<const N: usize>(inputs: Vec<Tensor<1>>) -> [Tensor<1>; N] {
    inputs.try_into().expect("a case has as many inputs as lengths")
}

fn compare(
    device: &EngineDevice,
    name: &'static str,
    lengths: &[usize],
    operator: &Operator<'_>,
) -> Result<OperatorCase, EngineError> {
    let reference = evaluate(&Device::flex(), Operators::Burn, lengths, operator)?;
    let found = evaluate(&device.burn, Operators::Gpu, lengths, operator)?;
    Ok(OperatorCase { name, differences: found.iter().zip(&reference).map(|(a, b)| distance(a, b)).collect() })
}

/// The output, and the gradient of each input, of the sum of the output with random weights.
fn evaluate(
    device: &Device,
    operators: Operators,
    lengths: &[usize],
    operator: &Operator<'_>,
) -> Result<Vec<Vec<f32>>, EngineError> {
    let inputs: Vec<Tensor<1>> =
        (0..).zip(lengths).map(|(stream, len)| random(stream, *len, device).autodiff().require_grad()).collect();
    let output = operator(operators, inputs.clone());
    let weights = random(99, output.dims()[0], device).autodiff();
    let mut gradients = (output.clone() * weights).sum().backward();
    let mut all = vec![read(output.inner())?];
    for input in inputs {
        all.push(read(input.grad_remove(&mut gradients).unwrap_or_else(|| input.inner().zeros_like()))?);
    }
    Ok(all)
}

fn random(stream: u64, len: usize, device: &Device) -> Tensor<1> {
    params::upload(Normals::new(7, stream).take(len).collect(), device)
}

/// `|a - b| / |b|`.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
    if a.len() != b.len() {
        return f64::INFINITY;
    }
    let difference = norm(&mut a.iter().zip(b).map(|(a, b)| f64::from(a - b)));
    let relative = difference / norm(&mut b.iter().map(|value| f64::from(*value))).max(1e-30);
    if relative.is_nan() { f64::INFINITY } else { relative }
}

/// Two steps of a matrix and a vector, and on the device a third with the clipping factor 0, which changes nothing.
fn adamw(device: &EngineDevice) -> Result<OperatorCase, EngineError> {
    let (found, reference) = (adamw_steps(&device.burn, &[0.7, 1.0, 0.0])?, adamw_steps(&Device::flex(), &[0.7, 1.0])?);
    Ok(OperatorCase { name: "AdamW", differences: found.iter().zip(&reference).map(|(a, b)| distance(a, b)).collect() })
}

/// Weights and moments after one step with each clipping factor.
fn adamw_steps(device: &Device, scales: &[f32]) -> Result<Vec<Vec<f32>>, EngineError> {
    let specs: Vec<ParamSpec> = params::layout(&tiny()).into_iter().take(3).collect();
    let values = |first_stream: u64| -> Vec<Tensor<1>> {
        (first_stream..).zip(&specs).map(|(stream, spec)| random(stream, spec.len(), device)).collect()
    };
    let mut state = State::new(values(0));
    let hyperparameters = StepHyperparameters {
        kind: OptimizerKind::Adamw,
        learning_rate: 0.01,
        beta1: 0.9,
        beta2: 0.99,
        eps: 1e-8,
        weight_decay: 0.1,
        grad_clip: 1.0,
    };
    for (step, scale) in (1..).zip(scales) {
        let scale = params::upload(vec![*scale], device);
        state.step_on_gpu(&specs, values(10 * step), scale, hyperparameters);
    }
    state.weights.into_iter().chain(state.first).chain(state.second).map(read).collect()
}
