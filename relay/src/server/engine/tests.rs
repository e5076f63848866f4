use super::*;
use crate::hub::Access;
use crate::log::accounts::Accounts;
use crate::log::{Log, Principal};
use crate::server::SystemEntropy;
use crate::signed::SignedTokens;
use crate::testing::frames::{SPACE, Seen, hello, open, push_message, understand};
use crate::testing::{Author, Backend};
use afield_core::session::{AppendRequest, OpenAnswer, OpenRequest, ReadAnswer, ReadRequest};
use afield_core::wire::{self, Channel, Open, ToRelay};
use afield_core::{Limits, LogId, SpaceId};
use tokio::sync::Semaphore;

/// The thread's turns in the hands of a test, which says when there is one.
struct Thread {
    turns: Turns,
    events: Sender<Event>,
    room: Arc<Semaphore>,
}

impl Thread {
    fn new() -> Self {
        Self::of(Hub::new(SqliteLog::open_in_memory().unwrap(), Access::Open, Limits::DEFAULT, SystemEntropy))
    }

    fn of(hub: Hub<SqliteLog>) -> Self {
        let (events, queue) = mpsc::channel();
        let turns = Turns::new(hub, queue, None, Watch::unlimited());
        Self { turns, events, room: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)) }
    }

    fn connect(&self, number: u64) -> UnboundedReceiver<ToLink> {
        self.connect_with(number, None)
    }

    fn connect_with(&self, number: u64, token: Option<String>) -> UnboundedReceiver<ToLink> {
        let (outbox, outputs) = unbounded_channel();
        let number = ConnectionNumber(number);
        self.events.send(Event::Connect { number, token, caller: Caller::nearby(), outbox }).unwrap();
        outputs
    }

    fn message(&self, number: u64, message: Vec<u8>) {
        let room = [(); 2].map(|()| Arc::clone(&self.room).try_acquire_owned().unwrap());
        self.events
            .send(Event::Message {
                number: ConnectionNumber(number),
                message: message.into(),
                room,
                span: Span::none(),
            })
            .unwrap();
    }

    fn send(&self, number: u64, frame: &ToRelay<'_>) {
        self.message(number, wire::encode_to_relay(frame));
    }

    fn turn(&mut self) {
        self.turns.turn(None).expect("it goes on");
    }
}

#[test]
fn what_is_old_is_packed_beside_the_hub_and_put_in_place_in_its_turns() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = SqliteLog::open(&folder.path().join("log.sqlite")).unwrap();
    let now = crate::testing::at(0);
    let open = OpenRequest { channel: Channel(0), space: SPACE, cursor: None, create: true, invitation: None };
    let fresh = LogId::from_bytes([1; 16]);
    let opened = log.open(Principal::ANYONE, &open, fresh, now).unwrap().into_inner();
    let OpenAnswer::Served { position: told, .. } = opened else { panic!("{opened:?}") };
    let (channel, push) = (Channel(0), afield_core::wire::PushNumber(1));
    let chunks = Author::new(1, 1).chunks(1_400);
    let request = AppendRequest { channel, space: SPACE, push, told, chunks };
    let _ = log.append(vec![(Principal::ANYONE, request)], now).unwrap();

    let (events, queue) = mpsc::channel();
    let worker = Worker::start(log.keeper().unwrap().unwrap(), events).unwrap();
    let hub = Hub::new(log, Access::Open, Limits::DEFAULT, SystemEntropy);
    let mut turns = Turns::new(hub, queue, Some(worker), Watch::unlimited());
    turns.give_work();
    while turns.is_working {
        let event = turns.queue.recv().expect("the worker answers every task");
        turns.turn(Some(event)).expect("it goes on");
    }
    let used = turns.hub.log_mut().disk_use().unwrap();
    assert!(used.segments > 0 && used.hashes > 1_024 * 32, "two segments: {used:?}");
    let read = ReadRequest {
        channel,
        space: SPACE,
        position: told,
        told,
        bytes_max: usize::MAX,
        filter: std::sync::Arc::default(),
        snapshots: None,
    };
    let answer = turns.hub.log_mut().read(Principal::ANYONE, &read, now).unwrap().into_inner();
    assert!(matches!(answer, ReadAnswer::Run { run, .. } if run.entries().len() == 1_400));
    // It ends with the turns, whatever it is doing.
    let thread = turns.worker.as_ref().is_some_and(|worker| worker.is_running());
    assert!(thread, "the control");
    drop(turns);
}

#[test]
fn one_piece_of_work_on_what_is_old_is_under_way_at_a_time_however_much_is_due() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = SqliteLog::open(&folder.path().join("log.sqlite")).unwrap();
    let now = crate::testing::at(0);
    for number in 1..=3 {
        let (channel, space) = (Channel(0), SpaceId::from_bytes([number; 16]));
        let open = OpenRequest { channel, space, cursor: None, create: true, invitation: None };
        let opened = log.open(Principal::ANYONE, &open, LogId::from_bytes([number; 16]), now).unwrap().into_inner();
        let OpenAnswer::Served { position: told, .. } = opened else { panic!("{opened:?}") };
        let chunks = Author::new(number, number).chunks(800);
        let request = AppendRequest { channel, space, push: afield_core::wire::PushNumber(1), told, chunks };
        let _ = log.append(vec![(Principal::ANYONE, request)], now).unwrap();
    }
    let (events, queue) = mpsc::channel();
    let worker = Worker::start(log.keeper().unwrap().unwrap(), events).unwrap();
    let hub = Hub::new(log, Access::Open, Limits::DEFAULT, SystemEntropy);
    let mut turns = Turns::new(hub, queue, Some(worker), Watch::unlimited());
    // Whatever was put in place before it, a turn waits for one commit of it at the most.
    (0..5).for_each(|_| turns.give_work());
    let mut left = 0;
    while turns.hub.log_mut().next_task().unwrap().is_some() {
        left += 1;
    }
    assert_eq!(left, 2);
}

fn seen(outputs: &mut UnboundedReceiver<ToLink>) -> Vec<Seen> {
    let mut seen = Vec::new();
    while let Ok(told) = outputs.try_recv() {
        match told {
            ToLink::Admitted(_) => {}
            ToLink::Output(Output::Message(message)) => seen.push(understand(&message)),
            ToLink::Output(Output::Close) => break,
        }
    }
    seen
}

fn opened(seen: &[Seen]) -> usize {
    seen.iter().filter(|seen| matches!(seen, Seen::Opened(_))).count()
}

fn space(number: u32) -> SpaceId {
    SpaceId::from_bytes((1_000 + u128::from(number)).to_be_bytes())
}

#[test]
fn a_device_that_brings_many_spaces_keeps_nobody_elses_push_waiting() {
    const SPACES: u32 = 100;
    let mut thread = Thread::new();
    let (mut traveller, mut writer) = (thread.connect(1), thread.connect(2));
    thread.send(2, &ToRelay::Hello(hello(2)));
    thread.send(2, &open(SPACE, None));
    thread.turn();
    thread.send(1, &ToRelay::Hello(hello(1)));
    for number in 0..SPACES {
        let frame = Open {
            channel: Channel(number),
            space: space(number),
            cursor: None,
            create: true,
            raw: false,
            filter: afield_core::Filter::Everything,
            partial: false,
            invitation: None,
        };
        thread.send(1, &ToRelay::Open(frame));
    }
    let mut author = Author::new(1, 1);
    thread.message(1, push_message(1, author.entity, &[author.edit("made offline")]));
    thread.events.send(Event::Disconnect { number: ConnectionNumber(1) }).unwrap();
    let mut other = Author::new(2, 2);
    thread.message(2, push_message(1, other.entity, &[other.edit("live")]));

    thread.turn();
    let first = opened(&seen(&mut traveller));
    assert!((1..SPACES as usize / 2).contains(&first), "R8: {first} commits in one turn");
    assert!(
        seen(&mut writer).iter().any(|seen| matches!(seen, Seen::Receipt(1, _))),
        "it waits for none of the others"
    );

    let mut all = first;
    while thread.turns.hub.session_count() == 2 {
        thread.turn();
        all += opened(&seen(&mut traveller));
    }
    assert!(all as u32 + 8 >= SPACES, "the control: all were made, in their order: {all}");
    let last = OpenRequest { channel: Channel(0), space: space(0), cursor: None, create: false, invitation: None };
    let fresh = LogId::from_bytes([9; 16]);
    let answer = thread.turns.hub.log_mut().open(Principal::ANYONE, &last, fresh, thread.turns.clock.now()).unwrap();
    assert!(
        matches!(answer.get(), OpenAnswer::Served { head, .. } if head.get() == 1),
        "what it pushed before it left is kept: {answer:?}"
    );
}

#[test]
fn one_token_of_a_session_is_taken_in_a_turn_and_the_next_in_the_next() {
    let mut thread = Thread::new();
    let _outputs = thread.connect(1);
    thread.send(1, &ToRelay::Hello(hello(1)));
    thread.turn();
    for _ in 0..3 {
        thread.send(1, &ToRelay::Authenticate(wire::Authenticate { token: "fresher".to_owned() }));
    }
    let left = [(); 3].map(|()| {
        thread.turn();
        thread.turns.later.len()
    });
    assert_eq!(left, [2, 1, 0]);
}

/// How many commits a turn made.
fn commits_of_a_turn(thread: &mut Thread) -> u64 {
    let before = thread.turns.hub.log_mut().write_transactions();
    thread.turn();
    thread.turns.hub.log_mut().write_transactions() - before
}

#[test]
fn signed_tokens_that_many_show_first_are_noted_a_few_in_each_turn() {
    const DEVICES: u8 = 40;
    let backend = Backend::new();
    let hub = Hub::new(SqliteLog::open_in_memory().unwrap(), Access::Tokens, Limits::DEFAULT, SystemEntropy);
    let mut thread = Thread::of(hub.with_signed_tokens(SignedTokens::open(backend.options()).unwrap()));
    let now = thread.turns.clock.now();
    let token =
        |number: u8, which: u8| backend.token(&format!("user {number}"), now, &serde_json::json!({ "n": which }));
    let mut outputs: Vec<_> =
        (1..=DEVICES).map(|number| thread.connect_with(number.into(), Some(token(number, 1)))).collect();
    for number in 1..=DEVICES {
        thread.send(number.into(), &ToRelay::Hello(hello(number)));
    }
    let mut turns = 0;
    let mut welcome = 0;
    while welcome < usize::from(DEVICES) {
        let commits = commits_of_a_turn(&mut thread);
        assert!((1..=16).contains(&commits), "R8: {commits} commits in one turn");
        let seen = outputs.iter_mut().flat_map(seen);
        welcome += seen.filter(|seen| matches!(seen, Seen::Welcome(_))).count();
        turns += 1;
    }
    assert!(turns > 1, "the control: there were more than one turn takes");

    for number in 1..=DEVICES {
        thread.send(number.into(), &ToRelay::Authenticate(wire::Authenticate { token: token(number, 2) }));
    }
    let noted = |thread: &mut Thread| thread.turns.hub.log_mut().tokens().unwrap().len();
    while noted(&mut thread) < 2 * usize::from(DEVICES) {
        let commits = commits_of_a_turn(&mut thread);
        assert!((1..=16).contains(&commits), "R8: {commits} commits in one turn");
    }
    assert!(outputs.iter_mut().flat_map(seen).next().is_none(), "nobody was sent away");
}
