//! The GPU kernels, in WGSL. Each file begins with its purpose, formula, bindings, map from threads to elements, and the name of its reference
//! implementation in Rust, with which the engine's tests compare it. `tensor.wgsl`, which reads a tensor in place, is appended to each kernel.

/// A compute shader and its launch parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kernel {
    /// Label in messages of drivers and in profiles.
    pub name: &'static str,
    /// WGSL; the entry point is `main`.
    pub source: &'static str,
    /// Elements of the tensor that one workgroup reduces; 0 if the number depends on its shape.
    pub elements_per_workgroup: u32,
}

/// The source of a kernel, followed by the shared `tensor.wgsl`.
macro_rules! source {
    ($name:literal) => {
        concat!(include_str!(concat!("../", $name, ".wgsl")), "\n", include_str!("../tensor.wgsl"))
    };
}

/// Count, sums, sums of squares, minimum and maximum of a tensor of up to four dimensions, as one partial of ten words for each workgroup.
pub const MOMENTS: Kernel = Kernel { name: "moments", source: source!("moments"), elements_per_workgroup: 16_384 };

/// Counts of values by magnitude: 32 powers of two of either sign, zeros, and non-finite values, as 66 words for each workgroup.
pub const HISTOGRAM: Kernel =
    Kernel { name: "histogram", source: source!("histogram"), elements_per_workgroup: 16_384 };

/// Mean and extrema of each tile of a rectangle of a matrix: a workgroup and four words for each tile.
pub const TILES: Kernel = Kernel { name: "tiles", source: source!("tiles"), elements_per_workgroup: 0 };

/// Entropy and extrema of each row of an attention pattern: a workgroup and four words for each row.
pub const ROWS: Kernel = Kernel { name: "rows", source: source!("rows"), elements_per_workgroup: 0 };

/// RMS and extrema of each column: a workgroup for 64 columns, four words for each column.
pub const CHANNELS: Kernel = Kernel { name: "channels", source: source!("channels"), elements_per_workgroup: 0 };

pub const KERNELS: [Kernel; 5] = [MOMENTS, HISTOGRAM, TILES, ROWS, CHANNELS];

#[cfg(test)]
mod tests {
    use super::*;
    use naga::valid::{Capabilities, ValidationFlags, Validator};

    #[test]
    fn every_kernel_is_valid_without_special_capabilities() {
        for kernel in KERNELS {
            let module = naga::front::wgsl::parse_str(kernel.source)
                .unwrap_or_else(|error| panic!("{}", error.emit_to_string(kernel.source)));
            let checked = Validator::new(ValidationFlags::all(), Capabilities::empty()).validate(&module);
            checked.unwrap_or_else(|error| panic!("{}", error.emit_to_string(kernel.source)));
            let threads: u32 = module
                .entry_points
                .iter()
                .find(|entry| entry.name == "main")
                .map(|entry| entry.workgroup_size.iter().product())
                .unwrap_or(0);
            assert!(
                threads > 0 && kernel.elements_per_workgroup % threads == 0,
                "{} has an entry point `main`, whose threads divide its elements evenly",
                kernel.name
            );
        }
    }

    #[test]
    fn every_kernel_has_its_documentation() {
        for kernel in KERNELS {
            let header: Vec<&str> = kernel.source.lines().take_while(|line| line.starts_with("//")).collect();
            for word in ["Purpose", "Formula", "Bindings", "Threads", "Reference"] {
                assert!(
                    header.iter().any(|line| line.trim_start_matches('/').trim_start().starts_with(word)),
                    "{} lacks {word}",
                    kernel.name
                );
            }
        }
    }
}
