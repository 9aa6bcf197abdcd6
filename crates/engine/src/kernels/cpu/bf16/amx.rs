//! The product of two packed panels by AMX: tile registers of 16 rows of 64 bytes, and an instruction that multiplies two of them.
//!
//! Rust has no stable functions for these instructions, so they are written as assembly. Registers 0 to 3 hold the sums, `[2, 2]` tiles of
//! `[16, 16]`; 4 and 5 the tiles of `a`; 6 and 7 those of `b`.

#![allow(unsafe_code)] // instructions of the processor

use std::arch::asm;
use std::arch::x86_64::__cpuid_count;
use std::marker::PhantomData;
use std::sync::LazyLock;

use super::{CHUNK, PANEL};

/// Whether the processor has the instructions and the system saves their registers for this process.
pub(super) fn is_available() -> bool {
    static IS_AVAILABLE: LazyLock<bool> = LazyLock::new(|| {
        let (amx_bf16, amx_tile) = (1 << 22, 1 << 24);
        let features = __cpuid_count(7, 0).edx;
        __cpuid_count(0, 0).eax >= 7 && features & amx_bf16 != 0 && features & amx_tile != 0 && is_permitted()
    });
    *IS_AVAILABLE
}

/// Asks Linux for the tile registers, as a process must before it uses them.
fn is_permitted() -> bool {
    const ARCH_PRCTL: usize = 158;
    const REQUEST_PERMISSION: usize = 0x1023;
    const TILE_DATA: usize = 18;
    let mut result = ARCH_PRCTL;
    // SAFETY: the call changes nothing but the permission of this process.
    unsafe {
        asm!(
            "syscall",
            inout("rax") result, in("rdi") REQUEST_PERMISSION, in("rsi") TILE_DATA,
            out("rcx") _, out("r11") _, options(nostack),
        );
    }
    result == 0
}

/// Sizes of the tile registers, as the instruction that sets them reads them.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    first_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

static WHOLE_TILES: Configuration = {
    let (mut row_bytes, mut rows) = ([0; 16], [0; 16]);
    let mut register = 0;
    while register < 8 {
        (row_bytes[register], rows[register]) = (64, 16);
        register += 1;
    }
    Configuration { palette: 1, first_row: 0, reserved: [0; 14], row_bytes, rows }
};

/// The tile registers of this thread, in use until it is dropped: the system then no longer saves them when it switches threads.
pub(super) struct Tiles(PhantomData<*const ()>);

impl Tiles {
    /// # Panics
    /// The processor or the system has no tile registers.
    pub(super) fn configure() -> Self {
        assert!(is_available(), "there are no tile registers");
        // SAFETY: the registers are there, and the configuration is one that every processor with them has.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &WHOLE_TILES, options(nostack, readonly)) };
        Self(PhantomData)
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: the registers are there.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }
}

/// `[32, 32]` of the product, rows `stride` apart. The caller holds [`Tiles`].
///
/// # Panics
/// The panels have other lengths, or `out` is shorter than 32 rows.
pub(super) fn panel(a: &[u32], b: &[u32], out: &mut [f32], stride: usize, is_added: bool) {
    let chunks = a.len() / CHUNK;
    assert!(chunks > 0 && a.len() == chunks * CHUNK && b.len() == a.len());
    assert!(stride >= PANEL && out.len() >= (PANEL - 1) * stride + PANEL);
    let below = 16 * stride;
    // SAFETY: every load and store is inside its slice by the assertions, and the caller has configured the registers.
    unsafe {
        let (top, bottom) = (out.as_mut_ptr(), out.as_mut_ptr().add(below));
        asm!(
            "test {is_added}, {is_added}",
            "jz 3f",
            "tileloadd tmm0, [{top} + {stride}]",
            "tileloadd tmm1, [{top} + {stride} + 64]",
            "tileloadd tmm2, [{bottom} + {stride}]",
            "tileloadd tmm3, [{bottom} + {stride} + 64]",
            "jmp 2f",
            "3:",
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "2:",
            "tileloadd tmm4, [{a} + {row}]",
            "tileloadd tmm6, [{b} + {row}]",
            "tileloadd tmm7, [{b} + {row} + 1024]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm5, [{a} + {row} + 1024]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {a}, 2048",
            "add {b}, 2048",
            "dec {chunks}",
            "jnz 2b",
            "tilestored [{top} + {stride}], tmm0",
            "tilestored [{top} + {stride} + 64], tmm1",
            "tilestored [{bottom} + {stride}], tmm2",
            "tilestored [{bottom} + {stride} + 64], tmm3",
            a = inout(reg) a.as_ptr() => _, b = inout(reg) b.as_ptr() => _, chunks = inout(reg) chunks => _,
            top = in(reg) top, bottom = in(reg) bottom, stride = in(reg) 4 * stride, row = in(reg) 64usize,
            is_added = in(reg) usize::from(is_added),
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}
