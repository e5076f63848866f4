//! A relay's end of real sockets: hyper, upgraded with the crate's own helpers, with TLS or without.

use afield_transport::{Link, RelayAddress, ServerOptions, accept, bearer_token, upgrade_response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

/// A listening relay that hands over each link together with the token it came with.
pub(crate) struct TestRelay {
    pub(crate) address: RelayAddress,
    pub(crate) links: mpsc::Receiver<(Link, Option<String>)>,
}

impl TestRelay {
    /// Listens on a free port, with TLS if there is a certificate.
    pub(crate) async fn start(tls: Option<TlsAcceptor>, options: ServerOptions) -> Self {
        let (listener, port) = listen().await;
        let scheme = if tls.is_some() { "wss" } else { "ws" };
        let (sender, links) = mpsc::channel(16);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let (tls, sender) = (tls.clone(), sender.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, options, sender).await,
                        // A client that does not trust the certificate hangs up here.
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, options, sender).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address: format!("{scheme}://localhost:{port}").parse().unwrap(), links }
    }

    /// The relay's end of the next connection.
    pub(crate) async fn next_link(&mut self) -> (Link, Option<String>) {
        self.links.recv().await.expect("the listener lives as long as the test")
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    options: ServerOptions,
    links: mpsc::Sender<(Link, Option<String>)>,
) {
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let links = links.clone();
        async move {
            let (parts, body) = request.into_parts();
            let answer = match upgrade_response(&parts) {
                Err(refusal) => refusal.response(),
                Ok(response) => {
                    let token = bearer_token(&parts.headers).unwrap().map(|token| token.expose().to_owned());
                    let upgrade = hyper::upgrade::on(hyper::Request::from_parts(parts, body));
                    tokio::spawn(async move {
                        let link = accept(TokioIo::new(upgrade.await.unwrap()), options).await;
                        links.send((link, token)).await.unwrap();
                    });
                    response
                }
            };
            Ok::<_, Infallible>(answer.map(|()| String::new()))
        }
    });
    let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    connection.with_upgrades().await.unwrap();
}

/// A certificate authority made for one test, and a server certificate of it.
pub(crate) struct TestAuthority {
    pub(crate) root: CertificateDer<'static>,
    pub(crate) acceptor: TlsAcceptor,
}

impl TestAuthority {
    /// An authority with a server certificate for `host`.
    pub(crate) fn for_host(host: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![host.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
            .unwrap();
        Self { root: authority.as_ref().der().clone(), acceptor: TlsAcceptor::from(Arc::new(config)) }
    }
}

/// A listener on a free port of this machine.
pub(crate) async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// The address of a server that takes one connection, reads a request and writes what `answer` makes of it.
pub(crate) async fn server_that_answers(answer: impl FnOnce(&str) -> String + Send + 'static) -> RelayAddress {
    let (listener, port) = listen().await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let request = read_request(&mut stream).await;
        stream.write_all(answer(&request).as_bytes()).await.unwrap();
    });
    format!("ws://127.0.0.1:{port}").parse().unwrap()
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(request).unwrap()
}
