//! `afield presence`

use crate::arguments::{Global, Presence};
use crate::context;
use crate::failure::Failure;
use crate::identity;
use crate::interrupt::Interrupt;
use crate::live::Live;
use crate::output::{self, Output};
use crate::text;
use afield::{EntityId, Peer, SessionId};
use serde::Serialize;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// How often it is asked whether others show something else: far below what a person notices.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How wide the words for what happened are, with the blanks behind them.
const EVENT_WIDTH: usize = 9;

/// What happened to what somebody shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Event {
    Here,
    Changed,
    Gone,
}

impl Event {
    fn word(self) -> &'static str {
        match self {
            Self::Here => "here",
            Self::Changed => "changed",
            Self::Gone => "gone",
        }
    }
}

#[derive(Debug, PartialEq, Serialize)]
struct Line {
    event: Event,
    device: String,
    session: String,
    entity: Option<String>,
    at_ms: i64,
    state: Json,
}

/// What others show, by session and place.
type Seen = BTreeMap<(SessionId, Option<EntityId>), Peer>;

pub(super) fn run(arguments: &Presence, global: &Global, output: Output) -> Result<(), Failure> {
    let interrupt = Interrupt::listen()?;
    let (replica, space) = context::open_space(global)?;
    let mut live = Live::start(replica, &global.store)?;
    let presence = space.presence();
    if let Some(state) = shown(arguments.show.as_deref().or(global.author.as_deref())) {
        presence.set(&state).map_err(|error| Failure::Usage(error.to_string()))?;
    }
    let told = tell_until(&mut presence.watch(), &mut live, &interrupt, output);
    // Taken back while there is still a connection that says so.
    drop(presence);
    live.end().and(told)
}

/// What is shown of oneself: JSON as it is, and anything else as a name.
fn shown(text: Option<&str>) -> Option<Json> {
    text.map(|text| serde_json::from_str(text).unwrap_or_else(|_| json!({ "name": text })))
}

fn tell_until(
    watch: &mut afield::PresenceWatch,
    live: &mut Live,
    interrupt: &Interrupt,
    output: Output,
) -> Result<(), Failure> {
    let mut seen = Seen::new();
    if output.is_for_a_person() {
        output::tell_wrapped("afield: whoever else is here, or comes, shows here, until Ctrl-C", 2);
    }
    while !interrupt.wait(LOOK_AGAIN) {
        live.tell(output)?;
        let Some(peers) = watch.take() else { continue };
        let now: Seen = peers.into_iter().map(|peer| ((peer.session, peer.entity), peer)).collect();
        for line in lines(&seen, &now, context::wall_ms()) {
            if !output.item(&line.0, || in_words(&line.0, line.1, output))? {
                return Ok(());
            }
        }
        seen = now;
    }
    Ok(())
}

/// What happened between two looks.
fn lines(before: &Seen, now: &Seen, at_ms: i64) -> Vec<(Line, Option<EntityId>)> {
    let line = |event, peer: &Peer| {
        let (device, session) = (peer.device.to_string(), peer.session.to_string());
        let entity = peer.entity.map(|id| id.to_string());
        (Line { event, device, session, entity, at_ms, state: peer.state.clone() }, peer.entity)
    };
    let present = now.iter().filter_map(|(place, peer)| match before.get(place) {
        None => Some(line(Event::Here, peer)),
        Some(before) if before.state != peer.state => Some(line(Event::Changed, peer)),
        Some(_) => None,
    });
    let gone = before.iter().filter(|(place, _)| !now.contains_key(place)).map(|(_, peer)| line(Event::Gone, peer));
    present.chain(gone).collect()
}

fn in_words(line: &Line, entity: Option<EntityId>, output: Output) -> String {
    let (word, state) = (line.event.word(), text::printable(&line.state.to_string()));
    if !output.is_terminal() {
        return format!("{word}\t{}\t{}\t{}", line.device, line.entity.as_deref().unwrap_or(""), line.state);
    }
    let place = entity.map(|id| format!("in {}  ", identity::short(id))).unwrap_or_default();
    let told = format!("{word:<EVENT_WIDTH$}{}  {place}{state}", line.device);
    console::truncate_str(&told, output.width(), "…").into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_json_is_a_name() {
        assert_eq!(shown(Some("Ada L.")), Some(json!({"name": "Ada L."})));
        assert_eq!(shown(Some(r#"{"colour": "teal"}"#)), Some(json!({"colour": "teal"})));
        assert_eq!(shown(None), None);
    }
}
