//! One step of the optimizer on the CPU, by all threads of the replicas.
//!
//! AdamW reads weight, moments and gradient of a block once, with the factor of gradient clipping, and writes weight and moments once. Each
//! thread has a run of blocks ([`crate::device::partition`]), and computes some matrices of Muon whole. Tensors that something else still
//! reads, such as the writer of a checkpoint, are not changed: their blocks are written to those of [`super::spare`]. So a checkpoint copies
//! nothing, and only the step after it reads and writes different memory.

use std::ops::Range;

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;
use wire::hyperparameters::recipe::OptimizerKind;
use wire::run::operators::{Operator, Phase};

use crate::device::host_values;
use crate::device::operator_times::timed;
use crate::device::partition::{self, BLOCK, Piece, Share, Work};
use crate::device::replicas::Replicas;
use crate::error::EngineError;
use crate::kernels::cpu::lanes::{LANES, wide_fn};
use crate::model::params::ParamSpec;
use crate::optim::muon;
use crate::optim::optimizer::{Coefficients, State, Update, sum_of_squares};
use crate::optim::spare::Spare;
use crate::optim::step_hyperparameters::StepHyperparameters;

impl State {
    /// Takes one step on the CPU, divided over the threads of the replicas. Returns the update of each parameter. The results do not depend
    /// on the number of threads.
    ///
    /// # Errors
    /// A thread panicked.
    pub fn step_on_cpu(
        &mut self,
        specs: &[ParamSpec],
        gradient: Vec<Tensor<1>>,
        scale: f64,
        hyperparameters: StepHyperparameters,
        replicas: &Replicas,
    ) -> Result<Vec<Update>, EngineError> {
        self.steps += 1;
        let work = work(specs, hyperparameters.kind);
        let shares = partition::shares(&work, replicas.threads());
        let matrices = shares.iter().map(|share| self.matrices(share, &gradient)).collect();
        let [of_weights, of_first, of_second] = &mut self.spare;
        let mut arrays = [
            Arrays::take(&mut self.weights, of_weights, &work),
            Arrays::take(&mut self.first, of_first, &work),
            Arrays::take(&mut self.second, of_second, &work),
        ];
        let coefficients = Coefficients::new(hyperparameters, self.steps, scale);
        let gradient = gradient.iter().map(host_values).collect();
        let step = Step { specs, coefficients, hyperparameters, gradient };
        let done = step.on_threads(&mut arrays, &shares, matrices, replicas);
        for (arrays, spare) in arrays.iter_mut().zip(&mut self.spare) {
            spare.keep(&mut arrays.old);
        }
        [self.weights, self.first, self.second] = arrays.map(Arrays::tensors);
        let mut updates = vec![Update::default(); specs.len()];
        for (blocks, matrices) in done? {
            blocks.into_iter().for_each(|(parameter, update)| updates[parameter].add(update));
            for (matrix, update) in matrices {
                updates[matrix.parameter] = update;
                (self.weights[matrix.parameter], self.first[matrix.parameter]) = (matrix.weight, matrix.momentum);
            }
        }
        Ok(updates)
    }

    /// The matrices of Muon that a thread computes.
    fn matrices(&self, share: &Share, gradient: &[Tensor<1>]) -> Vec<Matrix> {
        let matrix = |&parameter: &usize| {
            let (weight, momentum) = (self.weights[parameter].clone(), self.first[parameter].clone());
            Matrix { parameter, weight, momentum, gradient: gradient[parameter].clone() }
        };
        share.whole.iter().map(matrix).collect()
    }
}

/// How the step of each parameter is divided. Muon multiplies each value about twenty times along the short side of its matrix.
pub(crate) fn work(specs: &[ParamSpec], kind: OptimizerKind) -> Vec<Work> {
    let of = |spec: &ParamSpec| match muon::shape_of(spec, kind) {
        Some([d_in, d_out]) => Work::Whole(spec.len() * (1 + d_in.min(d_out) / 4)),
        None => Work::Blocks(spec.len()),
    };
    specs.iter().map(of).collect()
}

/// A matrix that Muon trains.
struct Matrix {
    parameter: usize,
    weight: Tensor<1>,
    momentum: Tensor<1>,
    gradient: Tensor<1>,
}

/// The weights, or the moments of one kind, while a step writes them.
struct Arrays {
    /// The old values of tensors that something else still reads.
    old: Vec<Option<FlexTensor>>,
    /// The tensors that the step writes; those of Muon are replaced after it.
    new: Vec<FlexTensor>,
}

impl Arrays {
    fn take(tensors: &mut Vec<Tensor<1>>, spare: &mut Spare, work: &[Work]) -> Self {
        let writable = |(parameter, (tensor, work)): (usize, (Tensor<1>, &Work))| {
            let on_cpu = "all tensors of the CPU step are on the CPU";
            let tensor = tensor.try_into_primitive::<Flex>().expect(on_cpu).to_contiguous();
            if matches!(work, Work::Whole(_)) || tensor.is_unique() {
                return (None, tensor);
            }
            let new = spare.take(parameter, tensor.layout().shape());
            (Some(tensor), new)
        };
        let (old, new) = std::mem::take(tensors).into_iter().zip(work).enumerate().map(writable).unzip();
        Self { old, new }
    }

    /// The pieces of each thread.
    fn split(&mut self, shares: &[Share]) -> Vec<Vec<Target<'_>>> {
        let new = partition::split(self.new.iter_mut().map(FlexTensor::storage_mut).collect(), shares);
        let old = |place: &Piece| Some(&self.old[place.parameter].as_ref()?.as_slice()?[place.values.clone()]);
        let target = |(place, new): (&Piece, _)| Target { old: old(place), new };
        new.into_iter().zip(shares).map(|(new, share)| share.pieces.iter().zip(new).map(target).collect()).collect()
    }

    fn tensors(self) -> Vec<Tensor<1>> {
        self.new.into_iter().map(Tensor::from_primitive::<Flex>).collect()
    }
}

/// Where the values of a piece are written.
struct Target<'a> {
    /// The old values, if `new` does not have them.
    old: Option<&'a [f32]>,
    new: &'a mut [f32],
}

impl Target<'_> {
    /// The values of a block, to be changed in place.
    fn block(&mut self, range: Range<usize>) -> &mut [f32] {
        let block = &mut self.new[range.clone()];
        if let Some(old) = self.old {
            block.copy_from_slice(&old[range]);
        }
        block
    }
}

/// The pieces of a thread, with their weights and moments, and its matrices.
struct Job<'a> {
    places: &'a [Piece],
    weights: Vec<Target<'a>>,
    first: Vec<Target<'a>>,
    second: Vec<Target<'a>>,
    matrices: Vec<Matrix>,
}

/// What a thread has computed: the updates of its blocks with the indices of their parameters, and its matrices.
type Done = (Vec<(usize, Update)>, Vec<(Matrix, Update)>);

/// What all threads of a step read.
struct Step<'a> {
    specs: &'a [ParamSpec],
    coefficients: Coefficients,
    hyperparameters: StepHyperparameters,
    gradient: Vec<FlexTensor>,
}

impl Step<'_> {
    fn on_threads(
        &self,
        arrays: &mut [Arrays; 3],
        shares: &[Share],
        matrices: Vec<Vec<Matrix>>,
        replicas: &Replicas,
    ) -> Result<Vec<Done>, EngineError> {
        let [weights, first, second] = arrays.each_mut().map(|arrays| arrays.split(shares));
        let threads = shares.iter().zip(matrices).zip(weights).zip(first).zip(second);
        let jobs = threads.map(|((((share, matrices), weights), first), second)| {
            let job = Job { places: &share.pieces, weights, first, second, matrices };
            move || timed(Phase::Optimizer, Operator::Update, || self.compute(job))
        });
        replicas.each(jobs.collect())
    }

    fn compute(&self, job: Job) -> Done {
        let Job { places, weights, first, second, matrices } = job;
        let mut updates = Vec::with_capacity(places.iter().map(|place| place.values.len().div_ceil(BLOCK)).sum());
        for (((place, mut weight), mut first), mut second) in places.iter().zip(weights).zip(first).zip(second) {
            let step = self.coefficients.of(&self.specs[place.parameter]);
            let gradient = self.gradient[place.parameter].as_slice::<f32>().unwrap_or_default();
            let gradient = &gradient[place.values.clone()];
            for from in (0..gradient.len()).step_by(BLOCK) {
                let of = || from..(from + BLOCK).min(gradient.len());
                let update = adamw(weight.block(of()), first.block(of()), second.block(of()), &gradient[of()], step);
                updates.push((place.parameter, update));
            }
        }
        (updates, matrices.into_iter().filter_map(|matrix| self.muon(matrix)).collect())
    }

    /// The matrix after its step. `None` for one that Muon does not train, and none is assigned.
    fn muon(&self, matrix: Matrix) -> Option<(Matrix, Update)> {
        let shape = muon::shape_of(&self.specs[matrix.parameter], self.hyperparameters.kind)?;
        let gradient = matrix.gradient.clone() * self.coefficients.scale;
        let before = matrix.weight.clone();
        let (weight, momentum) = muon::step(matrix.weight, matrix.momentum, gradient, shape, self.hyperparameters);
        let change = weight.clone() - before;
        let update = Update { change_squared: sum_of_squares(&change), weight_squared: sum_of_squares(&weight) };
        Some((Matrix { weight, momentum, ..matrix }, update))
    }
}

impl Update {
    fn add(&mut self, other: Self) {
        self.change_squared += other.change_squared;
        self.weight_squared += other.weight_squared;
    }
}

wide_fn! {
    /// One step for the values of a block. Sums over a block are in 32 bits, in lanes.
    fn adamw(
        weight: &mut [f32],
        first: &mut [f32],
        second: &mut [f32],
        gradient: &[f32],
        step: Coefficients,
    ) -> Update {
        let step = Narrow::new(step);
        let (mut changes, mut weights) = ([0f32; LANES], [0f32; LANES]);
        let ((w, w_rest), (m, m_rest)) = (weight.as_chunks_mut::<LANES>(), first.as_chunks_mut::<LANES>());
        let ((v, v_rest), (g, g_rest)) = (second.as_chunks_mut::<LANES>(), gradient.as_chunks::<LANES>());
        for (((w, m), v), g) in w.iter_mut().zip(m).zip(v).zip(g) {
            for lane in 0..LANES {
                let change = step.advance(&mut w[lane], &mut m[lane], &mut v[lane], g[lane]);
                changes[lane] += change * change;
                weights[lane] += w[lane] * w[lane];
            }
        }
        for (lane, (((w, m), v), g)) in w_rest.iter_mut().zip(m_rest).zip(v_rest).zip(g_rest).enumerate() {
            let change = step.advance(w, m, v, *g);
            changes[lane] += change * change;
            weights[lane] += *w * *w;
        }
        let sum = |lanes: [f32; LANES]| f64::from(lanes.iter().sum::<f32>());
        Update { change_squared: sum(changes), weight_squared: sum(weights) }
    }
}

/// The coefficients of a step in 32 bits.
#[derive(Clone, Copy)]
struct Narrow {
    beta1: f32,
    rest1: f32,
    beta2: f32,
    rest2: f32,
    scale: f32,
    rate: f32,
    second_scale: f32,
    eps: f32,
    keep: f32,
}

impl Narrow {
    fn new(step: Coefficients) -> Self {
        Self {
            beta1: step.beta1 as f32,
            rest1: (1.0 - step.beta1) as f32,
            beta2: step.beta2 as f32,
            rest2: (1.0 - step.beta2) as f32,
            scale: step.scale as f32,
            rate: step.rate as f32,
            second_scale: step.second_scale as f32,
            eps: step.eps as f32,
            keep: step.keep as f32,
        }
    }

    /// One step of a weight with its moments. Returns the change of the weight.
    #[inline(always)]
    fn advance(self, w: &mut f32, m: &mut f32, v: &mut f32, g: f32) -> f32 {
        let g = g * self.scale;
        *m = flush_subnormal(*m * self.beta1 + g * self.rest1);
        *v = flush_subnormal(*v * self.beta2 + g * g * self.rest2);
        let new = *w * self.keep - *m / (v.sqrt() * self.second_scale + self.eps) * self.rate;
        let change = new - *w;
        *w = new;
        change
    }
}

/// Zero for a subnormal number. The moments of a parameter without a gradient decay until rounding keeps them at a few times the smallest
/// subnormal number, and processors need more than a hundred cycles for each operation on one.
#[inline(always)]
fn flush_subnormal(moment: f32) -> f32 {
    if moment.abs() < f32::MIN_POSITIVE { 0.0 } else { moment }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::device::replicas::ThreadLimit;
    use crate::model::params;
    use crate::optim::checkpoint::HostState;

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

    /// Weights and moments in bits, after three steps of a model with parameters of several blocks.
    fn after_three_steps(kind: OptimizerKind, threads: usize, holds: bool) -> (Vec<u32>, Vec<Update>) {
        let values = |seed: u64, specs: &[ParamSpec]| params::initial_on(specs, seed, &Device::flex());
        let spec = |name: &str, shape: &[usize]| {
            let (name, shape) = (name.into(), shape.to_vec());
            ParamSpec { name, shape, init: params::Init::Normal(1.0), learning_rate_factor: 1.0 }
        };
        let specs = [
            spec("embedding.token", &[3, BLOCK - 1]),
            spec("block.0.mlp.up", &[16, 300]),
            spec("block.0.mlp.up.bias", &[300]),
            spec("block.0.mlp.down", &[300, 16]),
        ];
        let hyperparameters = StepHyperparameters {
            kind,
            learning_rate: 0.01,
            beta1: 0.9,
            beta2: 0.99,
            eps: 1e-8,
            weight_decay: 0.1,
            grad_clip: 1.0,
        };
        let limit = ThreadLimit::default();
        limit.set(Some(threads));
        let replicas = Replicas::limited(4, limit).unwrap();
        let (mut state, mut updates) = (State::new(values(1, &specs)), vec![]);
        for seed in 2..5 {
            let held = holds.then(|| State {
                weights: state.weights.clone(),
                second: state.second.clone(),
                ..State::new(vec![])
            });
            let before = held.as_ref().map(bits);
            updates = state.step_on_cpu(&specs, values(seed, &specs), 0.5, hyperparameters, &replicas).unwrap();
            assert!(held.as_ref().map(bits) == before, "held tensors do not change");
        }
        (bits(&state), updates)
    }

    fn bits(state: &State) -> Vec<u32> {
        let tensors = state.weights.iter().chain(&state.first).chain(&state.second);
        tensors.flat_map(|tensor| host_values(tensor).as_slice::<f32>().unwrap().to_vec()).map(f32::to_bits).collect()
    }

    #[test]
    fn a_step_has_the_same_bits_with_any_number_of_threads_and_leaves_held_tensors_as_they_are() {
        for kind in [OptimizerKind::Adamw, OptimizerKind::Muon] {
            let expected = after_three_steps(kind, 1, false);
            for threads in 1..=4 {
                assert!(after_three_steps(kind, threads, false) == expected, "{kind:?}, {threads} threads");
                assert!(after_three_steps(kind, threads, true) == expected, "{kind:?}, {threads} threads, held");
            }
        }
    }

    #[test]
    fn the_steps_after_later_checkpoints_write_to_memory_that_was_written_before() {
        let specs = [ParamSpec {
            name: "embedding.token".into(),
            shape: vec![2, BLOCK],
            init: params::Init::Normal(1.0),
            learning_rate_factor: 1.0,
        }];
        let hyperparameters = StepHyperparameters {
            kind: OptimizerKind::Adamw,
            learning_rate: 0.01,
            beta1: 0.9,
            beta2: 0.99,
            eps: 1e-8,
            weight_decay: 0.1,
            grad_clip: 1.0,
        };
        let values = |seed| params::initial_on(&specs, seed, &Device::flex());
        let addresses = |state: &State| {
            let tensors = state.weights.iter().chain(&state.first).chain(&state.second);
            tensors.map(|tensor| host_values(tensor).as_slice::<f32>().unwrap().as_ptr()).collect::<Vec<_>>()
        };
        let (replicas, mut state) = (Replicas::new(2).unwrap(), State::new(values(1)));
        let mut places = vec![addresses(&state)];
        let step = |state: &mut State| {
            state.step_on_cpu(&specs, values(2), 1.0, hyperparameters, &replicas).unwrap();
            addresses(state)
        };
        for _ in 0..3 {
            let held = HostState::take(&specs, &state, true).unwrap();
            places.push(step(&mut state));
            drop(held);
            assert_eq!(step(&mut state), places[places.len() - 1], "no checkpoint is read: the step is in place");
        }
        assert_ne!(places[0], places[1]);
        assert_eq!((&places[2], &places[3]), (&places[0], &places[1]), "two sets of tensors take turns");
        // Two checkpoints are read at once: neither may change.
        let held = HostState::take(&specs, &state, true).unwrap();
        step(&mut state);
        let later = HostState::take(&specs, &state, true).unwrap();
        assert!(!places.contains(&step(&mut state)), "a third set");
        drop((held, later));
    }
}
