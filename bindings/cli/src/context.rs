//! Which store and which space a command works on.

use crate::arguments::Global;
use crate::failure::Failure;
use afield::{Replica, Space};
use etcetera::BaseStrategy;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where the store is unless somebody says otherwise: in the platform's folder for an application's data.
pub(crate) fn default_store() -> PathBuf {
    match etcetera::choose_base_strategy() {
        Ok(folders) => folders.data_dir().join("afield").join("store.db"),
        // Without a home folder there is still the present one.
        Err(_) => PathBuf::from("afield-store.db"),
    }
}

/// Milliseconds since the Unix epoch by the system's clock.
pub(crate) fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Opens the store, which has to exist.
pub(crate) fn open(global: &Global) -> Result<Replica, Failure> {
    if !global.store.exists() {
        return Err(Failure::NoStore(global.store.clone()));
    }
    open_or_make(global)
}

/// Opens the store, making it and its folder where there is none.
pub(crate) fn open_or_make(global: &Global) -> Result<Replica, Failure> {
    let path = &global.store;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(Failure::file(folder))?;
    }
    let options = Replica::options().writer_wait(Duration::from_secs(u64::from(global.wait)));
    options.open(path).map_err(|source| Failure::Open { path: path.clone(), source })
}

/// The space that a command works on: the one asked for, or the only one.
pub(crate) fn space(replica: &Replica, global: &Global) -> Result<Space, Failure> {
    let spaces = replica.spaces()?;
    let known = || spaces.iter().map(|space| format!("{:?} ({})", space.name(), space.id())).collect();
    let Some(wanted) = &global.space else {
        return match spaces.as_slice() {
            [] => Err(Failure::NoSpace),
            [only] => Ok(only.clone()),
            _ => Err(Failure::SpaceAmbiguous { known: known() }),
        };
    };
    let by_id = spaces.iter().find(|space| space.id().to_string() == wanted.to_lowercase());
    let mut by_name = spaces.iter().filter(|space| space.name() == wanted);
    match (by_id, by_name.next(), by_name.next()) {
        (Some(space), _, _) | (None, Some(space), None) => Ok(space.clone()),
        (None, Some(_), Some(_)) => Err(Failure::SpaceAmbiguous { known: known() }),
        (None, None, _) if spaces.is_empty() => Err(Failure::NoSpace),
        (None, None, _) => Err(Failure::SpaceUnknown { known: known() }),
    }
}

/// Opens the store and chooses the space: what most commands begin with. The replica has to outlive the space's sync.
pub(crate) fn open_space(global: &Global) -> Result<(Replica, Space), Failure> {
    let replica = open(global)?;
    let space = space(&replica, global)?;
    Ok((replica, space))
}

/// The file beside another whose name has a suffix more.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
