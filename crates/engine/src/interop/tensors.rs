//! The weights file: written directly from the checkpoint, and read as untrusted bytes. It is mapped, its header is checked by the `safetensors`
//! crate (bounds, order, no gaps, no overlaps), and a tensor is converted only once its parameter is known.

use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use super::names::HfTensor;
use super::refused;
use crate::error::EngineError;

/// Maximum size of the header, bytes; GPT-2's has 15 kB.
const HEADER_BYTES: u64 = 16 << 20;
/// Hint for a file that cannot be read: how to convert it.
const CONVERT: &str = "if you trust it, convert it: AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(OTHER, safe_serialization=True)";

/// The header of a file of these tensors, in 32-bit floats: its length, then JSON, padded to eight bytes.
pub(super) fn header(tensors: &[HfTensor], prefix: &str) -> Vec<u8> {
    let mut at = 0;
    let mut entries = vec![r#""__metadata__":{"format":"pt"}"#.to_owned()];
    for tensor in tensors {
        let end = at + tensor.len() * size_of::<f32>();
        let (name, shape) = (full_name(&tensor.name, prefix), &tensor.shape);
        entries.push(format!(r#""{name}":{{"dtype":"F32","shape":{shape:?},"data_offsets":[{at},{end}]}}"#));
        at = end;
    }
    let mut json = format!("{{{}}}", entries.join(","));
    json.extend(std::iter::repeat_n(' ', json.len().next_multiple_of(8) - json.len()));
    let mut header = (json.len() as u64).to_le_bytes().to_vec();
    header.extend_from_slice(json.as_bytes());
    header
}

/// Adds the prefix to every name except that of the head.
fn full_name(name: &str, prefix: &str) -> String {
    if name == super::names::HEAD { name.to_owned() } else { format!("{prefix}{name}") }
}

/// Returns an error for a file of an unsafe or unsupported format, which its name or first bytes show.
pub(super) fn check_kind(name: &str, first: &[u8]) -> Result<(), EngineError> {
    let ending = Path::new(name).extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default();
    let is_named_so = matches!(ending.as_str(), "bin" | "pt" | "pth" | "ckpt" | "pkl" | "pickle");
    // A safetensors file starts with the length of its header, whose high bytes are zeros.
    let is_length = first.len() == 8 && first[3..].iter().all(|byte| *byte == 0);
    let is_pickle = matches!(first, [0x80, 2..=5, ..]) && !is_length;
    let is_zip = first.starts_with(b"PK\x03\x04");
    if is_named_so || is_pickle || is_zip {
        let what = if is_zip { "it is a zip file, in which PyTorch stores pickles" } else { "it is a pickle" };
        let message = format!("{what}, and loading a pickle runs code from the file");
        return Err(refused(name, message, CONVERT));
    }
    for (magic, extension, kind) in
        [(&b"GGUF"[..], "gguf", "GGUF, quantised for llama.cpp"), (&b"\x89HDF"[..], "h5", "HDF5, as Keras writes it")]
    {
        if first.starts_with(magic) || ending == extension {
            return Err(refused(name, format!("it is {kind}"), CONVERT));
        }
    }
    Ok(())
}

/// Opens mapped bytes.
///
/// # Errors
/// The file is truncated, too long, or not a safetensors file.
pub(super) fn open<'a>(name: &str, bytes: &'a [u8]) -> Result<SafeTensors<'a>, EngineError> {
    check_kind(name, &bytes[..bytes.len().min(8)])?;
    let again = "download or save it again";
    let Some((length, _)) = bytes.split_first_chunk::<8>() else {
        return Err(refused(name, format!("it has {} bytes and is truncated", bytes.len()), again));
    };
    let header = u64::from_le_bytes(*length);
    if header > HEADER_BYTES {
        let message = format!("its header would have {header} bytes, and at most {HEADER_BYTES} are read");
        return Err(refused(name, message, "it is not a safetensors file, or it is damaged"));
    }
    SafeTensors::deserialize(bytes).map_err(|source| {
        let expected = declared(bytes, header as usize)
            .map_or(String::new(), |end| format!(" (its tensors end at byte {end}, and it has {})", bytes.len()));
        refused(name, format!("it is truncated, too long or damaged: {source}{expected}"), again)
    })
}

/// Offset of the end of the tensors, if the header can be read.
fn declared(bytes: &[u8], header: usize) -> Option<u64> {
    let tree: serde_json::Value = serde_json::from_slice(bytes.get(8..8 + header)?).ok()?;
    let ends = tree.as_object()?.values().filter_map(|entry| entry["data_offsets"][1].as_u64());
    ends.max()?.checked_add(8 + header as u64)
}

/// The values of a tensor as 32-bit floats.
///
/// # Errors
/// The tensor has another shape, a type that is not a float, or a non-finite value.
pub(super) fn values(file: &str, name: &str, view: &TensorView<'_>, shape: &[usize]) -> Result<Vec<f32>, EngineError> {
    let unfit = |message: String, hint: &str| refused(file, format!("{name} {message}"), hint);
    if view.shape() != shape {
        let message = format!("has the shape {:?}, and config.json gives {shape:?}", view.shape());
        return Err(unfit(message, "upload the config.json of these weights"));
    }
    let pairs = || view.data().as_chunks::<2>().0.iter().map(|pair| u16::from_le_bytes(*pair));
    let values: Vec<f32> = match view.dtype() {
        Dtype::F32 => view.data().as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word)).collect(),
        Dtype::BF16 => pairs().map(|bits| f32::from_bits(u32::from(bits) << 16)).collect(),
        Dtype::F16 => pairs().map(half).collect(),
        other => {
            return Err(unfit(
                format!("has the number format {other:?}"),
                "F32, F16 and BF16 are read: save it with torch_dtype=float32",
            ));
        }
    };
    match values.iter().position(|value| !value.is_finite()) {
        Some(at) => Err(unfit(
            format!("has the value {} at index {at}", values[at]),
            "these weights are not finite; use an earlier checkpoint",
        )),
        None => Ok(values),
    }
}

/// IEEE 754's 16-bit float, exactly.
fn half(bits: u16) -> f32 {
    let (sign, exponent, fraction) = (bits >> 15, (bits >> 10) & 0x1f, u32::from(bits & 0x3ff));
    let size = match exponent {
        0 => fraction as f32 * 2f32.powi(-24),
        31 if fraction == 0 => f32::INFINITY,
        31 => f32::NAN,
        _ => f32::from_bits((u32::from(exponent) + 112) << 23 | fraction << 13),
    };
    if sign == 1 { -size } else { size }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_what_the_standard_says() {
        for (bits, value) in [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0400, 6.103_515_6e-5),
            (0x0001, 5.960_464_5e-8),
            (0x03ff, 6.097_555e-5),
            (0x3555, 0.333_251_95),
            (0x8000, 0.0),
        ] {
            assert_eq!(half(bits), value, "{bits:#x}");
        }
        assert!(half(0x7c00) == f32::INFINITY && half(0xfc00) == f32::NEG_INFINITY && half(0x7e00).is_nan());
    }
}
