use super::*;
use crate::server::engine::Event;
use afield_transport::{ServerOptions, accept};
use std::sync::mpsc::Receiver;
use tokio::io::{AsyncReadExt, DuplexStream};
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::{JoinHandle, yield_now};

/// How much the connection holds that the peer has not read.
const PIPE_BYTES: usize = 4 * 1024;
/// How often a test lets the session's task run: far more often than it needs to do all it can.
const YIELDS: usize = 100;

/// A session's link to a peer that reads as it likes.
struct Slow {
    peer: DuplexStream,
    events: Receiver<Event>,
    outbox: UnboundedSender<ToLink>,
    _task: JoinHandle<()>,
}

impl Slow {
    async fn new() -> Self {
        let (near, peer) = tokio::io::duplex(PIPE_BYTES);
        let (engine, events) = EngineHandle::detached();
        let link = accept(near, ServerOptions::default()).await;
        let task = tokio::spawn(async move { run(link, None, Caller::nearby(), &engine, Common::unlimited()).await });
        settle().await;
        match events.try_recv() {
            Ok(Event::Connect { outbox, .. }) => Self { peer, events, outbox, _task: task },
            other => panic!("{other:?}"),
        }
    }

    /// What the hub was told of, in bytes a report.
    async fn reports(&self) -> Vec<usize> {
        settle().await;
        let reports = self.events.try_iter().map(|event| match event {
            Event::Sent { bytes, .. } => bytes,
            other => panic!("{other:?}"),
        });
        reports.collect()
    }
}

async fn settle() {
    for _ in 0..YIELDS {
        yield_now().await;
    }
}

#[tokio::test]
async fn a_reader_that_takes_a_message_in_small_steps_is_seen_to_go_on_and_one_that_stops_is_not() {
    const MESSAGE_BYTES: usize = 300_000;
    let mut slow = Slow::new().await;
    slow.outbox.send(ToLink::Output(Output::Message(vec![7; MESSAGE_BYTES]))).unwrap();
    let first: usize = slow.reports().await.iter().sum();
    assert!((1..=PIPE_BYTES).contains(&first), "what the connection holds: {first}");
    assert!(slow.reports().await.is_empty(), "nothing is read, and nothing reported");

    let (mut read, mut told) = (0, first);
    let mut step = [0; 2_000];
    while told < MESSAGE_BYTES {
        let bytes = slow.peer.read(&mut step).await.unwrap();
        assert!(bytes > 0);
        read += bytes;
        let reports = slow.reports().await;
        assert!(!reports.is_empty(), "the step after {read} bytes is not seen");
        told += reports.iter().sum::<usize>();
        assert!(told <= read + PIPE_BYTES, "R8: no more than the connection took");
    }
    assert_eq!(told, MESSAGE_BYTES, "every byte once");
    assert!(slow.reports().await.is_empty());
}

#[tokio::test]
async fn a_quick_reader_costs_one_report_however_much_goes_out_at_once() {
    let slow = Slow::new().await;
    for _ in 0..10 {
        slow.outbox.send(ToLink::Output(Output::Message(vec![7; 100]))).unwrap();
    }
    assert_eq!(slow.reports().await, [1_000]);
}

#[tokio::test(start_paused = true)]
async fn who_writes_too_fast_is_read_more_slowly_and_takes_no_room_meanwhile() {
    use crate::server::throttle::{Rate, Rates};
    use afield_core::DeviceId;
    use afield_transport::memory_pair;
    use std::time::Duration;
    let (mut device, relay) = memory_pair(1);
    let (connection, queue) = Connection::unheard();
    let (admit, admitted) = oneshot::channel();
    let rates = Rates { device_pushes: Rate::per_second(1, 3), ..Rates::DEFAULT };
    let common = Common { throttle: Arc::new(Throttle::new(&rates)), ..Common::unlimited() };
    let room = common.room.clone();
    let reading = tokio::spawn(async move { read(relay.split().1, admitted, &connection, common).await });
    admit.send(Writer { user: 1, device: DeviceId::from_bytes([1; 16]) }).unwrap();
    let before = room.0.available_permits();
    let mut sent = 0;
    while tokio::time::timeout(Duration::from_millis(10), device.send(vec![2; 8].into())).await.is_ok() {
        sent += 1;
    }
    settle().await;
    let arrived = queue.try_iter().count();
    assert_eq!(arrived, 3, "a burst, of {sent} that were sent");
    assert_eq!(
        before - room.0.available_permits(),
        0,
        "what was handled has given back its room, and what waits has none"
    );
    assert!(!reading.is_finished(), "the session goes on");
}
