//! Certificates for a private server: an authority that lives as long as the server, and the certificate that it signs.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use crate::error::{Error, Result};

/// What a server needs to be trusted, in PEM.
pub(super) struct Certificates {
    /// The authority's certificate, which clients are given.
    pub(super) authority: String,
    /// The server's certificate.
    pub(super) server: String,
    /// The server's private key.
    pub(super) key: String,
}

/// Makes certificates for a server on this machine's loopback address.
pub(super) fn for_loopback() -> Result<Certificates> {
    made().map_err(|e| Error::server(format!("cannot make certificates for a private server: {e}")))
}

fn made() -> Result<Certificates, rcgen::Error> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    authority.distinguished_name.push(DnType::CommonName, "lost-updates private authority");
    let authority_key = KeyPair::generate()?;
    let authority_certificate = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(authority, authority_key);
    let mut server = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()])?;
    server.distinguished_name.push(DnType::CommonName, "lost-updates private server");
    let key = KeyPair::generate()?;
    let server = server.signed_by(&key, &issuer)?.pem();
    Ok(Certificates { authority: authority_certificate, server, key: key.serialize_pem() })
}
