// Entropy and extrema of each row of attention, read in place.
//
// Purpose   The entropy of attention patterns, on a GPU: four words for each query are copied to the host instead of a probability for each key.
// Formula   -sum p ln p over the finite probabilities above 0, nats; finite minimum and maximum; non-finite values are counted.
// Bindings  0  the pattern, 32-bit floats as words, from the tensor's offset on
//           1  four words for each row: entropy, minimum, maximum, count of non-finite values
//           2  layout of the tensor
// Threads   A workgroup reduces a row; thread t reads its keys t, t + 64, t + 128, ...
// Reference `engine::kernels::reduce::rows`

struct Row {
    entropy: f32,
    min: u32,
    max: u32,
    non_finite: u32,
}

@group(0) @binding(1) var<storage, read_write> rows: array<Row>;

const THREADS: u32 = 64u;

var<workgroup> shared_rows: array<Row, THREADS>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let group = number(workgroup, workgroups);
    let keys = tensor.shape[3];
    let is_inside = group < tensor.count / keys;
    var row = Row(0.0, 0xffffffffu, 0u, 0u);
    if is_inside {
        for (var key = thread; key < keys; key += THREADS) {
            let bits = values[offset(group * keys + key)];
            if (bits & EXPONENT) == EXPONENT {
                row.non_finite += 1u;
            } else {
                row.min = min(row.min, ordered(bits));
                row.max = max(row.max, ordered(bits));
                let probability = bitcast<f32>(bits);
                if probability > 0.0 {
                    row.entropy -= probability * log(probability);
                }
            }
        }
    }
    shared_rows[thread] = row;
    workgroupBarrier();
    for (var half = THREADS / 2u; half > 0u; half /= 2u) {
        if thread < half {
            let a = shared_rows[thread];
            let b = shared_rows[thread + half];
            shared_rows[thread] =
                Row(a.entropy + b.entropy, min(a.min, b.min), max(a.max, b.max), a.non_finite + b.non_finite);
        }
        workgroupBarrier();
    }
    if thread == 0u && is_inside {
        rows[group] = shared_rows[0];
    }
}
