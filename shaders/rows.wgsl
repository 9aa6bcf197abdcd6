// Entropy and extrema of each row of attention, read in place.
//
// Purpose   The entropy of attention patterns, on a GPU: four words for each query cross to the host instead of a probability for each key.
// Formula   -sum p ln p over the finite probabilities above 0, nats; least and greatest finite one; values that are not finite are counted.
// Bindings  0  the pattern, 32-bit floats as words, from the tensor's own offset on
//           1  four words for each row: entropy, least, greatest, count of non-finite values
//           2  where this tensor's values are
// Threads   A workgroup takes a row; thread t takes its keys t, t + 64, t + 128, ...
// Reference `engine::kernels::reduce::rows`

struct Row {
    entropy: f32,
    least: u32,
    greatest: u32,
    bad: u32,
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
    let keys = tap.shape[3];
    let is_inside = group < tap.count / keys;
    var row = Row(0.0, 0xffffffffu, 0u, 0u);
    if is_inside {
        for (var key = thread; key < keys; key += THREADS) {
            let bits = values[place(group * keys + key)];
            if (bits & EXPONENT) == EXPONENT {
                row.bad += 1u;
            } else {
                row.least = min(row.least, ordered(bits));
                row.greatest = max(row.greatest, ordered(bits));
                let share = bitcast<f32>(bits);
                if share > 0.0 {
                    row.entropy -= share * log(share);
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
                Row(a.entropy + b.entropy, min(a.least, b.least), max(a.greatest, b.greatest), a.bad + b.bad);
        }
        workgroupBarrier();
    }
    if thread == 0u && is_inside {
        rows[group] = shared_rows[0];
    }
}
