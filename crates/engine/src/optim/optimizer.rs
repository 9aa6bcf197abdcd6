//! AdamW (Loshchilov and Hutter 2019) with global-norm clipping: one pass over memory on the CPU, tensor operators on a GPU.
//! A test compares the two. The matrices that Muon trains are passed to [`crate::optim::muon`].

use burn::backend::Flex;
use burn::tensor::Tensor;
use wire::hyperparameters::recipe::OptimizerKind;
use wire::run::operators::{Operator, Phase};

use crate::device::host_values;
use crate::device::operator_times::timed;
use crate::device::replicas::Replicas;
use crate::error::EngineError;
use crate::kernels::cpu::lanes::wide_fn;
use crate::kernels::moments;
use crate::model::gradient::Gradient;
use crate::model::params::ParamSpec;
use crate::optim::muon;
use crate::optim::step_hyperparameters::StepHyperparameters;

/// The update of one parameter.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Update {
    /// Sum of the squared changes.
    pub change_squared: f64,
    /// Sum of the squared weights after the update.
    pub weight_squared: f64,
}

/// Weights with their moments, one flat tensor for each parameter.
pub struct State {
    pub weights: Vec<Tensor<1>>,
    /// First moments; the momentum of Muon's matrices.
    pub first: Vec<Tensor<1>>,
    /// Second moments; zero for Muon's matrices.
    pub second: Vec<Tensor<1>>,
    /// Number of steps taken.
    pub steps: u64,
}

impl State {
    /// Weights with moments at zero.
    pub fn new(weights: Vec<Tensor<1>>) -> Self {
        let zeros = || weights.iter().map(Tensor::zeros_like).collect();
        Self { first: zeros(), second: zeros(), weights, steps: 0 }
    }

    /// Takes one step on the CPU, with the parameters split over the threads of the replicas. Returns the update of each parameter.
    ///
    /// # Errors
    /// A replica panicked.
    pub fn step_on_cpu(
        &mut self,
        specs: &[ParamSpec],
        gradient: Vec<Tensor<1>>,
        scale: f64,
        hyperparameters: StepHyperparameters,
        replicas: &Replicas,
    ) -> Result<Vec<Update>, EngineError> {
        self.steps += 1;
        let step = Coefficients::new(hyperparameters, self.steps, scale);
        let take = std::mem::take::<Vec<Tensor<1>>>;
        let jobs: Vec<_> = take(&mut self.weights)
            .into_iter()
            .zip(take(&mut self.first))
            .zip(take(&mut self.second))
            .zip(gradient)
            .zip(specs)
            .map(|((((weight, first), second), gradient), spec)| {
                std::sync::Mutex::new(Some((weight, first, second, gradient, spec.clone())))
            })
            .collect();
        let assigned = assign(specs, hyperparameters.kind, replicas.count());
        let jobs = std::sync::Arc::new(jobs);
        let done = replicas.map({
            let (jobs, assigned) = (jobs.clone(), assigned.clone());
            move |replica| {
                // Each job is taken once, by the thread it is assigned to, so no thread waits for a lock.
                let jobs = assigned[replica]
                    .iter()
                    .filter_map(|&index| jobs[index].lock().ok()?.take().map(|job| (index, job)));
                let updates = jobs.map(|(index, (weight, first, second, gradient, spec))| {
                    let stepped = match muon::shape_of(&spec, hyperparameters.kind) {
                        Some(shape) => muon_on_cpu(weight, first, second, gradient * scale, shape, hyperparameters),
                        None => adamw_in_place(weight, first, second, gradient, step.of(&spec)),
                    };
                    (index, stepped)
                });
                timed(Phase::Optimizer, Operator::Update, || updates.collect::<Vec<_>>())
            }
        })?;
        let mut all: Vec<_> = done.into_iter().flatten().collect();
        all.sort_by_key(|(index, _)| *index);
        let mut updates = Vec::with_capacity(all.len());
        for (_, (weight, first, second, update)) in all {
            self.weights.push(weight);
            self.first.push(first);
            self.second.push(second);
            updates.push(update);
        }
        Ok(updates)
    }

    /// Takes one step with tensor operators, for GPUs: nothing is read back. `scale` is `[1]`.
    pub fn step_on_gpu(
        &mut self,
        specs: &[ParamSpec],
        gradient: Vec<Tensor<1>>,
        scale: Tensor<1>,
        hyperparameters: StepHyperparameters,
    ) {
        self.steps += 1;
        let step = Coefficients::new(hyperparameters, self.steps, 1.0);
        for (index, (gradient, spec)) in gradient.into_iter().zip(specs).enumerate() {
            let (weight, first, second) =
                (self.weights[index].clone(), self.first[index].clone(), self.second[index].clone());
            let gradient = gradient * scale.clone();
            if let Some(shape) = muon::shape_of(spec, hyperparameters.kind) {
                (self.weights[index], self.first[index]) = muon::step(weight, first, gradient, shape, hyperparameters);
                continue;
            }
            let first = first * step.beta1 + gradient.clone() * (1.0 - step.beta1);
            let second = second * step.beta2 + gradient.square() * (1.0 - step.beta2);
            let step = step.of(spec);
            let root = second.clone().sqrt() * step.second_scale + step.eps;
            self.weights[index] = weight * step.keep - first.clone() / root * step.rate;
            (self.first[index], self.second[index]) = (first, second);
        }
    }
}

/// The update that AdamW would make with the moments after `steps` steps, without weight decay.
pub fn update(
    spec: &ParamSpec,
    first: Tensor<1>,
    second: Tensor<1>,
    hyperparameters: StepHyperparameters,
    steps: u64,
) -> Tensor<1> {
    let step = Coefficients::new(hyperparameters, steps, 1.0).of(spec);
    first / (second.sqrt() * step.second_scale + step.eps) * -step.rate
}

/// Root of the sum of all squared gradients, on the CPU, summed in the order of the parameters.
pub fn norm_on_cpu(gradient: &Gradient) -> f64 {
    timed(Phase::Optimizer, Operator::GradientNorm, || gradient.flat.iter().map(sum_of_squares).sum::<f64>().sqrt())
}

/// [`norm_on_cpu`] on the device, `[1]`.
pub fn norm_on_gpu(gradient: &Gradient) -> Tensor<1> {
    let squares = gradient.flat.iter().map(|values| values.clone().square().sum()).collect();
    Tensor::cat(squares, 0).sum().sqrt()
}

/// The factor of PyTorch's `clip_grad_norm_`: scales a norm down to `max_norm`; 1 if the norm is smaller or `max_norm` is 0.
pub fn clip_scale(norm: f64, max_norm: f64) -> f64 {
    if max_norm > 0.0 { (max_norm / (norm + 1e-6)).min(1.0) } else { 1.0 }
}

/// [`clip_scale`] on the device, `[1]` to `[1]`.
pub fn clip_scale_on_gpu(norm: Tensor<1>, max_norm: f64) -> Tensor<1> {
    if max_norm > 0.0 { ((norm + 1e-6).recip() * max_norm).clamp_max(1.0) } else { norm.ones_like() }
}

fn sum_of_squares(tensor: &Tensor<1>) -> f64 {
    moments::sum_of_squares(host_values(tensor).as_slice::<f32>().unwrap_or_default())
}

/// The coefficients of an AdamW step, computed once.
#[derive(Debug, Clone, Copy)]
struct Coefficients {
    beta1: f64,
    beta2: f64,
    eps: f64,
    /// Factor of gradient clipping.
    scale: f64,
    /// Learning rate with the bias correction of the first moment.
    rate: f64,
    /// Inverse root of the bias correction of the second moment.
    second_scale: f64,
    /// `1 - learning_rate * weight_decay`, for matrices.
    matrix_keep: f64,
    /// The decay factor of the current parameter: `matrix_keep` or 1.
    keep: f64,
}

impl Coefficients {
    fn new(hyperparameters: StepHyperparameters, step: u64, scale: f64) -> Self {
        let correction = |beta: f64| 1.0 - beta.powf(step as f64);
        Self {
            beta1: hyperparameters.beta1,
            beta2: hyperparameters.beta2,
            eps: hyperparameters.eps,
            scale,
            rate: hyperparameters.learning_rate / correction(hyperparameters.beta1),
            second_scale: 1.0 / correction(hyperparameters.beta2).sqrt(),
            matrix_keep: 1.0 - hyperparameters.learning_rate * hyperparameters.weight_decay,
            keep: 1.0,
        }
    }

    /// The coefficients of one parameter. Its weight decay does not depend on the factor of its learning rate.
    fn of(self, spec: &ParamSpec) -> Self {
        Self {
            keep: if spec.decays() { self.matrix_keep } else { 1.0 },
            rate: self.rate * spec.learning_rate_factor,
            ..self
        }
    }
}

type Stepped = (Tensor<1>, Tensor<1>, Tensor<1>, Update);

fn muon_on_cpu(
    before: Tensor<1>,
    first: Tensor<1>,
    second: Tensor<1>,
    gradient: Tensor<1>,
    shape: [usize; 2],
    hyperparameters: StepHyperparameters,
) -> Stepped {
    let (weight, first) = muon::step(before.clone(), first, gradient, shape, hyperparameters);
    let change = weight.clone() - before;
    let update = Update { change_squared: sum_of_squares(&change), weight_squared: sum_of_squares(&weight) };
    (weight, first, second, update)
}

/// The CPU kernel: reads weight, moments and gradient once, and writes weight and moments once.
fn adamw_in_place(
    weight: Tensor<1>,
    first: Tensor<1>,
    second: Tensor<1>,
    gradient: Tensor<1>,
    step: Coefficients,
) -> Stepped {
    let own = |tensor: Tensor<1>| {
        tensor.try_into_primitive::<Flex>().expect("all tensors of the CPU step are on the CPU").to_contiguous()
    };
    let (mut weight, mut first, mut second) = (own(weight), own(first), own(second));
    let gradient = host_values(&gradient);
    let gradients = gradient.as_slice::<f32>().unwrap_or_default();
    let update = adamw(weight.storage_mut(), first.storage_mut(), second.storage_mut(), gradients, step);
    let wrap = Tensor::from_primitive::<Flex>;
    (wrap(weight), wrap(first), wrap(second), update)
}

wide_fn! {
    fn adamw(
        weight: &mut [f32],
        first: &mut [f32],
        second: &mut [f32],
        gradient: &[f32],
        step: Coefficients,
    ) -> Update {
        let (beta1, beta2, scale) = (step.beta1 as f32, step.beta2 as f32, step.scale as f32);
        let (rest1, rest2) = ((1.0 - step.beta1) as f32, (1.0 - step.beta2) as f32);
        let (rate, second_scale, eps, keep) =
            (step.rate as f32, step.second_scale as f32, step.eps as f32, step.keep as f32);
        let mut update = Update::default();
        const CHUNK: usize = 1024;
        let chunks = weight.chunks_mut(CHUNK).zip(first.chunks_mut(CHUNK)).zip(second.chunks_mut(CHUNK));
        for (((weight, first), second), gradient) in chunks.zip(gradient.chunks(CHUNK)) {
            let mut change_squared = [0f32; 8];
            let mut weight_squared = [0f32; 8];
            for (i, (((w, m), v), g)) in weight.iter_mut().zip(first).zip(second).zip(gradient).enumerate() {
                let g = g * scale;
                *m = flush_subnormal(*m * beta1 + g * rest1);
                *v = flush_subnormal(*v * beta2 + g * g * rest2);
                let new = *w * keep - *m / (v.sqrt() * second_scale + eps) * rate;
                let change = new - *w;
                change_squared[i % 8] += change * change;
                weight_squared[i % 8] += new * new;
                *w = new;
            }
            update.change_squared += f64::from(change_squared.iter().sum::<f32>());
            update.weight_squared += f64::from(weight_squared.iter().sum::<f32>());
        }
        update
    }
}

/// Zero for a subnormal number. The moments of a parameter without a gradient decay until rounding keeps them at a few times the smallest
/// subnormal number, and processors need more than a hundred cycles for each operation on one.
#[inline(always)]
fn flush_subnormal(moment: f32) -> f32 {
    if moment.abs() < f32::MIN_POSITIVE { 0.0 } else { moment }
}

/// Assigns parameters to threads: the costliest first, to the thread with the least work so far. Returns the indices of each thread.
fn assign(specs: &[ParamSpec], kind: OptimizerKind, threads: usize) -> std::sync::Arc<Vec<Vec<usize>>> {
    let cost = |index: usize| work(&specs[index], kind);
    let mut order: Vec<usize> = (0..specs.len()).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(cost(index)));
    let mut threads = vec![(0usize, vec![]); threads];
    for index in order {
        let Some((total, indices)) = threads.iter_mut().min_by_key(|(total, _)| *total) else { break };
        *total += cost(index);
        indices.push(index);
    }
    std::sync::Arc::new(threads.into_iter().map(|(_, indices)| indices).collect())
}

/// The cost of a parameter's step, in values read and written once. Muon multiplies each value about twenty times along the short side.
fn work(spec: &ParamSpec, kind: OptimizerKind) -> usize {
    let rounds = muon::shape_of(spec, kind).map_or(0, |[d_in, d_out]| d_in.min(d_out) / 4);
    spec.len() * (1 + rounds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_without_a_gradient_end_at_zero() {
        let step = Coefficients {
            beta1: 0.9,
            beta2: 0.99,
            eps: 1e-8,
            scale: 1.0,
            rate: 1e-3,
            second_scale: 1.0,
            matrix_keep: 1.0,
            keep: 1.0,
        };
        let (mut weight, mut first, mut second) = ([1f32], [1e-3f32], [1e-6f32]);
        for _ in 0..12_000 {
            adamw(&mut weight, &mut first, &mut second, &[0.0], step);
            assert!(!first[0].is_subnormal() && !second[0].is_subnormal(), "{first:?} {second:?}");
        }
        assert_eq!((first, second), ([0.0], [0.0]));
    }
}
