//! The id of a lab: random, written once into the file `id` of its folder. It tells labs apart that share a host name, because browsers
//! send the cookies of a host to all its ports and paths.

use std::fs;
use std::path::Path;

use crate::error::StoreError;

/// Characters of an id.
const LENGTH: usize = 12;

/// The id of the lab in a folder; a new one where the folder has none, or an unreadable one.
pub(crate) fn read_or_create(dir: &Path) -> Result<String, StoreError> {
    let path = dir.join("id");
    if let Some(id) = fs::read_to_string(&path).ok().map(|text| text.trim().to_owned()).filter(|id| is_id(id)) {
        return Ok(id);
    }
    let mut secret = [0; LENGTH / 2];
    getrandom::fill(&mut secret).map_err(|source| StoreError::Random { source })?;
    let id: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(&path, format!("{id}\n")).map_err(|source| StoreError::file(&path, source))?;
    crate::disk::sync_folder(dir)?;
    Ok(id)
}

/// An id becomes part of the name of a cookie, so it has letters and digits only.
fn is_id(text: &str) -> bool {
    text.len() == LENGTH && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_keeps_its_id_and_an_unreadable_one_is_replaced() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let id = read_or_create(one.path()).unwrap();
        assert_eq!(read_or_create(one.path()).unwrap(), id);
        assert_ne!(read_or_create(two.path()).unwrap(), id);
        for content in ["", "short", "a;b=c; Path=/", "0123456789abcdef"] {
            fs::write(one.path().join("id"), content).unwrap();
            let id = read_or_create(one.path()).unwrap();
            assert!(is_id(&id), "{id}");
            assert_eq!(read_or_create(one.path()).unwrap(), id);
        }
    }
}
