// Entropy and extrema of each row of attention, read where it lies.
//
// Purpose   How sharply heads look, on a GPU: four words for each query cross to the host instead of a share for each key.
// Formula   -sum p ln p over the finite shares above 0, nats; least and greatest finite share; shares that are not finite are counted.
// Bindings  0  the shares, 32-bit floats as words, from the tensor's own offset on
//           1  four words for each row: entropy, least, greatest, count of bad shares
//           2  where this tensor's values are
// Threads   A workgroup takes a row; thread t takes its keys t, t + 64, t + 128, ...
// Twin      `engine::reduce::rows`

// Element i lies at the sum of its coordinates times `strides`; `shape` is filled up with ones in front. Rows are those of the last dimension.
struct Tap {
    count: u32,
    first_partial: u32,
    is_flat: u32,
    unused: u32,
    shape: vec4<u32>,
    strides: vec4<u32>,
}

struct Row {
    entropy: f32,
    least: u32,
    greatest: u32,
    bad: u32,
}

@group(0) @binding(0) var<storage, read> values: array<u32>;
@group(0) @binding(1) var<storage, read_write> rows: array<Row>;
@group(0) @binding(2) var<uniform> tap: Tap;

const THREADS: u32 = 64u;
const SIGN: u32 = 0x80000000u;
const EXPONENT: u32 = 0x7f800000u;

var<workgroup> shared_rows: array<Row, THREADS>;

// Words in the order of their floats.
fn ordered(bits: u32) -> u32 {
    return select(bits | SIGN, ~bits, (bits & SIGN) != 0u);
}

fn place(element: u32) -> u32 {
    if tap.is_flat != 0u {
        return element;
    }
    var rest = element;
    var place = 0u;
    for (var d = 3i; d >= 0i; d--) {
        place += (rest % tap.shape[d]) * tap.strides[d];
        rest /= tap.shape[d];
    }
    return place;
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    // More workgroups than one dimension holds are laid out in rows; the last row may reach past the end.
    let group = workgroup.y * workgroups.x + workgroup.x;
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
