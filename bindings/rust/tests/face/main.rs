//! What an app developer is promised, against the public face alone.

mod closing;
