//! Accepting connections and speaking HTTP on them, whatever is answered there.

use super::gate::{self, Gate};
use super::places::{OfAddress, SPARE_PLACES};
use super::throttle::{Refused, TooMany};
use afield_core::limits::HANDSHAKE_TIMEOUT_MS;
use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

/// The largest head of an HTTP request, in bytes; also hyper's smallest allowed buffer.
const HTTP_BUFFER_BYTES_MAX: usize = 16 * 1024;
/// How long a peer may take for TLS, its HTTP request and its Hello together.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_millis(HANDSHAKE_TIMEOUT_MS);
/// How long accepting pauses after the system refused a connection, as when it has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The answer when there are too many connections; a device comes back after some seconds.
const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
/// How long a request may take until it is answered, with all of its body.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a peer may take to take its answer after that. What is upgraded is no connection of HTTP any more.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// How often the log says that connections are sent away.
const TOO_MANY_LOGGED_EVERY: Duration = Duration::from_secs(10);

/// A place among the connections, held until the connection and what became of it has ended.
#[derive(Debug, Clone)]
pub(super) struct Place {
    _permit: Arc<OwnedSemaphorePermit>,
    /// Set where it is one of those that are kept for questions about the relay's health: why nobody syncs on it.
    pub(super) refused: Option<gate::SentAway>,
    /// Its address's place among those that were not welcomed yet.
    of_address: Arc<Mutex<Option<OfAddress>>>,
}

impl Place {
    fn new(permit: OwnedSemaphorePermit, refused: Option<gate::SentAway>, of_address: Option<OfAddress>) -> Self {
        Self { _permit: Arc::new(permit), refused, of_address: Arc::new(Mutex::new(of_address)) }
    }

    /// The place of its address, which whoever takes it gives back.
    pub(super) fn take_of_address(&self) -> Option<OfAddress> {
        self.of_address.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// When a connection was accepted: everything up to its `Welcome` counts from here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Accepted {
    pub(super) at: Instant,
    pub(super) from: IpAddr,
}

impl Accepted {
    fn now(from: IpAddr) -> Self {
        Self { at: Instant::now(), from }
    }

    fn deadline(self) -> Instant {
        self.at + HANDSHAKE_TIMEOUT
    }

    /// When the one request of the connection is over, whatever its peer does.
    fn end(self) -> Instant {
        self.deadline() + REQUEST_TIMEOUT + ANSWER_TIMEOUT
    }

    fn time_left(self) -> Duration {
        self.deadline().saturating_duration_since(Instant::now())
    }
}

pub(super) struct Listener {
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
    places: Arc<Semaphore>,
    spare_places: Arc<Semaphore>,
    gate: Option<Arc<Gate>>,
    router: Router,
}

impl Listener {
    pub(super) fn new(socket: TcpListener, tls: Option<TlsAcceptor>, router: Router, places: Arc<Semaphore>) -> Self {
        Self { socket, tls, places, spare_places: Arc::new(Semaphore::new(SPARE_PLACES)), gate: None, router }
    }

    /// Asks at the gate for each connection.
    #[must_use]
    pub(super) fn behind(mut self, gate: Arc<Gate>) -> Self {
        self.gate = Some(gate);
        self
    }

    /// Accepts connections until told to stop.
    pub(super) async fn run(self, mut stopped: watch::Receiver<bool>) {
        let mut sent_away = SentAway::default();
        loop {
            let accepted = tokio::select! {
                () = told_to_stop(&mut stopped) => return,
                accepted = self.socket.accept() => accepted,
            };
            let (stream, from) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            match self.place(from.ip(), &mut sent_away) {
                Ok(place) => self.serve(stream, Accepted::now(from.ip()), place, stopped.clone()),
                Err((why, _)) => {
                    self.gate.iter().for_each(|gate| gate.throttle.count(why));
                    // Best effort: a peer that does not take it at once sees the connection end.
                    let _ = self.tls.is_none().then(|| stream.try_write(TOO_MANY));
                }
            }
        }
    }

    /// A place among the connections; or one of those that are kept for questions about the relay's health, where there is none, or the
    /// address has come too often or holds too many. On such a one a device hears when to come back.
    fn place(&self, from: IpAddr, sent_away: &mut SentAway) -> Result<Place, gate::SentAway> {
        let take = |places: &Arc<Semaphore>| Arc::clone(places).try_acquire_owned().ok();
        let admitted = self.gate.as_ref().map_or(Ok(None), |gate| gate.accept(from));
        let refused = match admitted {
            Ok(of_address) => match take(&self.places) {
                Some(permit) => return Ok(Place::new(permit, None, of_address)),
                None => {
                    sent_away.count();
                    (Refused::Places, TooMany::after(Duration::ZERO))
                }
            },
            Err(refused) => refused,
        };
        let spare = take(&self.spare_places).map(|permit| Place::new(permit, Some(refused), None));
        spare.ok_or(refused)
    }

    fn serve(&self, stream: TcpStream, accepted: Accepted, place: Place, stopped: watch::Receiver<bool>) {
        let (tls, router) = (self.tls.clone(), self.router.clone());
        tokio::spawn(async move {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "a connection ended before it began");
                return;
            }
            match tls {
                None => speak_http(stream, accepted, router, place, stopped).await,
                Some(tls) => match tokio::time::timeout_at(accepted.deadline(), tls.accept(stream)).await {
                    Ok(Ok(stream)) => speak_http(stream, accepted, router, place, stopped).await,
                    Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                    Err(_) => tracing::debug!("a TLS handshake took too long"),
                },
            }
        });
    }
}

/// Connections that found no place: one line of the log stands for all of some seconds.
#[derive(Debug, Default)]
struct SentAway {
    connections: u64,
    logged: Option<Instant>,
}

impl SentAway {
    fn count(&mut self) {
        self.connections += 1;
        if self.logged.is_none_or(|at| at.elapsed() >= TOO_MANY_LOGGED_EVERY) {
            let connections = std::mem::take(&mut self.connections);
            tracing::warn!(connections, "too many connections at once: these found no place to sync");
            self.logged = Some(Instant::now());
        }
    }
}

/// Waits until the relay stops, or is gone.
async fn told_to_stop(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

async fn speak_http(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    accepted: Accepted,
    router: Router,
    place: Place,
    mut stopped: watch::Receiver<bool>,
) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(place.clone());
        request.extensions_mut().insert(accepted);
        let answering = router.call(request);
        async move {
            let mut answer = match tokio::time::timeout(REQUEST_TIMEOUT, answering).await {
                Ok(answer) => answer?,
                Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
            };
            // One request per connection: a health check, or the upgrade. Nothing waits for a second one.
            if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
                answer.headers_mut().insert(header::CONNECTION, CLOSE);
            }
            Ok::<Response, std::convert::Infallible>(answer)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(accepted.time_left())
        .max_buf_size(HTTP_BUFFER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let serving = async {
        tokio::pin!(connection);
        tokio::select! {
            served = &mut connection => served,
            () = told_to_stop(&mut stopped) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    };
    match tokio::time::timeout_at(accepted.end(), serving).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(error = &error as &dyn std::error::Error, "an HTTP connection ended"),
        Err(_) => tracing::debug!("an HTTP connection took too long"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long a connection that sends nothing is kept, which waited that long before.
    async fn kept_after(waited: Duration) -> Duration {
        let (stream, _peer) = tokio::io::duplex(1_024);
        let places = Arc::new(Semaphore::new(1));
        let permit = places.try_acquire_owned().unwrap();
        let (_stop, stopped) = watch::channel(false);
        let accepted = Accepted::now(IpAddr::from([127, 0, 0, 1]));
        tokio::time::advance(waited).await;
        let since = Instant::now();
        speak_http(stream, accepted, Router::new(), Place::new(permit, None, None), stopped).await;
        since.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_and_does_not_take_the_answer_gives_the_place_back() {
        use tokio::io::AsyncWriteExt;
        let (stream, mut peer) = tokio::io::duplex(1_024);
        let places = Arc::new(Semaphore::new(1));
        let place = Place::new(Arc::clone(&places).try_acquire_owned().unwrap(), None, None);
        let (_stop, stopped) = watch::channel(false);
        let router = Router::new().route("/", axum::routing::get(|| async { vec![7; 1 << 20] }));
        peer.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let accepted = Accepted::now(IpAddr::from([127, 0, 0, 1]));
        let serving = speak_http(stream, accepted, router, place, stopped);
        tokio::time::timeout(Duration::from_secs(61), serving).await.expect("it does not wait for ever");
        assert_eq!(places.available_permits(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_whose_body_does_not_come_is_answered_and_gives_the_place_back() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (stream, mut peer) = tokio::io::duplex(1_024);
        let places = Arc::new(Semaphore::new(1));
        let place = Place::new(Arc::clone(&places).try_acquire_owned().unwrap(), None, None);
        let (_stop, stopped) = watch::channel(false);
        let router = Router::new().route("/", axum::routing::post(|body: bytes::Bytes| async { body }));
        // Drop by drop, so that the connection is never idle for long.
        let asking = async {
            peer.write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n").await.unwrap();
            let (mut answers, mut peer) = tokio::io::split(peer);
            let dripping = async {
                while peer.write_all(b"x").await.is_ok() {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            };
            let mut answer = String::new();
            tokio::select! {
                read = answers.read_to_string(&mut answer) => drop(read),
                () = dripping => {}
            }
            answer
        };
        let accepted = Accepted::now(IpAddr::from([127, 0, 0, 1]));
        let since = Instant::now();
        let ((), answer) = tokio::join!(speak_http(stream, accepted, router, place, stopped), asking);
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
        assert!(since.elapsed() < Duration::from_secs(32), "{:?}", since.elapsed());
        assert_eq!(places.available_permits(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_peer_took_for_tls_it_has_not_again_for_its_request() {
        let second = Duration::from_secs(1);
        for (waited, left) in [(0, 10), (7, 3)] {
            let kept = kept_after(waited * second).await;
            assert!(kept >= left * second && kept < (left + 1) * second, "{kept:?} after {waited} s");
        }
    }
}
