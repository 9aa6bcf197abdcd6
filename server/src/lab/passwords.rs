//! Passwords and passphrases, hashed with Argon2id (RFC 9106). A hash takes 19 MB and tens of milliseconds, so few are computed at a time.

use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::Semaphore;

use crate::error::ApiError;

/// Hashes that are computed at a time.
const AT_ONCE: usize = 2;
/// Requests that wait for one.
const WAITING: usize = 16;
/// A hash with the usual parameters that no text has, so that an unknown account takes as long as a wrong password.
const OF_NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$a2luZGxpbmctdW5rbm93bg$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Computes hashes of passwords.
pub struct Passwords {
    at_once: Semaphore,
    waiting: Semaphore,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { at_once: Semaphore::new(AT_ONCE), waiting: Semaphore::new(AT_ONCE + WAITING) }
    }
}

impl Passwords {
    /// The hash of a text with a new salt, as a PHC string.
    ///
    /// # Errors
    /// 429 while many hashes are computed; the system gave no random numbers.
    pub async fn hash(&self, text: String) -> Result<String, ApiError> {
        self.compute(move || hash(&text)).await?
    }

    /// Whether a text has the stored hash. Without a stored hash it is as slow, and false.
    ///
    /// # Errors
    /// 429 while many hashes are computed; the stored hash cannot be read.
    pub async fn verify(&self, text: String, stored: Option<String>) -> Result<bool, ApiError> {
        self.compute(move || {
            let is_known = stored.is_some();
            let stored = stored.as_deref().unwrap_or(OF_NOBODY);
            let parsed = PasswordHash::new(stored).map_err(unreadable)?;
            Ok(Argon2::default().verify_password(text.as_bytes(), &parsed).is_ok() && is_known)
        })
        .await?
    }

    async fn compute<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
        let busy = |_| ApiError::busy("too many passwords are being checked at once").hint("try again in a moment");
        let _waits = self.waiting.try_acquire().map_err(busy)?;
        let _computes = self.at_once.acquire().await.map_err(unreadable)?;
        tokio::task::spawn_blocking(work).await.map_err(unreadable)
    }
}

fn hash(text: &str) -> Result<String, ApiError> {
    let mut salt = [0; 16];
    SystemRandom::new()
        .fill(&mut salt)
        .map_err(|_| ApiError::internal("hashing a password", "the system gave no random numbers"))?;
    let salt = SaltString::encode_b64(&salt).map_err(unreadable)?;
    Ok(Argon2::default().hash_password(text.as_bytes(), &salt).map_err(unreadable)?.to_string())
}

fn unreadable(source: impl std::fmt::Display) -> ApiError {
    ApiError::internal("checking a password", source.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_same_text_has_the_hash_and_nobody_has_none() {
        let passwords = Passwords::default();
        let stored = passwords.hash("correct horse".to_owned()).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert_ne!(stored, passwords.hash("correct horse".to_owned()).await.unwrap(), "each has its salt");
        for (text, of, expected) in [
            ("correct horse", Some(&stored), true),
            ("correct horsf", Some(&stored), false),
            ("", Some(&stored), false),
            ("correct horse", None, false),
        ] {
            assert_eq!(passwords.verify(text.to_owned(), of.cloned()).await.unwrap(), expected, "{text}");
        }
        assert!(PasswordHash::new(OF_NOBODY).is_ok());
    }
}
