//! `purge`: what is to be gone for good.

use super::operation::OperationError;
use super::shown::{as_json, counted};
use super::{CommandError, note, print_line_if_read};
use crate::log::{PurgeError, PurgedSpace, PurgedUser, SqliteLog};
use crate::server::{DataFolder, SystemClock};
use afield_core::{EntityId, SpaceId};
use clap::Subcommand;
use std::path::{Path, PathBuf};

/// Takes entities, spaces or users away for good, also beside a relay that runs. Without --confirm it only says what it would do.
#[derive(Debug, Subcommand)]
pub enum PurgeCommand {
    /// Purge entities of a space here and on every device, as a device that purges them does
    Entity {
        /// The space
        space: SpaceId,
        /// The entities
        #[arg(required = true)]
        entities: Vec<EntityId>,
        /// Do it
        #[arg(long)]
        confirm: bool,
    },
    /// Take a space away with all that is in it; its id stays blocked. Devices keep what they have
    Space {
        /// The space
        space: SpaceId,
        /// Do it
        #[arg(long)]
        confirm: bool,
    },
    /// Close an account and forget whose it was: name, tokens, devices and memberships
    User {
        /// Its name
        name: String,
        /// Purge the spaces, too, that nobody else owns
        #[arg(long)]
        with_spaces: bool,
        /// Do it
        #[arg(long)]
        confirm: bool,
    },
}

impl PurgeCommand {
    pub(super) fn run(self, data: PathBuf, json: bool) -> Result<(), CommandError> {
        let folder = DataFolder::existing(data)?;
        let mut log = folder.open_log()?;
        let now = SystemClock::start().now();
        match self {
            Self::Entity { space, entities, confirm } => {
                log.entities_to_purge(space, &entities).map_err(OperationError::from)?;
                let names: Vec<String> = entities.iter().map(EntityId::to_string).collect();
                let view = serde_json::json!({ "space": space.to_string(), "entities": names, "purged": confirm });
                let what = counted(entities.len() as u64, "entity").replace("entitys", "entities");
                let text = format!("{what} of space {space}, here and on every device");
                begin(confirm, json, &view, &text)?;
                log.purge_entities(space, &entities, now).map_err(OperationError::from)?;
                // Of a space, too, whose purge was stopped on the way.
                log.finish_purges()?;
                finish(&mut log, folder.path(), json, &view, &format!("Purged {text}."))
            }
            Self::Space { space, confirm } => {
                let found = log.space_to_purge(space).map_err(OperationError::from)?;
                let PurgedSpace { members, chunks, bytes } = found.unwrap_or_default();
                let view = serde_json::json!({
                    "space": space.to_string(), "members": members, "chunks": chunks, "bytes": bytes, "purged": confirm
                });
                let has = [counted(chunks, "chunk"), format!("{bytes} B"), counted(members, "member")].join(", ");
                let text = format!("space {space} ({has}); devices keep what they have, and cannot bring it back");
                begin(confirm, json, &view, &text)?;
                log.purge_space(space, now).map_err(OperationError::from)?;
                finish(&mut log, folder.path(), json, &view, &format!("Purged {text}."))
            }
            Self::User { name, with_spaces, confirm } => {
                let found = match log.user_to_purge(&name) {
                    Err(PurgeError::NoSuchUser) if confirm => {
                        return finish_earlier(&mut log, folder.path(), json, with_spaces);
                    }
                    found => found.map_err(OperationError::from)?,
                };
                let (view, text) =
                    (user_view(&found, with_spaces, Purge::This { confirm }), user_text(&found, with_spaces));
                begin(confirm, json, &view, &text)?;
                log.purge_user(&name, with_spaces, now).map_err(OperationError::from)?;
                finish(&mut log, folder.path(), json, &view, &format!("Purged {text}."))
            }
        }
    }
}

/// Takes away what a process that was killed left of spaces, and in the WAL. Whose purge it was cannot be told: a user is forgotten in the
/// transaction that begins it, name and all.
fn finish_earlier(log: &mut SqliteLog, folder: &Path, json: bool, with_spaces: bool) -> Result<(), CommandError> {
    if log.finish_purges()? {
        let nobody = PurgedUser::default();
        let view = user_view(&nobody, with_spaces, Purge::Earlier);
        let said = "There is no user of this name. What an earlier purge had begun is finished.";
        return finish(log, folder, json, &view, said);
    }
    log.give_back()?;
    log.empty_wal_of_purged()?;
    Err(OperationError::from(PurgeError::NoSuchUser).into())
}

/// Which purge of a user is told of.
enum Purge {
    This { confirm: bool },
    Earlier,
}

fn user_view(found: &PurgedUser, with_spaces: bool, purge: Purge) -> serde_json::Value {
    let spaces: Vec<String> = found.sole_spaces.iter().map(SpaceId::to_string).collect();
    serde_json::json!({
        "tokens": found.tokens,
        "devices": found.devices,
        "sole_spaces": spaces,
        "with_spaces": with_spaces,
        "purged": matches!(purge, Purge::This { confirm: true }),
        "finished_earlier": matches!(purge, Purge::Earlier),
    })
}

fn user_text(found: &PurgedUser, with_spaces: bool) -> String {
    let PurgedUser { tokens, devices, sole_spaces } = found;
    let mut text = format!("the user, with {} and {}", counted(*tokens, "token"), counted(*devices, "device"));
    let what =
        if with_spaces { "and with it the space" } else { "the space stays, with nobody to own it (`space grant`):" };
    for space in sole_spaces {
        text.push_str(&format!("\n  {what} {space}"));
    }
    text
}

/// Says what would be done, where it was not confirmed.
fn begin(confirm: bool, json: bool, view: &serde_json::Value, text: &str) -> Result<(), CommandError> {
    if confirm {
        return Ok(());
    }
    print_line_if_read(&if json { as_json(view)? } else { format!("Would purge {text}.") })?;
    Err(OperationError::Unconfirmed.into())
}

/// Takes away what is left of it in the files, and says what was done.
fn finish(
    log: &mut SqliteLog,
    folder: &Path,
    json: bool,
    view: &serde_json::Value,
    said: &str,
) -> Result<(), CommandError> {
    log.give_back()?;
    if !log.empty_wal_of_purged()? {
        return Err(OperationError::WalStays.into());
    }
    print_line_if_read(&if json { as_json(view)? } else { said.to_owned() })?;
    if !json {
        note("Backups that were made before still hold it.");
        for kept in replaced_logs(folder) {
            note(&format!("So may {}, which a `restore` kept.", kept.display()));
        }
    }
    Ok(())
}

/// The logs that restores kept in a folder.
fn replaced_logs(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut kept: Vec<PathBuf> = entries
        .filter(|entry| entry.file_name().to_string_lossy().contains(".replaced-"))
        .map(|entry| entry.path())
        .collect();
    kept.sort();
    kept
}
