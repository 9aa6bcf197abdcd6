//! The certificate of a server that speaks TLS itself: from two files, or self-signed and kept in the folder of the lab.
//!
//! Browsers warn of a self-signed certificate. A worker does not use its names: it compares its fingerprint, which `kindling join` is
//! given, so such a certificate is as safe for workers as any other.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use wire::fingerprint::Fingerprint;
use worker::tls::fingerprint_of;

/// Where a certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateSource {
    /// Files in PEM format: the certificate with those between it and its authority, and its private key.
    Files { certificate: PathBuf, key: PathBuf },
    /// Made for this lab, and used again at each start.
    SelfSigned,
}

/// What a TLS listener needs.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// Configuration of the connections.
    pub config: Arc<ServerConfig>,
    /// Fingerprint to compare, of a self-signed certificate.
    pub fingerprint: Option<Fingerprint>,
}

/// Errors of reading or making a certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("{} cannot be read as PEM: {source}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        source: pem::Error,
    },
    #[error("{} contains no certificate in PEM format", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    #[error("the certificate cannot be used: {0}. Check that the key belongs to it")]
    Unusable(#[from] rustls::Error),
    #[error("a self-signed certificate could not be made: {0}")]
    Making(#[from] rcgen::Error),
    #[error("{} could not be written: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        source: io::Error,
    },
}

impl Certificate {
    /// Reads the certificate, or makes it. `names` are those of the server.
    ///
    /// # Errors
    /// Files that cannot be read or do not belong together.
    pub fn open(
        source: &CertificateSource,
        data: &Path,
        names: impl IntoIterator<Item = String>,
    ) -> Result<Self, CertificateError> {
        match source {
            CertificateSource::Files { certificate, key } => Self::read(certificate, key, false),
            CertificateSource::SelfSigned => {
                let folder = data.join("tls");
                let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
                if !certificate.is_file() || !key.is_file() {
                    make(&folder, &certificate, &key, names.into_iter().collect())?;
                }
                Self::read(&certificate, &key, true)
            }
        }
    }

    fn read(certificate: &Path, key: &Path, is_self_signed: bool) -> Result<Self, CertificateError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| CertificateError::Pem { path, source }
        };
        let chain: Vec<CertificateDer<'static>> =
            CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect).map_err(failed(certificate))?;
        let Some(first) = chain.first() else {
            return Err(CertificateError::NoCertificate { path: certificate.to_owned() });
        };
        let fingerprint = is_self_signed.then(|| fingerprint_of(first));
        let key = PrivateKeyDer::from_pem_file(key).map_err(failed(key))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), fingerprint })
    }
}

/// Makes a certificate and its key, which only the user of the server may read.
fn make(folder: &Path, certificate: &Path, key: &Path, names: Vec<String>) -> Result<(), CertificateError> {
    let made = rcgen::generate_simple_self_signed(names)?;
    let written = fs::create_dir_all(folder)
        .and_then(|()| write_private(key, made.signing_key.serialize_pem().as_bytes()))
        .and_then(|()| fs::write(certificate, made.cert.pem()));
    written.map_err(|source| CertificateError::Write { path: folder.to_owned(), source })
}

fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_self_signed_certificate_is_made_once() {
        let data = tempfile::tempdir().unwrap();
        let open = || Certificate::open(&CertificateSource::SelfSigned, data.path(), ["lab.example".to_owned()]);
        let (first, second) = (open().unwrap(), open().unwrap());
        assert!(first.fingerprint.is_some() && first.fingerprint == second.fingerprint);
        let files = CertificateSource::Files {
            certificate: data.path().join("tls/certificate.pem"),
            key: data.path().join("tls/key.pem"),
        };
        let given = Certificate::open(&files, data.path(), []).unwrap();
        assert_eq!(given.fingerprint, None, "a certificate of one's own is verified by its authority");
    }

    #[test]
    fn files_that_hold_no_certificate_or_another_key_are_refused() {
        let data = tempfile::tempdir().unwrap();
        for name in ["one", "other"] {
            Certificate::open(&CertificateSource::SelfSigned, &data.path().join(name), []).unwrap();
        }
        let path = |name: &str| data.path().join(name);
        fs::write(path("text"), "no certificate").unwrap();
        for (certificate, key) in [
            ("text", "one/tls/key.pem"),
            ("missing", "one/tls/key.pem"),
            ("one/tls/certificate.pem", "text"),
            ("one/tls/certificate.pem", "other/tls/key.pem"),
            ("one/tls/key.pem", "one/tls/key.pem"),
        ] {
            let files = CertificateSource::Files { certificate: path(certificate), key: path(key) };
            assert!(Certificate::open(&files, data.path(), []).is_err(), "{certificate} with {key}");
        }
    }
}
