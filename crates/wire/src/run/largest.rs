//! The largest model of a family that trains in a given memory, by the memory of a training ([`ModelPlan::training_bytes`]).

use serde::Serialize;

use crate::device::DeviceKind;
use crate::hyperparameters::recipe::{Batch, Compute, Recipe};
use crate::model::ModelPlan;
use crate::run::preset::{DEPTHS, PresetInfo, find};

/// A family of models, from small to large, by the number of layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// The preset `depth`: 64 channels per layer, 128 tokens, a vocabulary of 1,024.
    Depth,
    /// The shape of GPT-2: 1,024 tokens, a vocabulary of 50,257, and a head of 64 channels for every third layer and 8 more, as its published
    /// sizes have (12 layers with 12 heads, 24 with 16, 36 with 20).
    Gpt2,
}

impl Family {
    /// All families.
    pub const ALL: [Self; 2] = [Self::Depth, Self::Gpt2];

    /// Label, for people.
    pub fn label(self) -> &'static str {
        match self {
            Self::Depth => "depth",
            Self::Gpt2 => "GPT-2",
        }
    }

    /// Numbers of layers, rising.
    fn layers(self) -> impl Iterator<Item = u32> {
        let (from, to, step) = match self {
            Self::Depth => (*DEPTHS.start(), *DEPTHS.end(), 1),
            Self::Gpt2 => (3, 255, 3),
        };
        (from..=to).step_by(step)
    }

    /// The hyperparameters at a number of layers. `None` if the preset does not have it.
    fn recipe(self, layers: u32) -> Option<Recipe> {
        let of = |preset: PresetInfo, vocab: usize| {
            let mut recipe = preset.recipe;
            recipe.model.vocab = vocab;
            recipe
        };
        match self {
            Self::Depth => find("depth", Some(layers)).ok().map(|preset| of(preset, 1024)),
            Self::Gpt2 => find("gpt2", None).ok().map(|preset| {
                let recipe = of(preset, 50_257);
                let heads = layers as usize / 3 + 8;
                let d_model = 64 * heads;
                let model = ModelPlan {
                    layers: layers as usize,
                    heads,
                    kv_heads: heads,
                    d_model,
                    d_ff: 4 * d_model,
                    ..recipe.model
                };
                Recipe { model, ..recipe }
            }),
        }
    }
}

/// How a model is trained, and in how much memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    pub memory_bytes: u64,
    pub kind: DeviceKind,
    /// Cores that train in parallel.
    pub cores: u32,
}

/// The largest model of a family.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LargestModel {
    pub family: Family,
    /// Sequences of a micro-batch.
    pub batch_size: usize,
    /// Whether activations are recomputed.
    pub recompute: bool,
    /// The model, and its memory during training, bytes; `None` if not even the smallest one fits.
    pub model: Option<FittingModel>,
}

/// A model that fits.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FittingModel {
    pub layers: usize,
    pub d_model: usize,
    pub parameters: u64,
    /// Memory during training, bytes.
    pub memory_bytes: u64,
}

/// The largest model of each family, with the batch size of its preset and with one sequence, with and without recomputed activations.
pub fn largest_models(room: Room) -> Vec<LargestModel> {
    let batches =
        |family: Family| [family.recipe(12).map_or(1, |recipe| recipe.batch.size), 1].map(|size| (family, size));
    let all = Family::ALL.into_iter().flat_map(batches);
    all.flat_map(|(family, size)| [false, true].map(|recompute| largest(family, size, recompute, room))).collect()
}

fn largest(family: Family, batch_size: usize, recompute: bool, room: Room) -> LargestModel {
    let replicas = (room.cores.max(1) as usize).min(batch_size);
    let fitting = |layers: u32| {
        let recipe = family.recipe(layers)?;
        let (batch, compute) =
            (Batch { size: batch_size, replicas, ..recipe.batch }, Compute { recompute, ..recipe.compute });
        let memory_bytes = recipe.model.training_bytes(room.kind, &batch, &compute);
        let ModelPlan { layers, d_model, .. } = recipe.model;
        let parameters = recipe.model.parameters();
        (memory_bytes <= room.memory_bytes).then_some(FittingModel { layers, d_model, parameters, memory_bytes })
    };
    // Memory grows with the number of layers.
    let model = family.layers().map_while(fitting).last();
    LargestModel { family, batch_size, recompute, model }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_family_of_gpt2_has_its_published_sizes() {
        for (layers, d_model, preset) in [(12, 768, "gpt2"), (24, 1024, "gpt2-medium"), (36, 1280, "gpt2-large")] {
            let model = Family::Gpt2.recipe(layers).unwrap().model;
            assert_eq!((model.d_model, model.heads), (d_model, layers as usize / 3 + 8));
            assert_eq!(ModelPlan { vocab: 1, ..model }, find(preset, None).unwrap().recipe.model);
        }
    }

    #[test]
    fn the_largest_model_fits_and_the_next_does_not() {
        let room = |memory_bytes: u64| Room { memory_bytes, kind: DeviceKind::Cpu, cores: 2 };
        let of_24_gib = largest_models(room(24 << 30));
        assert_eq!(of_24_gib.len(), 8);
        for found in &of_24_gib {
            let model = found.model.as_ref().unwrap();
            assert!(model.memory_bytes <= 24 << 30, "{found:?}");
            let next = largest(found.family, found.batch_size, found.recompute, room(1 << 60));
            let step = if found.family == Family::Depth { 1 } else { 3 };
            assert!(next.model.unwrap().layers >= model.layers + step, "{found:?}");
            let recipe = found.family.recipe((model.layers + step) as u32).unwrap();
            let batch = Batch { size: found.batch_size, replicas: 2.min(found.batch_size), ..recipe.batch };
            let compute = Compute { recompute: found.recompute, ..Compute::default() };
            assert!(recipe.model.training_bytes(DeviceKind::Cpu, &batch, &compute) > 24 << 30, "{found:?}");
        }
        for pair in of_24_gib.chunks(2) {
            let [kept, recomputed] = pair else { panic!("pairs: {pair:?}") };
            assert!(!kept.recompute && recomputed.recompute);
            let parameters = |found: &LargestModel| found.model.as_ref().map(|model| model.parameters);
            assert!(parameters(recomputed) >= parameters(kept), "{pair:?}");
        }
        assert!(largest_models(room(1 << 20)).iter().all(|found| found.model.is_none()));
    }
}
