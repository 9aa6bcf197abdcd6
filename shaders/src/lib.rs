//! The GPU kernels, in WGSL: this crate names and documents them. Each file opens with its purpose, formula, bindings, map from threads to
//! elements, and its reference implementation in Rust, with which the engine's tests compare it. `tap.wgsl` reads a tensor in place and is
//! the same for all.

/// A compute shader and how it is launched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kernel {
    /// Name, for drivers' messages and profiles.
    pub name: &'static str,
    /// WGSL; the entry point is `main`.
    pub source: &'static str,
    /// Elements of the tensor that one workgroup takes; 0 where these depend on its shape.
    pub elements_per_workgroup: u32,
}

/// The file of a kernel, followed by the shared one.
macro_rules! source {
    ($name:literal) => {
        concat!(include_str!(concat!("../", $name, ".wgsl")), "\n", include_str!("../tap.wgsl"))
    };
}

/// Count, sums, sums of squares, least and greatest of a tensor of up to four dimensions, as one partial of ten words for each workgroup.
pub const MOMENTS: Kernel = Kernel { name: "moments", source: source!("moments"), elements_per_workgroup: 16_384 };

/// Counts of values by size: 32 powers of two of either sign, zeros, and what is not finite, as 66 words for each workgroup.
pub const HISTOGRAM: Kernel =
    Kernel { name: "histogram", source: source!("histogram"), elements_per_workgroup: 16_384 };

/// Mean and extrema of each tile of a rectangle of a matrix: a workgroup and four words for each tile.
pub const TILES: Kernel = Kernel { name: "tiles", source: source!("tiles"), elements_per_workgroup: 0 };

/// Entropy and extrema of each row of an attention pattern: a workgroup and four words for each row.
pub const ROWS: Kernel = Kernel { name: "rows", source: source!("rows"), elements_per_workgroup: 0 };

/// RMS and extrema of each column: a workgroup for 64 columns, four words for each.
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
                "{} has an entry point `main` and even shares",
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
