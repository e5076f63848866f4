//! The device's and the relay's half of a session as pure state machines.
