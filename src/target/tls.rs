//! The authorities to trust over TLS, and our own certificate: read once, for the redis crate's connections and for
//! bare sockets alike.
//!
//! The redis crate would read all certificates of the system for every connection, which costs more than the connection
//! itself. So they are read here, once, and handed to it as if `--cacert` had named them.

use std::io::{Error as IoError, ErrorKind, Read, Result as IoResult, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mio::event::Source;
use mio::{Interest, Registry, Token};
use redis::{Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, TlsCertificates};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme, StreamOwned};

use crate::error::{BoxError, Error, Result};
use crate::target::address::TlsFiles;
use crate::target::stream::{Socket, Stream};

/// What every certificate in PEM begins with.
const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// The authorities to trust, and our own certificate.
pub(super) struct Trust {
    /// Certificates of the authorities, in PEM.
    authorities: Vec<u8>,
    ours: Option<ClientTlsConfig>,
    insecure: bool,
    /// The same for bare sockets.
    config: Arc<ClientConfig>,
}

impl Trust {
    /// Reads what `files` name; without `cacert` the system's authorities.
    ///
    /// # Errors
    /// A file cannot be read, or is not what it should be: the message names it.
    pub(super) fn read(files: &TlsFiles) -> Result<Self> {
        // If another thread installed one first, that one is just as good.
        let _ = ring::default_provider().install_default();
        let read = |path: &Path| std::fs::read(path).map_err(|e| Error::file(path, e));
        let ours = match (&files.cert, &files.key) {
            (None, None) => None,
            (Some(cert), Some(key)) => Some(ClientTlsConfig { client_cert: read(cert)?, client_key: read(key)? }),
            _ => return Err(Error::usage("--cert and --key go together")),
        };
        let authorities = match &files.cacert {
            Some(path) => named(path, read(path)?)?,
            None if files.insecure => Vec::new(),
            None => of_the_system(),
        };
        let config = config(&authorities, ours.as_ref(), files)?;
        Ok(Self { authorities, ours, insecure: files.insecure, config: Arc::new(config) })
    }

    /// The same connection settings, over TLS.
    ///
    /// # Errors
    /// The address has no host and port.
    pub(super) fn encrypted(&self, info: &ConnectionInfo) -> Result<ConnectionInfo> {
        let (ConnectionAddr::TcpTls { host, port, .. } | ConnectionAddr::Tcp(host, port)) = info.addr() else {
            return Err(Error::usage("TLS needs a host and a port"));
        };
        let (host, port, insecure) = (host.clone(), *port, self.insecure);
        let address = ConnectionAddr::TcpTls { host, port, insecure, tls_params: None };
        let usage = |e: redis::RedisError| Error::usage(format!("the TLS files cannot be used: {e}"));
        let plain = address.into_connection_info().map_err(usage)?;
        let plain = plain.set_redis_settings(info.redis_settings().clone());
        let client = Client::build_with_tls(plain, self.certificates()).map_err(usage)?;
        Ok(client.get_connection_info().clone())
    }

    /// The same in the redis crate's own type.
    pub(super) fn certificates(&self) -> TlsCertificates {
        let copy = |ours: &ClientTlsConfig| {
            let (client_cert, client_key) = (ours.client_cert.clone(), ours.client_key.clone());
            ClientTlsConfig { client_cert, client_key }
        };
        TlsCertificates { client_tls: self.ours.as_ref().map(copy), root_cert: Some(self.authorities.clone()) }
    }

    /// A socket that encrypts what goes over `stream`. The handshake happens at the first write.
    ///
    /// # Errors
    /// The host is not a name that a certificate can be issued for.
    pub(super) fn over(&self, stream: TcpStream, host: &str) -> Result<Box<dyn Stream>, BoxError> {
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())?;
        let session = ClientConnection::new(self.config.clone(), name)?;
        Ok(Box::new(StreamOwned::new(session, stream)))
    }
}

/// The authorities in a file.
fn named(path: &Path, pem: Vec<u8>) -> Result<Vec<u8>> {
    if !pem.windows(BEGIN.len()).any(|window| window == BEGIN) {
        return Err(Error::file(path, "contains no PEM certificate (-----BEGIN CERTIFICATE-----)"));
    }
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let added = certificate.map_err(|e| e.to_string()).and_then(|c| roots.add(c).map_err(|e| e.to_string()));
        added.map_err(|e| Error::file(path, format!("contains a certificate that cannot be read: {e}")))?;
    }
    Ok(pem)
}

/// The authorities that this system trusts, as far as they can be read; perhaps none.
fn of_the_system() -> Vec<u8> {
    let mut roots = RootCertStore::empty();
    let certificates = rustls_native_certs::load_native_certs().certs.into_iter();
    let known = certificates.filter(|certificate| roots.add(certificate.clone()).is_ok());
    known.flat_map(|known| pem::encode(&pem::Pem::new("CERTIFICATE", known.as_ref())).into_bytes()).collect()
}

fn config(authorities: &[u8], ours: Option<&ClientTlsConfig>, files: &TlsFiles) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authorities).flatten() {
        // Those that cannot be read were left out, or refused, before.
        let _ = roots.add(certificate);
    }
    let config = ClientConfig::builder().with_root_certificates(roots);
    let mut config = match ours {
        None => config.with_no_client_auth(),
        Some(ours) => {
            let cannot = |why: String| {
                let names = [&files.cert, &files.key].map(|path| path.as_deref().unwrap_or(Path::new("")).display());
                Error::usage(format!("--cert {} with --key {} cannot be used: {why}", names[0], names[1]))
            };
            let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&ours.client_cert).collect();
            let chain = chain.map_err(|e| cannot(format!("the certificate is not PEM ({e})")))?;
            let key = PrivateKeyDer::from_pem_slice(&ours.client_key);
            let key = key.map_err(|e| cannot(format!("the key is not PEM ({e})")))?;
            config.with_client_auth_cert(chain, key).map_err(|e| match e {
                rustls::Error::InconsistentKeys(_) => cannot("the key does not belong to the certificate".to_owned()),
                other => cannot(other.to_string()),
            })?
        }
    };
    if files.insecure {
        let algorithms = ring::default_provider().signature_verification_algorithms;
        let algorithms = CryptoProvider::get_default().map_or(algorithms, |it| it.signature_verification_algorithms);
        config.dangerous().set_certificate_verifier(Arc::new(Anybody(algorithms)));
    }
    Ok(config)
}

/// Accepts any certificate, as `--insecure` asks.
#[derive(Debug)]
struct Anybody(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

impl Stream for StreamOwned<ClientConnection, TcpStream> {
    fn wait_at_most(&self, time: Duration) -> IoResult<()> {
        self.sock.set_read_timeout(Some(time))
    }

    fn push_at_most(&self, time: Duration) -> IoResult<()> {
        self.sock.set_write_timeout(Some(time))
    }

    fn unblocked(self: Box<Self>) -> IoResult<Box<dyn Socket>> {
        let (session, socket) = self.into_parts();
        socket.set_nonblocking(true)?;
        Ok(Box::new(EncryptedSocket { session, socket: mio::net::TcpStream::from_std(socket), is_over: false }))
    }
}

/// A socket that never blocks, over TLS.
struct EncryptedSocket {
    session: ClientConnection,
    socket: mio::net::TcpStream,
    /// The server has closed the connection.
    is_over: bool,
}

impl EncryptedSocket {
    /// Sends as much encrypted data as the socket accepts now.
    fn push(&mut self) -> IoResult<()> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut self.socket) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads what has arrived; `false` if nothing has.
    fn pull(&mut self) -> IoResult<bool> {
        match self.session.read_tls(&mut self.socket) {
            Ok(0) => self.is_over = true,
            Ok(_) => {
                self.session.process_new_packets().map_err(IoError::other)?;
                // A key update, for example, needs an answer.
                self.push()?;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(true)
    }
}

impl Read for EncryptedSocket {
    /// A read that does not fill `buffer` has emptied the socket.
    fn read(&mut self, buffer: &mut [u8]) -> IoResult<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.session.reader().read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(length) => filled += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if self.is_over {
                        break;
                    }
                    if !self.pull()? {
                        return if filled > 0 { Ok(filled) } else { Err(error) };
                    }
                }
                // The server closed the connection without TLS's close_notify.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => break,
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

impl Write for EncryptedSocket {
    fn write(&mut self, bytes: &[u8]) -> IoResult<usize> {
        self.push()?;
        // As much as there is room for, besides what the socket has not accepted yet.
        let taken = self.session.writer().write(bytes)?;
        self.push()?;
        if taken == 0 && !bytes.is_empty() { Err(ErrorKind::WouldBlock.into()) } else { Ok(taken) }
    }

    fn flush(&mut self) -> IoResult<()> {
        self.push()
    }
}

/// Always watched for both reading and writing, because encrypted data may still have to be sent after the loop has
/// handed over everything.
impl Source for EncryptedSocket {
    fn register(&mut self, registry: &Registry, token: Token, _interests: Interest) -> IoResult<()> {
        self.socket.register(registry, token, Interest::READABLE | Interest::WRITABLE)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, _interests: Interest) -> IoResult<()> {
        self.socket.reregister(registry, token, Interest::READABLE | Interest::WRITABLE)
    }

    fn deregister(&mut self, registry: &Registry) -> IoResult<()> {
        self.socket.deregister(registry)
    }
}
