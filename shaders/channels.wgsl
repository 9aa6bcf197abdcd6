// Root mean square and extrema of each column of a matrix, read in place.
//
// Purpose   The activation of each neuron and of each channel of the residual stream over a text, on a GPU: four words for each column are
//           copied to the host.
// Formula   largest * sqrt(mean of (x / largest)^2) over the finite values of a column, so that no square overflows or underflows; sums are
//           computed in blocks of 256 rows, so that long columns lose no precision. Minimum and maximum; non-finite values are counted.
// Bindings  0  the matrix's 32-bit floats as words, from its own offset on
//           1  four words for each column: rms, minimum, maximum, count of non-finite values
//           2  layout of the matrix
// Threads   A workgroup reduces 64 adjacent columns, a thread one of them, so that the reads of a row are contiguous
// Reference `engine::kernels::reduce::channels`

struct Channel {
    rms: f32,
    min: u32,
    max: u32,
    non_finite: u32,
}

@group(0) @binding(1) var<storage, read_write> channels: array<Channel>;

const THREADS: u32 = 64u;
const BLOCK: u32 = 256u;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let width = tensor.shape[3];
    let column = number(workgroup, workgroups) * THREADS + thread;
    if column >= width {
        return;
    }
    let rows = tensor.count / width;
    var channel = Channel(0.0, 0xffffffffu, 0u, 0u);
    var largest = 0u;
    for (var row = 0u; row < rows; row++) {
        let bits = values[offset(row * width + column)];
        if (bits & EXPONENT) == EXPONENT {
            channel.non_finite += 1u;
        } else {
            channel.min = min(channel.min, ordered(bits));
            channel.max = max(channel.max, ordered(bits));
            largest = max(largest, bits & ~SIGN);
        }
    }
    // Subnormal numbers may be flushed to zero here: they change the mean by less than the precision of a float.
    if rows > channel.non_finite && largest >= 0x00800000u {
        let scale = bitcast<f32>(largest);
        var squares = 0.0;
        for (var first = 0u; first < rows; first += BLOCK) {
            var part = 0.0;
            for (var row = first; row < min(first + BLOCK, rows); row++) {
                let bits = values[offset(row * width + column)];
                if (bits & EXPONENT) != EXPONENT {
                    let scaled = bitcast<f32>(bits) / scale;
                    part += scaled * scaled;
                }
            }
            squares += part;
        }
        channel.rms = scale * sqrt(squares / f32(rows - channel.non_finite));
    }
    channels[column] = channel;
}
