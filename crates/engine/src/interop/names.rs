//! The parameters that make each tensor of `transformers`. Its GPT-2 concatenates query, key and value in one matrix, `[in, out]` as in this
//! engine; its Llama and Qwen2 have every matrix transposed, `[out, in]`. Biases that a plan does not have are zeros if `transformers` requires them.

use wire::model::ModelPlan;

use super::Shape;

/// A tensor in the `transformers` format.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct HfTensor {
    /// Name, without the prefix.
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    /// The parameters whose columns it concatenates.
    parameters: Vec<String>,
    /// Whether it is the transpose of its parameter.
    is_transposed: bool,
}

/// All tensors of a plan, in the model's order.
pub(super) fn tensors(shape: Shape, plan: &ModelPlan) -> Vec<HfTensor> {
    match shape {
        Shape::Gpt2 => gpt2(plan),
        Shape::Llama | Shape::Qwen2 => llama(plan),
    }
}

fn gpt2(plan: &ModelPlan) -> Vec<HfTensor> {
    let (d, d_ff) = (plan.d_model, plan.d_ff);
    let mut list = vec![
        HfTensor::same("wte.weight", "embedding.token", &[plan.vocab, d]),
        HfTensor::same("wpe.weight", "embedding.position", &[plan.seq, d]),
    ];
    for layer in 0..plan.layers {
        let parameter = |part: &str| format!("block.{layer}.{part}");
        let mut pair = |name: &str, parameters: &[String], d_in: usize, d_out: usize| {
            let name = format!("h.{layer}.{name}");
            let biases: Vec<String> = parameters.iter().map(|parameter| format!("{parameter}.bias")).collect();
            let shape = if d_in == 0 { vec![d_out] } else { vec![d_in, d_out] };
            list.push(HfTensor {
                name: format!("{name}.weight"),
                shape,
                parameters: parameters.to_vec(),
                is_transposed: false,
            });
            list.push(HfTensor {
                name: format!("{name}.bias"),
                shape: vec![d_out],
                parameters: biases,
                is_transposed: false,
            });
        };
        let projections = ["attention.query", "attention.key", "attention.value"].map(parameter);
        pair("ln_1", &[parameter("attention.norm")], 0, d);
        pair("attn.c_attn", &projections, d, 3 * d);
        pair("attn.c_proj", &[parameter("attention.out")], d, d);
        pair("ln_2", &[parameter("mlp.norm")], 0, d);
        pair("mlp.c_fc", &[parameter("mlp.up")], d, d_ff);
        pair("mlp.c_proj", &[parameter("mlp.down")], d_ff, d);
    }
    list.push(HfTensor::same("ln_f.weight", "norm", &[d]));
    list.push(HfTensor::same("ln_f.bias", "norm.bias", &[d]));
    list.extend(head(plan));
    list
}

fn llama(plan: &ModelPlan) -> Vec<HfTensor> {
    let (d, d_ff, d_kv) = (plan.d_model, plan.d_ff, plan.kv_heads * plan.d_head());
    let mut list = vec![HfTensor::same("embed_tokens.weight", "embedding.token", &[plan.vocab, d])];
    for layer in 0..plan.layers {
        let hf = |name: &str| format!("layers.{layer}.{name}");
        let parameter = |part: &str| format!("block.{layer}.{part}");
        list.push(HfTensor::same(&hf("input_layernorm.weight"), &parameter("attention.norm"), &[d]));
        list.push(HfTensor::same(&hf("post_attention_layernorm.weight"), &parameter("mlp.norm"), &[d]));
        let (qkv, other) = (plan.has_qkv_bias(), plan.bias);
        for (name, part, d_in, d_out, has_bias) in [
            ("self_attn.q_proj", "attention.query", d, d, qkv),
            ("self_attn.k_proj", "attention.key", d, d_kv, qkv),
            ("self_attn.v_proj", "attention.value", d, d_kv, qkv),
            ("self_attn.o_proj", "attention.out", d, d, other),
            ("mlp.gate_proj", "mlp.gate", d, d_ff, other),
            ("mlp.up_proj", "mlp.up", d, d_ff, other),
            ("mlp.down_proj", "mlp.down", d_ff, d, other),
        ] {
            list.push(HfTensor::transposed(&hf(&format!("{name}.weight")), &parameter(part), &[d_out, d_in]));
            if has_bias {
                list.push(HfTensor::same(&hf(&format!("{name}.bias")), &parameter(&format!("{part}.bias")), &[d_out]));
            }
        }
    }
    list.push(HfTensor::same("norm.weight", "norm", &[d]));
    list.extend(head(plan));
    list
}

/// Name of the matrix of the token embedding.
pub(super) fn embedding(shape: Shape) -> &'static str {
    match shape {
        Shape::Gpt2 => "wte.weight",
        Shape::Llama | Shape::Qwen2 => "embed_tokens.weight",
    }
}

/// The head, which is transposed in every architecture, because it may be tied to the embedding.
fn head(plan: &ModelPlan) -> Option<HfTensor> {
    (!plan.tied_head).then(|| HfTensor::transposed(HEAD, "head", &[plan.vocab, plan.d_model]))
}

/// Name of the head, which never has the prefix.
pub(super) const HEAD: &str = "lm_head.weight";

impl HfTensor {
    fn same(name: &str, parameter: &str, shape: &[usize]) -> Self {
        Self {
            name: name.to_owned(),
            shape: shape.to_vec(),
            parameters: vec![parameter.to_owned()],
            is_transposed: false,
        }
    }

    fn transposed(name: &str, parameter: &str, shape: &[usize]) -> Self {
        Self { is_transposed: true, ..Self::same(name, parameter, shape) }
    }

    /// Number of values.
    pub(super) fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Names of the parameters that it contains.
    pub(super) fn parameters(&self) -> &[String] {
        &self.parameters
    }

    /// Rows and columns; a vector is one row.
    fn sides(&self) -> (usize, usize) {
        match self.shape.as_slice() {
            [rows, columns] => (*rows, *columns),
            _ => (1, self.len()),
        }
    }

    /// Joins the values of its parameters, in order; those of a missing parameter are zeros.
    pub(super) fn join(&self, mut parts: Vec<Option<Vec<f32>>>) -> Vec<f32> {
        let (rows, columns) = self.sides();
        if let [only] = parts.as_mut_slice() {
            let only = only.take().unwrap_or_else(|| vec![0.0; rows * columns]);
            return if self.is_transposed { transpose(&only, columns, rows) } else { only };
        }
        let width = columns / parts.len().max(1);
        let mut joined = vec![0.0; rows * columns];
        for (index, part) in parts.iter().enumerate() {
            let Some(part) = part else { continue };
            let targets = joined.chunks_exact_mut(columns).map(|row| &mut row[index * width..(index + 1) * width]);
            targets.zip(part.chunks_exact(width)).for_each(|(target, row)| target.copy_from_slice(row));
        }
        joined
    }

    /// Splits the tensor into the values of its parameters, in order.
    pub(super) fn split(&self, values: Vec<f32>) -> Vec<Vec<f32>> {
        let (rows, columns) = self.sides();
        if self.parameters.len() == 1 {
            return vec![if self.is_transposed { transpose(&values, rows, columns) } else { values }];
        }
        let width = columns / self.parameters.len();
        let part = |index: usize| {
            values.chunks_exact(columns).flat_map(|row| &row[index * width..(index + 1) * width]).copied().collect()
        };
        (0..self.parameters.len()).map(part).collect()
    }
}

/// Transposes a matrix block by block, so that source and target stay in the cache.
fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    const BLOCK: usize = 32;
    let mut transposed = vec![0.0; values.len()];
    for row_block in (0..rows).step_by(BLOCK) {
        for column_block in (0..columns).step_by(BLOCK) {
            for row in row_block..(row_block + BLOCK).min(rows) {
                for column in column_block..(column_block + BLOCK).min(columns) {
                    transposed[column * rows + row] = values[row * columns + column];
                }
            }
        }
    }
    transposed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::params::layout;
    use wire::run::preset;

    #[test]
    fn every_parameter_is_joined_once_and_split_unchanged() {
        for (name, shape, bias, qkv_bias) in [
            ("gpt2", Shape::Gpt2, true, false),
            ("tiny", Shape::Gpt2, false, false),
            ("tiny", Shape::Gpt2, false, true),
            ("llama-small", Shape::Llama, false, false),
            ("llama-small", Shape::Llama, true, false),
            ("llama-small", Shape::Qwen2, false, true),
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
                qkv_bias,
                tied_head: false,
                ..preset.recipe.model
            };
            let mut specs = layout(&plan);
            let value = |at: usize| at as f32;
            for tensor in tensors(shape, &plan) {
                let parts: Vec<_> = tensor
                    .parameters()
                    .iter()
                    .map(|parameter| {
                        let at = specs.iter().position(|spec| spec.name == *parameter)?;
                        let spec = specs.remove(at);
                        Some((0..spec.len()).map(|i| value(i + 1000 * at)).collect::<Vec<f32>>())
                    })
                    .collect();
                let joined = tensor.join(parts.clone());
                assert_eq!(joined.len(), tensor.len(), "{}", tensor.name);
                for (back, part) in tensor.split(joined).into_iter().zip(parts) {
                    assert!(part.is_none_or(|part| part == back), "{}", tensor.name);
                }
            }
            assert!(specs.is_empty(), "{name} keeps {specs:?}");
        }
        assert_eq!(transpose(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2, 3), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    }
}
