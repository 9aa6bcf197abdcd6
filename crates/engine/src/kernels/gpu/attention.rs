//! Causal attention on a GPU, forward and backward, without a matrix of `seq` times `seq` (Dao et al. 2022).
//!
//! ```text
//! s_ij = scale q_i k_j for j <= i      L_i = ln sum_j exp(s_ij)      p_ij = exp(s_ij - L_i)      o_i = sum_j p_ij v_j
//! D_i = do_i o_i       ds_ij = scale p_ij (do_i v_j - D_i)
//! dq_i = sum_j ds_ij k_j       dk_j = sum_i ds_ij q_i       dv_j = sum_i p_ij do_i
//! ```
//!
//! The forward pass visits the keys of a query once, in tiles: it keeps the largest score so far, and rescales the sums when a tile has a
//! larger one. It keeps `L`, from which the backward pass computes the scores again.
//! Layout: queries `[batch, heads, seq, d_head]`, keys and values `[batch, kv_heads, seq, d_head]`; the query heads of one key-value head are
//! neighbours. The output and its gradient are `[batch, seq, heads, d_head]`, as the next product reads them. One cube for each [`ROWS`] queries of a head (for `dk` and `dv`: keys of a key-value head), one unit for each of them, with its
//! vectors in registers; the other side passes through shared memory in tiles. Sums have a fixed order.
//! Reference implementation: [`crate::kernels::reference::attention`].

use burn::tensor::{Shape, Tensor};
use cubecl::prelude::*;

use super::operator::{Lazy, differentiable, empty_like, queue};

/// Queries (or keys) of a cube.
const ROWS: usize = 64;
/// Values of shared memory that a tile of one operand has: two operands fit 16 KiB, which every adapter allows.
const TILE_VALUES: usize = 2048;
/// The largest head whose vectors a unit holds.
const MAX_D_HEAD: usize = 128;

/// Lengths and the scale of attention.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    batch: usize,
    heads: usize,
    kv_heads: usize,
    seq: usize,
    d_head: usize,
    scale: f32,
}

/// Whether the kernels can compute heads of this size.
pub(crate) fn supports(d_head: usize) -> bool {
    d_head <= MAX_D_HEAD
}

/// Causal attention.
///
/// # Shapes
/// `[batch, heads, seq, d_head]` and twice `[batch, kv_heads, seq, d_head]` to `[batch, seq, heads * d_head]`.
pub(crate) fn causal_attention(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>, scale: f32) -> Tensor<3> {
    let [batch, heads, seq, d_head] = query.dims();
    let sizes = Sizes { batch, heads, kv_heads: key.dims()[1], seq, d_head, scale };
    let forward = move |inputs: [Lazy; 3]| {
        let [out, log_sums] = sizes.forward(inputs.clone());
        let [query, key, value] = inputs;
        (out.clone(), [query, key, value, out, log_sums])
    };
    differentiable([query.into(), key.into(), value.into()], forward, move |[query, key, value, out, log_sums], dz| {
        let dots = sizes.row_products(out, dz.clone());
        let inputs = [query, key, value, log_sums, dz, dots];
        let [dkey, dvalue] = sizes.key_gradients(inputs.clone());
        [sizes.query_gradient(inputs), dkey, dvalue]
    })
}

impl Sizes {
    fn queries(self) -> Shape {
        Shape::new([self.batch, self.heads, self.seq, self.d_head])
    }

    fn keys(self) -> Shape {
        Shape::new([self.batch, self.kv_heads, self.seq, self.d_head])
    }

    fn output(self) -> Shape {
        Shape::new([self.batch, self.seq, self.heads * self.d_head])
    }

    /// One value for each query of each head: `L` and `D`.
    fn rows(self) -> Shape {
        Shape::new([self.batch, self.seq, self.heads])
    }

    /// One cube for each tile of rows of each of `heads` heads.
    fn cubes(self, heads: usize) -> CubeCount {
        CubeCount::Static(self.seq.div_ceil(ROWS) as u32, heads as u32, self.batch as u32)
    }

    /// Rows of a tile in shared memory.
    fn tile(self) -> usize {
        (TILE_VALUES / self.d_head).clamp(1, ROWS)
    }

    fn forward(self, inputs: [Lazy; 3]) -> [Lazy; 2] {
        queue("attention", inputs, [self.output(), self.rows()], move |[query, key, value]| {
            let (out, log_sums) = (empty_like(&query, self.output()), empty_like(&query, self.rows()));
            attention_kernel::launch(
                &out.client,
                self.cubes(self.heads),
                CubeDim::new_1d(ROWS as u32),
                query.into_buffer_arg(),
                key.into_buffer_arg(),
                value.into_buffer_arg(),
                out.clone().into_buffer_arg(),
                log_sums.clone().into_buffer_arg(),
                self.scale,
                self.seq,
                self.heads,
                self.heads / self.kv_heads,
                self.d_head,
                self.tile(),
            );
            [out, log_sums]
        })
    }

    /// `D`, the product of output and gradient of each query.
    fn row_products(self, out: Lazy, dz: Lazy) -> Lazy {
        let [dots] = queue("attention_row_products", [out, dz], [self.rows()], move |[out, dz]| {
            let dots = empty_like(&out, self.rows());
            let dim = CubeDim::new_1d(ROWS as u32);
            let count = cubecl::calculate_cube_count_elemwise(&dots.client, dots.meta.num_elements(), dim);
            let (out, dz) = (out.into_buffer_arg(), dz.into_buffer_arg());
            row_products_kernel::launch(&dots.client, count, dim, out, dz, dots.clone().into_buffer_arg(), self.d_head);
            [dots]
        });
        dots
    }

    /// From query, key, value, `L`, the gradient of the output, and `D`.
    fn query_gradient(self, inputs: [Lazy; 6]) -> Lazy {
        let [dquery] = queue("attention_query_backward", inputs, [self.queries()], move |inputs| {
            let [query, key, value, log_sums, dz, dots] = inputs;
            let dquery = empty_like(&query, self.queries());
            query_backward_kernel::launch(
                &dquery.client,
                self.cubes(self.heads),
                CubeDim::new_1d(ROWS as u32),
                query.into_buffer_arg(),
                key.into_buffer_arg(),
                value.into_buffer_arg(),
                log_sums.into_buffer_arg(),
                dz.into_buffer_arg(),
                dots.into_buffer_arg(),
                dquery.clone().into_buffer_arg(),
                self.scale,
                self.seq,
                self.heads,
                self.heads / self.kv_heads,
                self.d_head,
                self.tile(),
            );
            [dquery]
        });
        dquery
    }

    /// From query, key, value, `L`, the gradient of the output, and `D`.
    fn key_gradients(self, inputs: [Lazy; 6]) -> [Lazy; 2] {
        queue("attention_key_backward", inputs, [self.keys(), self.keys()], move |inputs| {
            let [query, key, value, log_sums, dz, dots] = inputs;
            let [dkey, dvalue] = [(); 2].map(|()| empty_like(&query, self.keys()));
            key_backward_kernel::launch(
                &dkey.client,
                self.cubes(self.kv_heads),
                CubeDim::new_1d(ROWS as u32),
                query.into_buffer_arg(),
                key.into_buffer_arg(),
                value.into_buffer_arg(),
                log_sums.into_buffer_arg(),
                dz.into_buffer_arg(),
                dots.into_buffer_arg(),
                dkey.clone().into_buffer_arg(),
                dvalue.clone().into_buffer_arg(),
                self.scale,
                self.seq,
                self.kv_heads,
                self.heads / self.kv_heads,
                self.d_head,
                self.tile(),
            );
            [dkey, dvalue]
        })
    }
}

/// Copies the rows `from..from + tile` of a head into shared memory, zero beyond its end. The rows start at `base` and are `stride` apart.
/// Every unit calls it.
#[cube]
fn load(
    values: &[f32],
    shared: &mut Shared<[f32]>,
    base: usize,
    stride: usize,
    from: usize,
    seq: usize,
    #[comptime] d_head: usize,
    #[comptime] tile: usize,
) {
    let mut index = UNIT_POS as usize;
    while index < tile * d_head {
        let row = from + index / d_head;
        let mut loaded = 0.0f32;
        if row < seq {
            loaded = values[base + row * stride + index % d_head];
        }
        shared[index] = loaded;
        index += ROWS;
    }
}

/// The product of a vector in registers with a row in shared memory.
#[cube]
fn dot(a: &Array<f32>, shared: &Shared<[f32]>, row: usize, #[comptime] d_head: usize) -> f32 {
    let mut sum = 0.0f32;
    for d in 0..d_head {
        sum += a[d] * shared[row * d_head + d];
    }
    sum
}

#[cube(launch)]
fn attention_kernel(
    query: &[f32],
    key: &[f32],
    value: &[f32],
    out: &mut [f32],
    log_sums: &mut [f32],
    scale: f32,
    seq: usize,
    heads: usize,
    group: usize,
    #[comptime] d_head: usize,
    #[comptime] tile: usize,
) {
    let head = CUBE_POS_Z as usize * heads + CUBE_POS_Y as usize;
    let kv_head = head / group;
    let first = CUBE_POS_X as usize * ROWS;
    let i = first + UNIT_POS as usize;
    let at = (head * seq + i) * d_head;
    let row = (CUBE_POS_Z as usize * seq + i) * heads + CUBE_POS_Y as usize; // of the output
    let mut q = Array::<f32>::new(d_head);
    let mut sum = Array::<f32>::new(d_head);
    for d in 0..d_head {
        q[d] = 0.0f32;
        sum[d] = 0.0f32;
        if i < seq {
            q[d] = query[at + d] * scale;
        }
    }
    let mut keys = Shared::<[f32]>::new_slice(tile * d_head);
    let mut values = Shared::<[f32]>::new_slice(tile * d_head);
    let mut scores = Array::<f32>::new(tile);
    let mut largest = f32::new(-3.0e38f32);
    let mut total = 0.0f32;
    let mut from = 0usize;
    while from < min(first + ROWS, seq) {
        sync_cube();
        load(key, &mut keys, kv_head * seq * d_head, d_head, from, seq, d_head, tile);
        load(value, &mut values, kv_head * seq * d_head, d_head, from, seq, d_head, tile);
        sync_cube();
        if i < seq && from <= i {
            let mut of_tile = largest;
            for j in 0..tile {
                if from + j <= i {
                    scores[j] = dot(&q, &keys, j, d_head);
                    of_tile = max(of_tile, scores[j]);
                }
            }
            let shrink = max(largest - of_tile, -80.0f32).exp();
            total *= shrink;
            for d in 0..d_head {
                sum[d] = sum[d] * shrink;
            }
            for j in 0..tile {
                if from + j <= i {
                    let p = (scores[j] - of_tile).exp();
                    total += p;
                    for d in 0..d_head {
                        sum[d] = sum[d] + p * values[j * d_head + d];
                    }
                }
            }
            largest = of_tile;
        }
        from += tile;
    }
    if i < seq {
        for d in 0..d_head {
            out[row * d_head + d] = sum[d] / total;
        }
        log_sums[row] = largest + total.ln();
    }
}

#[cube(launch)]
fn row_products_kernel(a: &[f32], b: &[f32], products: &mut [f32], #[comptime] d_head: usize) {
    if ABSOLUTE_POS < products.len() {
        let mut sum = 0.0f32;
        for d in 0..d_head {
            sum += a[ABSOLUTE_POS * d_head + d] * b[ABSOLUTE_POS * d_head + d];
        }
        products[ABSOLUTE_POS] = sum;
    }
}

#[cube(launch)]
fn query_backward_kernel(
    query: &[f32],
    key: &[f32],
    value: &[f32],
    log_sums: &[f32],
    dz: &[f32],
    dots: &[f32],
    dquery: &mut [f32],
    scale: f32,
    seq: usize,
    heads: usize,
    group: usize,
    #[comptime] d_head: usize,
    #[comptime] tile: usize,
) {
    let head = CUBE_POS_Z as usize * heads + CUBE_POS_Y as usize;
    let kv_head = head / group;
    let first = CUBE_POS_X as usize * ROWS;
    let i = first + UNIT_POS as usize;
    let at = (head * seq + i) * d_head;
    let row = (CUBE_POS_Z as usize * seq + i) * heads + CUBE_POS_Y as usize; // of the output
    let mut q = Array::<f32>::new(d_head);
    let mut dy = Array::<f32>::new(d_head);
    let mut sum = Array::<f32>::new(d_head);
    let mut log_sum = 0.0f32;
    let mut along = 0.0f32;
    for d in 0..d_head {
        q[d] = 0.0f32;
        dy[d] = 0.0f32;
        sum[d] = 0.0f32;
        if i < seq {
            q[d] = query[at + d] * scale;
            dy[d] = dz[row * d_head + d];
        }
    }
    if i < seq {
        log_sum = log_sums[row];
        along = dots[row];
    }
    let mut keys = Shared::<[f32]>::new_slice(tile * d_head);
    let mut values = Shared::<[f32]>::new_slice(tile * d_head);
    let mut from = 0usize;
    while from < min(first + ROWS, seq) {
        sync_cube();
        load(key, &mut keys, kv_head * seq * d_head, d_head, from, seq, d_head, tile);
        load(value, &mut values, kv_head * seq * d_head, d_head, from, seq, d_head, tile);
        sync_cube();
        for j in 0..tile {
            if i < seq && from + j <= i {
                let p = (dot(&q, &keys, j, d_head) - log_sum).exp();
                let ds = scale * p * (dot(&dy, &values, j, d_head) - along);
                for d in 0..d_head {
                    sum[d] = sum[d] + ds * keys[j * d_head + d];
                }
            }
        }
        from += tile;
    }
    if i < seq {
        for d in 0..d_head {
            dquery[at + d] = sum[d];
        }
    }
}

#[cube(launch)]
fn key_backward_kernel(
    query: &[f32],
    key: &[f32],
    value: &[f32],
    log_sums: &[f32],
    dz: &[f32],
    dots: &[f32],
    dkey: &mut [f32],
    dvalue: &mut [f32],
    scale: f32,
    seq: usize,
    kv_heads: usize,
    group: usize,
    #[comptime] d_head: usize,
    #[comptime] tile: usize,
) {
    let kv_head = CUBE_POS_Z as usize * kv_heads + CUBE_POS_Y as usize;
    let first = CUBE_POS_X as usize * ROWS;
    let j = first + UNIT_POS as usize;
    let at = (kv_head * seq + j) * d_head;
    let mut k = Array::<f32>::new(d_head);
    let mut v = Array::<f32>::new(d_head);
    let mut dk = Array::<f32>::new(d_head);
    let mut dv = Array::<f32>::new(d_head);
    for d in 0..d_head {
        k[d] = 0.0f32;
        v[d] = 0.0f32;
        dk[d] = 0.0f32;
        dv[d] = 0.0f32;
        if j < seq {
            k[d] = key[at + d] * scale;
            v[d] = value[at + d];
        }
    }
    let mut queries = Shared::<[f32]>::new_slice(tile * d_head);
    let mut gradients = Shared::<[f32]>::new_slice(tile * d_head);
    let (heads, row_of_batch) = (kv_heads * group, CUBE_POS_Z as usize * seq);
    for member in 0..group {
        let head = kv_head * group + member;
        let head_of_batch = CUBE_POS_Y as usize * group + member;
        let mut from = first;
        while from < seq {
            sync_cube();
            load(query, &mut queries, head * seq * d_head, d_head, from, seq, d_head, tile);
            load(
                dz,
                &mut gradients,
                (row_of_batch * heads + head_of_batch) * d_head,
                heads * d_head,
                from,
                seq,
                d_head,
                tile,
            );
            sync_cube();
            for row in 0..tile {
                let i = from + row;
                if i < seq && j <= i {
                    let of_query = (row_of_batch + i) * heads + head_of_batch;
                    let p = (dot(&k, &queries, row, d_head) - log_sums[of_query]).exp();
                    let ds = scale * p * (dot(&v, &gradients, row, d_head) - dots[of_query]);
                    for d in 0..d_head {
                        dv[d] = dv[d] + p * gradients[row * d_head + d];
                        dk[d] = dk[d] + ds * queries[row * d_head + d];
                    }
                }
            }
            from += tile;
        }
    }
    if j < seq {
        for d in 0..d_head {
            dkey[at + d] = dk[d];
            dvalue[at + d] = dv[d];
        }
    }
}
