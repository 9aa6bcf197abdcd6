//! One record of a spool: its header, checksum and payload.

use std::io::{self, Read};

/// Bytes of a record before its payload.
pub(super) const HEADER: usize = 20;
/// Maximum size of a record; a larger length means damage.
const MAX_RECORD_BYTES: usize = 16 << 20;

pub(super) fn record(seq: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.extend((payload.len() as u32).to_le_bytes());
    bytes.extend(seq.to_le_bytes());
    bytes.extend(check(seq, payload));
    bytes.extend(payload);
    bytes
}

pub(super) fn check(seq: u64, payload: &[u8]) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(payload.len() as u32).to_le_bytes()).update(&seq.to_le_bytes()).update(payload);
    let mut start = [0; 8];
    start.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    start
}

/// The next record, or `None` if there is no complete and valid one.
pub(super) fn next_record(reader: &mut impl Read) -> io::Result<Option<(u64, Vec<u8>)>> {
    let mut header = [0; HEADER];
    if !fill(reader, &mut header)? {
        return Ok(None);
    }
    let [l0, l1, l2, l3, s0, s1, s2, s3, s4, s5, s6, s7, expected @ ..] = header;
    let (length, seq) =
        (u32::from_le_bytes([l0, l1, l2, l3]) as usize, u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]));
    if length == 0 || length > MAX_RECORD_BYTES {
        return Ok(None);
    }
    let mut payload = vec![0; length];
    let is_valid = fill(reader, &mut payload)? && check(seq, &payload) == expected;
    Ok(is_valid.then_some((seq, payload)))
}

/// Fills `bytes` from the reader. Returns whether there were enough.
pub(super) fn fill(reader: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(source) if source.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(source) => Err(source),
    }
}
