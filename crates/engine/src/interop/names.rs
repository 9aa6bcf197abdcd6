//! The parameters that make each tensor of `transformers`. Its GPT-2 has query, key and value side by side in one matrix, `[in, out]` as here;
//! its Llama has every matrix transposed, `[out, in]`. Biases that a plan does not have are zeros where `transformers` requires them.

use wire::model::ModelPlan;

use super::Shape;

/// A tensor of `transformers`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Foreign {
    /// Its name, without the prefix.
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    /// The parameters whose columns are side by side in it.
    ours: Vec<String>,
    /// Whether it is transposed.
    is_transposed: bool,
}

/// All tensors of a plan, in the model's order.
pub(super) fn tensors(shape: Shape, plan: &ModelPlan) -> Vec<Foreign> {
    match shape {
        Shape::Gpt2 => gpt2(plan),
        Shape::Llama => llama(plan),
    }
}

fn gpt2(plan: &ModelPlan) -> Vec<Foreign> {
    let (d, d_ff) = (plan.d_model, plan.d_ff);
    let mut list = vec![
        Foreign::same("wte.weight", "embedding.token", &[plan.vocab, d]),
        Foreign::same("wpe.weight", "embedding.position", &[plan.seq, d]),
    ];
    for layer in 0..plan.layers {
        let own = |part: &str| format!("block.{layer}.{part}");
        let mut pair = |name: &str, ours: &[String], d_in: usize, d_out: usize| {
            let name = format!("h.{layer}.{name}");
            let biases: Vec<String> = ours.iter().map(|own| format!("{own}.bias")).collect();
            let shape = if d_in == 0 { vec![d_out] } else { vec![d_in, d_out] };
            list.push(Foreign { name: format!("{name}.weight"), shape, ours: ours.to_vec(), is_transposed: false });
            list.push(Foreign { name: format!("{name}.bias"), shape: vec![d_out], ours: biases, is_transposed: false });
        };
        let projections = ["attention.query", "attention.key", "attention.value"].map(own);
        pair("ln_1", &[own("attention.norm")], 0, d);
        pair("attn.c_attn", &projections, d, 3 * d);
        pair("attn.c_proj", &[own("attention.out")], d, d);
        pair("ln_2", &[own("mlp.norm")], 0, d);
        pair("mlp.c_fc", &[own("mlp.up")], d, d_ff);
        pair("mlp.c_proj", &[own("mlp.down")], d_ff, d);
    }
    list.push(Foreign::same("ln_f.weight", "norm", &[d]));
    list.push(Foreign::same("ln_f.bias", "norm.bias", &[d]));
    list.extend(head(plan));
    list
}

fn llama(plan: &ModelPlan) -> Vec<Foreign> {
    let (d, d_ff, d_kv) = (plan.d_model, plan.d_ff, plan.kv_heads * plan.d_head());
    let mut list = vec![Foreign::same("embed_tokens.weight", "embedding.token", &[plan.vocab, d])];
    for layer in 0..plan.layers {
        let theirs = |name: &str| format!("layers.{layer}.{name}");
        let own = |part: &str| format!("block.{layer}.{part}");
        list.push(Foreign::same(&theirs("input_layernorm.weight"), &own("attention.norm"), &[d]));
        list.push(Foreign::same(&theirs("post_attention_layernorm.weight"), &own("mlp.norm"), &[d]));
        for (name, part, d_in, d_out) in [
            ("self_attn.q_proj", "attention.query", d, d),
            ("self_attn.k_proj", "attention.key", d, d_kv),
            ("self_attn.v_proj", "attention.value", d, d_kv),
            ("self_attn.o_proj", "attention.out", d, d),
            ("mlp.gate_proj", "mlp.gate", d, d_ff),
            ("mlp.up_proj", "mlp.up", d, d_ff),
            ("mlp.down_proj", "mlp.down", d_ff, d),
        ] {
            list.push(Foreign::transposed(&theirs(&format!("{name}.weight")), &own(part), &[d_out, d_in]));
            if plan.bias {
                list.push(Foreign::same(&theirs(&format!("{name}.bias")), &own(&format!("{part}.bias")), &[d_out]));
            }
        }
    }
    list.push(Foreign::same("norm.weight", "norm", &[d]));
    list.extend(head(plan));
    list
}

/// It is transposed in both architectures, since it may be the embedding.
fn head(plan: &ModelPlan) -> Option<Foreign> {
    (!plan.tied_head).then(|| Foreign::transposed(HEAD, "head", &[plan.vocab, plan.d_model]))
}

/// Name of the head, which never has the prefix.
pub(super) const HEAD: &str = "lm_head.weight";

impl Foreign {
    fn same(name: &str, own: &str, shape: &[usize]) -> Self {
        Self { name: name.to_owned(), shape: shape.to_vec(), ours: vec![own.to_owned()], is_transposed: false }
    }

    fn transposed(name: &str, own: &str, shape: &[usize]) -> Self {
        Self { is_transposed: true, ..Self::same(name, own, shape) }
    }

    /// Number of values.
    pub(super) fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// The parameters that it is made of.
    pub(super) fn ours(&self) -> &[String] {
        &self.ours
    }

    /// Rows and columns; a vector is one row.
    fn sides(&self) -> (usize, usize) {
        match self.shape.as_slice() {
            [rows, columns] => (*rows, *columns),
            _ => (1, self.len()),
        }
    }

    /// The tensor from its parameters, in order; a missing one is zeros.
    pub(super) fn join(&self, mut parts: Vec<Option<Vec<f32>>>) -> Vec<f32> {
        let (rows, columns) = self.sides();
        if let [only] = parts.as_mut_slice() {
            let only = only.take().unwrap_or_else(|| vec![0.0; rows * columns]);
            return if self.is_transposed { turn(&only, columns, rows) } else { only };
        }
        let width = columns / parts.len().max(1);
        let mut joined = vec![0.0; rows * columns];
        for (place, part) in parts.iter().enumerate() {
            let Some(part) = part else { continue };
            let targets = joined.chunks_exact_mut(columns).map(|row| &mut row[place * width..(place + 1) * width]);
            targets.zip(part.chunks_exact(width)).for_each(|(target, row)| target.copy_from_slice(row));
        }
        joined
    }

    /// The parameters from the tensor, in order.
    pub(super) fn split(&self, values: Vec<f32>) -> Vec<Vec<f32>> {
        let (rows, columns) = self.sides();
        if self.ours.len() == 1 {
            return vec![if self.is_transposed { turn(&values, rows, columns) } else { values }];
        }
        let width = columns / self.ours.len();
        let part = |place: usize| {
            values.chunks_exact(columns).flat_map(|row| &row[place * width..(place + 1) * width]).copied().collect()
        };
        (0..self.ours.len()).map(part).collect()
    }
}

/// A transposition, block by block, so that both sides stay in the cache.
fn turn(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    const BLOCK: usize = 32;
    let mut turned = vec![0.0; values.len()];
    for row_block in (0..rows).step_by(BLOCK) {
        for column_block in (0..columns).step_by(BLOCK) {
            for row in row_block..(row_block + BLOCK).min(rows) {
                for column in column_block..(column_block + BLOCK).min(columns) {
                    turned[column * rows + row] = values[row * columns + column];
                }
            }
        }
    }
    turned
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::params::layout;
    use wire::run::preset;

    #[test]
    fn every_parameter_goes_out_once_and_comes_back_the_same() {
        for (name, shape, bias) in [
            ("gpt2", Shape::Gpt2, true),
            ("tiny", Shape::Gpt2, false),
            ("llama-small", Shape::Llama, false),
            ("llama-small", Shape::Llama, true),
        ] {
            let preset = preset::find(name, None).unwrap();
            let plan = ModelPlan {
                layers: 2,
                heads: 4,
                kv_heads: if shape == Shape::Gpt2 { 4 } else { 2 },
                d_model: 40,
                d_ff: 70,
                seq: 9,
                vocab: 37,
                bias,
                tied_head: false,
                ..preset.recipe.model
            };
            let mut specs = layout(&plan);
            let value = |at: usize| at as f32;
            for foreign in tensors(shape, &plan) {
                let parts: Vec<_> = foreign
                    .ours()
                    .iter()
                    .map(|own| {
                        let at = specs.iter().position(|spec| spec.name == *own)?;
                        let spec = specs.remove(at);
                        Some((0..spec.len()).map(|i| value(i + 1000 * at)).collect::<Vec<f32>>())
                    })
                    .collect();
                let joined = foreign.join(parts.clone());
                assert_eq!(joined.len(), foreign.len(), "{}", foreign.name);
                for (back, part) in foreign.split(joined).into_iter().zip(parts) {
                    assert!(part.is_none_or(|part| part == back), "{}", foreign.name);
                }
            }
            assert!(specs.is_empty(), "{name} keeps {specs:?}");
        }
        assert_eq!(turn(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2, 3), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    }
}
