//! What concerns replicas, spaces and sync.

use super::*;
use crate::direction::DirectionError;
use crate::guard::GuardError;
use crate::hand_over::{HandOverError, HandOverProblem};
use crate::plan::{PlanError, PlannedWay};
use crate::presence::PresenceError;
use crate::probe::ProbeError;
use crate::purge::PurgeError;
use crate::runs::RequestError;
use crate::sandbox::SandboxError;
use crate::schedule::ScheduleError;
use crate::upkeep::MaintainError;
use crate::write::WaitError;
use afield_core::frozen;
use afield_core::session::SessionError;
use afield_core::wire::{ChunkCode, GoodbyeCode};
use afield_transport::{LinkError, ParseAddressError, ParseTokenError};
use std::io;

fn address() -> ConnectError {
    ParseAddressError::Scheme.into()
}

fn nothing() -> io::Error {
    io::ErrorKind::NotFound.into()
}

fn failed(class: Class) -> SyncError {
    SyncError::Failed { reason: String::new(), class, sign_in: None }
}

fn refused(code: ChunkCode) -> SyncError {
    SyncError::Refused { entities: 1, code }
}

fn unreached(class: Class) -> SandboxError {
    SandboxError::Unreached { reason: String::new(), class }
}

pub(super) fn rows() -> Vec<Frozen> {
    [of_replicas(), of_spaces(), of_connecting(), of_waiting(), of_probes(), of_plans(), of_schedules(), of_others()]
        .concat()
}

fn of_replicas() -> Vec<Frozen> {
    let sequence = afield_core::Sequence::new(1);
    let unknown = afield_store::SpaceError::UnknownSpace { space: SPACE };
    let mut rows = frozen!(ReplicaError {
    } passes on {
        ReplicaError::Open(_) = older().into() => "open.sqlite_too_old", Upgrade;
        ReplicaError::Driver(_) = DriverError::Store(full()).into() => "store.disk_full", Quota;
    });
    rows.extend(frozen!(DriverError {
    } passes on {
        DriverError::Store(_) = full().into() => "store.disk_full", Quota;
        DriverError::Receive(_) = afield_store::ReceiveError::Gap { sequence }.into() => "receive.gap", Retry;
        DriverError::Space(_) = unknown.into() => "space.unknown", Permanent;
        DriverError::Mark(_) = afield_store::MarkError::AboveCursor { sequence }.into() => "mark.above_cursor", Retry;
        DriverError::Entity(_) = afield_store::EntityError::UnknownEntity { entity: ENTITY }.into()
            => "entity.missing", Permanent;
        DriverError::Reload(_) = DriverError::Reload(older()) => "open.sqlite_too_old", Upgrade;
    }));
    rows.extend(frozen!(MaintainError {
        MaintainError::Nested = MaintainError::Nested => "maintain.nested", Permanent;
    } passes on {
        MaintainError::Purge(_) = MaintainError::Purge(PurgeError::Nested) => "purge.nested", Permanent;
        MaintainError::Store(_) = full().into() => "store.disk_full", Quota;
        MaintainError::Sync(_) = MaintainError::Sync(DriverError::Reload(older())) => "open.sqlite_too_old", Upgrade;
    }));
    rows
}

fn of_spaces() -> Vec<Frozen> {
    let full_space = afield_store::SpaceError::from(full());
    let field = afield_store::QueryError::SearchSyntax;
    let too_long = afield_store::FilterError::TooLong { maximum: 1 };
    let too_many = afield_store::DirectionError::TooMany { maximum: 1 };
    let mut rows = frozen!(SpaceError {
        SpaceError::Unknown(_) = SpaceError::Unknown(SPACE) => "space.unknown", Permanent;
        SpaceError::Unsent { .. } = SpaceError::Unsent { space: SPACE, changes: 1 } => "space.unsent", Permanent;
        SpaceError::OnlyCopy { .. } = SpaceError::OnlyCopy { space: SPACE, changes: 1 } => "space.only_copy", Permanent;
        SpaceError::Collection(_) = ParseCollectionError.into() => "space.collection_name", Permanent;
        SpaceError::Nested = SpaceError::Nested => "space.nested", Permanent;
    } passes on {
        SpaceError::Field(_) = SpaceError::Field(field) => "search.syntax", Permanent;
        SpaceError::Store(_) = full_space.into() => "store.disk_full", Quota;
    });
    rows.extend(frozen!(FilterError {
        FilterError::Collection(_) = ParseCollectionError.into() => "filter.collection_name", Permanent;
        FilterError::Nested = FilterError::Nested => "filter.nested", Permanent;
    } passes on {
        FilterError::Store(_) = too_long.into() => "filter.too_long", Permanent;
        FilterError::Store(_) = afield_store::FilterError::from(full()).into() => "store.disk_full", Quota;
    }));
    rows.extend(frozen!(DirectionError {
        DirectionError::Collection(_) = ParseCollectionError.into() => "direction.collection_name", Permanent;
        DirectionError::Nested = DirectionError::Nested => "direction.nested", Permanent;
    } passes on {
        DirectionError::Store(_) = too_many.into() => "direction.too_many", Permanent;
        DirectionError::Store(_) = afield_store::DirectionError::from(full()).into() => "store.disk_full", Quota;
    }));
    rows.extend(frozen!(GuardError {
        GuardError::Collection(_) = ParseCollectionError.into() => "guard.collection_name", Permanent;
        GuardError::Share { .. } = GuardError::Share { found: 2.0 } => "guard.share", Permanent;
        GuardError::Nested = GuardError::Nested => "guard.nested", Permanent;
    } passes on {
        GuardError::Restore(_) = EditError::from(missing()).into() => "entity.missing", Permanent;
        GuardError::Driver(_) = DriverError::Store(full()).into() => "store.disk_full", Quota;
    }));
    rows
}

fn of_connecting() -> Vec<Frozen> {
    let mut rows = frozen!(ConnectError {
        ConnectError::Address(_) = address() => "connect.address", Permanent;
        ConnectError::Token(_) = ParseTokenError::Empty.into() => "connect.token", Permanent;
        ConnectError::Thread(_) = ConnectError::Thread(nothing()) => "connect.thread", Retry;
    } passes on {});
    rows.extend(frozen!(RefreshTokenError {
        RefreshTokenError::Off = RefreshTokenError::Off => "refresh.off", Permanent;
        RefreshTokenError::Token(_) = ParseTokenError::Empty.into() => "refresh.token", Permanent;
    } passes on {}));
    rows.extend(frozen!(RequestError {
        RequestError::Nested = RequestError::Nested => "request.nested", Permanent;
    } passes on {
        RequestError::Store(_) = RequestError::Store(full().into()) => "store.disk_full", Quota;
    }));
    rows
}

fn of_waiting() -> Vec<Frozen> {
    let entity = ENTITY;
    let held = SyncError::Held { space: SPACE, deletions: 1, received: false };
    let wait = |code| WaitError::Refused { entity, code };
    let mut rows = frozen!(SyncError {
        SyncError::Disabled = SyncError::Disabled => "sync.disabled", Permanent;
        SyncError::Failed { .. } = failed(Class::Retry) => "sync.failed", Retry;
        SyncError::Failed { .. } = failed(Class::SignIn) => "sync.failed", SignIn;
        SyncError::Failed { .. } = failed(Class::Quota) => "sync.failed", Quota;
        SyncError::Failed { .. } = failed(Class::Upgrade) => "sync.failed", Upgrade;
        SyncError::Failed { .. } = failed(Class::Permanent) => "sync.failed", Permanent;
        SyncError::Refused { .. } = refused(ChunkCode::Unavailable) => "sync.refused", Retry;
        SyncError::Refused { .. } = refused(ChunkCode::Quota) => "sync.refused", Quota;
        SyncError::Refused { .. } = refused(ChunkCode::StorageFull) => "sync.refused", Quota;
        SyncError::Refused { .. } = refused(ChunkCode::UnsupportedKind) => "sync.refused", Upgrade;
        SyncError::Refused { .. } = refused(ChunkCode::ReadOnly) => "sync.refused", Permanent;
        SyncError::Held { .. } = held => "sync.held", Permanent;
        SyncError::Closed = SyncError::Closed => "sync.closed", Retry;
    } passes on {});
    rows.extend(frozen!(WaitError {
        WaitError::Refused { .. } = wait(ChunkCode::Unavailable) => "wait.refused", Retry;
        WaitError::Refused { .. } = wait(ChunkCode::Quota) => "wait.refused", Quota;
        WaitError::Refused { .. } = wait(ChunkCode::UnsupportedKind) => "wait.refused", Upgrade;
        WaitError::Refused { .. } = wait(ChunkCode::ReadOnly) => "wait.refused", Permanent;
        WaitError::HeldBack { .. } = WaitError::HeldBack { entity } => "wait.held_back", Permanent;
        WaitError::Closed = WaitError::Closed => "wait.closed", Retry;
        WaitError::Gone { .. } = WaitError::Gone { entity } => "wait.gone", Permanent;
    } passes on {
        WaitError::Store(_) = full().into() => "store.disk_full", Quota;
    }));
    rows.extend(frozen!(FetchError {
    } passes on {
        FetchError::Filter(_) = FilterError::Nested.into() => "filter.nested", Permanent;
        FetchError::Sync(_) = failed(Class::SignIn).into() => "sync.failed", SignIn;
    }));
    rows
}

fn of_probes() -> Vec<Frozen> {
    let status = |status: u16| afield_transport::ConnectError::Refused {
        status: http::StatusCode::from_u16(status).unwrap(),
        retry_after_ms: None,
    };
    let ended = |code| SessionError::Ended { code, retry_after_ms: None };
    let store = afield_transport::ConnectError::TrustStore(rustls::Error::EncryptError);
    frozen!(ProbeError {
        ProbeError::Connect(_) = status(503).into() => "probe.connect", Retry;
        ProbeError::Connect(_) = status(401).into() => "probe.connect", SignIn;
        ProbeError::Connect(_) = status(426).into() => "probe.connect", Upgrade;
        ProbeError::Connect(_) = store.into() => "probe.connect", Permanent;
        ProbeError::Link(_) = LinkError::Closed.into() => "probe.link", Retry;
        ProbeError::Session(_) = ended(GoodbyeCode::GoingAway).into() => "probe.session", Retry;
        ProbeError::Session(_) = ended(GoodbyeCode::SignedOut).into() => "probe.session", SignIn;
        ProbeError::Session(_) = ended(GoodbyeCode::Upgrade).into() => "probe.session", Upgrade;
        ProbeError::Closed = ProbeError::Closed => "probe.closed", Retry;
        ProbeError::TimedOut = ProbeError::TimedOut => "probe.timed_out", Retry;
    } passes on {
        ProbeError::Relay(_) = address().into() => "connect.address", Permanent;
    })
}

fn of_plans() -> Vec<Frozen> {
    let send = || Box::new(PlannedWay::default());
    let refused = PlanError::Refused { space: SPACE, reason: String::new(), send: send() };
    let mut rows = frozen!(SandboxError {
        SandboxError::Place(_) = SandboxError::Place(nothing()) => "sandbox.place", Permanent;
        SandboxError::Unreached { .. } = unreached(Class::Retry) => "sandbox.unreached", Retry;
        SandboxError::Unreached { .. } = unreached(Class::SignIn) => "sandbox.unreached", SignIn;
        SandboxError::Unreached { .. } = unreached(Class::Quota) => "sandbox.unreached", Quota;
        SandboxError::Unreached { .. } = unreached(Class::Upgrade) => "sandbox.unreached", Upgrade;
        SandboxError::Unreached { .. } = unreached(Class::Permanent) => "sandbox.unreached", Permanent;
        SandboxError::Closed = SandboxError::Closed => "sandbox.closed", Retry;
    } passes on {
        SandboxError::Disabled = SandboxError::Disabled => "sync.disabled", Permanent;
        SandboxError::Connect(_) = address().into() => "connect.address", Permanent;
        SandboxError::Copy(_) = afield_store::BackupError::Exists.into() => "backup.exists", Permanent;
        SandboxError::Open(_) = older().into() => "open.sqlite_too_old", Upgrade;
        SandboxError::Store(_) = full().into() => "store.disk_full", Quota;
    });
    rows.extend(frozen!(PlanError {
        PlanError::Refused { .. } = refused => "plan.refused", Permanent;
    } passes on {
        PlanError::Half { .. } = PlanError::Half { send: send(), source: unreached(Class::SignIn) }
            => "sandbox.unreached", SignIn;
        PlanError::Store(_) = full().into() => "store.disk_full", Quota;
    }));
    rows
}

fn of_schedules() -> Vec<Frozen> {
    let text = String::new;
    let cron = croner::errors::CronError::EmptyPattern;
    let zone = jiff::tz::TimeZone::get("Nowhere").unwrap_err();
    let full_space = afield_store::SpaceError::from(full());
    frozen!(ScheduleError {
        ScheduleError::Expression { .. } = ScheduleError::Expression { expression: text(), source: cron }
            => "schedule.expression", Permanent;
        ScheduleError::Zone { .. } = ScheduleError::Zone { zone: text(), source: zone } => "schedule.zone", Permanent;
        ScheduleError::NeverFires { .. } = ScheduleError::NeverFires { expression: text() }
            => "schedule.never_fires", Permanent;
        ScheduleError::Text = ScheduleError::Text => "schedule.text", Permanent;
        ScheduleError::TooShort = ScheduleError::TooShort => "schedule.too_short", Permanent;
        ScheduleError::Nested = ScheduleError::Nested => "schedule.nested", Permanent;
    } passes on {
        ScheduleError::Store(_) = ScheduleError::Store(full_space) => "store.disk_full", Quota;
    })
}

fn of_others() -> Vec<Frozen> {
    let space = SPACE;
    let json = serde_json::from_str::<()>("no JSON").unwrap_err();
    let mut rows = frozen!(PresenceError {
        PresenceError::TooLarge { .. } = PresenceError::TooLarge { space, bytes: 2, bytes_max: 1 }
            => "presence.too_large", Permanent;
        PresenceError::Json { .. } = PresenceError::Json { space, source: json } => "presence.json", Permanent;
    } passes on {});
    rows.extend(frozen!(HandOverError {
        HandOverError::File(_) = nothing().into() => "hand_over.file", Permanent;
        HandOverError::Exists = HandOverError::Exists => "hand_over.exists", Permanent;
        HandOverError::Content(_) = HandOverProblem::Changed.into() => "hand_over.content", Permanent;
        HandOverError::Nested = HandOverError::Nested => "transaction.nested", Permanent;
    } passes on {
        HandOverError::Store(_) = full().into() => "store.disk_full", Quota;
        HandOverError::Driver(_) = DriverError::Reload(older()).into() => "open.sqlite_too_old", Upgrade;
    }));
    rows
}
