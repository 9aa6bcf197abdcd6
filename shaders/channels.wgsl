// Root mean square and extrema of each column of a matrix, read in place.
//
// Purpose   The activation of each neuron and of each channel of the residual stream over a text, on a GPU: four words for each column cross to the host.
// Formula   largest * sqrt(mean of (x / largest)^2) over the finite values of a column, so that no square overflows or vanishes; sums are
//           made in blocks of 256 rows, so that long columns lose nothing. Least and greatest; values that are not finite are counted.
// Bindings  0  the matrix's 32-bit floats as words, from its own offset on
//           1  four words for each column: rms, least, greatest, count of non-finite values
//           2  where this matrix's values are
// Threads   A workgroup takes 64 neighbouring columns, a thread one of them, so that a row is read in one piece
// Reference `engine::kernels::reduce::channels`

struct Channel {
    rms: f32,
    least: u32,
    greatest: u32,
    bad: u32,
}

@group(0) @binding(1) var<storage, read_write> channels: array<Channel>;

const THREADS: u32 = 64u;
const STRETCH: u32 = 256u;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let width = tap.shape[3];
    let column = number(workgroup, workgroups) * THREADS + thread;
    if column >= width {
        return;
    }
    let rows = tap.count / width;
    var channel = Channel(0.0, 0xffffffffu, 0u, 0u);
    var largest = 0u;
    for (var row = 0u; row < rows; row++) {
        let bits = values[place(row * width + column)];
        if (bits & EXPONENT) == EXPONENT {
            channel.bad += 1u;
        } else {
            channel.least = min(channel.least, ordered(bits));
            channel.greatest = max(channel.greatest, ordered(bits));
            largest = max(largest, bits & ~SIGN);
        }
    }
    // Numbers below 2^-126 may be flushed to zero here: what they add to a mean is below what a float tells.
    if rows > channel.bad && largest >= 0x00800000u {
        let scale = bitcast<f32>(largest);
        var squares = 0.0;
        for (var first = 0u; first < rows; first += STRETCH) {
            var part = 0.0;
            for (var row = first; row < min(first + STRETCH, rows); row++) {
                let bits = values[place(row * width + column)];
                if (bits & EXPONENT) != EXPONENT {
                    let scaled = bitcast<f32>(bits) / scale;
                    part += scaled * scaled;
                }
            }
            squares += part;
        }
        channel.rms = scale * sqrt(squares / f32(rows - channel.bad));
    }
    channels[column] = channel;
}
