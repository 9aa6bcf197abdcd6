// Moments and extrema of a tensor, read in place, through its strides.
//
// Purpose   Weight and gradient statistics on a GPU: only a few partial sums are copied to the host.
// Formula   count and sum of the finite values, sum of their squares, minimum and maximum; non-finite values are counted separately.
//           Sums are accumulated in three ranges of magnitude, scaled by 2^75 (below 2^-50), 1, and 2^-75 (from 2^50 on), so that no square
//           overflows or underflows (Blue 1978). The host unscales and adds the partials in 64 bits.
// Bindings  0  the tensor's 32-bit floats, from its offset on; as words, because a compiler may assume that floats are never NaN
//           1  one partial for each workgroup of all reductions
//           2  layout of the tensor, and offset of its partials
// Threads   A workgroup reduces 16,384 adjacent elements in logical order; thread t reads elements t, t + 256, t + 512, ...
// Reference `engine::kernels::moments::moments`

struct Partial {
    sum_small: f32,
    sum: f32,
    sum_large: f32,
    squares_small: f32,
    squares: f32,
    squares_large: f32,
    min: u32,
    max: u32,
    count: u32,
    non_finite: u32,
}

@group(0) @binding(1) var<storage, read_write> partials: array<Partial>;

const THREADS: u32 = 256u;
const PER_THREAD: u32 = 64u;
// The bits of 2^-50 and 2^50.
const SMALL: u32 = 0x26800000u;
const LARGE: u32 = 0x58800000u;

var<workgroup> shared_partials: array<Partial, THREADS>;

fn with_value(partial: Partial, bits: u32) -> Partial {
    var next = partial;
    let size = bits & ~SIGN;
    if size >= EXPONENT {
        next.non_finite += 1u;
        return next;
    }
    let value = bitcast<f32>(bits);
    if size < SMALL {
        let scaled = value * 0x1p75f;
        next.sum_small += scaled;
        next.squares_small += scaled * scaled;
    } else if size < LARGE {
        next.sum += value;
        next.squares += value * value;
    } else {
        let scaled = value * 0x1p-75f;
        next.sum_large += scaled;
        next.squares_large += scaled * scaled;
    }
    let key = ordered(bits);
    next.min = min(next.min, key);
    next.max = max(next.max, key);
    next.count += 1u;
    return next;
}

fn merged(a: Partial, b: Partial) -> Partial {
    return Partial(
        a.sum_small + b.sum_small,
        a.sum + b.sum,
        a.sum_large + b.sum_large,
        a.squares_small + b.squares_small,
        a.squares + b.squares,
        a.squares_large + b.squares_large,
        min(a.min, b.min),
        max(a.max, b.max),
        a.count + b.count,
        a.non_finite + b.non_finite,
    );
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let group = number(workgroup, workgroups);
    let first = group * THREADS * PER_THREAD;
    let is_inside = first < tensor.count;
    var partial = Partial(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0xffffffffu, 0u, 0u, 0u);
    if is_inside {
        let end = first + min(tensor.count - first, THREADS * PER_THREAD);
        for (var element = first + thread; element < end; element += THREADS) {
            partial = with_value(partial, values[offset(element)]);
        }
    }
    shared_partials[thread] = partial;
    workgroupBarrier();
    for (var half = THREADS / 2u; half > 0u; half /= 2u) {
        if thread < half {
            shared_partials[thread] = merged(shared_partials[thread], shared_partials[thread + half]);
        }
        workgroupBarrier();
    }
    if thread == 0u && is_inside {
        partials[tensor.first_partial + group] = shared_partials[0];
    }
}
