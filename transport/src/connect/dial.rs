//! From a host to a TCP connection: all its addresses are tried, a slow one does not hold up the others.

use super::ConnectError;
use crate::address::RelayAddress;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use url::Host;

/// How long one address is tried alone before the next one is tried beside it, in milliseconds (RFC 8305, section 5).
const ATTEMPT_DELAY_MS: u64 = 250;
/// The most addresses of one name that are tried.
const ADDRESSES_MAX: usize = 16;

pub(super) async fn dial(address: &RelayAddress) -> Result<TcpStream, ConnectError> {
    let candidates = resolve(address).await.map_err(ConnectError::Address)?;
    let stream = race(candidates, TcpStream::connect).await.map_err(ConnectError::Unreachable)?;
    // Frames are gathered above; Nagle's algorithm would only hold back the last one of each turn.
    stream.set_nodelay(true).map_err(ConnectError::Unreachable)?;
    Ok(stream)
}

async fn resolve(address: &RelayAddress) -> io::Result<Vec<SocketAddr>> {
    let port = address.port();
    let found = match address.host() {
        Host::Ipv4(ip) => return Ok(vec![SocketAddr::new(IpAddr::V4(*ip), port)]),
        Host::Ipv6(ip) => return Ok(vec![SocketAddr::new(IpAddr::V6(*ip), port)]),
        Host::Domain(name) => lookup_host((name.as_str(), port)).await?,
    };
    // A hosts file may send "localhost" elsewhere; plain text never goes there.
    let candidates = alternate(found.filter(|found| address.is_secure() || found.ip().is_loopback()).collect());
    if candidates.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(candidates) }
}

/// Puts the two families by turns, beginning with the one that the resolver prefers.
fn alternate(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_ipv6 = found.first().is_some_and(SocketAddr::is_ipv6);
    let (preferred, others): (Vec<_>, Vec<_>) = found.into_iter().partition(|found| found.is_ipv6() == first_is_ipv6);
    let (mut preferred, mut others) = (preferred.into_iter(), others.into_iter());
    let mut order = Vec::new();
    loop {
        let before = order.len();
        order.extend(preferred.next());
        order.extend(others.next());
        if order.len() == before || order.len() >= ADDRESSES_MAX {
            return order;
        }
    }
}

/// The first connection that is made. The next candidate starts when the one before failed or is slow.
async fn race<C, F, T>(candidates: Vec<C>, connect: impl Fn(C) -> F) -> io::Result<T>
where
    F: Future<Output = io::Result<T>>,
{
    let mut waiting = candidates.into_iter();
    let mut attempts: FuturesUnordered<F> = waiting.next().map(&connect).into_iter().collect();
    let mut last_error = io::Error::from(io::ErrorKind::NotFound);
    loop {
        tokio::select! {
            finished = attempts.next(), if !attempts.is_empty() => match finished {
                Some(Ok(connected)) => return Ok(connected),
                Some(Err(error)) => {
                    last_error = error;
                    attempts.extend(waiting.next().map(&connect));
                }
                None => {}
            },
            () = tokio::time::sleep(Duration::from_millis(ATTEMPT_DELAY_MS)), if waiting.len() > 0 => {
                attempts.extend(waiting.next().map(&connect));
            }
            else => return Err(last_error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn an_address_that_does_not_answer_costs_a_quarter_of_a_second() {
        let start = Instant::now();
        let connect = |candidate: u8| async move { if candidate == 0 { pending().await } else { Ok(candidate) } };
        assert_eq!(race(vec![0, 1], connect).await.unwrap(), 1);
        assert_eq!(start.elapsed(), Duration::from_millis(ATTEMPT_DELAY_MS));
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_refuses_costs_nothing_and_the_last_error_is_told() {
        let start = Instant::now();
        let refuse = |candidate: u8| {
            ready(if candidate < 2 { Err(io::ErrorKind::ConnectionRefused.into()) } else { Ok(candidate) })
        };
        assert_eq!(race(vec![0, 1, 2], refuse).await.unwrap(), 2);
        assert_eq!(race(vec![0, 1], refuse).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[test]
    fn families_take_turns() {
        let parse = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let found = parse(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"]);
        assert_eq!(alternate(found), parse(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"]));
    }
}
