// Counts of the values of a tensor by magnitude, in powers of two, read in place.
//
// Purpose   The distribution of weights, gradients and activations on a GPU: 66 counts for each 16,384 values are copied to the host.
// Formula   Bin i of a sign counts 2^(i - 24) <= |x| < 2^(i - 23), i from 0 to 31; the first and the last bin also count all smaller and larger
//           values. The exponent is read from the bits of the float, so that counts are exact and include subnormal numbers. Zeros and
//           non-finite values are counted separately.
// Bindings  0  the tensor's 32-bit floats as words, from its offset on
//           1  for each workgroup 32 negative bins, 32 positive bins, zeros, and non-finite values
//           2  layout of the tensor
// Threads   A workgroup reduces 16,384 adjacent elements in logical order; thread t reads elements t, t + 256, t + 512, ...
// Reference `engine::kernels::reduce::histogram`

@group(0) @binding(1) var<storage, read_write> counts: array<u32>;

const THREADS: u32 = 256u;
const PER_THREAD: u32 = 64u;
const BINS_PER_SIGN: u32 = 32u;
const ZEROS: u32 = 64u;
const NON_FINITE: u32 = 65u;
const BINS: u32 = 66u;
// The biased exponent of 2^-24.
const LOWEST: u32 = 103u;

var<workgroup> bins: array<atomic<u32>, BINS>;

fn bin(bits: u32) -> u32 {
    let size = bits & 0x7fffffffu;
    let exponent = size >> 23u;
    if size == 0u {
        return ZEROS;
    }
    if exponent == 255u {
        return NON_FINITE;
    }
    let step = min(max(exponent, LOWEST) - LOWEST, BINS_PER_SIGN - 1u);
    return select(BINS_PER_SIGN, 0u, (bits >> 31u) == 1u) + step;
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
    if thread < BINS {
        atomicStore(&bins[thread], 0u);
    }
    workgroupBarrier();
    if is_inside {
        let end = first + min(tensor.count - first, THREADS * PER_THREAD);
        for (var element = first + thread; element < end; element += THREADS) {
            atomicAdd(&bins[bin(values[offset(element)])], 1u);
        }
    }
    workgroupBarrier();
    if thread < BINS && is_inside {
        counts[group * BINS + thread] = atomicLoad(&bins[thread]);
    }
}
