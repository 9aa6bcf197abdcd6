//! Plain text: the whole file is one text, read block by block.

use std::io::BufRead;

use crate::encoding::{BLOCK_BYTES, fill};
use crate::formats::Fault;
use crate::intake::Intake;

/// Reads text that was found to be UTF-8 before. What is not, because the file changed meanwhile, becomes U+FFFD.
pub(crate) fn read(mut source: &mut dyn BufRead, intake: &mut Intake<'_>) -> Result<(), Fault> {
    let mut block = vec![0; BLOCK_BYTES];
    let mut kept = 0;
    loop {
        let filled = kept + fill(&mut source, &mut block[kept..])?;
        let is_last = filled < block.len();
        let used = whole_chars(&block[..filled], is_last);
        intake.push(&String::from_utf8_lossy(&block[..used]))?;
        if is_last {
            return Ok(intake.end_text(None)?);
        }
        block.copy_within(used..filled, 0);
        kept = filled - used;
    }
}

/// Length of the block without a last character that its end splits.
fn whole_chars(block: &[u8], is_last: bool) -> usize {
    match std::str::from_utf8(block) {
        Err(error) if error.error_len().is_none() && !is_last => error.valid_up_to(),
        _ => block.len(),
    }
}
