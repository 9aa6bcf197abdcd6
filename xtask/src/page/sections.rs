//! Sections of a WebAssembly module: 8 bytes of a header, then sections of an id, a length and their content.

/// Length of the magic number and the version.
const HEADER: usize = 8;
/// Id of custom sections: names of functions, the tools that wrote the module, the features of WebAssembly that it uses. Browsers do not need
/// them, and wasm-opt gets the features as options.
const CUSTOM: u8 = 0;

/// A module without its custom sections; `None` if it is not a whole module. They are a quarter of a compressed part.
pub(super) fn without_custom(module: &[u8]) -> Option<Vec<u8>> {
    let mut kept = module.get(..HEADER)?.to_vec();
    let mut rest = &module[HEADER..];
    while let Some((id, after_id)) = rest.split_first() {
        let (length, content) = unsigned(after_id)?;
        let section = rest.len() - content.len() + length;
        if *id != CUSTOM {
            kept.extend(rest.get(..section)?);
        }
        rest = rest.get(section..)?;
    }
    Some(kept)
}

/// The number at the beginning, in LEB128, and what follows it.
fn unsigned(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut number = 0u32;
    for (at, byte) in bytes.iter().take(5).enumerate() {
        number |= u32::from(byte & 0x7f).checked_shl(7 * at as u32)?;
        if byte & 0x80 == 0 {
            return Some((number as usize, &bytes[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_custom_sections_are_removed() {
        let header = b"\0asm\x01\0\0\0".to_vec();
        let long = |id: u8| [vec![id, 0x82, 0x01], vec![7; 130]].concat();
        let module = [header.clone(), vec![0, 2, 1, b'x'], long(1), long(0), vec![3, 0]].concat();
        assert_eq!(without_custom(&module), Some([header.clone(), long(1), vec![3, 0]].concat()));
        assert_eq!(without_custom(&header), Some(header.clone()));
        for cut in [4, header.len() + 1, header.len() + 3, module.len() - 3] {
            assert_eq!(without_custom(&module[..cut]), None, "{cut} bytes");
        }
    }
}
