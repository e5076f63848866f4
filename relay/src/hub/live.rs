//! Live messages: what pushes name in the log, and what is encoded once for all readers of a space.

use super::Hub;
use super::guard::guarded;
use crate::log::{Log, NamesLeft};
use afield_core::session::{LiveFeed, LiveRun, LiveStanding, LogRun, RelayRequest, SessionError};
use afield_core::{Durable, Now, SessionId, SpaceId};

impl<L: Log> Hub<L> {
    /// Lets a session understand a message, which may name changes by their places in the log.
    pub(super) fn understand(
        &mut self,
        id: SessionId,
        message: &[u8],
        now: Now,
    ) -> Result<Option<RelayRequest>, SessionError> {
        let Self { sessions, log, .. } = self;
        let Some(seat) = sessions.get_mut(&id) else { return Ok(None) };
        let principal = seat.principal;
        let (mut failed, mut left) = (None, NamesLeft::default());
        let understood = seat.session.handle_message(message, &mut |space, sequence| match log
            .change_at(principal?, space, sequence, &mut left, now)
        {
            Ok(found) => found,
            Err(error) => {
                failed = Some((space, error));
                None
            }
        });
        let Some((space, error)) = failed else { return understood };
        // What the log could not read is no fault of the device: the space is not served until it is opened anew.
        let channel = seat.channels.iter().find(|(_, bound)| **bound == space).map(|(channel, _)| *channel);
        if let Some(channel) = channel {
            self.read_failed(id, channel, space, &error);
        }
        Ok(None)
    }

    /// Encodes a run that was just appended for those who are in the epoch of the space, or come to it now.
    pub(super) fn encode_live(&mut self, space: SpaceId, ids: &[SessionId], run: &Durable<LogRun>) -> Option<LiveRun> {
        let Self { spaces, sessions, .. } = self;
        let readers = spaces.get_mut(&space)?;
        guarded("encoding live chunks", || {
            let epoch = readers.live.epoch();
            let (mut members, mut outsiders) = (0, 0);
            // Nobody is asked about a run that is too large to be live.
            let asked = if LiveFeed::takes(run.get()) { ids } else { &[] };
            for seat in asked.iter().filter_map(|id| sessions.get(id)) {
                let is_behind = seat.behind.contains(&space);
                match seat.session.live_standing(space, run.get(), epoch.as_ref()) {
                    LiveStanding::Member if !is_behind => members += 1,
                    LiveStanding::Outsider if !is_behind => outsiders += 1,
                    _ => {}
                }
            }
            drop(epoch);
            readers.live.encode(run, members, outsiders)
        })
        .flatten()
    }
}
