//! A device that is connected to a relay's process.

use afield_core::wire::{
    self, Channel, GoodbyeCode, Hello, Message, Open, PROTOCOL_VERSION, Progress, ToDevice, ToRelay,
};
use afield_core::{DeviceId, Filter, Incarnation, Sequence, SpaceId};
use afield_transport::{Client, ClientOptions, Link, RelayAddress};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// How long a test waits for what has to come, before it fails.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Device {
    runtime: Runtime,
    link: Link,
    pub(crate) id: DeviceId,
}

impl Device {
    /// Connects, says hello, opens a space and reads all of it.
    pub(crate) fn connect(url: &str, token: Option<&str>, number: u8, space: SpaceId) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let token = token.map(|token| token.parse().unwrap());
        let client = Client::new(ClientOptions { token, ..ClientOptions::default() });
        let address: RelayAddress = url.parse().unwrap();
        let link = runtime.block_on(client.connect(&address)).unwrap();
        let id = DeviceId::from_bytes([number; 16]);
        let mut device = Self { runtime, link, id };
        device.send(&ToRelay::Hello(Hello {
            versions: vec![PROTOCOL_VERSION],
            device: id,
            incarnation: Incarnation::from_bytes([number; 16]),
            predecessors: Vec::new(),
            guest_of: None,
        }));
        device.open(0, space);
        device
    }

    /// Opens a space and reads all of it.
    pub(crate) fn open(&mut self, channel: u32, space: SpaceId) {
        self.send(&ToRelay::Open(Open {
            channel: Channel(channel),
            space,
            cursor: None,
            create: true,
            raw: false,
            filter: Filter::Everything,
            partial: false,
            invitation: None,
        }));
        self.until(|frame| matches!(frame, ToDevice::CaughtUp(frame) if frame.channel == Channel(channel)));
    }

    /// Says how far it has stored its first space.
    pub(crate) fn has_stored(&mut self, sequence: u64) {
        self.send(&ToRelay::Progress(Progress { channel: Channel(0), sequence: Sequence::new(sequence) }));
    }

    /// Waits until it is told why its session ends.
    pub(crate) fn goodbye(&mut self) -> GoodbyeCode {
        let mut code = None;
        self.until(|frame| {
            if let ToDevice::Goodbye(frame) = frame {
                code = Some(frame.code);
            }
            code.is_some()
        });
        code.unwrap()
    }

    /// Reads up to the frame that is wanted; live chunks are passed over.
    pub(crate) fn until(&mut self, mut wanted: impl FnMut(&ToDevice<'_>) -> bool) {
        loop {
            let received = async { tokio::time::timeout(PATIENCE, self.link.receive()).await };
            let message = self.runtime.block_on(received).expect("the relay answers").unwrap();
            let message = message.expect("the relay has not closed");
            if wire::LiveMessage::open(&message).unwrap().is_none()
                && wanted(&Message::open(&message).unwrap().to_device().unwrap())
            {
                return;
            }
        }
    }

    fn send(&mut self, frame: &ToRelay<'_>) {
        self.runtime.block_on(self.link.send(wire::encode_to_relay(frame).into())).unwrap();
    }
}
